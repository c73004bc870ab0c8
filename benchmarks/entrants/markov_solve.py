"""This library on games with states: ``solve_batch`` on a stack of them, and ``solve``, compiled, on one by one."""

import jax
import numpy as np

import hqre_jax as hq
from benchmarks._case import Case, Entrant, Prepared, prepared_by_calling
from benchmarks._machine import package_version
from benchmarks._markov_case import MarkovCase
from benchmarks.entrants._compiled import compiled_solve

# From so many states on a game is work enough for a call of its own.
_ALONE = 200


def _batch(case: MarkovCase) -> Prepared:
    def build(payoffs, transitions):
        return hq.MarkovGame(payoffs, transitions, case.discount)

    # Numpy arrays, as a user has them.
    games = jax.tree.map(np.asarray, jax.jit(jax.vmap(build))(np.moveaxis(case.payoffs, 2, 1), case.transitions))

    def run() -> np.ndarray:
        solution = hq.solve_batch(games, case.tau, continuation="plain", tol=case.residual_tol, throw=False)
        return np.moveaxis(np.asarray(solution.policy), 1, 2)

    return prepared_by_calling(run, case.num_games)


def _one_by_one(case: MarkovCase) -> Prepared:
    games = [
        hq.MarkovGame(np.moveaxis(payoffs, 1, 0), transitions, case.discount)
        for payoffs, transitions in zip(case.payoffs, case.transitions, strict=True)
    ]
    compiled, seconds = compiled_solve(games[0], case.tau, case.residual_tol)

    def run() -> np.ndarray:
        return np.stack([np.moveaxis(compiled(game), 0, 1) for game in games])

    return Prepared(run, case.num_games, seconds)


def entrants() -> tuple[Entrant, ...]:
    """The batch for many small games, one by one for large ones and few."""
    version = package_version("hqre-jax")

    def markov(case: Case) -> bool:
        return isinstance(case, MarkovCase)

    return (
        Entrant(
            "hqre solve_batch, states", version, _batch, follows_branch=True,
            accepts=lambda case: markov(case) and case.num_games > 1 and case.num_states < _ALONE,
        ),
        Entrant(
            "hqre solve, compiled, states", version, _one_by_one, follows_branch=True,
            accepts=lambda case: markov(case) and case.num_games <= 5,
        ),
    )  # fmt: skip
