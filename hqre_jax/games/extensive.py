"""Extensive-form games as flat trees: arrays over nodes, evaluated level by level."""

from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from hqre_jax.core._programs import remembered, with_fields
from hqre_jax.core._simplex import probabilities
from hqre_jax.core._temperatures import as_array, concrete
from hqre_jax.core._types import (
    ActionMask,
    InputError,
    Labels,
    LogPolicy,
    PerPlayer,
    Scalar,
    StateValues,
    checked_labels,
)
from hqre_jax.games import _efg
from hqre_jax.games._checks import cancel, complete_mask, finite
from hqre_jax.games._game import AbstractGame, Continuation, Evaluation, share
from hqre_jax.games._levels import at, sums
from hqre_jax.games._rounded import NOWHERE, rounded_tree
from hqre_jax.games._simulator import AbstractSimulator
from hqre_jax.games._simulators import TreeSimulator
from hqre_jax.games._tree import TERMINAL, Tree, build_tree
from hqre_jax.games._world_states import with_payoffs

_SURE = "promise_in_bounds"


class ExtensiveFormGame(AbstractGame):
    """A finite game tree with chance and perfect recall, solved in agent form (γ = 1, play ends at the leaves).

    Each information set is a decision point of its own: ``Q_i(x, a) = Σ_{n∈x} b_i(n|x) V_i(child(n, a))`` with
    ``b_i(n|x)`` proportional to the probability with which chance and the *others* lead to n. Perfect recall
    makes i's own probabilities common to all n in x, so that leaving them out changes nothing where x is
    reached and gives the right limit where i itself avoids x. Reach is kept in logarithms: at low
    temperatures beliefs are ratios of numbers that underflow.

    Args:
        parent: Index of each node's parent; −1 at the root. Nodes may come in any order.
        player: Who moves: 0, …, N−1; −1 chance; −2 where play ends.
        information_set: At decision nodes the index of the mover's own information set, counted from 0;
            −1 elsewhere.
        branch: Index of the action (or chance outcome) at the parent that leads here; −1 at the root.
        probability: Probability of the edge into the node where the parent is chance; 1 elsewhere.
        payoffs: ``payoffs[i, n]``: paid to player i on reaching n, in units of payoff.
        action_mask: Optional valid actions ``(N, X, max A)``.
        labels: Optional names.

    Raises:
        InputError: If the arrays describe no tree, chance does not sum to 1 within 1e-8, or a player forgets
            what it knew or did (imperfect recall).

    Example:
        >>> import hqre_jax as hq
        >>> path = hq.named_game("selten_horse").path
        >>> game = hq.ExtensiveFormGame.from_efg(path)
        >>> game.num_players, game.action_mask.shape
        (3, (3, 1, 2))
    """

    parent: Int[Array, " node"]
    player: Int[Array, " node"]
    information_set: Int[Array, " node"]
    branch: Int[Array, " node"]
    probability: Float[Array, " node"]
    payoffs: Float[Array, "player node"]
    action_mask: ActionMask
    labels: Labels = eqx.field(static=True)
    policy_independent_beliefs: bool = eqx.field(static=True)
    tree: Tree

    def __init__(
        self,
        parent: Any,
        player: Any,
        information_set: Any,
        branch: Any,
        probability: Any,
        payoffs: Any,
        *,
        action_mask: Any = None,
        labels: Labels | None = None,
    ):
        self.payoffs = finite(payoffs, "payoffs", ndim=2)
        self.tree, available = build_tree(parent, player, information_set, branch, probability, self.payoffs.shape)
        self.parent, self.player, self.information_set, self.branch = (
            as_array(a, int) for a in (parent, player, information_set, branch)
        )
        self.probability = as_array(probability, self.payoffs.dtype)
        mask = complete_mask(action_mask, self.tree.num_states, self.tree.num_actions)
        self.action_mask = as_array(np.asarray(mask) & available) if concrete(mask) else mask & available
        if not bool(np.all(np.asarray(self.action_mask).any(-1) == available.any(-1))):
            raise InputError("action_mask", "leaves an information set without an action")
        self.labels = checked_labels(labels)
        self.policy_independent_beliefs = False

    @classmethod
    def from_efg(cls, path: str | Path) -> "ExtensiveFormGame":
        """Read a Gambit ``.efg`` file.

        Args:
            path: The file.

        Returns:
            The game, with the file's names as labels.

        Raises:
            InputError: If the file cannot be read or is no such game; the message names the position.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(str(path), f"cannot be read: {error}") from None
        return cls(**_efg.parse_efg(text, str(path)))

    @property
    def dtype(self) -> jnp.dtype:
        """Floating type of the payoffs; asked for often, and known without tracing the tree."""
        return self.payoffs.dtype

    @property
    def plays_on(self) -> bool:
        """A tree has moves after moves."""
        return True

    @property
    def beliefs_ignore_own_policy(self) -> bool:
        """By perfect recall."""
        return True

    def evaluate(
        self,
        log_policy: LogPolicy,
        bonus: StateValues,
        continuation: Continuation,
        payoff_scale: Scalar | float = 1.0,
    ) -> Evaluation:
        """See `AbstractGame.evaluate`; one pass down the tree for reach, one up for values."""
        tree, players = self.tree, self.num_players
        dtype = self.payoffs.dtype
        policy = probabilities(log_policy, self.action_mask)
        safe_log = jnp.where(self.action_mask, log_policy, -jnp.inf)
        # Per node: probability of the edge into it, and its logarithm split into own (by mover) and the rest.
        moved = tree.edge_player >= 0
        mover, state, action = jnp.where(moved, tree.edge_player, 0), tree.edge_state, tree.edge_action
        chance = at(self.probability, tree.order)
        edge = jnp.where(moved, at(policy, mover, state, action), chance)
        log_chance = jnp.where(chance > 0, jnp.log(jnp.where(chance > 0, chance, 1.0)), -jnp.inf)
        log_edge = jnp.where(moved, at(safe_log, mover, state, action), log_chance)
        # Rows 0..N−1: reach without that player's own moves; row N: full reach.
        counted = jnp.arange(players + 1)[:, None] != jnp.where(moved, mover, -1)[None, :]
        log_edges = jnp.where(counted, log_edge[None, :], 0.0)
        log_reach = tree.down(log_edges)

        decides = tree.node_player >= 0
        acting = jnp.where(decides, tree.node_player, 0)
        at_node = jnp.where(decides, at(bonus, acting, tree.node_state), 0.0)
        by_player = jnp.where(jnp.arange(players)[:, None] == tree.node_player[None, :], at_node[None, :], 0.0)
        received = at(self.payoffs, slice(None), tree.order) * payoff_scale + share(by_player, continuation)
        node_values = tree.up(edge, received)
        return self._at_information_sets(log_reach, node_values, dtype)

    def _at_information_sets(self, log_reach, node_values, dtype) -> Evaluation:
        tree, players = self.tree, self.num_players
        states = self.num_information_states
        nodes, flat = tree.decision_nodes, tree.decision_states
        count = players * states
        acting = at(tree.node_player, nodes)
        own_log = at(log_reach, acting, nodes)
        top = jax.lax.stop_gradient(jax.ops.segment_max(own_log, flat, count, mode=_SURE))
        top = jnp.where(jnp.isfinite(top), top, 0.0)
        weight = jnp.exp(own_log - at(top, flat))
        total = at(sums(weight, flat, count), flat)
        size = at(sums(jnp.ones_like(weight), flat, count), flat)
        # No opponent ever leads here: the belief is uniform, as at any information state of probability zero.
        belief = jnp.where(total > 0, weight / jnp.where(total > 0, total, 1.0), 1.0 / size)
        values = sums(belief * at(node_values, acting, nodes), flat, count)

        edges = tree.decided_edges
        mover, state, action = (at(place, edges) for place in (tree.edge_player, tree.edge_state, tree.edge_action))
        everywhere = jnp.zeros(tree.size, dtype).at[nodes].set(belief, mode=_SURE, wrap_negative_indices=False)
        believed = at(everywhere, at(tree.parent_node, edges))
        worth = jnp.zeros(self.action_mask.shape, dtype)
        expected = believed * at(node_values, mover, edges)
        worth = worth.at[mover, state, action].add(expected, mode=_SURE, wrap_negative_indices=False)
        full = sums(jnp.exp(at(log_reach[players], nodes)), flat, count)
        return Evaluation(
            action_values=jnp.where(self.action_mask, worth, 0.0),
            values=values.reshape(players, states),
            initial_values=node_values[:, 0],
            reach=full.reshape(players, states),
            continuation=jnp.zeros((players, 0), dtype),
        )

    def centered(self) -> "ExtensiveFormGame":
        """The same tree with the midrange of each player's totals taken out at every leaf.

        Only the total along a play matters, so a constant at every leaf is irrelevant.
        """
        low, high = self._extreme_totals()
        middle = (0.5 * low + 0.5 * high)[:, None]
        leaf = (self.player == TERMINAL)[None, :]
        return with_payoffs(self, jnp.where(leaf, self.payoffs - middle, self.payoffs))

    def payoff_range(self) -> PerPlayer:
        """Largest minus smallest total that a play can pay."""
        low, high = self._extreme_totals()
        return high - low

    def curvature(self, mixing: PerPlayer) -> PerPlayer:
        """See `AbstractGame.curvature`; own moves count too."""
        return jnp.sum(mixing) * jnp.ones_like(mixing)

    def opposed(self) -> Bool[Array, ""] | np.bool | None:
        """See `AbstractGame.opposed`; at every node."""
        return cancel(self.payoffs[0], self.payoffs[1])

    def rounded(self) -> "ExtensiveFormGame":
        """See `AbstractGame.rounded`; small trees among the nodes of larger ones."""
        if not all(concrete(leaf) for leaf in jax.tree.leaves(self)):
            return self
        return remembered(self, "rounded", lambda: _rounded(self))

    def cut_from(self, larger: Any) -> "ExtensiveFormGame":
        """See `AbstractGame.cut_from`."""
        payoffs = np.asarray(larger.payoffs)[tuple(map(slice, self.payoffs.shape))]
        return with_fields(self, payoffs=as_array(payoffs), labels=Labels())

    def simulator(self, horizon: int | None = None) -> AbstractSimulator:
        """See `AbstractGame.simulator`; a play ends at a leaf."""
        return TreeSimulator(self)

    def _extreme_totals(self) -> tuple[PerPlayer, PerPlayer]:
        tree, paid = self.tree, self.payoffs[:, self.tree.order]
        moved = tree.edge_player >= 0
        mover = jnp.where(moved, tree.edge_player, 0)
        closed = moved & ~at(self.action_mask, mover, tree.edge_state, tree.edge_action)
        total = tree.down(paid)
        # Of plays that are open to everybody.
        open_ = tree.down(closed[None].astype(paid.dtype)) == 0
        leaf = (tree.node_player == TERMINAL)[None, :] & open_
        return jnp.min(jnp.where(leaf, total, jnp.inf), axis=1), jnp.max(jnp.where(leaf, total, -jnp.inf), axis=1)


def _rounded(game: ExtensiveFormGame) -> ExtensiveFormGame:
    tree = rounded_tree(game.tree, game.num_players)
    if tree is None:
        return game
    mask = np.zeros((game.num_players, max(tree.num_states), max(tree.num_actions)), bool)
    given = np.asarray(game.action_mask)
    mask[:, : given.shape[1], : given.shape[2]] = given

    def filled(values: Array, fill: int) -> Array:
        more = [(0, 0)] * (values.ndim - 1) + [(0, tree.size - values.shape[-1])]
        return as_array(np.pad(np.asarray(values), more, constant_values=fill))

    larger = with_fields(
        game,
        parent=filled(game.parent, 0),
        player=filled(game.player, NOWHERE),
        information_set=filled(game.information_set, -1),
        branch=filled(game.branch, 0),
        probability=filled(game.probability, 0),
        payoffs=filled(game.payoffs, 0),
        action_mask=as_array(mask),
        labels=Labels(),
        tree=tree,
    )
    return remembered(larger, "rounded", lambda: larger)
