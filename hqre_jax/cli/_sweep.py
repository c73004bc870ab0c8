"""``hqre sweep``."""

import math
import shlex
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from hqre_jax.cli._answers import save, show
from hqre_jax.cli._documents import strict_json
from hqre_jax.cli._exits import DONE, NOT_REACHED, say
from hqre_jax.cli._interrupts import goes_on_with
from hqre_jax.cli._tables import facts, now_and_then, rendered, table
from hqre_jax.core._types import InputError
from hqre_jax.sweeps import Processes, Summary, shown_tau, summarise, sweep


def run_sweep(arguments: Namespace) -> int:
    config, folder, processes = wanted(arguments)
    if config is None:
        summary = summarise(folder)
        axes = summary.plot()
        save(axes.figure, folder / "steps.png")
    else:
        goes_on_with(_same_again(arguments))
        with sweep_progress() as announce:
            summary = sweep(config, folder, processes=processes, announce=announce)
    if arguments.format == "json":
        show(strict_json(summary_document(summary)) + "\n")
    else:
        show(rendered(summary_tables(summary)))
    if summary.failed:
        say(f"{summary.failed} games did not reach the tolerance; the column `result` of the shards says which and why")
    return NOT_REACHED if summary.failed else DONE


def wanted(arguments: Namespace) -> tuple[Path | None, Path, Processes | None]:
    """Configuration (None for a report), folder and processes.

    Raises:
        InputError: The options do not go together.
    """
    three = (arguments.coordinator, arguments.num_processes, arguments.process_id)
    if arguments.report is not None:
        if arguments.config is not None or arguments.out is not None:
            raise InputError("report", "goes without CONFIG and --out: it only reads")
        if arguments.distributed or any(value is not None for value in three):
            raise InputError("report", "goes without other processes: it only reads")
        return None, Path(arguments.report), None
    if arguments.config is None:
        raise InputError("CONFIG", "is missing; `hqre sweep --help` shows one")
    if arguments.out is None:
        raise InputError("out", "is missing: give --out DIR, the folder for the results")
    if arguments.distributed or any(value is not None for value in three):
        if arguments.distributed and any(value is not None for value in three):
            raise InputError("distributed", "lets the cluster say what the other options about processes would say")
        if not arguments.distributed and any(value is None for value in three[1:]):
            raise InputError("processes", "--num-processes and --process-id go together, or use --distributed")
        return Path(arguments.config), Path(arguments.out), Processes(*three)
    return Path(arguments.config), Path(arguments.out), None


def _same_again(arguments: Namespace) -> str:
    """The command as it would be typed."""
    words = ["hqre", "sweep", arguments.config, f"--out={arguments.out}"]
    for name in ("coordinator", "num_processes", "process_id"):
        if (value := getattr(arguments, name)) is not None:
            words.append(f"--{name.replace('_', '-')}={value}")
    return shlex.join([*words, *(["--distributed"] if arguments.distributed else [])])


class _Rate(ProgressColumn):
    """Games per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed * task.fields['games']:,.0f} games/s")


@contextmanager
def sweep_progress() -> Iterator[Callable[[int, int, int], None]]:
    """A bar of shards with rate and remaining time on stderr where that is a terminal, else lines now and then."""
    columns = (TextColumn("shards"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task, tell = bar.add_task("", total=None, games=0), now_and_then()

        def moved(done: int, total: int, games: int) -> None:
            bar.update(task, completed=done, total=total, games=games)
            tell(f"{done} of {total} shards")

        yield moved


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
        shown += [*map(str, counts), *map(_shown, numbers)]
        rows.append((row.family.title, row.solver, shown_tau(row.tau), *shown))
    state = (
        "complete" if summary.complete else "not complete: the same command again, or what other processes do, goes on"
    )
    return [table(columns, rows, columns[2:]), facts({"folder": f"{summary.folder} ({state})"})]


def _shown(value: float) -> str:
    """A dash for what nobody knows yet."""
    if math.isnan(value):
        return "–"
    return f"{value:.3g}" if value < 1e3 else f"{value:,.0f}"


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
