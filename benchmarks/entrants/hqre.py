"""This library: ``solve_batch``, and ``jit(vmap(solve))`` compiled ahead of time for the case."""

import functools
import time

import jax
import numpy as np

import hqre_jax as hq
from benchmarks._case import Entrant, Prepared, prepared_by_calling
from benchmarks._machine import package_version
from benchmarks._normal_form_case import NormalFormCase

# As many steps as the numpy entrant allows itself: play that cycles would go on for twenty times as long.
_MIRROR_STEPS = 10_000
# Mapped solvers hold all games in memory at once, and as many dense matrices: they are asked for this many payoffs.
_MOST_PAYOFFS = 1_000_000


def _prepare(solver: str, max_steps: int | None, case: NormalFormCase) -> Prepared:
    def policy(payoffs):
        game = hq.NormalFormGame(payoffs)
        return hq.solve(game, case.tau, solver=solver, max_steps=max_steps, throw=False).policy[:, 0]

    payoffs = case.payoffs[: max(1, _MOST_PAYOFFS // case.payoffs[0].size)]
    began = time.perf_counter()
    compiled = jax.jit(jax.vmap(policy)).lower(payoffs).compile()
    seconds = time.perf_counter() - began
    return Prepared(lambda: np.asarray(compiled(payoffs)), len(payoffs), seconds)


def _batch(case: NormalFormCase) -> Prepared:
    def run() -> np.ndarray:
        solution = hq.solve_batch(case.payoffs, case.tau, tol=case.residual_tol, throw=False)
        # As they are found, of numpy: what the peers return.
        return np.asarray(solution.arrays.policy)[:, :, 0]

    return prepared_by_calling(run, case.num_games)


def entrants() -> tuple[Entrant, ...]:
    """The batch solver, the principal branch mapped, and mirror descent at the theorem's step."""
    version = package_version("hqre-jax")
    branch = functools.partial(_prepare, "principal_branch", None)
    mirror = functools.partial(_prepare, "mirror_descent", _MIRROR_STEPS)
    return (
        Entrant("hqre solve_batch", version, _batch, follows_branch=True),
        Entrant("hqre principal_branch", version, branch, follows_branch=True),
        Entrant("hqre mirror_descent", version, mirror),
    )
