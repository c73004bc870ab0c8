"""The judge: is a policy an equilibrium, and is it the reference's? Plain numpy, one game axis, nothing shared."""

import numpy as np


def action_values(payoffs: np.ndarray, policies: np.ndarray) -> np.ndarray:
    """``Q_i(a_i) = Σ_{a_-i} u_i(a) Π_{j≠i} π_j(a_j)`` for every game of a batch.

    Args:
        payoffs: ``(game, player, a_1, …, a_N)``, the same number of actions for everybody.
        policies: ``(game, player, action)``.

    Returns:
        ``(game, player, action)``.
    """
    players, values = payoffs.shape[1], []
    for i in range(players):
        rest = np.moveaxis(payoffs[:, i], i + 1, 1)
        # The last axis belongs to the last of the others, and so on.
        for j in reversed([j for j in range(players) if j != i]):
            weight = policies[:, j].reshape(len(rest), *(1,) * (rest.ndim - 2), -1)
            rest = (rest * weight).sum(axis=-1)
        values.append(rest)
    return np.stack(values, axis=1)


def logit(values: np.ndarray, tau: float) -> np.ndarray:
    """Logit response to action values, uniform reference."""
    weights = np.exp((values - values.max(axis=-1, keepdims=True)) / tau)
    return weights / weights.sum(axis=-1, keepdims=True)


def residuals(payoffs: np.ndarray, policies: np.ndarray, tau: float) -> np.ndarray:
    """``max_{i,a} |π_i(a) − softmax(Q_i^π/τ)(a)|`` of each game; inf where a policy is no number."""
    with np.errstate(invalid="ignore"):
        gap = np.abs(policies - logit(action_values(payoffs, policies), tau)).max(axis=(1, 2))
    return np.where(np.isfinite(gap), gap, np.inf)


def branch_distances(policies: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Largest difference of any probability from the reference's answer, per game; inf where there is no number."""
    gap = np.abs(policies - reference).max(axis=(1, 2))
    return np.where(np.isfinite(gap), gap, np.inf)
