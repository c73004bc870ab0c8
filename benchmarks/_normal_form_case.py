"""Batches of games in normal form, and their judge: plain numpy, one game axis, nothing shared with the library."""

from dataclasses import dataclass

import numpy as np

from benchmarks._case import Case


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


@dataclass(frozen=True, eq=False, kw_only=True)
class NormalFormCase(Case):
    """Games in normal form; answers are ``(game, player, action)``.

    Attributes:
        payoffs: ``payoffs[game, player, a_1, …, a_N]``.
    """

    payoffs: np.ndarray

    @property
    def num_games(self) -> int:
        return len(self.payoffs)

    @property
    def large(self) -> bool:
        """Whether one game alone is work enough: nothing that is made for many small ones is asked to answer it."""
        return self.payoffs[0].size > 100_000

    def residuals(self, answers: np.ndarray) -> np.ndarray:
        return residuals(self.payoffs[: len(answers)], answers, self.tau)
