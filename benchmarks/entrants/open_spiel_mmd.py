"""OpenSpiel's magnetic mirror descent with dilated entropy.

It solves the *reduced* form, whose equilibrium is another one than the agent form's: only its time is compared, to the
same accuracy in its own terms. The sequence form is built beforehand, untimed.
"""

import importlib.util
from typing import Any

import numpy as np

from benchmarks._case import Entrant, Prepared
from benchmarks._machine import package_version
from benchmarks._tree_case import TreeCase

_MOST_ITERATIONS = 2_000
# Multiples of its own choice of step among which it may choose, untimed.
_STEPS = (1.0, 2.0, 4.0)


def _solver(case: TreeCase, multiple: float) -> Any:
    import pyspiel
    from open_spiel.python.algorithms.mmd_dilated import MMDDilatedEnt

    solver = MMDDilatedEnt(pyspiel.load_game(case.name), case.tau)
    solver.stepsize *= multiple
    return solver


def _iterations(case: TreeCase, multiple: float, most: int) -> int:
    """Updates after which no probability is farther than the case's tolerance from where the iteration goes.

    Successive policies differ by about ``ητ/(1+ητ)`` times that distance or more.
    """
    solver = _solver(case, multiple)
    shrink = solver.stepsize * case.tau / (1.0 + solver.stepsize * case.tau)
    before = solver.get_policies().action_probability_array
    for count in range(1, most + 1):
        solver.update_sequences()
        after = solver.get_policies().action_probability_array
        if np.abs(after - before).max() <= case.residual_tol * shrink:
            return count
        before = after
    return most + 1


def _prepare(case: TreeCase) -> Prepared:
    best, multiple = _MOST_ITERATIONS, 1.0
    for candidate in _STEPS:
        count = _iterations(case, candidate, best)
        if count < best:
            best, multiple = count, candidate
    fresh = _solver(case, multiple)
    beginning = [np.array(sequence) for sequence in fresh.sequences]

    def run() -> np.ndarray:
        fresh.sequences = [sequence.copy() for sequence in beginning]
        for _ in range(best):
            fresh.update_sequences()
        return fresh.get_policies().action_probability_array[None]

    return Prepared(run, case.num_games)


def entrants() -> tuple[Entrant, ...]:
    """One, not judged."""
    missing = "" if importlib.util.find_spec("pyspiel") else "OpenSpiel is not installed"
    return (
        Entrant(
            "OpenSpiel mmd_dilated (reduced form)",
            package_version("open-spiel"),
            _prepare,
            missing,
            accepts=lambda case: isinstance(case, TreeCase),
            time_only=True,
        ),
    )
