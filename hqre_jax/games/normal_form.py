"""Normal-form games: one information state, everybody moves once and at once."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Float

from hqre_jax.core._namespace import Array, namespace
from hqre_jax.core._programs import remembered, with_fields
from hqre_jax.core._temperatures import as_array, concrete
from hqre_jax.core._types import ActionMask, InputError, Labels, checked_labels
from hqre_jax.games._checks import complete_mask, finite
from hqre_jax.games._rounded import power_above
from hqre_jax.games._world_states import AbstractWorldStateGame, center_own, keep_legal, legal_actions, with_payoffs

# The most payoffs of a game that shares programs with games of other shapes.
_MOST_PAYOFFS = 512


class NormalFormGame(AbstractWorldStateGame):
    """A finite game in normal form.

    ``Q_i(a_i) = Σ_{a_-i} u_i(a) Π_{j≠i} π_j(a_j)``. Players may have different numbers of actions.

    Args:
        payoffs: ``payoffs[i, a_1, …, a_N]``, shape ``(N, A_1, …, A_N)``, in units of payoff.
        action_mask: Optional valid actions ``(N, 1, max A)``.
        labels: Optional names.

    Raises:
        InputError: If the number of axes does not fit the number of players, or a payoff is not finite.

    Example:
        >>> import hqre_jax as hq
        >>> game = hq.NormalFormGame([[[3.0, 0.0], [5.0, 1.0]], [[3.0, 5.0], [0.0, 1.0]]])
        >>> print(hq.solve(game, 1.0).policy[:, 0].round(3))
        [[0.227 0.773]
         [0.227 0.773]]
    """

    payoffs: Float[Array, "player *actions"]
    action_mask: ActionMask
    labels: Labels = eqx.field(static=True)
    policy_independent_beliefs: bool = eqx.field(static=True)
    speaks_numpy: ClassVar[bool] = True

    def __init__(self, payoffs: Any, *, action_mask: Any = None, labels: Labels | None = None):
        payoffs = finite(payoffs, "payoffs")
        players = payoffs.shape[0] if payoffs.ndim else 0
        if payoffs.ndim < 2 or payoffs.ndim != players + 1:
            raise InputError(
                "payoffs",
                f"has shape {tuple(payoffs.shape)}; for N players it must have N + 1 axes, the first of length N",
            )
        self.action_mask = complete_mask(action_mask, [1] * players, list(payoffs.shape[1:]))
        self.labels = checked_labels(labels)
        self.policy_independent_beliefs = True
        legal = legal_actions(self.action_mask, self.information_map(), payoffs.shape[1:])
        self.payoffs = keep_legal(payoffs, legal)

    def world_payoffs(self):
        """See ``AbstractWorldStateGame``; one world."""
        return self.payoffs[:, None]

    def information_map(self) -> Any:
        """Everybody sees the one world."""
        seen = np.zeros((self.num_players, 1), int)
        return seen if namespace(self.action_mask) is np else as_array(seen)

    def world_initial(self):
        """The one world, for certain."""
        return namespace(self.payoffs).ones(1, self.payoffs.dtype)

    def beliefs(self, occupancy):
        """Certainty."""
        return namespace(self.payoffs).ones((self.num_players, 1), self.payoffs.dtype)

    def aggregate(self, per_world):
        """One world is one information state."""
        return per_world

    def at_worlds(self, per_state):
        """One information state is one world."""
        return per_state

    def payoff_tensor(self) -> Float[Array | np.ndarray, "..."]:
        """See `AbstractGame.payoff_tensor`."""
        return self.payoffs

    def rounded(self) -> "NormalFormGame":
        """See `AbstractGame.rounded`; small games with as many actions for everybody, a power of 2."""
        if not all(concrete(leaf) for leaf in jax.tree.leaves(self)):
            return self
        return remembered(self, "rounded", lambda: _rounded(self))

    def cut_from(self, larger: Any) -> "NormalFormGame":
        """See `AbstractGame.cut_from`."""
        payoffs = np.asarray(larger.payoffs)[tuple(map(slice, self.payoffs.shape))]
        return with_fields(self, payoffs=as_array(payoffs), labels=Labels())

    def centered(self) -> "NormalFormGame":
        """Payoffs less their midrange over each player's own action."""
        legal = legal_actions(self.action_mask, self.information_map(), self.payoffs.shape[1:])
        return with_payoffs(self, center_own(self.world_payoffs(), legal)[:, 0])


def _rounded(game: NormalFormGame) -> NormalFormGame:
    players, *actions = game.payoffs.shape
    most = power_above(max(actions))
    if players * most**players > _MOST_PAYOFFS or set(actions) == {most}:
        return game
    more = [(0, most - a) for a in actions]
    larger = with_fields(
        game,
        payoffs=as_array(np.pad(np.asarray(game.payoffs), [(0, 0), *more])),
        action_mask=as_array(np.pad(np.asarray(game.action_mask), [(0, 0), (0, 0), (0, most - max(actions))])),
        labels=Labels(),
    )
    return remembered(larger, "rounded", lambda: larger)
