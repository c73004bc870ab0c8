"""Doing a sweep: what is there already is kept, the rest is done shard by shard, by any number of processes."""

import json
import os
import platform
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from hqre_jax.core._types import InputError, checked_count
from hqre_jax.io._files import write_whole
from hqre_jax.sweeps._config import Config, Shard, read_config
from hqre_jax.sweeps._report import Summary, summarise
from hqre_jax.sweeps._shards import parquet, solve_shard, write_shard

_DEFAULT_FOLDER, _MANIFEST = "out/sweep", "manifest.json"
_ADDRESS = re.compile(r"\S+:\d{1,5}")


@dataclass(frozen=True)
class Processes:
    """Several processes that share the work of one sweep through a common folder.

    Attributes:
        coordinator: ``HOST:PORT`` of process 0, at which they meet and wait for the last; None: they never meet, as
            the tasks of an array job.
        count: Number of processes.
        index: This process, from 0. With all three None, JAX asks the cluster (Slurm, Open MPI, Kubernetes).

    Example:
        >>> import hqre_jax as hq
        >>> hq.sweeps.Processes(coordinator="first:1234", count=4, index=0).count
        4
    """

    coordinator: str | None = None
    count: int | None = None
    index: int | None = None


def sweep(
    config: Any,
    out: str | Path = _DEFAULT_FOLDER,
    *,
    processes: Processes | None = None,
    announce: Callable[[int, int, int], None] = lambda done, total, games: None,
) -> Summary:
    """Solve thousands to millions of random games and keep every answer.

    Every combination of family, temperature, solver and seed is a cell of ``num_games`` games; the same games are
    solved at every temperature and by every solver. Work is cut into shards, each written atomically as
    ``DIR/shards/NNNNNN.parquet``. Calling again with the same configuration does only what is missing: after a
    crash at most the shard in work (one per process) is lost, and none is repeated. Shards are bit-equal whatever the
    number of processes and interruptions.

    Args:
        config: Path of a TOML file, its contents as a dictionary, or a `sweeps.Config`.
        out: Folder; made if need be. A folder that holds another sweep is refused.
        processes: To share the work with other processes, each calling this with the same arguments and its own index:
            shard k is done by process k modulo their number. Where they meet, ``jax.distributed`` is initialised, and
            all wait for the last. Engines that hand out work by themselves take `run_shard`.
        announce: Called with shards done, shards in all, and games in the shard, after each.

    Returns:
        The `Summary` of all shards in the folder.

    Raises:
        InputError: On a bad configuration, or a folder that holds something else. Where nothing could be solved, a new
            folder is left as it was.

    Example:
        >>> import tempfile
        >>> import hqre_jax as hq
        >>> ask = {"games": [{"families": ["uniform"], "sizes": [[2, 2]]}], "temperatures": [8.0], "num_games": 4}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     print(hq.sweep(ask, folder).rows[0].games)
        4
    """
    parquet()
    sweep_config, folder = read_config(config), Path(out)
    with _joined(processes) as (index, count, first):
        mine = [shard for shard in sweep_config.shards if shard.number % count == index]
        with _claimed(folder, sweep_config, first):
            for done, shard in enumerate(mine):
                _do(folder, sweep_config, shard, str(index))
                announce(done + 1, len(mine), shard.count)
    return summarise(folder)


def run_shard(config: Any, out: str | Path, number: int) -> bool:
    """Do one shard of a sweep, unless it is there: the unit of work for an engine that hands out work by itself.

    Workers that die lose the shard in work; an engine (Dask, Ray, ..) gives it to the next one. Shards are bit-equal to
    those of `sweep`, which can go on in the same folder, and whose `Summary` is `sweeps.summarise`.

    Args:
        config: As for `sweep`; paths must mean the same to every worker.
        out: Folder, common to all workers.
        number: Of the shard, an index of `Config.shards`.

    Returns:
        Whether it was done now.

    Raises:
        InputError: As from `sweep`, and for a number that no shard has.

    Example:
        >>> import tempfile
        >>> import hqre_jax as hq
        >>> ask = {"games": [{"families": ["uniform"], "sizes": [[2, 2]]}], "temperatures": [8.0], "num_games": 4}
        >>> numbers = range(len(hq.sweeps.read_config(ask).shards))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     print([hq.sweeps.run_shard(ask, folder, number) for number in (*numbers, 0)])
        ...     print(hq.sweeps.summarise(folder).complete)
        [True, False]
        True
    """
    parquet()
    sweep_config, folder = read_config(config), Path(out)
    if checked_count(number, "number", 0) >= len(sweep_config.shards):
        raise InputError("number", f"{number} is no shard; there are {len(sweep_config.shards)}, from 0")
    with _claimed(folder, sweep_config, first=True):
        return _do(folder, sweep_config, sweep_config.shards[number], f"{socket.gethostname()}-{os.getpid()}")


def _do(folder: Path, config: Config, shard: Shard, who: str) -> bool:
    """Solve a shard and write it down; False where it is there."""
    if (folder / shard.file).exists():
        return False
    began = time.perf_counter()
    write_shard(folder, config, shard, solve_shard(config, shard))
    _note_time(folder, who, shard, time.perf_counter() - began)
    return True


@contextmanager
def _joined(processes: Processes | None) -> Iterator[tuple[int, int, bool]]:
    """This process's index, the number of processes, and whether to begin the folder; who has met, waits at the end."""
    if processes is None:
        yield 0, 1, True
        return
    if processes.coordinator is None and processes.count is not None and processes.index is not None:
        if not 0 <= processes.index < processes.count:
            raise InputError("processes", f"there is none with the number {processes.index} of {processes.count}")
        yield processes.index, processes.count, True
        return
    if processes.coordinator is not None and not _ADDRESS.fullmatch(processes.coordinator):
        raise InputError("coordinator", f"is {processes.coordinator!a}; address and port of the first, HOST:PORT")
    try:
        jax.distributed.initialize(processes.coordinator, processes.count, processes.index)
    except (RuntimeError, ValueError) as error:
        raise InputError("processes", f"cannot join the others: {str(error).splitlines()[0]}") from None
    from jax.experimental.multihost_utils import sync_global_devices

    try:
        yield jax.process_index(), jax.process_count(), jax.process_index() == 0
        sync_global_devices("sweep finished")
    finally:
        jax.distributed.shutdown()


@contextmanager
def _claimed(folder: Path, config: Config, first: bool) -> Iterator[None]:
    """A folder that is this sweep's, unless the sweep is refused before anything is solved."""
    new = not (folder / _MANIFEST).exists()
    _claim(folder, config, first)
    try:
        yield
    except InputError:
        if new and first and not any((folder / "shards").iterdir()):
            (folder / _MANIFEST).unlink(missing_ok=True)
            (folder / "shards").rmdir()
        raise


def _claim(folder: Path, config: Config, first: bool) -> None:
    """Check that a manifest that is there is of the same sweep; if there is none, the first process writes it, or each.

    Every process checks: none adds shards to a folder that holds something else. Versions are compared too, since
    anything that can change a result belongs to what a sweep is.
    """
    manifest = {
        "digest": config.digest,
        "versions": _versions(),
        "double_precision": jnp.result_type(float) == jnp.float64,
        "seeds": list(config.seeds),
        "config": asdict(config),
        "shards": [
            {"file": shard.file, "cell": shard.cell.title, "first": shard.first, "count": shard.count}
            for shard in config.shards
        ],
    }
    path = folder / _MANIFEST
    try:
        (folder / "shards").mkdir(parents=True, exist_ok=True)
        found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    except (OSError, ValueError) as error:
        raise InputError(str(path), f"cannot be used: {getattr(error, 'strerror', None) or error}") from None
    if found is not None and not isinstance(found, dict):
        raise InputError(str(path), "is no manifest of a sweep: restore it, or give another folder")
    if found is None:
        if not first:
            return
        write_whole(path, (json.dumps(manifest, indent=1) + "\n").encode())
        return
    for key, what in (("digest", "configuration"), ("versions", "versions"), ("double_precision", "precision")):
        if found.get(key) != manifest[key]:
            detail = "" if key == "digest" else f": {found.get(key)} there, {manifest[key]} here"
            raise InputError(str(folder), f"holds a sweep with another {what}{detail}; give another folder")


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    names = ("hqre-jax", "jax", "jaxlib", "numpy", "pyarrow")
    return {name: version(name) for name in names} | {"python": platform.python_version()}


def _note_time(folder: Path, who: str, shard: Shard, seconds: float) -> None:
    """Seconds of a shard, beside the shards: these are to be the same whoever makes them."""
    line = json.dumps({"shard": shard.number, "games": shard.count, "seconds": round(seconds, 6)})
    with (folder / f"times-{who}.jsonl").open("a", encoding="utf-8") as file:
        file.write(line + "\n")
