"""W2: three and five players, at a temperature where nothing certifies uniqueness cheaply."""

from collections.abc import Iterator

import numpy as np

from benchmarks._normal_form_case import NormalFormCase

TEMPERATURE = 0.5


def w2_cases(num_games: int) -> Iterator[NormalFormCase]:
    """Random games of three players with five actions and of five players with four, payoffs U[0, 1].

    Args:
        num_games: Games of three players; of five players a tenth as many, for they hold seventeen times the numbers.

    Yields:
        One case per shape.
    """
    few = max(1, num_games // 10)
    a = np.random.RandomState(2000).rand(num_games, 3, 5, 5, 5)
    yield NormalFormCase(
        workload="W2", label=f"W2a 5×5×5, B = {num_games}, τ = {TEMPERATURE:g}", payoffs=a, tau=TEMPERATURE
    )
    b = np.random.RandomState(2001).rand(few, 5, 4, 4, 4, 4, 4)
    yield NormalFormCase(
        workload="W2", label=f"W2b 4×4×4×4×4, B = {few}, τ = {TEMPERATURE:g}", payoffs=b, tau=TEMPERATURE
    )
