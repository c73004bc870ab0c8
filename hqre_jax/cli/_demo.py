"""``hqre demo``: the published games that come with the library, solved one after the other, with two pictures."""

import os
import re
from argparse import Namespace
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, cast

import jax
import numpy as np
from rich.text import Text

from hqre_jax import plotting
from hqre_jax.cli._answers import show
from hqre_jax.cli._exits import DONE, NOT_REACHED, say
from hqre_jax.cli._inputs import check_folder
from hqre_jax.cli._jax import quick_compilation
from hqre_jax.cli._tables import facts, progress, rendered, table
from hqre_jax.core._results import RESULTS
from hqre_jax.core._types import InputError
from hqre_jax.games._game import AbstractGame, Continuation
from hqre_jax.io import CatalogueEntry, list_games, load_game
from hqre_jax.solving._branch import Branch, trace_branch
from hqre_jax.solving._solution import Solution
from hqre_jax.solving._solve import solve

# Nearly pure play against a coin: far from the equilibrium of matching pennies, where both toss coins.
_FAR_START = [[[0.99, 0.01]], [[0.5, 0.5]]]
# Temperatures so different that the branch of the polymatrix game turns back on its way to them.
_FOLDING = np.array([0.01, 0.01, 1.0])


def run_demo(arguments: Namespace) -> int:
    out = Path(arguments.out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise InputError("out", f"{arguments.out!a} cannot be made: {getattr(error, 'strerror', error)}") from None
    check_folder(out, "out")
    with quick_compilation(), progress(len(list_games()) + 2) as announce:
        report = demo(out, announce)
    show(rendered(demo_tables(report)))
    for complaint in report.complaints:
        say(complaint)
    return NOT_REACHED if report.complaints else DONE


class Row(NamedTuple):
    """One game of the demonstration.

    Attributes:
        entry: The catalogue's entry: name, title, source, τ and continuation.
        citation: Author and year.
        sol: The solution.
    """

    entry: CatalogueEntry
    citation: str
    sol: Solution


class Report(NamedTuple):
    """What the demonstration did.

    Attributes:
        rows: One per game, in the order of the catalogue.
        pictures: The files written.
        complaints: One line per thing that went wrong; empty if all is well.
    """

    rows: list[Row]
    pictures: list[Path]
    complaints: list[str]


def demo(out: Path, announce: Callable[[str], None] = lambda name: None) -> Report:
    """Solve every built-in game at the temperatures and continuation of its source, and draw two pictures.

    ``convergence.png``: mirror descent on matching pennies beside the line of T2. ``branch.png``: the principal
    branch of a game in which it turns back.

    Args:
        out: Folder for the pictures, which exists.
        announce: Called with the name of each game, and of each picture, when it is finished.

    Returns:
        The `Report`; the demonstration succeeded if it has no complaints.
    """
    # Nearly all the time goes into compiling, which leaves Python's lock to other threads.
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        descent, turning = pool.submit(_mirror_run), pool.submit(_turning_branch)
        solving = _solve_all(pool, announce)
        sol, branch = descent.result(), turning.result()
        drawn = {
            "convergence.png": (plotting.convergence(sol), sol.result),
            "branch.png": (plotting.branch(branch), branch.result),
        }
        for name, (axes, _) in drawn.items():
            axes.figure.savefig(out / name)
            announce(name)
        rows = solving()
    results = {row.entry.name: row.sol.result for row in rows} | {name: result for name, (_, result) in drawn.items()}
    complaints = [
        f"{name}: {result}: {result.message}" for name, result in results.items() if result != RESULTS.successful
    ]
    return Report(rows, [out / name for name in drawn], complaints)


def _solve_all(pool: ThreadPoolExecutor, announce: Callable[[str], None]) -> Callable[[], list[Row]]:
    """Begin with all games, those of one shape after each other, since they share one compiled program.

    Returns:
        Waits for the rows.
    """
    games = [(entry, load_game(entry.name)) for entry in list_games()]
    groups = defaultdict(list)
    for entry, game in games:
        shapes = tuple(leaf.shape for leaf in jax.tree.leaves(game) if hasattr(leaf, "shape"))
        groups[type(game), shapes, entry.continuation].append((entry, game))

    def solve_group(members: list[tuple[CatalogueEntry, AbstractGame]]) -> list[Row]:
        rows = []
        for entry, game in members:
            sol = solve(game, np.asarray(entry.tau), continuation=cast(Continuation, entry.continuation), throw=False)
            rows.append(Row(entry, citation(entry.source), sol))
            announce(entry.name)
        return rows

    # The catalogue ends with those that take longest.
    solving = pool.map(solve_group, reversed(groups.values()))

    def rows() -> list[Row]:
        solved = {row.entry.name: row for rows in solving for row in rows}
        return [solved[entry.name] for entry, _ in games]

    return rows


def citation(source: str) -> str:
    """Authors and year of a reference that begins with ``A. B. Author and C. Author, Title``."""
    year = re.search(r"\b(1[89]|20)\d\d\b", source)
    surnames = []
    for part in re.split(r", | and ", source):
        author = re.match(r"(?:[A-Z]\.[ -]?)+ ?(.+)", part)
        if author is None:
            break
        surnames.append(author[1])
    if not surnames or year is None:
        return source.partition(":")[0]
    names = " & ".join(surnames) if len(surnames) < 3 else f"{surnames[0]} et al."
    return f"{names} {year[0]}"


def _mirror_run() -> Solution:
    game = load_game("matching_pennies")
    return solve(game, 0.5, solver="mirror_descent", initial_policy=_FAR_START, history=True, throw=False)


def _turning_branch() -> Branch:
    return trace_branch(load_game("group_polymatrix"), np.inf, _FOLDING, throw=False)


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
