"""W5: two poker games as trees, in agent form; what is built from OpenSpiel's rules is built beforehand, untimed."""

import importlib.util
from collections.abc import Iterator

from benchmarks._case import Goal
from benchmarks._tree_case import TreeCase

_TEMPERATURE, _RESIDUAL = 0.1, 1e-6
# 58 nodes with 12 information states, and 9,457 nodes with 936.
_GOALS = {
    "kuhn_poker": Goal("hqre solve, compiled", ("LiteEFG", "numpy flat tree"), 1.0),
    "leduc_poker": Goal("hqre solve, compiled", ("OpenSpiel",), 5.0),
}


def w5_cases(num_games: int | None = None) -> Iterator[TreeCase]:
    """Kuhn and Leduc poker; nothing where OpenSpiel, whose rules they are, is not installed.

    Args:
        num_games: Not used: each game is a batch.

    Yields:
        One case per game.
    """
    del num_games
    if importlib.util.find_spec("pyspiel") is None:
        return
    for name, goal in _GOALS.items():
        label = f"W5 {name.removesuffix('_poker').capitalize()} poker, τ = {_TEMPERATURE:g}"
        yield TreeCase(workload="W5", label=label, name=name, tau=_TEMPERATURE, residual_tol=_RESIDUAL, goals=(goal,))
