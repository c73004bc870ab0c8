"""Batched mirror descent in plain numpy: what a careful afternoon gives without any library."""

import numpy as np

from benchmarks._case import Entrant, Prepared
from benchmarks._normal_form_case import NormalFormCase, action_values, logit

_TOL, _MOST_STEPS, _BETWEEN_LOOKS = 1e-10, 10_000, 10


def _interaction(matrix: np.ndarray) -> np.ndarray:
    """``max C[a,b] − C[a',b] − C[a,b'] + C[a',b']`` of the last two axes."""
    gap = matrix[..., :, None, :] - matrix[..., None, :, :]
    return (gap.max(axis=-1) - gap.min(axis=-1)).max(axis=(-1, -2))


def _step(payoffs: np.ndarray, tau: float) -> np.ndarray:
    """``η = τ/L²`` of each two-player game, L the geometric mean of both players' ``¼ max dd(u_i)``."""
    largest = 0.25 * _interaction(payoffs)
    return tau / np.maximum(largest[:, 0] * largest[:, 1], 1e-12)


def mirror_descent(payoffs: np.ndarray, tau: float) -> np.ndarray:
    """Equilibria of two-player games by mirror descent; games that are done leave the batch.

    Args:
        payoffs: ``(game, 2, A, B)`` with A = B.
        tau: Temperature.

    Returns:
        Policies ``(game, player, action)``, the last iterate where the steps ran out.
    """
    eta_tau = (_step(payoffs, tau) * tau)[:, None, None]
    weight = eta_tau / (1.0 + eta_tau)
    answers = np.full((len(payoffs), 2, payoffs.shape[2]), 1.0 / payoffs.shape[2])
    live, logits = np.arange(len(payoffs)), np.zeros_like(answers)
    for step in range(_MOST_STEPS):
        policies = logit(logits, 1.0)
        values = action_values(payoffs, policies)
        if step % _BETWEEN_LOOKS == 0 or step == _MOST_STEPS - 1:
            answers[live] = policies
            going = np.abs(policies - logit(values, tau)).max(axis=(1, 2)) > _TOL
            if not going.any():
                break
            live, logits, payoffs, weight, values = (x[going] for x in (live, logits, payoffs, weight, values))
        logits = (1.0 - weight) * logits + weight * values / tau
    return answers


def _prepare(case: NormalFormCase) -> Prepared:
    return Prepared(lambda: mirror_descent(case.payoffs, case.tau), case.num_games)


def entrants() -> tuple[Entrant, ...]:
    """One, for two players."""
    return (Entrant("numpy mirror descent", np.__version__, _prepare, accepts=lambda c: c.payoffs.shape[1] == 2),)
