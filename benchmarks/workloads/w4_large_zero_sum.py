"""W4: one large zero-sum game at a low temperature, where choosing the step is everything."""

from collections.abc import Iterator

import numpy as np

from benchmarks._case import Goal
from benchmarks._normal_form_case import NormalFormCase

_GOAL = Goal("hqre solve", ("numpy mirror descent",), 2.0)
_ACTIONS, _TEMPERATURE, _RESIDUAL = 1000, 0.01, 1e-6


def w4_cases(num_games: int | None = None) -> Iterator[NormalFormCase]:
    """A zero-sum game of 1000 × 1000 actions, payoffs U[−1, 1]; one, whatever the number of games asked for.

    Args:
        num_games: Not used: one such game is a batch.

    Yields:
        One case.
    """
    del num_games
    matrix = 2 * np.random.RandomState(4000).rand(_ACTIONS, _ACTIONS) - 1
    label = f"W4 zero-sum {_ACTIONS}×{_ACTIONS}, τ = {_TEMPERATURE:g}"
    payoffs = np.stack([matrix, -matrix])[None]
    yield NormalFormCase(
        workload="W4", label=label, payoffs=payoffs, tau=_TEMPERATURE, residual_tol=_RESIDUAL, goals=(_GOAL,)
    )
