"""The general case: discounted Markov games whose players see the world through an information map."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from hqre_jax.core._temperatures import as_array, concrete, real_numbers
from hqre_jax.core._types import ActionMask, InputError, Labels, Scalar, checked_labels
from hqre_jax.games._checks import complete_mask, expect_shape, finite
from hqre_jax.games._dynamics import check_discount, check_transitions, initial_distribution
from hqre_jax.games._world_states import (
    AbstractWorldStateGame,
    center_players,
    conditional,
    keep_legal,
    legal_actions,
    with_payoffs,
)


class IncompleteInformationMarkovGame(AbstractWorldStateGame):
    """A discounted incomplete-information Markov game; every other game is a special case of it.

    Player i acts on ``x = o_i(w)`` alone and holds the belief ``b_i(w|x) ∝ d^π(w) 1[o_i(w) = x]`` with
    ``d^π`` the discounted occupancy of worlds from ``initial``; at an unreached x it is uniform.

    Args:
        payoffs: ``payoffs[i, w, a_1, …, a_N]`` per period, in units of payoff.
        transitions: ``transitions[w, a_1, …, a_N, w']``; rows sum to 1 within 1e-8 (less only with discount 1
            and play that ends under every policy).
        observations: ``observations[i, w]``: what player i sees, counted 0, 1, 2, … without gaps.
        discount: γ in [0, 1), or 1 where every policy ends play.
        initial: Distribution of the first world state.
        action_mask: Optional valid actions ``(N, X, max A)``; needed to fix X when built while tracing.
        labels: Optional names.

    Raises:
        InputError: If shapes do not fit, a row is no distribution, an information state is never seen, or
            γ = 1 and play may go on for ever.

    Example:
        >>> import numpy as np
        >>> import hqre_jax as hq
        >>> payoffs = np.stack([np.eye(2), 1 - np.eye(2)] * 2).reshape(2, 2, 2, 2)
        >>> observations = [[0, 0], [0, 1]]  # only the second player sees the state
        >>> game = hq.IncompleteInformationMarkovGame(
        ...     payoffs, np.full((2, 2, 2, 2), 0.5), observations, 0.5, [0.5, 0.5]
        ... )
        >>> game.action_mask.any(-1).sum(-1).tolist()
        [1, 2]
    """

    payoffs: Float[Array, "player world *actions"]
    transitions: Float[Array, "world *actions next"]
    observations: Int[Array, "player world"]
    discount: Scalar
    initial: Float[Array, " world"]
    action_mask: ActionMask
    labels: Labels = eqx.field(static=True)
    policy_independent_beliefs: bool = eqx.field(static=True)
    undiscounted: bool = eqx.field(static=True)

    def __init__(
        self,
        payoffs: Any,
        transitions: Any,
        observations: Any,
        discount: Any,
        initial: Any,
        *,
        action_mask: Any = None,
        labels: Labels | None = None,
    ):
        payoffs = finite(payoffs, "payoffs")
        players = payoffs.shape[0] if payoffs.ndim else 0
        if payoffs.ndim < 3 or payoffs.ndim != players + 2:
            raise InputError(
                "payoffs",
                f"has shape {tuple(payoffs.shape)}; for N players it must have N + 2 axes: player, world, actions",
            )
        num_worlds, actions = payoffs.shape[1], payoffs.shape[2:]
        seen, num_states = _information_map(observations, (players, num_worlds), action_mask)
        self.observations = seen
        self.action_mask = complete_mask(action_mask, num_states, list(actions))
        self.labels = checked_labels(labels)
        self.discount, self.undiscounted = check_discount(discount, payoffs.dtype)
        one_to_one = all(n == num_worlds for n in num_states)
        ends_at_once = concrete(self.discount) and float(self.discount) == 0
        self.policy_independent_beliefs = ends_at_once or one_to_one
        if initial is None:
            raise InputError("initial", "is missing; beliefs start from it")
        self.initial = initial_distribution(initial, num_worlds, payoffs.dtype)
        legal = legal_actions(self.action_mask, seen, actions)
        self.transitions = check_transitions(
            transitions,
            legal,
            num_worlds,
            self.undiscounted,
            payoffs.dtype,
            spread=lambda over_targets: over_targets,
        )
        self.payoffs = keep_legal(payoffs, legal)

    def world_payoffs(self):
        """The given payoffs."""
        return self.payoffs

    def information_map(self):
        """The given information map."""
        return self.observations

    def world_initial(self):
        """The given initial distribution."""
        return self.initial

    def world_transitions(self):
        """The given kernel."""
        return self.transitions

    def discount_factor(self):
        """γ."""
        return self.discount

    @property
    def may_end(self) -> bool:
        """Where γ = 1."""
        return self.undiscounted

    def beliefs(self, occupancy):
        """``b_i(w|x) ∝ d^π(w)``; rounding may leave ``−0``, which is no probability."""
        return conditional(jnp.maximum(occupancy, 0.0), self.information_map(), self.num_information_states)

    def centered(self) -> "IncompleteInformationMarkovGame":
        """Payoffs less each player's midrange; unchanged where γ = 1 makes the constant matter."""
        if self.undiscounted:
            return self
        legal = legal_actions(self.action_mask, self.observations, self.payoffs.shape[2:])
        return with_payoffs(self, center_players(self.payoffs, legal))


def _information_map(observations: Any, shape: tuple[int, int], action_mask: Any):
    """The map as integers, and how many information states each player has."""
    if not concrete(observations):
        expect_shape(observations, "observations", shape)
        if action_mask is None:
            raise InputError("action_mask", "is needed to count information states of a game built while tracing")
        return observations, [action_mask.shape[1]] * shape[0]
    values = np.asarray(real_numbers(observations, "observations"), np.float64)
    expect_shape(values, "observations", shape)
    bad = np.argwhere((values != np.floor(values)) | (values < 0) | ~np.isfinite(values))
    if len(bad):
        i, w = bad[0]
        raise InputError(f"observations[{i}][{w}]", f"is {values[i, w]:g}; information states are counted 0, 1, 2, …")
    seen = values.astype(int)
    for i, row in enumerate(seen):
        # Not all numbers up to one beyond the number of worlds can be shown.
        missing = np.setdiff1d(np.arange(min(row.max(), shape[1]) + 1), row)
        if len(missing):
            raise InputError(
                f"observations[{i}]",
                f"never shows information state {missing[0]} although it shows {row.max()}",
            )
    return as_array(seen), [int(row.max()) + 1 for row in seen]
