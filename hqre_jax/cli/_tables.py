"""What the commands say to people: tables that are coloured on a terminal and plain in a pipe."""

import io
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from rich.console import Console, Group
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from hqre_jax.core._text import harmless
from hqre_jax.problem import Problem
from hqre_jax.solving._solution import Solution

# Where there is no bar, for stderr is no terminal: seconds after which a line says what was done.
BETWEEN_LINES = 30.0
# Nothing is cut or wrapped where nobody's screen sets a width.
_UNLIMITED = 10_000


def rendered(parts: Iterable[Any]) -> str:
    """Rich renderables as text: with colours and wrapped to the screen on a terminal, plain otherwise."""
    terminal = sys.stdout.isatty()
    buffer = io.StringIO()
    width = max(Console().width, 60) if terminal else _UNLIMITED
    console = Console(
        file=buffer, width=width, force_terminal=terminal, highlight=False, emoji=False, markup=False,
        color_system="standard" if terminal else None, no_color=None if terminal else True,
    )  # fmt: skip
    console.print(Group(*parts))
    return "".join(line.rstrip() + "\n" for line in buffer.getvalue().splitlines())


def now_and_then() -> Callable[[str], None]:
    """What tells of progress where there is no bar: at most one line in half a minute, on stderr."""
    told_at, silent = time.monotonic(), not sys.stderr.isatty()

    def tell(what: str) -> None:
        nonlocal told_at
        if silent and time.monotonic() - told_at > BETWEEN_LINES:
            print(f"hqre: {what}", file=sys.stderr, flush=True)
            told_at = time.monotonic()

    return tell


@contextmanager
def progress(total: int) -> Iterator[Callable[[str], None]]:
    """A progress bar on stderr, where that is a terminal; yields the function that moves it by one."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("", total=total)
        yield lambda name: bar.update(task, advance=1, description=name)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], numeric: Sequence[str] = ()) -> Table:
    """A table without frame; numeric columns are never cut or wrapped."""
    result = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in columns:
        if name in numeric:
            result.add_column(Text(name), justify="right", no_wrap=True, overflow="ignore", min_width=len(name))
        else:
            result.add_column(Text(name), overflow="fold")
    for row in rows:
        result.add_row(*(Text(_visible(cell)) for cell in row))
    return result


def _visible(text: str) -> str:
    """Names and titles come from files: nothing in them acts on the terminal."""
    return harmless(text, keep="\n")


def facts(pairs: dict[str, str]) -> Table:
    """Two columns: what, and what it is."""
    result = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    result.add_column(no_wrap=True)
    result.add_column(overflow="fold")
    for what, value in pairs.items():
        result.add_row(Text(what, style="bold"), Text(_visible(value)))
    return result


def solution_tables(sol: Solution, tau_origin: str) -> list[Any]:
    """The policy, then how it was found."""
    problem, certificate = sol.problem, sol.certificate
    policy, values, tau = (np.asarray(part) for part in (sol.policy, sol.values, sol.tau))
    rows = (
        (*names, f"{policy[i, x, a]:.9f}", general(tau[i, x]), general(values[i, x]))
        for i, x, a, *names in actions(problem)
    )
    numeric = ("probability", "τ", "value")
    return [
        *heading(problem),
        table(("player", "information state", "action", *numeric), rows, numeric),
        Text(""),
        facts(
            {
                "result": f"{sol.result}: residual {float(sol.residual):.3g} after {int(sol.num_steps)} steps of "
                f"{sol.solver}",
                "selection": str(sol.selection),
                "certificate": str(certificate),
                "continuation": sol.continuation,
                "temperatures": ORIGINS[tau_origin],
            }
        ),
    ]


# Where temperatures came from, in words.
ORIGINS = {"given": "as given", "file": "from the file", "catalogue": "the catalogue's, as none were given"}


def heading(problem: Problem) -> list[Any]:
    """The game's title and source, where it has them."""
    labels = problem.game.labels
    lines = [Text(_visible(labels.title), style="bold")] if labels.title else []
    if labels.source:
        lines.append(Text(_visible(labels.source), style="dim"))
    return [*lines, Text("")] if lines else []


def actions(problem: Problem) -> Iterable[tuple[Any, ...]]:
    """Every ``(player, state, action)`` with its three names, repeated names left out."""
    mask, labels = np.asarray(problem.mask), problem.game.labels
    last: tuple[int, int] = (-1, -1)
    for i, x, a in np.argwhere(mask).tolist():
        player = labels.player(i) if i != last[0] else ""
        state = labels.information_state(i, x) if (i, x) != last else ""
        last = (i, x)
        yield i, x, a, player, state, labels.action(i, x, a)


def general(value: Any) -> str:
    """A number to six digits."""
    return f"{float(value):.6g}"
