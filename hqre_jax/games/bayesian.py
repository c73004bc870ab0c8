"""Bayesian games: nature draws a type profile, each player sees its own type, everybody moves once."""

import math
from typing import Any, ClassVar

import equinox as eqx
import numpy as np
from jaxtyping import Float

from hqre_jax.core._namespace import Array, namespace
from hqre_jax.core._temperatures import as_array
from hqre_jax.core._types import ActionMask, InputError, Labels, checked_labels
from hqre_jax.games._checks import complete_mask, distribution, finite
from hqre_jax.games._world_states import (
    AbstractWorldStateGame,
    center_own,
    conditional,
    keep_legal,
    legal_actions,
    with_payoffs,
)


class BayesianGame(AbstractWorldStateGame):
    """A finite Bayesian game: a world state is a type profile ``θ`` and ``o_i(θ) = θ_i``.

    ``Q_i(θ_i, a_i) = Σ_{θ_-i} P(θ_-i | θ_i) E_{a_-i~π_-i(θ_-i)} u_i(θ, a)``. A type of probability zero
    believes in the uniform law over the others' types.

    Args:
        prior: ``prior[θ_1, …, θ_N]``, sums to 1.
        payoffs: ``payoffs[i, θ_1, …, θ_N, a_1, …, a_N]``, in units of payoff.
        action_mask: Optional valid actions ``(N, max Θ, max A)``.
        labels: Optional names.

    Raises:
        InputError: If shapes do not fit, the prior does not sum to 1 within 1e-8, or a number is not finite.

    Example:
        >>> import numpy as np
        >>> import hqre_jax as hq
        >>> payoffs = np.zeros((2, 2, 1, 2, 2))
        >>> payoffs[0, :, 0] = np.eye(2), 1 - np.eye(2)
        >>> game = hq.BayesianGame([[0.5], [0.5]], payoffs)
        >>> game.action_mask.shape
        (2, 2, 2)
    """

    prior: Float[Array, "*types"]
    payoffs: Float[Array, "player *types_and_actions"]
    action_mask: ActionMask
    labels: Labels = eqx.field(static=True)
    policy_independent_beliefs: bool = eqx.field(static=True)
    speaks_numpy: ClassVar[bool] = True

    def __init__(self, prior: Any, payoffs: Any, *, action_mask: Any = None, labels: Labels | None = None):
        payoffs = finite(payoffs, "payoffs")
        players = payoffs.shape[0] if payoffs.ndim else 0
        if payoffs.ndim < 3 or payoffs.ndim != 2 * players + 1:
            raise InputError(
                "payoffs",
                f"has shape {tuple(payoffs.shape)}; for N players it must have 2 N + 1 axes: player, types, actions",
            )
        types, actions = payoffs.shape[1 : players + 1], payoffs.shape[players + 1 :]
        self.prior = distribution(prior, "prior", types, players, payoffs.dtype)
        self.action_mask = complete_mask(action_mask, list(types), list(actions))
        self.labels = checked_labels(labels)
        self.policy_independent_beliefs = True
        legal = legal_actions(self.action_mask, self.information_map(), actions)
        self.payoffs = keep_legal(payoffs, legal.reshape(types + actions))

    def world_payoffs(self):
        """One world per type profile."""
        actions = self.payoffs.shape[self.num_players + 1 :]
        return self.payoffs.reshape(self.num_players, math.prod(self.prior.shape), *actions)

    def information_map(self) -> Any:
        """``o_i(θ) = θ_i``."""
        seen = np.indices(self.prior.shape).reshape(self.prior.ndim, -1)
        return seen if namespace(self.prior) is np else as_array(seen)

    def world_initial(self):
        """The prior."""
        return self.prior.reshape(-1)

    def beliefs(self, occupancy):
        """``P(θ_-i | θ_i)``."""
        return conditional(self.world_initial(), self.information_map(), self.num_information_states)

    def centered(self) -> "BayesianGame":
        """Payoffs less their midrange over each player's own action."""
        payoffs = self.world_payoffs()
        legal = legal_actions(self.action_mask, self.information_map(), payoffs.shape[2:])
        return with_payoffs(self, center_own(payoffs, legal).reshape(self.payoffs.shape))
