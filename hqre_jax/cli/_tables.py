"""What the commands say to people: tables that are coloured on a terminal and plain in a pipe."""

import io
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from rich.console import Console, Group
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from hqre_jax.bounds._certificates import Certificate
from hqre_jax.cli._demo import Report
from hqre_jax.core._results import RESULTS
from hqre_jax.core._text import harmless
from hqre_jax.problem import Problem
from hqre_jax.solving._branch import Branch
from hqre_jax.solving._solution import Solution

# Nothing is cut or wrapped where nobody's screen sets a width.
_UNLIMITED = 10_000
# Points of a branch that a table shows; JSON has them all.
_MAX_POINTS = 20


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
        (*names, f"{policy[i, x, a]:.9f}", _general(tau[i, x]), _general(values[i, x]))
        for i, x, a, *names in _actions(problem)
    )
    numeric = ("probability", "τ", "value")
    return [
        *_heading(problem),
        table(("player", "information state", "action", *numeric), rows, numeric),
        Text(""),
        facts(
            {
                "result": f"{sol.result}: residual {float(sol.residual):.3g} after {int(sol.num_steps)} steps of "
                f"{sol.solver}",
                "selection": str(sol.selection),
                "certificate": str(certificate),
                "continuation": sol.continuation,
                "temperatures": _ORIGINS[tau_origin],
            }
        ),
    ]


_ORIGINS = {"given": "as given", "file": "from the file", "catalogue": "the catalogue's, as none were given"}


def certificate_tables(certificate: Certificate, problem: Problem, tau_origin: str) -> list[Any]:
    """The verdict with its numbers, then the witnesses side by side."""
    known = {
        "verdict": f"{certificate.verdict}: {certificate.reason}",
        "margin κ": _optional(certificate.margin, "units of payoff"),
        "contraction": _optional(certificate.contraction, "per step"),
        "Lipschitz L": _optional(certificate.lipschitz, "units of payoff"),
        "largest step": _optional(certificate.max_step, "per unit of payoff"),
        "continuation": problem.continuation,
        "temperatures": f"{_temperatures(problem)} ({_ORIGINS[tau_origin]})",
    }
    parts = [*_heading(problem), facts(known)]
    if certificate.witnesses:
        numeric = tuple(f"witness {k + 1}" for k in range(len(certificate.witnesses)))
        rows = (
            (*names, *(f"{witness[i, x, a]:.9f}" for witness in certificate.witnesses))
            for i, x, a, *names in _actions(problem)
        )
        parts += [Text(""), table(("player", "information state", "action", *numeric), rows, numeric)]
    return parts


def branch_tables(branch: Branch) -> list[Any]:
    """Some points of the branch, evenly spread, with every fold."""
    problem = branch.problem
    mask = np.asarray(problem.mask)
    first = next((i, x) for i in range(len(mask)) for x in range(mask.shape[1]) if mask[i, x].any())
    shown = np.unique(np.linspace(0, len(branch.scales) - 1, _MAX_POINTS).round().astype(int))
    actions = np.flatnonzero(mask[first])
    player, state = problem.game.labels.player(first[0]), problem.game.labels.information_state(*first)
    several = len(mask) > 1 or mask[first[0]].any(-1).sum() > 1
    numeric = ("τ", *(problem.game.labels.action(*first, int(a)) for a in actions))

    def row(tau, policy, note=""):
        return (_general(tau[first]), *(f"{policy[first][a]:.9f}" for a in actions), note)

    rows = [row(branch.taus[k], branch.policies[k]) for k in shown]
    parts = [*_heading(problem)]
    if several:
        note = f"Probabilities of the first decision point, player {player}, information state {state}"
        parts += [Text(f"{note}; --format json has all.", style="dim"), Text("")]
    parts += [table((*numeric, ""), rows, numeric), Text("")]
    if branch.folds:
        folds = [row(fold.tau, fold.policy, "fold") for fold in branch.folds]
        parts += [Text("turning points", style="bold"), table((*numeric, ""), folds, numeric), Text("")]
    parts.append(
        facts(
            {
                "result": str(branch.result),
                "points": f"{len(branch.scales)}, {len(shown)} of them shown",
                "folds": str(len(branch.folds)),
                "other bifurcations": str(branch.num_bifurcations),
                "continuation": problem.continuation,
            }
        )
    )
    return parts


def demo_tables(report: Report) -> list[Any]:
    """One line per game, then where the pictures are."""
    numeric = ("residual", "steps")
    rows = (
        (
            row.entry.title,
            row.citation,
            _catalogue_tau(row.entry.tau),
            _first_probabilities(row.sol),
            f"{float(row.sol.residual):.1e}",
            str(int(row.sol.num_steps)),
            str(row.sol.selection) if row.sol.result == RESULTS.successful else str(row.sol.result),
        )
        for row in report.rows
    )
    columns = ("game", "source", "τ", "equilibrium", *numeric, "selection")
    solved = sum(row.sol.result == RESULTS.successful for row in report.rows)
    return [
        table(columns, rows, numeric),
        Text(""),
        facts(
            {
                "solved": f"{solved} of {len(report.rows)} games to a residual of 1e-10",
                "equilibrium": "probabilities at the first information state of the first players",
                "pictures": ", ".join(str(path) for path in report.pictures),
            }
        ),
    ]


def _catalogue_tau(tau: float | tuple[float, ...]) -> str:
    return ", ".join(f"{t:g}" for t in (tau if isinstance(tau, tuple) else (tau,)))


def _first_probabilities(sol: Solution, num_players: int = 2, num_actions: int = 3) -> str:
    players = [
        " ".join(f"{p:.3f}" for p in own[0][:num_actions]) + (" …" if len(own[0]) > num_actions else "")
        for own in sol.unpadded_policy()
    ]
    return " | ".join(players[:num_players]) + (" | …" if len(players) > num_players else "")


def _heading(problem: Problem) -> list[Any]:
    labels = problem.game.labels
    lines = [Text(_visible(labels.title), style="bold")] if labels.title else []
    if labels.source:
        lines.append(Text(_visible(labels.source), style="dim"))
    return [*lines, Text("")] if lines else []


def _actions(problem: Problem) -> Iterable[tuple[Any, ...]]:
    """Every ``(player, state, action)`` with its three names, repeated names left out."""
    mask, labels = np.asarray(problem.mask), problem.game.labels
    last: tuple[int, int] = (-1, -1)
    for i, x, a in np.argwhere(mask).tolist():
        player = labels.player(i) if i != last[0] else ""
        state = labels.information_state(i, x) if (i, x) != last else ""
        last = (i, x)
        yield i, x, a, player, state, labels.action(i, x, a)


def _temperatures(problem: Problem) -> str:
    tau, used = np.asarray(problem.tau), np.asarray(problem.mask).any(-1)
    values = tau[used]
    if (values == values[0]).all():
        return _general(values[0])
    return f"{_general(values.min())} to {_general(values.max())}"


def _optional(value: float | None, unit: str) -> str:
    return "not available" if value is None else f"{value:.9g} ({unit})"


def _general(value: Any) -> str:
    return f"{float(value):.6g}"
