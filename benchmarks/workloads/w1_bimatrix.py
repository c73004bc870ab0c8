"""W1: many small two-player games, easy (τ = 1) and hard (τ = 0.1)."""

from collections.abc import Iterator

import numpy as np

from benchmarks._case import Goal
from benchmarks._normal_form_case import NormalFormCase

SIZES = (1_000, 10_000)
# The goal is for batches of this size: with fewer games the fixed cost of a call tells.
_LARGE = 10_000
# At 0.1 the logit map contracts in few of the games, and about one in fourteen has several equilibria.
TEMPERATURES = (1.0, 0.1)
_GOAL = Goal("hqre solve_batch", ("strataq", "numba"), 2.0)


def w1_cases(num_games: int | None = None) -> Iterator[NormalFormCase]:
    """Random 3×3 games, payoffs U[0, 1].

    Args:
        num_games: B, the first B games of one stream; 1,000 and 10,000 by default.

    Yields:
        One case per size and temperature.
    """
    for size in SIZES if num_games is None else (num_games,):
        payoffs = np.random.RandomState(1000).rand(size, 2, 3, 3)
        goals = (_GOAL,) if size >= _LARGE else ()
        for tau in TEMPERATURES:
            label = f"W1 3×3, B = {size}, τ = {tau:g}"
            yield NormalFormCase(workload="W1", label=label, payoffs=payoffs, tau=tau, goals=goals)
