"""Public stream and private types: a public state that all see, and types redrawn given it each period."""

import math
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from hqre_jax.core._namespace import Array, namespace
from hqre_jax.core._temperatures import as_array
from hqre_jax.core._types import ActionMask, InputError, Labels, Scalar, checked_labels
from hqre_jax.games._checks import complete_mask, distribution, finite
from hqre_jax.games._dynamics import check_discount, check_transitions, initial_distribution
from hqre_jax.games._world_states import (
    AbstractWorldStateGame,
    center_players,
    conditional,
    keep_legal,
    legal_actions,
    with_payoffs,
)


class PublicPrivateGame(AbstractWorldStateGame):
    """A Markov game with a public state ``s`` and private types ``θ_i``, drawn anew from ``μ(θ | s)`` each period.

    A world state is ``w = (s, θ)``, and player i sees ``o_i(w) = (s, θ_i)``, numbered ``x = s·Θ_i + θ_i``.
    Beliefs ``μ(θ_-i | s, θ_i)`` do not depend on the policy. Values are solved on public states alone.

    Args:
        payoffs: ``payoffs[i, s, θ_1, …, θ_N, a_1, …, a_N]`` per period, in units of payoff.
        transitions: ``transitions[s, θ_1, …, θ_N, a_1, …, a_N, s']``; rows sum to 1 within 1e-8 (less only with
            discount 1 and play that ends under every policy).
        type_prior: ``type_prior[s, θ_1, …, θ_N] = μ(θ | s)``, sums to 1 over types for every s.
        discount: γ in [0, 1), or 1 as said above.
        initial: ``initial[s]``: distribution of the first public state.
        action_mask: Optional valid actions ``(N, X, max A)``.
        labels: Optional names.

    Raises:
        InputError: If shapes do not fit or something that should be a distribution is none.

    Example:
        >>> import hqre_jax as hq
        >>> game = hq.load_game("planner_solver_critic_verifier")
        >>> isinstance(game, hq.PublicPrivateGame), game.num_players
        (True, 4)
    """

    payoffs: Float[Array, "player *state_types_actions"]
    transitions: Float[Array, "*state_types_actions_next"]
    type_prior: Float[Array, "state *types"]
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
        type_prior: Any,
        discount: Any,
        initial: Any = None,
        *,
        action_mask: Any = None,
        labels: Labels | None = None,
    ):
        payoffs = finite(payoffs, "payoffs")
        players = payoffs.shape[0] if payoffs.ndim else 0
        if payoffs.ndim < 4 or payoffs.ndim != 2 * players + 2:
            raise InputError(
                "payoffs",
                f"has shape {tuple(payoffs.shape)}; for N players it must have 2 N + 2 axes: "
                "player, state, types, actions",
            )
        public = payoffs.shape[1]
        types, actions = payoffs.shape[2 : players + 2], payoffs.shape[players + 2 :]
        self.type_prior = distribution(type_prior, "type_prior", (public, *types), players, payoffs.dtype)
        self.action_mask = complete_mask(action_mask, [public * t for t in types], list(actions))
        self.labels = checked_labels(labels)
        self.policy_independent_beliefs = True
        self.discount, self.undiscounted = check_discount(discount, payoffs.dtype)
        self.initial = initial_distribution(initial, public, payoffs.dtype)
        legal = legal_actions(self.action_mask, self.information_map(), actions)
        self.transitions = check_transitions(
            transitions,
            legal,
            public,
            self.undiscounted,
            payoffs.dtype,
            spread=lambda over_targets: np.asarray(self.spread(jnp.asarray(over_targets))),
            shape=(public, *types, *actions, public),
        )
        self.payoffs = keep_legal(payoffs, legal.reshape(public, *types, *actions))

    @property
    def _num_worlds(self) -> int:
        return math.prod(self.type_prior.shape)

    def world_payoffs(self):
        """One world per public state and type profile."""
        actions = self.payoffs.shape[self.type_prior.ndim + 1 :]
        return self.payoffs.reshape(self.payoffs.shape[0], self._num_worlds, *actions)

    def information_map(self) -> Any:
        """``o_i(s, θ) = s·Θ_i + θ_i``."""
        state, *types = np.indices(self.type_prior.shape).reshape(self.type_prior.ndim, -1)
        sizes = self.type_prior.shape[1:]
        seen = np.stack([state * size + own for size, own in zip(sizes, types, strict=True)])
        return seen if namespace(self.type_prior) is np else as_array(seen)

    def world_initial(self):
        """``ν(s) μ(θ|s)``."""
        return self.spread(self.initial)

    def world_transitions(self):
        """The kernel, from worlds to public states."""
        actions = self.payoffs.shape[self.type_prior.ndim + 1 :]
        return self.transitions.reshape(self._num_worlds, *actions, self.type_prior.shape[0])

    def _types_given_state(self) -> Float[Array, "state profile"]:
        return self.type_prior.reshape(self.type_prior.shape[0], -1)

    def spread(self, over_targets):
        """Types drawn anew: a law over public states becomes one over worlds."""
        joint = over_targets[..., None] * namespace(over_targets).expand_dims(
            self._types_given_state(), tuple(range(over_targets.ndim - 1))
        )
        return joint.reshape(*over_targets.shape[:-1], self._num_worlds)

    def gather(self, over_worlds):
        """``Σ_θ μ(θ|s) f(s, θ)``."""
        prior = self._types_given_state()
        return namespace(over_worlds).einsum(
            "...sk,sk->...s", over_worlds.reshape(*over_worlds.shape[:-1], *prior.shape), prior
        )

    def discount_factor(self):
        """γ."""
        return self.discount

    @property
    def may_end(self) -> bool:
        """Where γ = 1."""
        return self.undiscounted

    def beliefs(self, occupancy):
        """``μ(θ_-i | s, θ_i)``, at unreached public states too."""
        return conditional(self.type_prior.reshape(-1), self.information_map(), self.num_information_states)

    def centered(self) -> "PublicPrivateGame":
        """Payoffs less each player's midrange; unchanged where γ = 1 makes the constant matter."""
        if self.undiscounted:
            return self
        payoffs = self.world_payoffs()
        legal = legal_actions(self.action_mask, self.information_map(), payoffs.shape[2:])
        return with_payoffs(self, center_players(payoffs, legal).reshape(self.payoffs.shape))
