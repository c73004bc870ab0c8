"""W3: random games with states, small ones in batches and large ones alone."""

from collections.abc import Iterator

import numpy as np

from benchmarks._case import Goal
from benchmarks._markov_case import MarkovCase

# States, players, actions; and how many games, seeds 0, 1, …
SHAPES = (
    ((5, 2, 3), 1_000),
    ((10, 2, 3), 5),
    ((20, 2, 3), 200),
    ((5, 3, 3), 5),
    ((50, 2, 2), 5),
    ((200, 2, 3), 5),
    ((2_000, 2, 3), 1),
)
TEMPERATURES, DISCOUNT = (1.0, 0.2), 0.95
_BATCH = Goal("hqre solve_batch, states", ("numpy mirror + value iteration",), 5.0)
_LARGE = Goal("hqre solve, compiled, states", ("sgamesolver",), 100.0)


def random_game(seed: int, states: int, players: int, actions: int) -> tuple[np.ndarray, np.ndarray]:
    """Payoffs U[0, 1] and transitions uniform on the simplex.

    Args:
        seed: Of the published stream.
        states: S.
        players: N.
        actions: Of everybody in every state.

    Returns:
        ``payoffs[state, player, a_1, …, a_N]`` and ``transitions[state, a_1, …, a_N, next state]``.
    """
    stream = np.random.RandomState(seed)
    payoffs = stream.rand(states, players, *(actions,) * players)
    transitions = stream.exponential(size=(states, *(actions,) * players, states))
    transitions /= transitions.sum(axis=-1, keepdims=True)
    return payoffs, transitions


def w3_cases(num_games: int | None = None) -> Iterator[MarkovCase]:
    """Random games with discount 0.95, from 5 states to 2,000.

    Args:
        num_games: Most games of each shape; the published numbers by default.

    Yields:
        One case per shape and temperature.
    """
    for (states, players, actions), count in SHAPES:
        size = count if num_games is None else min(num_games, count)
        if size == 1:
            payoffs, transitions = (part[None] for part in random_game(0, states, players, actions))
        else:
            games = [random_game(seed, states, players, actions) for seed in range(size)]
            payoffs, transitions = (np.stack(part) for part in zip(*games, strict=True))
        goals = () if count <= 5 and states != 200 else (_LARGE,) if states == 200 else (_BATCH,)
        for tau in TEMPERATURES:
            yield MarkovCase(
                workload="W3",
                label=f"W3 S = {states}, N = {players}, A = {actions}, B = {size}, λ = {1 / tau:g}",
                tau=tau,
                payoffs=payoffs,
                transitions=transitions,
                discount=DISCOUNT,
                goals=goals,
            )
