"""W6: how time and memory of `solve_batch` grow with the number of games: ``python -m benchmarks.growth``.

Each size runs in a process of its own, so that the peak of its memory is its own and its first call compiles; there the
loop that numba compiles takes its turn, too, after the memory was read. A picture shows both: time of a game, by games.
"""

import argparse
import json
import math
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks._machine import describe_machine
from benchmarks._measure import LEAST_SECONDS, MOST_CALLS
from benchmarks._normal_form_case import NormalFormCase, residuals
from benchmarks.entrants.numba_loops import entrants as numba_entrants

_TAU, _TOL = 1.0, 1e-8
_PEER = "numba continuation"
# Games from which on the growth of time is looked at: with fewer the call itself is most of it.
_MANY = 1_000
# What is wanted: bytes at any size, seconds of the first call.
_MOST_BYTES, _MOST_FIRST = 2e9, 3.0


def measure_size(num_games: int, repeats: int) -> dict[str, float | None]:
    """Solve one batch in this process.

    Args:
        num_games: B, the first B games of W1.
        repeats: Timed runs after the first.

    Returns:
        Seconds of the first call and of the others (median), peak memory in bytes with and without the answers, games
        that the harness's own residual fails; seconds of numba's loop (median), None without it.
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
    seconds = _seconds(run, repeats)
    peak = _peak()
    peer = next(entrant for entrant in numba_entrants() if entrant.name == _PEER)
    case = NormalFormCase(workload="W6", label="W6", payoffs=payoffs, tau=_TAU)
    return {
        "num_games": num_games,
        "first_call_seconds": first,
        "seconds": seconds,
        "peer_seconds": None if peer.missing else _seconds(peer.prepare(case).run, repeats),
        "peak_bytes": peak,
        "added_bytes": peak - before,
        "failures": int((residuals(payoffs, policy, _TAU) > _TOL).sum()),
    }


def _seconds(run: Callable[[], object], repeats: int) -> float:
    """The median of some runs, after one that warms up; a short one is the mean of several calls."""
    began = time.perf_counter()
    run()
    calls = max(1, min(MOST_CALLS, int(LEAST_SECONDS / max(time.perf_counter() - began, 1e-9))))
    found = []
    for _ in range(repeats):
        began = time.perf_counter()
        for _ in range(calls):
            run()
        found.append((time.perf_counter() - began) / calls)
    return float(np.median(found))


def draw(rows: list[dict[str, float]], path: Path) -> None:
    """Microseconds of a game by the number of games; dotted: if a call cost the same whatever is in it.

    Args:
        rows: What `measure_size` found.
        path: Of the picture.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    panel = figure.subplots()
    sizes = [row["num_games"] for row in rows]
    for name, key, colour in (("solve_batch", "seconds", "tab:blue"), (_PEER, "peer_seconds", "tab:gray")):
        known = [(size, 1e6 * row[key] / size) for size, row in zip(sizes, rows, strict=True) if row[key] is not None]
        if known:
            panel.loglog(*zip(*known, strict=True), "o-", color=colour, label=name)
    # What is left of a game's time where the call is all there is to pay for.
    call = 1e6 * rows[0]["seconds"]
    panel.loglog(sizes, [call / size for size in sizes], ":", color="tab:blue", label="the smallest batch's call alone")
    panel.set_xlabel("games in a batch")
    panel.set_ylabel("microseconds a game")
    panel.set_title(f"3×3 games, τ = {_TAU:g}", fontsize="medium")
    panel.set_ylim(bottom=0.5 * min(1e6 * row["seconds"] / row["num_games"] for row in rows))
    panel.grid(alpha=0.3)
    panel.legend()
    figure.savefig(path, dpi=150)


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
    """Run all sizes, print a table, write JSON and a picture.

    Args:
        argv: Arguments; those of the command line by default.

    Returns:
        0, or 1 where a game was not solved.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description="W6: growth with the batch.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10**k for k in range(7)], metavar="B")
    parser.add_argument("--repeats", type=int, default=5, metavar="R", help="timed runs of each size (5)")
    parser.add_argument("--one", type=int, metavar="B", help="measure one size in this process, JSON to stdout")
    parser.add_argument(
        "--out", type=Path, default=Path("out/growth.json"), metavar="FILE", help="JSON; .png goes beside it"
    )
    arguments = parser.parse_args(argv)
    if min(arguments.repeats, *arguments.sizes) < 1:
        parser.error("--sizes and --repeats must be 1 or more")
    if arguments.one is not None:
        print(json.dumps(measure_size(arguments.one, arguments.repeats)))
        return 0
    rows = []
    for size in arguments.sizes:
        command = [sys.executable, "-m", "benchmarks.growth", "--one", str(size), "--repeats", str(arguments.repeats)]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
        rows.append(json.loads(run.stdout.splitlines()[-1]))
    table = Table(title=f"W6 3×3, τ = {_TAU:g}", title_justify="left")
    for name in (
        "games",
        "first call s",
        "run ms (median)",
        "µs/game",
        "numba µs/game",
        "peak MB",
        "added MB",
        "fails",
    ):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            f"{row['num_games']:,}",
            f"{row['first_call_seconds']:.1f}",
            f"{1e3 * row['seconds']:.1f}",
            f"{1e6 * row['seconds'] / row['num_games']:.2f}",
            "–" if row["peer_seconds"] is None else f"{1e6 * row['peer_seconds'] / row['num_games']:.2f}",
            f"{row['peak_bytes'] / 1e6:.0f}",
            f"{row['added_bytes'] / 1e6:.0f}",
            str(row["failures"]),
        )
    Console(width=120).print(table)
    many = [row for row in rows if row["num_games"] >= _MANY] or rows
    exponent = growth_exponent([row["num_games"] for row in many], [row["seconds"] for row in many])
    peak, first = max(r["peak_bytes"] for r in rows), first_call(rows)
    print(
        f"Time grows as B^{exponent:.2f} from {many[0]['num_games']:,} games on; most memory {peak / 1e9:.2f} GB "
        f"(wanted: {_MOST_BYTES / 1e9:g} or less); first call, compilation included, {first:.1f} s at the smallest "
        f"size (wanted: {_MOST_FIRST:g} or less)."
    )
    document = {"workload": "W6", "tau": _TAU, "machine": describe_machine(), "sizes": rows}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    draw(rows, arguments.out.with_suffix(".png"))
    return int(any(row["failures"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
