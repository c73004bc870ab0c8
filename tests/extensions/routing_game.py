"""A kind of game in one file: users of a network choose among roads, each slower the more of them take it."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import hqre_jax as hq
from hqre_jax.core._types import ActionMask, PerPlayer


class RoutingGame(hq.AbstractGame):
    """Everybody takes one road and pays its delay ``slope·(number of users)``; n users cost n numbers a road.

    ``Q_i(a) = −slope_a (1 + Σ_{j≠i} π_j(a))``.

    Args:
        slopes: Delay per user of each road, units of payoff.
        num_players: Number of users.
    """

    slopes: Float[Array, " road"]
    action_mask: ActionMask
    labels: hq.Labels = eqx.field(static=True)
    policy_independent_beliefs: bool = eqx.field(static=True)

    def __init__(self, slopes: Any, num_players: int, labels: hq.Labels | None = None):
        self.slopes = jnp.asarray(slopes, float)
        if self.slopes.ndim != 1 or num_players < 1:
            raise hq.InputError("slopes", "must list one number per road, for one user or more")
        self.action_mask = jnp.ones((num_players, 1, len(self.slopes)), bool)
        self.labels = labels or hq.Labels()
        self.policy_independent_beliefs = True

    def evaluate(self, log_policy, bonus, continuation, payoff_scale=1.0) -> hq.games.Evaluation:
        """See `AbstractGame.evaluate`."""
        policy = jnp.where(self.action_mask, jnp.exp(log_policy), 0.0)[:, 0]
        others = jnp.sum(policy, axis=0)[None] - policy
        worth = -payoff_scale * self.slopes[None] * (1 + others)
        paid = bonus if continuation == "soft" else jnp.zeros_like(bonus)
        values = jnp.sum(policy * worth, axis=-1) + paid[:, 0]
        nothing = jnp.zeros((self.num_players, 0), values.dtype)
        return hq.games.Evaluation(worth[:, None], values[:, None], values, jnp.ones_like(bonus), nothing)

    def centered(self) -> "RoutingGame":
        """Delays are small numbers: nothing to take out."""
        return self

    def payoff_range(self) -> PerPlayer:
        """Between the fastest road alone and the slowest with all."""
        width = self.num_players * jnp.max(self.slopes) - jnp.min(self.slopes)
        return jnp.full(self.num_players, width)

    def normal_form(self) -> hq.NormalFormGame:
        """The same game by its payoff tensor, for comparison."""
        joint = np.indices((self.num_actions,) * self.num_players)
        users = (joint[:, None] == joint[None]).sum(1)
        return hq.NormalFormGame(-self.slopes[joint] * users)
