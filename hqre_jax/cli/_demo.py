"""The published games that come with the library, solved one after the other, with two pictures."""

import os
import re
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, cast

import jax
import numpy as np

from hqre_jax import plotting
from hqre_jax.core._results import RESULTS
from hqre_jax.games._game import AbstractGame, Continuation
from hqre_jax.io import CatalogueEntry, list_games, load_game
from hqre_jax.solving._branch import trace_branch
from hqre_jax.solving._solution import Solution
from hqre_jax.solving._solve import solve

# Nearly pure play against a coin: far from the equilibrium of matching pennies, where both toss coins.
_FAR_START = [[[0.99, 0.01]], [[0.5, 0.5]]]
# Temperatures so different that the branch of the polymatrix game turns back on its way to them.
_FOLDING = np.array([0.01, 0.01, 1.0])


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
    rows = _solve_all(announce)
    complaints = [
        f"{row.entry.name}: {row.sol.result}: {row.sol.result.message}"
        for row in rows
        if row.sol.result != RESULTS.successful
    ]
    pictures = []
    for name, draw in (("convergence.png", _convergence), ("branch.png", _branch)):
        axes, result = draw()
        if result != RESULTS.successful:
            complaints.append(f"{name}: {result}: {result.message}")
        axes.figure.savefig(out / name)
        pictures.append(out / name)
        announce(name)
    return Report(rows, pictures, complaints)


def _solve_all(announce: Callable[[str], None]) -> list[Row]:
    """All games, those of one shape after each other, since they share one compiled program.

    Nearly all the time goes into compiling, which leaves Python's lock to other threads.
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

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        solved = {row.entry.name: row for rows in pool.map(solve_group, groups.values()) for row in rows}
    return [solved[entry.name] for entry, _ in games]


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


def _convergence():
    game = load_game("matching_pennies")
    sol = solve(game, 0.5, solver="mirror_descent", initial_policy=_FAR_START, history=True, throw=False)
    return plotting.convergence(sol), sol.result


def _branch():
    branch = trace_branch(load_game("group_polymatrix"), np.inf, _FOLDING, throw=False)
    return plotting.branch(branch), branch.result
