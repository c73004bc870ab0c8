"""The shards of a sweep, handed out by Dask: ``python sweep_dask.py CONFIG.toml DIR [SCHEDULER]``.

Without SCHEDULER, two workers on this machine; workers begun elsewhere need JAX_ENABLE_X64=1 in their environment, or
the shards are refused. A worker that dies is replaced, and its shard done by the next one.
"""

import os
import sys
from functools import partial

os.environ["JAX_ENABLE_X64"] = "1"  # of the workers, too, that are begun here

import jax
from dask.distributed import Client, progress

import hqre_jax as hq


def main(config: str, out: str, *scheduler: str) -> None:
    """Hand out all shards, and print what came of them."""
    with Client(*scheduler) if scheduler else Client(n_workers=2, threads_per_worker=1) as client:
        if not all(client.run(lambda: jax.config.jax_enable_x64).values()):
            sys.exit("error: some workers compute in single precision: begin them with JAX_ENABLE_X64=1")
        numbers = range(len(hq.sweeps.read_config(config).shards))
        tasks = client.map(partial(hq.sweeps.run_shard, config, out), numbers, pure=False)
        if sys.stdout.isatty():
            progress(tasks, notebook=False)
        done = sum(client.gather(tasks))
    summary = hq.sweeps.summarise(out)
    print(f"{done} shards done now, {len(numbers) - done} before; {summary.failed} games failed")


if __name__ == "__main__":
    if not 3 <= len(sys.argv) <= 4:
        sys.exit(f"usage: python {sys.argv[0]} CONFIG.toml DIR [SCHEDULER]")
    try:
        main(*sys.argv[1:])
    except hq.InputError as error:
        sys.exit(f"error: {error}")
