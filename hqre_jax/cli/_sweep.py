"""``hqre sweep``: its words, and what it says."""

import argparse
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from hqre_jax.cli._tables import facts, table
from hqre_jax.core._types import InputError
from hqre_jax.sweeps import Processes, Summary, shown_tau

EPILOG = """\
A configuration names families, sizes, temperatures, solvers and seeds; every combination is a cell of num_games games:

  temperatures = [1.0, 0.3]          # or [[1.0, 0.5]]: one per player
  solvers = ["auto", "mirror_descent"]
  seeds = [0, 1]
  num_games = 10000                  # per cell
  shard_games = 1000                 # per file: what an interruption can lose
  # continuation = "soft", entropy = "kl", tol = 1e-10, max_steps = 10000

  [[games]]                          # kind = "normal_form" unless said
  families = ["uniform", "coordination"]
  sizes = [[3, 3], [2, 2, 2]]        # actions of each player

  [[games]]
  kind = "markov"                    # or "polymatrix" (graph = "cycle"), "bayesian" (types = [2, 2])
  states = 5
  discount = 0.9
  sizes = [[2, 2]]

DIR gets manifest.json (configuration, its digest, versions, seeds) and shards/*.parquet: one row per game with
residual, num_steps, result, selection, initial_values and policy. The same command again does what is missing.

several machines: the same command on each of N processes with a common DIR, and
  --coordinator HOST:PORT --num-processes N --process-id 0 (1, 2, ..)
under Slurm: srun --ntasks=N hqre sweep CONFIG.toml --out DIR --distributed
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``hqre sweep``."""
    parser.add_argument("config", metavar="CONFIG", nargs="?", help="configuration, a TOML file")
    parser.add_argument("--out", metavar="DIR", help="folder of the results; a sweep begun there goes on")
    parser.add_argument("--report", metavar="DIR", help="only print, and draw into DIR/steps.png, what is there")
    parser.add_argument("--format", choices=("table", "json"), default="table", help="(default: table)")
    parser.add_argument("--coordinator", metavar="HOST:PORT", help="where process 0 listens")
    parser.add_argument("--num-processes", metavar="N", type=int, help="how many processes share the work")
    parser.add_argument("--process-id", metavar="I", type=int, help="which of them this is, from 0")
    parser.add_argument("--distributed", action="store_true", help="let the cluster say the three above (Slurm, MPI)")


def wanted(arguments: Namespace) -> tuple[Path | None, Path, Processes | None]:
    """Configuration (None for a report), folder and processes.

    Raises:
        InputError: The options do not go together.
    """
    three = (arguments.coordinator, arguments.num_processes, arguments.process_id)
    if arguments.report is not None:
        if arguments.config is not None or arguments.out is not None:
            raise InputError("report", "goes without CONFIG and --out: it only reads")
        return None, Path(arguments.report), None
    if arguments.config is None:
        raise InputError("CONFIG", "is missing; `hqre sweep --help` shows one")
    if arguments.out is None:
        raise InputError("out", "is missing: give --out DIR, the folder for the results")
    if arguments.distributed or any(value is not None for value in three):
        if not arguments.distributed and any(value is None for value in three):
            raise InputError("coordinator", "goes with --num-processes and --process-id, or use --distributed")
        return Path(arguments.config), Path(arguments.out), Processes(*three)
    return Path(arguments.config), Path(arguments.out), None


class _Rate(ProgressColumn):
    """Games per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed * task.fields['games']:,.0f} games/s")


@contextmanager
def sweep_progress() -> Iterator[Callable[[int, int, int], None]]:
    """A bar of shards with rate and remaining time on stderr, where that is a terminal."""
    columns = (TextColumn("shards"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("", total=None, games=0)
        yield lambda done, total, games: bar.update(task, completed=done, total=total, games=games)


def summary_tables(summary: Summary) -> list[Any]:
    """One row per family, solver and temperature, and where the files are."""
    columns = (
        "family",
        "solver",
        "tau",
        "games",
        "failed",
        "unique",
        "branch",
        "unselected",
        "steps",
        "worst",
        "games/s",
    )
    rows = []
    for row in summary.rows:
        counts = [row.selections.get(name, 0) for name in ("unique", "principal_branch", "unselected")]
        numbers = (row.median_steps, row.worst_residual, row.games_per_second)
        shown = [f"{row.games} of {row.wanted}" if row.games < row.wanted else str(row.games), str(row.failed)]
        shown += [*map(str, counts), *(f"{value:.3g}" if value < 1e3 else f"{value:,.0f}" for value in numbers)]
        rows.append((row.family.title, row.solver, shown_tau(row.tau), *shown))
    state = "complete" if summary.complete else "not complete: the same command again goes on"
    return [table(columns, rows, columns[2:]), facts({"folder": f"{summary.folder} ({state})"})]


def summary_document(summary: Summary) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "folder": str(summary.folder),
        "complete": summary.complete,
        "rows": [
            {
                "family": row.family.title,
                "solver": row.solver,
                "tau": list(row.tau) if isinstance(row.tau, tuple) else row.tau,
                "games": row.games,
                "wanted": row.wanted,
                "failed": row.failed,
                "selections": row.selections,
                "median_steps": row.median_steps,
                "worst_residual": row.worst_residual,
                "games_per_second": row.games_per_second,
            }
            for row in summary.rows
        ],
    }
