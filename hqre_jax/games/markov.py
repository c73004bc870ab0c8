"""Markov (stochastic) games: everybody sees the state, play goes on with probability γ."""

from typing import Any, ClassVar

import equinox as eqx
import numpy as np
from jaxtyping import Float

from hqre_jax.core._namespace import Array, namespace
from hqre_jax.core._temperatures import as_array
from hqre_jax.core._types import ActionMask, InputError, Labels, Scalar, checked_labels
from hqre_jax.games._checks import complete_mask, finite
from hqre_jax.games._dynamics import check_discount, check_transitions, initial_distribution
from hqre_jax.games._game import MarkovStages
from hqre_jax.games._world_states import AbstractWorldStateGame, center_players, keep_legal, legal_actions, with_payoffs


class MarkovGame(AbstractWorldStateGame):
    """A discounted stochastic game with full observation, ``o_i(s) = s``.

    ``Q_i(s, a_i) = E_{a_-i}[ r_i(s, a) + γ Σ_s' P(s'|s, a) V_i(s') ]``, values not normalised by ``1−γ``.

    Args:
        payoffs: ``payoffs[i, s, a_1, …, a_N]`` per period, in units of payoff.
        transitions: ``transitions[s, a_1, …, a_N, s']``; rows sum to 1 within 1e-8. Smaller sums (play ends)
            only with ``discount=1``, and then only if play ends under every policy.
        discount: γ in [0, 1), or 1 as said above.
        initial: Distribution of the first state; uniform by default.
        action_mask: Optional valid actions ``(N, S, max A)``.
        labels: Optional names.

    Raises:
        InputError: If shapes do not fit, a row is no distribution, or γ = 1 and play may go on for ever.

    Example:
        >>> import numpy as np
        >>> import hqre_jax as hq
        >>> payoffs = np.stack([np.eye(2), 1 - np.eye(2)])[:, None]
        >>> game = hq.MarkovGame(payoffs, np.ones((1, 2, 2, 1)), 0.5)
        >>> game.num_players, float(game.discount)
        (2, 0.5)
    """

    payoffs: Float[Array, "player state *actions"]
    transitions: Float[Array, "state *actions next"]
    discount: Scalar
    initial: Float[Array, " state"]
    action_mask: ActionMask
    labels: Labels = eqx.field(static=True)
    policy_independent_beliefs: bool = eqx.field(static=True)
    undiscounted: bool = eqx.field(static=True)
    speaks_numpy: ClassVar[bool] = True

    def __init__(
        self,
        payoffs: Any,
        transitions: Any,
        discount: Any,
        initial: Any = None,
        *,
        action_mask: Any = None,
        labels: Labels | None = None,
    ):
        payoffs = finite(payoffs, "payoffs")
        players = payoffs.shape[0] if payoffs.ndim else 0
        if payoffs.ndim < 3 or payoffs.ndim != players + 2:
            raise InputError(
                "payoffs",
                f"has shape {tuple(payoffs.shape)}; for N players it must have N + 2 axes: player, state, actions",
            )
        num_states, actions = payoffs.shape[1], payoffs.shape[2:]
        self.action_mask = complete_mask(action_mask, [num_states] * players, list(actions))
        self.labels = checked_labels(labels)
        self.policy_independent_beliefs = True
        self.discount, self.undiscounted = check_discount(discount, payoffs.dtype)
        self.initial = initial_distribution(initial, num_states, payoffs.dtype)
        legal = legal_actions(self.action_mask, self._observations(players, num_states), actions)
        self.transitions = check_transitions(
            transitions,
            legal,
            num_states,
            self.undiscounted,
            payoffs.dtype,
            spread=lambda over_targets: over_targets,
        )
        self.payoffs = keep_legal(payoffs, legal)

    @staticmethod
    def _observations(players, num_states):
        return as_array(np.tile(np.arange(num_states), (players, 1)))

    def world_payoffs(self):
        """A world is a state."""
        return self.payoffs

    def information_map(self) -> Any:
        """``o_i(s) = s``."""
        seen = np.tile(np.arange(self.num_information_states), (self.num_players, 1))
        return seen if namespace(self.payoffs) is np else as_array(seen)

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
        """Certainty."""
        shape = self.num_players, self.num_information_states
        return namespace(self.payoffs).ones(shape, self.payoffs.dtype)

    def aggregate(self, per_world):
        """A state is an information state."""
        return per_world

    def at_worlds(self, per_state):
        """An information state is a state."""
        return per_state

    def markov_stages(self) -> MarkovStages:
        """See `AbstractGame.markov_stages`."""
        return MarkovStages(self.payoffs, self.transitions, self.discount)

    def centered(self) -> "MarkovGame":
        """Payoffs less each player's midrange; unchanged where γ = 1 makes the constant matter."""
        if self.undiscounted:
            return self
        legal = legal_actions(self.action_mask, self.information_map(), self.payoffs.shape[2:])
        return with_payoffs(self, center_players(self.payoffs, legal))
