"""Batches of discounted games with states, and their judge: plain numpy, nothing shared with the library.

Values are McKelvey and Palfrey's, ``V_i = E_π[u_i + γ P V_i]``: payoffs alone, not normalised by ``1 − γ``.
"""

from dataclasses import dataclass

import numpy as np

from benchmarks._case import Case
from benchmarks._normal_form_case import logit


def average_others(tensor: np.ndarray, policies: np.ndarray, player: int) -> np.ndarray:
    """``Σ_{a_-i} T(s, a) Π_{j≠i} π_j(a_j | s)``.

    Args:
        tensor: ``(game, state, a_1, …, a_N)`` with any axes after them.
        policies: ``(game, state, player, action)``.
        player: i.

    Returns:
        ``(game, state, a_i)`` and the axes after.
    """
    kept = np.moveaxis(tensor, player + 2, 2)
    # The third axis is the player's own; the first of the others, in order, comes next each time.
    for j in (j for j in range(policies.shape[2]) if j != player):
        kept = np.einsum("gsob...,gsb->gso...", kept, policies[:, :, j], optimize=False)
    return kept


def action_values(
    payoffs: np.ndarray, transitions: np.ndarray, discount: float, policies: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Worth of every action while everybody follows a policy.

    Args:
        payoffs: ``(game, state, player, a_1, …, a_N)``.
        transitions: ``(game, state, a_1, …, a_N, next state)``.
        discount: γ.
        policies: ``(game, state, player, action)``.

    Returns:
        ``Q_i(s, a)`` as ``(game, state, player, action)``, and ``V_i(s)`` as ``(game, state, player)``.
    """
    players, states = payoffs.shape[2], payoffs.shape[1]
    moves = np.einsum("gsao,gsa->gso", average_others(transitions, policies, 0), policies[:, :, 0])
    rewards = np.stack([average_others(payoffs[:, :, i], policies, i) for i in range(players)], axis=2)
    values = np.linalg.solve(np.eye(states) - discount * moves, (rewards * policies).sum(axis=-1))
    later = [
        np.einsum("gsat,gt->gsa", average_others(transitions, policies, i), values[:, :, i]) for i in range(players)
    ]
    return rewards + discount * np.stack(later, axis=2), values


@dataclass(frozen=True, eq=False, kw_only=True)
class MarkovCase(Case):
    """Games with states; answers are ``(game, state, player, action)``.

    Attributes:
        payoffs: ``payoffs[game, state, player, a_1, …, a_N]`` per period, the same number of actions for everybody.
        transitions: ``transitions[game, state, a_1, …, a_N, next state]``.
        discount: γ in [0, 1).
    """

    payoffs: np.ndarray
    transitions: np.ndarray
    discount: float

    @property
    def num_games(self) -> int:
        return len(self.payoffs)

    @property
    def num_states(self) -> int:
        """S."""
        return self.payoffs.shape[1]

    def residuals(self, answers: np.ndarray) -> np.ndarray:
        sizes = np.full(len(answers), np.inf)
        for g, policy in enumerate(answers):
            if np.isfinite(policy).all():
                one = slice(g, g + 1)
                values, _ = action_values(self.payoffs[one], self.transitions[one], self.discount, policy[None])
                sizes[g] = np.abs(policy - logit(values[0], self.tau)).max()
        return sizes
