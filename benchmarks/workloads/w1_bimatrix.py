"""W1: many small two-player games, easy (τ = 1) and hard (τ = 0.1)."""

from collections.abc import Iterator

import numpy as np

from benchmarks._normal_form_case import NormalFormCase

# At 0.1 the logit map contracts in few of the games, and about one in fourteen has several equilibria.
TEMPERATURES = (1.0, 0.1)


def w1_cases(num_games: int) -> Iterator[NormalFormCase]:
    """Random 3×3 games, payoffs U[0, 1].

    Args:
        num_games: B; the first B games of one stream for B = 1,000 or any other number.

    Yields:
        One case per temperature.
    """
    payoffs = np.random.RandomState(1000).rand(num_games, 2, 3, 3)
    for tau in TEMPERATURES:
        yield NormalFormCase(workload="W1", label=f"W1 3×3, B = {num_games}, τ = {tau:g}", payoffs=payoffs, tau=tau)
