"""A controller of temperatures: as much randomness as stability needs, where it needs it, and no more."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from hqre_jax.core._temperatures import full_tau
from hqre_jax.core._types import InputError, checked_count, checked_kind
from hqre_jax.problem import full_policy
from hqre_jax.rollouts._observations import checked_mask, checked_number
from hqre_jax.stability._interactions import InteractionEstimates
from hqre_jax.stability._path import oscillation_index

# Steps of a policy smaller than this (ℓ₂) are no oscillation, and neither are steps that shrink faster than this.
_STILL, _SHRINKING = 1e-3, 0.98
# Growth of the data that is worth a new estimate.
_NEWS = 1.5
# A margin this small beside the payoffs is only there to be positive.
_TINY = 1e-6


@dataclass(frozen=True, eq=False)
class ControllerState:
    """What a controller remembers.

    Attributes:
        tau: Temperatures to be used next, ``(player, information state)``, units of payoff.
        interactions: Everything seen so far of who interacts with whom; None before the first round.
        policies: The last policies, at most three.
        swinging: Decision points that swung to and fro in these.
        target: Least temperatures with the margin wanted, as far as they are known; None before anybody met.
        plays_used: Decisions behind the target, which is found anew when there are half as many again.

    Example:
        >>> import numpy as np
        >>> import hqre_jax as hq
        >>> state = hq.stability.TemperatureController().init(np.ones((2, 1, 2), bool), 0.5)
        >>> state.tau.tolist(), state.target
        ([[0.5], [0.5]], None)
    """

    tau: Float[np.ndarray, "player state"]
    interactions: InteractionEstimates | None
    policies: tuple[np.ndarray, ...]
    swinging: Bool[np.ndarray, "player state"]
    target: Float[np.ndarray, "player state"] | None
    plays_used: float = 0.0


@dataclass(frozen=True)
class TemperatureController:
    """Raises the temperatures that stand in the way of stability, and lowers those that are higher than needed.

    After each round the plays are added to the estimated interactions (they are properties of the game, so all rounds
    count), and the least temperatures with a positive margin are found for the estimated game. A temperature below
    its target is raised to it. One above it is lowered, by a part ``cooling`` of the difference each round, once every
    pair of actions of those who meet was seen ``min_count`` times. Until then too little is known, often because
    play swings between few actions: temperatures of decision points that swing are multiplied by ``heating``, which
    calms them and makes them explore.

    Args:
        reserve: Part by which temperatures exceed the least ones: a margin of ``reserve·min τ`` at the same weights.
        heating: Factor on the temperature of a point that swings while interactions are unknown, above 1.
        cooling: Part of what is too much that is taken away each round, in (0, 1].
        min_count: Plays of each pair of actions before temperatures are lowered.

    Raises:
        InputError: On a setting out of range.

    Failure modes: with three agents or more whose payoffs are not sums over pairs, interactions are those about the
    policies that were played. Where play goes on, they are those of the payoffs of a step: the margin is that of
    each stage, which is enough where transitions do not depend on actions.

    Source: theory.md §3 (least temperatures), T6.

    Example:
        >>> import numpy as np
        >>> import hqre_jax as hq
        >>> mask, controller = np.ones((2, 1, 2), bool), hq.stability.TemperatureController()
        >>> plays = np.repeat([[0, 0], [0, 1], [1, 0], [1, 1]], 20, axis=0)
        >>> met = (plays[:, :1] == plays[:, 1:]) * [10.0, 10.0]
        >>> state = controller.init(mask, 0.5)
        >>> print(controller.step(state, mask / 2, plays, met, mask).tau.round(3))
        [[5.5]
         [5.5]]
    """

    reserve: float = 0.1
    heating: float = 1.5
    cooling: float = 0.5
    min_count: int = 20

    def __post_init__(self):
        for name, least, largest in (("reserve", 0.0, np.inf), ("heating", 1.0, np.inf), ("cooling", 0.0, 1.0)):
            value = getattr(self, name)
            checked_number(value, name, least, largest)
        checked_count(self.min_count, "min_count", 2)

    def init(self, action_mask: Any, tau: Any) -> ControllerState:
        """The state before the first round.

        Args:
            action_mask: Valid actions, ``(player, information state, action)``.
            tau: Temperatures to begin with, as in `solve`, units of payoff.

        Returns:
            The state.

        Raises:
            InputError: On bad temperatures.
        """
        mask = jnp.asarray(checked_mask(action_mask))
        full = np.asarray(full_tau(tau, mask, jnp.result_type(float)))
        return ControllerState(full, None, (), np.zeros(full.shape, bool), None)

    def step(
        self,
        state: ControllerState,
        policy: Any,
        actions: Any,
        payoffs: Any,
        action_mask: Any,
        *,
        information_states: Any = 0,
    ) -> ControllerState:
        """Temperatures for the next round.

        Args:
            state: The state before.
            policy: What was played in this round, ``(player, information state, action)``.
            actions: Its rollouts: actions ``(play, player)``, −1 where a player did not act or, if its payoff is not
                a number, may have acted and it is not known how.
            payoffs: Payoffs ``(play, player)`` of a step, units of payoff; not a number where unknown.
            action_mask: Valid actions.
            information_states: ``(play, player)``, or a number.

        Returns:
            The next state; its ``tau`` is to be used from now on.

        Raises:
            InputError: If shapes do not fit, an action is not valid, or the state is of another game.
        """
        mask = checked_mask(action_mask)
        checked_kind(state, ControllerState, "state", "init(action_mask, tau) gives one")
        if state.tau.shape != mask.shape[:2]:
            raise InputError("state", f"is of a game of shape {state.tau.shape}, where {mask.shape[:2]} is wanted")
        seen = InteractionEstimates.from_plays(actions, payoffs, mask, information_states=information_states)
        seen = seen if state.interactions is None else state.interactions + seen
        now = np.asarray(full_policy(policy, jnp.asarray(mask), jnp.result_type(float), "policy"))
        policies = (*state.policies[-2:], now)
        swinging = _swinging(policies)
        known = replace(state, interactions=seen, policies=policies, swinging=swinging)
        if not seen.meets.any():
            return known
        plays, target = float(seen.visits.sum()), state.target
        if target is None or plays >= _NEWS * state.plays_used:
            target, known = self._target(seen), replace(known, plays_used=plays)
        tau = np.maximum(state.tau, target)
        if seen.seen_at_least(self.min_count):
            tau = np.where(state.tau > target, state.tau - self.cooling * (state.tau - target), target)
        else:
            tau = np.where(swinging, np.maximum(tau, self.heating * state.tau), tau)
        # Nothing is known of points that were never seen.
        return replace(known, tau=np.where(seen.visits.reshape(tau.shape) > 0, tau, state.tau), target=target)

    def _target(self, seen: InteractionEstimates) -> Float[np.ndarray, "player state"]:
        """Least temperatures of the estimated game, and the reserve."""
        unit = float(np.max(np.asarray(seen.game().payoff_range()), initial=0.0))
        # Without payoffs there is no unit, and nothing to be afraid of.
        least = seen.least_temperatures(_TINY * unit) if unit > 0 else np.full(seen.action_mask.shape[:2], _TINY)
        return (1 + self.reserve) * np.where(seen.visits.reshape(least.shape) > 0, least, 0.0)


def _swinging(policies: Sequence[np.ndarray]) -> Bool[np.ndarray, "player state"]:
    """Decision points whose last two steps were opposed and did not shrink."""
    if len(policies) < 3:
        return np.zeros(policies[-1].shape[:2], bool)
    before, after = (np.linalg.norm(q - p, axis=-1) for p, q in itertools.pairwise(policies))
    turned = np.asarray(oscillation_index(np.stack(policies))) < -0.5
    return turned & (after > _STILL) & (after > _SHRINKING * before)
