"""W2: three and five players, at a temperature where nothing certifies uniqueness cheaply."""

from collections.abc import Iterator

import numpy as np

from benchmarks._case import Goal
from benchmarks._normal_form_case import NormalFormCase

SIZES = (100, 10_000)
TEMPERATURE = 0.5
_GOAL = Goal("hqre solve_batch", ("strataq", "numba"), 1.0)


def w2_cases(num_games: int | None = None) -> Iterator[NormalFormCase]:
    """Random games of three players with five actions and of five players with four, payoffs U[0, 1].

    Args:
        num_games: Games of either kind, 100 and 10,000 by default.

    Yields:
        One case per size and shape.
    """
    for size in SIZES if num_games is None else (num_games,):
        three = np.random.RandomState(2000).rand(size, 3, 5, 5, 5)
        five = np.random.RandomState(2001).rand(size, 5, 4, 4, 4, 4, 4)
        for shape, payoffs in (("W2a 5×5×5", three), ("W2b 4×4×4×4×4", five)):
            label = f"{shape}, B = {len(payoffs)}, τ = {TEMPERATURE:g}"
            yield NormalFormCase(workload="W2", label=label, payoffs=payoffs, tau=TEMPERATURE, goals=(_GOAL,))
