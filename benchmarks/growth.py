"""W6: how time and memory of `solve_batch` grow with the number of games: ``python -m benchmarks.growth``.

Each size runs in a process of its own, so that the peak of its memory is its own and its first call compiles.
"""

import argparse
import json
import math
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks._machine import describe_machine
from benchmarks._normal_form_case import residuals

_TAU, _TOL = 1.0, 1e-8
# What is wanted: bytes at any size, seconds of the first call.
_MOST_BYTES, _MOST_FIRST = 2e9, 3.0


def measure_size(num_games: int, repeats: int) -> dict[str, float]:
    """Solve one batch in this process.

    Args:
        num_games: B, the first B games of W1.
        repeats: Timed runs after the first.

    Returns:
        Seconds of the first call and of the others (median), peak memory in bytes
        with and without the answers, games that the harness's own residual fails.
    """
    import hqre_jax as hq

    jax.config.update("jax_enable_x64", True)
    payoffs = np.random.RandomState(1000).rand(num_games, 2, 3, 3)
    before = _peak()

    def run() -> np.ndarray:
        return np.asarray(hq.solve_batch(payoffs, _TAU, tol=_TOL, throw=False).policy)[:, :, 0]

    began = time.perf_counter()
    policy = run()
    first = time.perf_counter() - began
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    peak = _peak()
    return {
        "num_games": num_games,
        "first_call_seconds": first,
        "seconds": float(np.median(seconds)),
        "peak_bytes": peak,
        "added_bytes": peak - before,
        "failures": int((residuals(payoffs, policy, _TAU) > _TOL).sum()),
    }


def _peak() -> int:
    """Peak resident memory of this process so far, in bytes (Linux counts in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def growth_exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Slope of log seconds over log sizes, by least squares; nan for one size."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0]) if len(sizes) > 1 else math.nan


def first_call(rows: list[dict[str, float]]) -> float:
    """Seconds of the first call at the smallest size, where compilation is nearly all of it."""
    return min(rows, key=lambda row: row["num_games"])["first_call_seconds"]


def main(argv: list[str] | None = None) -> int:
    """Run all sizes, print a table, write JSON.

    Args:
        argv: Arguments; those of the command line by default.

    Returns:
        0, or 1 where a game was not solved.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description="W6: growth with the batch.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000], metavar="B")
    parser.add_argument("--repeats", type=int, default=5, metavar="R", help="timed runs of each size (5)")
    parser.add_argument("--one", type=int, metavar="B", help="measure one size in this process, JSON to stdout")
    parser.add_argument("--out", type=Path, default=Path("out/growth.json"), metavar="FILE", help="where JSON goes")
    arguments = parser.parse_args(argv)
    if arguments.one is not None:
        print(json.dumps(measure_size(arguments.one, arguments.repeats)))
        return 0
    rows = []
    for size in arguments.sizes:
        command = [sys.executable, "-m", "benchmarks.growth", "--one", str(size), "--repeats", str(arguments.repeats)]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
        rows.append(json.loads(run.stdout.splitlines()[-1]))
    table = Table(title=f"W6 3×3, τ = {_TAU:g}", title_justify="left")
    for name in ("games", "first call s", "run ms (median)", "µs/game", "peak MB", "added MB", "fails"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            f"{row['num_games']:,}",
            f"{row['first_call_seconds']:.1f}",
            f"{1e3 * row['seconds']:.1f}",
            f"{1e6 * row['seconds'] / row['num_games']:.2f}",
            f"{row['peak_bytes'] / 1e6:.0f}",
            f"{row['added_bytes'] / 1e6:.0f}",
            str(row["failures"]),
        )
    Console(width=120).print(table)
    exponent = growth_exponent([row["num_games"] for row in rows], [row["seconds"] for row in rows])
    peak, first = max(r["peak_bytes"] for r in rows), first_call(rows)
    print(
        f"Time grows as B^{exponent:.2f} from {rows[0]['num_games']:,} games on; most memory {peak / 1e9:.2f} GB "
        f"(wanted: {_MOST_BYTES / 1e9:g} or less); first call, compilation included, {first:.1f} s at the smallest "
        f"size (wanted: {_MOST_FIRST:g} or less)."
    )
    document = {"workload": "W6", "tau": _TAU, "machine": describe_machine(), "sizes": rows}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return int(any(row["failures"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
