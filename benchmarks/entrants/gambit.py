"""Gambit's logit path tracing through pygambit, with its defaults and with the larger steps that suit these games."""

import functools
import importlib.util
from typing import Any

import numpy as np

from benchmarks._case import Entrant, Prepared
from benchmarks._machine import package_version
from benchmarks._normal_form_case import NormalFormCase

# It takes a millisecond a game and more: no more games than these are timed, and no more payoffs than these answered.
_MOST_TIMED, _MOST_PAYOFFS = 1_000, 5_000_000


def _prepare(options: dict[str, Any], case: NormalFormCase) -> Prepared:
    import pygambit

    few = max(1, _MOST_PAYOFFS // case.payoffs[0].size)
    games = [pygambit.Game.from_arrays(*game) for game in case.payoffs[:few]]
    timed, shape = games[:_MOST_TIMED], case.payoffs.shape

    def solve(game: Any) -> list[list[float]]:
        path = pygambit.qre.logit_solve_lambda(game, [1.0 / case.tau], **options)
        return [[float(path[0].profile[s]) for s in player.strategies] for player in game.players]

    def run(asked: list[Any]) -> np.ndarray:
        answers = np.full((len(asked), shape[1], shape[2]), np.nan)
        for k, game in enumerate(asked):
            try:
                answers[k] = solve(game)
            except (RuntimeError, ValueError, IndexError):  # gave up: stays nan, which counts as a failure
                continue
        return answers

    return Prepared(lambda: run(timed), len(timed), reference=lambda: run(games))


def entrants() -> tuple[Entrant, ...]:
    """Default steps (the reference for the principal branch), and larger ones. Building the games is not timed."""
    version = package_version("pygambit")
    missing = "" if importlib.util.find_spec("pygambit") else "pygambit is not installed"
    long_steps = {"first_step": 0.5, "max_accel": 3.0}
    return (
        Entrant("pygambit", version, functools.partial(_prepare, {}), missing, follows_branch=True, reference=True),
        Entrant("pygambit, long steps", version, functools.partial(_prepare, long_steps), missing, follows_branch=True),
    )
