"""Polymatrix games: payoffs are sums over pairs, so that hundreds of players cost edges, not ``A^N``."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from hqre_jax.core._namespace import Array, add_up, namespace
from hqre_jax.core._simplex import probabilities
from hqre_jax.core._temperatures import as_array, concrete, real_numbers
from hqre_jax.core._types import (
    ActionMask,
    ActionValues,
    InputError,
    Labels,
    LogPolicy,
    PerPlayer,
    Scalar,
    StateValues,
    checked_labels,
)
from hqre_jax.games._checks import cancel, complete_mask, expect_shape, finite
from hqre_jax.games._game import AbstractGame, Continuation, Evaluation, share
from hqre_jax.games._pairwise import PairwisePayoffs, edge_pairs
from hqre_jax.games._simulator import AbstractSimulator
from hqre_jax.games._simulators import PolymatrixSimulator
from hqre_jax.games._world_states import keep_legal, with_payoffs

# Every player counts in memory, also those whom no edge names.
_MOST_PLAYERS = 1_000_000


class PolymatrixGame(AbstractGame):
    """A normal form whose payoffs are sums of two-player games on the edges of a graph.

    ``Q_i(a_i) = Σ_{e∋i} Σ_{a_j} u_i^e(a_i, a_j) π_j(a_j)``. Several edges may join the same pair.

    Args:
        edges: ``edges[e] = (i, j)``, players counted from 0, ``i ≠ j``.
        payoffs: ``payoffs[e, 0, a_i, a_j]`` to i and ``payoffs[e, 1, a_i, a_j]`` to j, shape ``(E, 2, A, A)``.
        action_mask: Optional valid actions ``(N, 1, A)``; it also sets N where the last players have no edge.
        labels: Optional names.

    Raises:
        InputError: If an edge joins a player to itself or names no player, or a payoff is not finite.

    Example:
        >>> import numpy as np
        >>> import hqre_jax as hq
        >>> edges = [[0, 1], [1, 2], [2, 0]]
        >>> game = hq.PolymatrixGame(edges, np.broadcast_to(np.eye(2), (3, 2, 2, 2)))
        >>> game.num_players, game.action_mask.shape
        (3, (3, 1, 2))
    """

    edges: Int[Array, "edge 2"]
    payoffs: Float[Array, "edge 2 action action"]
    action_mask: ActionMask
    labels: Labels = eqx.field(static=True)
    policy_independent_beliefs: bool = eqx.field(static=True)
    speaks_numpy: ClassVar[bool] = True

    def __init__(self, edges: Any, payoffs: Any, *, action_mask: Any = None, labels: Labels | None = None):
        payoffs = finite(payoffs, "payoffs", ndim=4)
        if payoffs.shape[1] != 2 or payoffs.shape[2] != payoffs.shape[3]:
            raise InputError("payoffs", f"has shape {tuple(payoffs.shape)}, where (edges, 2, A, A) is wanted")
        edges = _edges(edges, payoffs.shape[0])
        if action_mask is not None:
            players = np.shape(action_mask)[0] if np.ndim(action_mask) == 3 else 1
        elif concrete(edges):
            players = int(np.max(np.asarray(edges))) + 1
        else:
            raise InputError("action_mask", "is needed to count the players of a game that is built while tracing")
        self.action_mask = complete_mask(action_mask, [1] * players, [payoffs.shape[2]] * players)
        if concrete(edges):
            beyond = np.argwhere(np.asarray(edges) >= players)
            if len(beyond):
                e, end = beyond[0]
                raise InputError(
                    f"edges[{e}][{end}]", f"names player {int(edges[e, end])} of {players}, counted from 0"
                )
        self.edges = as_array(edges)
        self.labels = checked_labels(labels)
        self.policy_independent_beliefs = True
        self.payoffs = payoffs
        self.payoffs = keep_legal(payoffs, self.legal_pairs()[:, None])

    def legal_pairs(self) -> Bool[Array, "edge a b"]:
        """Valid pairs of actions on each edge; of numpy where they can be seen."""
        seen = concrete(self.action_mask) and concrete(self.edges)
        mask, edges = (np.asarray(self.action_mask), np.asarray(self.edges)) if seen else (self.action_mask, self.edges)
        return mask[edges[:, 0], 0][:, :, None] & mask[edges[:, 1], 0][:, None, :]

    def evaluate(
        self,
        log_policy: LogPolicy,
        bonus: StateValues,
        continuation: Continuation,
        payoff_scale: Scalar | float = 1.0,
    ) -> Evaluation:
        """See `AbstractGame.evaluate`; one pass over the edges."""
        xp, policy = namespace(self.payoffs, log_policy), probabilities(log_policy, self.action_mask)[:, 0]
        worth = xp.where(self.action_mask[:, 0], self._met(policy) * payoff_scale, 0.0)
        values = xp.sum(policy * worth, axis=-1) + share(bonus, continuation)[:, 0]
        return Evaluation(
            action_values=worth[:, None],
            values=values[:, None],
            initial_values=values,
            reach=xp.ones_like(values)[:, None],
            continuation=xp.zeros((self.num_players, 0), values.dtype),
        )

    def _met(self, policy: Float[Array, "player a *rest"]) -> Float[Array, "player a *rest"]:
        """What each action is paid by those whom a player meets."""
        xp, (first, second) = namespace(self.payoffs, policy), (self.edges[:, 0], self.edges[:, 1])
        to_first = xp.einsum("eab,eb...->ea...", self.payoffs[:, 0], policy[second])
        to_second = xp.einsum("eab,ea...->eb...", self.payoffs[:, 1], policy[first])
        worth = add_up(xp, to_first, first, self.num_players)
        return worth + add_up(xp, to_second, second, self.num_players)

    def evaluate_along(
        self,
        log_policy: LogPolicy,
        bonus: StateValues,
        continuation: Continuation,
        payoff_scale: Scalar | float,
        moves: Float[Array, "player state action m"],
        bonus_moves: Float[Array, "player state m"],
    ) -> tuple[ActionValues, Float[Array, "player state action m"]]:
        """See `AbstractGame.evaluate_along`; action values are linear in policies."""
        xp, policy = namespace(log_policy), probabilities(log_policy, self.action_mask)
        worth, along = (payoff_scale * self._met(moved[:, 0])[:, None] for moved in (policy, policy[..., None] * moves))
        return xp.where(self.action_mask, worth, 0.0), xp.where(self.action_mask[..., None], along, 0.0)

    def centered(self) -> "PolymatrixGame":
        """Payoffs less their midrange over the payee's own action, edge by edge."""
        xp, legal = namespace(self.payoffs), self.legal_pairs()

        def less_midrange(u: Float[Array, "edge a b"], own: int) -> Float[Array, "edge a b"]:
            high = xp.max(xp.where(legal, u, -xp.inf), axis=own, keepdims=True)
            low = xp.min(xp.where(legal, u, xp.inf), axis=own, keepdims=True)
            return xp.where(legal, u - xp.where(xp.isfinite(high), 0.5 * low + 0.5 * high, 0.0), 0.0)

        pair = less_midrange(self.payoffs[:, 0], 1), less_midrange(self.payoffs[:, 1], 2)
        return with_payoffs(self, xp.stack(pair, axis=1))

    def payoff_range(self) -> PerPlayer:
        """Sum over a player's edges of largest minus smallest payoff: a bound on its range."""
        low, high = self.extreme_payoffs()
        return self.summed(high - low)

    def extreme_payoffs(self) -> tuple[Float[Array, "edge 2"], Float[Array, "edge 2"]]:
        """Smallest and largest payoff of both ends of each edge where both take a valid action."""
        xp, legal = namespace(self.payoffs), self.legal_pairs()[:, None]
        low = xp.min(xp.where(legal, self.payoffs, xp.inf), axis=(2, 3))
        return low, xp.max(xp.where(legal, self.payoffs, -xp.inf), axis=(2, 3))

    def summed(self, of_ends: Float[Array, "edge 2"]) -> PerPlayer:
        """What each player has at its ends of all edges."""
        xp = namespace(of_ends)
        by_first = add_up(xp, of_ends[:, 0], self.edges[:, 0], self.num_players)
        return by_first + add_up(xp, of_ends[:, 1], self.edges[:, 1], self.num_players)

    def curvature(self, mixing: PerPlayer) -> PerPlayer:
        """See `AbstractGame.curvature`."""
        return jnp.sum(mixing) - mixing

    def opposed(self) -> Bool[Array, ""] | np.bool | None:
        """See `AbstractGame.opposed`; on every edge."""
        return cancel(self.payoffs[:, 0], self.payoffs[:, 1])

    @property
    def dtype(self) -> jnp.dtype:
        """Floating type of the payoffs."""
        return self.payoffs.dtype

    def pairwise_payoffs(self) -> PairwisePayoffs:
        """See `AbstractGame.pairwise_payoffs`."""
        xp = namespace(self.payoffs)
        ones = xp.ones((1, self.action_mask.shape[0] * self.action_mask.shape[1]), self.dtype)
        edges = edge_pairs(self.edges, self.payoffs, self.action_mask)
        return PairwisePayoffs([edges], xp.ones((1, self.edges.shape[0]), self.dtype), ones)

    def simulator(self, horizon: int | None = None) -> AbstractSimulator:
        """See `AbstractGame.simulator`; one step."""
        return PolymatrixSimulator(self)


def _edges(edges: Any, num_edges: int) -> Any:
    """The edges, checked; numpy where they can be seen, also while the rest is traced."""
    if concrete(edges):
        values = np.asarray(real_numbers(edges, "edges"), np.float64)
        expect_shape(values, "edges", (num_edges, 2))
        bad = np.argwhere((values != np.floor(values)) | (values < 0) | ~np.isfinite(values))
        if len(bad):
            e, end = bad[0]
            raise InputError(f"edges[{e}][{end}]", f"is {values[e, end]:g}; players are counted 0, 1, 2, …")
        beyond = np.argwhere(values >= _MOST_PLAYERS)
        if len(beyond):
            e, end = beyond[0]
            raise InputError(f"edges[{e}][{end}]", f"is {values[e, end]:g}; there can be {_MOST_PLAYERS} players")
        loops = np.argwhere(values[:, 0] == values[:, 1])
        if len(loops):
            raise InputError(f"edges[{loops[0, 0]}]", f"joins player {int(values[loops[0, 0], 0])} to itself")
        return values.astype(int)
    expect_shape(edges, "edges", (num_edges, 2))
    return edges
