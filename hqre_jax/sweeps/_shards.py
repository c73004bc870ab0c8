"""One shard: its games drawn, solved, and written as a Parquet file, whole or not at all."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from hqre_jax.core._types import InputError
from hqre_jax.io._files import write_whole
from hqre_jax.solving.batch._solve_batch import solve_batch
from hqre_jax.sweeps._config import Config, Shard


def parquet() -> Any:
    """The Parquet module of pyarrow, or an `InputError` that says how to get it."""
    try:
        import pyarrow.parquet
    except ImportError:
        raise InputError("sweep", "needs pyarrow: pip install 'hqre-jax[sweep]'") from None
    return pyarrow.parquet


def solve_shard(config: Config, shard: Shard) -> dict[str, np.ndarray]:
    """Draw and solve the games of a shard.

    Args:
        config: The sweep.
        shard: Which games of it.

    Returns:
        Columns with one entry per game: ``game`` (its number in the cell), ``residual`` (probability), ``num_steps``,
        ``result``, ``selection``, ``initial_values`` (player; units of payoff) and ``policy`` (player, information
        state, action; padding 0).
    """
    cell = shard.cell
    games = cell.family.draw(cell.seed, shard.first, shard.count)
    sols = solve_batch(
        games, np.asarray(cell.tau), solver=cell.solver, entropy=config.entropy, continuation=config.continuation,
        tol=config.tol, max_steps=config.max_steps, throw=False,
    )  # fmt: skip
    return {
        "game": np.arange(shard.first, shard.first + shard.count),
        "residual": np.asarray(sols.residual),
        "num_steps": np.asarray(sols.num_steps),
        "result": np.asarray(sols.result),
        "selection": np.asarray(sols.selection),
        "initial_values": np.asarray(sols.initial_values),
        "policy": np.asarray(sols.policy),
    }


def write_shard(folder: Path, config: Config, shard: Shard, columns: dict[str, np.ndarray]) -> None:
    """Write the columns; equal columns give equal bytes.

    Args:
        folder: The sweep's folder.
        config: The sweep; its digest goes into the file.
        shard: Which part of it.
        columns: As `solve_shard` gives them.
    """
    pq = parquet()
    import pyarrow as pa

    arrays = {}
    for name, values in columns.items():
        flat = values.reshape(len(values), -1)
        if values.ndim > 1:
            arrays[name] = pa.FixedSizeListArray.from_arrays(pa.array(flat.ravel()), flat.shape[1])
        elif values.dtype.kind == "U":
            arrays[name] = pa.array(values.tolist()).dictionary_encode()
        else:
            arrays[name] = pa.array(values)
    notes = {
        "sweep": config.digest,
        "cell": shard.cell.title,
        "policy_shape": json.dumps(columns["policy"].shape[1:]),
    }
    table = pa.table(arrays).replace_schema_metadata(notes)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    path = folder / shard.file
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, sink.getvalue().to_pybytes())


def read_shard(folder: Path, config: Config, shard: Shard) -> dict[str, np.ndarray]:
    """The columns of a shard that was written, without ``policy`` and ``initial_values``.

    Raises:
        InputError: The file is damaged or belongs to another sweep.
    """
    path = folder / shard.file
    try:
        table = parquet().read_table(path, columns=["game", "residual", "num_steps", "result", "selection"])
    except (OSError, ValueError) as error:
        raise InputError(
            str(path), f"is no Parquet file of a sweep ({str(error).splitlines()[0]}); delete it"
        ) from None
    if (table.schema.metadata or {}).get(b"sweep", b"").decode() != config.digest:
        raise InputError(str(path), "belongs to another sweep; delete it, or give another folder")
    return {name: np.asarray(table[name].to_pylist()) for name in table.column_names}
