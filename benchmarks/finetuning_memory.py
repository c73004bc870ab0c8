"""Memory of a training step, by formula, by XLA's plan and as measured: ``python -m benchmarks.finetuning_memory``.

Random weights of two sizes, one as the embedded model; adapters of rank 8 on all linear layers; loss on the second half
of each sequence; with and without rematerialisation. Each case is a process of its own.

On a processor, XLA by default finds what is computed twice and computes it once, which undoes rematerialisation; here
it is told not to.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from benchmarks._machine import describe_machine
from benchmarks._memory import added_bytes

if TYPE_CHECKING:
    from hqre_jax.bridge.models._decoder import Architecture

# Layers, width, heads, heads of keys and values, width of the mlp, vocabulary.
SIZES = {"34M": (12, 384, 6, 2, 1024, 49152), "135M": (30, 576, 9, 3, 1536, 49152)}
_HEAD_WIDTH, RANK = 64, 8
_AS_WRITTEN = {"XLA_FLAGS": "--xla_disable_hlo_passes=cse_barrier_expander"}


def architecture(size: str) -> "Architecture":
    """The shape of random weights of that size."""
    from hqre_jax.bridge.models._decoder import Architecture

    layers, width, heads, kv_heads, hidden, vocabulary = SIZES[size]
    frequencies = tuple(10_000.0 ** (-2 * plane / _HEAD_WIDTH) for plane in range(_HEAD_WIDTH // 2))
    return Architecture(vocabulary, width, layers, heads, kv_heads, _HEAD_WIDTH, hidden, 2048, 1e-5, frequencies)


def measure(size: str, sequences: int, length: int, rematerialise: bool, dtype: str) -> dict:
    """One case, in this process."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    import optax

    from hqre_jax.bridge import models
    from hqre_jax.bridge.models._adapters import TARGETS
    from hqre_jax.bridge.models._assemble import assemble
    from hqre_jax.bridge.models._decoder import forward
    from hqre_jax.bridge.models._memory import training_memory

    shape = architecture(size)
    width, vocabulary = shape.width, shape.vocabulary
    rng = np.random.default_rng(0)
    arrays = {"embedding": rng.normal(size=(vocabulary, width)).astype(np.float32) * 0.02, "norm": np.ones(width)}
    for number in range(shape.num_layers):
        arrays |= {f"blocks.{number}.{norm}": np.ones(width) for norm in ("attention_norm", "mlp_norm")}
        for path, sizes in shape.layer_sizes.items():
            arrays[f"blocks.{number}.{path}.weight"] = rng.normal(size=sizes).astype(np.float32) * 0.02
    decoder = assemble(shape, arrays, jnp.dtype(dtype))
    del arrays
    adapter = models.init_adapter(shape, models.LoraConfig(rank=RANK, targets=tuple(TARGETS)), jax.random.key(0))
    optimizer: Any = optax.adamw(1e-4)
    state = optimizer.init(adapter)
    tokens = jnp.asarray(rng.integers(vocabulary, size=(sequences, length)), jnp.int32)
    read = jnp.broadcast_to(jnp.arange(length // 2 - 1, length - 1, dtype=jnp.int32), (sequences, length // 2))

    def loss(adapter, decoder):
        logits = forward(models.with_adapter(decoder, adapter), tokens, read, rematerialise)
        said = jnp.take_along_axis(tokens, read + 1, axis=1)
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), said[:, :, None], axis=2))

    def step(adapter, state, decoder):
        slope = jax.grad(loss)(adapter, decoder)
        updates, state = optimizer.update(slope, state, adapter)
        return optax.apply_updates(adapter, updates), state

    compiled = jax.jit(step, donate_argnums=(0, 1)).lower(adapter, state, decoder).compile()
    plan: Any = compiled.memory_analysis()
    expected = training_memory(decoder, adapter, sequences, length, length // 2, rematerialise)
    begun = time.perf_counter()
    _, added = added_bytes(lambda: jax.block_until_ready(compiled(adapter, state, decoder)))
    return {
        "seconds": time.perf_counter() - begun,
        "formula": {**asdict(expected), "total": expected.total},
        # What is donated is argument and result in one.
        "planned": plan.argument_size_in_bytes
        + plan.output_size_in_bytes
        - plan.alias_size_in_bytes
        + plan.temp_size_in_bytes,
        "resident": None if added is None else added + expected.weights + 3 * expected.adapters // 4,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.finetuning_memory", description=__doc__)
    parser.add_argument("--sequences", type=int, default=4, metavar="S", help="sequences of a batch (4)")
    parser.add_argument("--length", type=int, default=128, metavar="L", help="tokens of each (128)")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="of the weights (float32)")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.case:
        size, again = given.case.split(",")
        print(json.dumps(measure(size, given.sequences, given.length, again == "again", given.dtype)))
        return
    columns = ("weights", "adapters", "activations", "passing", "formula", "planned", "resident", "s a step")
    table = Table(
        "model", "blocks are", *columns, title=f"MB, {given.sequences} x {given.length} tokens, {given.dtype}"
    )
    for size in SIZES:
        for again in ("kept", "again"):
            command = [sys.executable, "-m", "benchmarks.finetuning_memory", "--case", f"{size},{again}"]
            command += ["--sequences", str(given.sequences), "--length", str(given.length), "--dtype", given.dtype]
            run = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **_AS_WRITTEN})
            found = json.loads(run.stdout.splitlines()[-1])
            sizes = [*found["formula"].values(), found["planned"], found["resident"]]
            shown = ["" if x is None else f"{x / 1e6:,.0f}" for x in sizes]
            table.add_row(size, {"kept": "kept", "again": "computed again"}[again], *shown, f"{found['seconds']:.1f}")
    Console(width=140).print(table)
    Console(stderr=True).print(describe_machine())


if __name__ == "__main__":
    main()
