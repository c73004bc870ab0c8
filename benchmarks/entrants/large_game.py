"""One large zero-sum game: ``solve`` from payoffs to certificate, and mirror descent in numpy at its best step."""

import numpy as np

import hqre_jax as hq
from benchmarks._case import Case, Entrant, Prepared, prepared_by_calling
from benchmarks._machine import package_version
from benchmarks._normal_form_case import NormalFormCase, logit

# Steps in units of 1/payoff among which the numpy entrant may choose, untimed: beyond the last play diverges.
_STEPS, _MOST_ITERATIONS = (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0), 2000


def _solve(solver: str, case: NormalFormCase) -> Prepared:
    """End to end: the game is built, certified and solved anew, to the residual that counts."""

    def run() -> np.ndarray:
        game = hq.NormalFormGame(case.payoffs[0])
        sol = hq.solve(game, case.tau, solver=solver, tol=case.residual_tol, throw=False)
        return np.asarray(sol.policy)[None, :, 0]

    return prepared_by_calling(run, case.num_games)


def mirror_descent(matrix: np.ndarray, tau: float, tol: float, eta: float) -> tuple[np.ndarray, int]:
    """Simultaneous mirror descent in a zero-sum game, two matrix-vector products an iteration.

    Args:
        matrix: Payoffs of the row player.
        tau: Temperature.
        tol: Residual at which to stop.
        eta: Step.

    Returns:
        Policies ``(player, action)`` and the number of iterations.
    """
    logits, weight = np.zeros((2, len(matrix))), eta * tau / (1 + eta * tau)
    policies = logit(logits, 1.0)
    for iteration in range(_MOST_ITERATIONS):
        values = np.stack([matrix @ policies[1], -(policies[0] @ matrix)])
        if np.abs(policies - logit(values, tau)).max() <= tol:
            return policies, iteration
        logits = (1 - weight) * logits + weight * values / tau
        policies = logit(logits, 1.0)
    return policies, _MOST_ITERATIONS


def _best_mirror(case: NormalFormCase) -> Prepared:
    matrix = case.payoffs[0, 0]
    best = min(_STEPS, key=lambda eta: mirror_descent(matrix, case.tau, case.residual_tol, eta)[1])
    return Prepared(lambda: mirror_descent(matrix, case.tau, case.residual_tol, best)[0][None], case.num_games)


def _large(case: Case) -> bool:
    return isinstance(case, NormalFormCase) and case.large


def _zero_sum(case: Case) -> bool:
    return (
        isinstance(case, NormalFormCase)
        and case.large
        and case.payoffs.shape[1] == 2
        and bool(np.all(case.payoffs[:, 0] == -case.payoffs[:, 1]))
    )


def entrants() -> tuple[Entrant, ...]:
    """``solve`` as it chooses itself, mirror descent at the theorem's step, and numpy at the best of eight steps."""
    version = package_version("hqre-jax")
    return (
        Entrant("hqre solve", version, lambda case: _solve("auto", case), accepts=_large),
        Entrant(
            "hqre mirror_descent, one game", version, lambda case: _solve("mirror_descent", case),
            accepts=_large,
        ),
        Entrant("numpy mirror descent, best step", np.__version__, _best_mirror, accepts=_zero_sum),
    )  # fmt: skip
