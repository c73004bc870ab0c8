"""Extensive-form games as flat trees: arrays over nodes, evaluated level by level."""

from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from hqre_jax.core._namespace import Array, namespace
from hqre_jax.core._programs import remembered, with_fields
from hqre_jax.core._simplex import probabilities
from hqre_jax.core._temperatures import as_array, concrete
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
from hqre_jax.games import _efg
from hqre_jax.games._checks import cancel, complete_mask, finite
from hqre_jax.games._game import AbstractGame, Continuation, Evaluation, share
from hqre_jax.games._levels import added, at, largest, put, sums
from hqre_jax.games._rounded import NOWHERE, rounded_tree
from hqre_jax.games._simulator import AbstractSimulator
from hqre_jax.games._simulators import TreeSimulator
from hqre_jax.games._tree import TERMINAL, Tree, build_tree
from hqre_jax.games._world_states import with_payoffs


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
    speaks_numpy: ClassVar[bool] = True
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
        except UnicodeDecodeError:
            raise InputError(str(path), "is not UTF-8 text") from None
        except OSError as error:
            raise InputError(str(path), f"cannot be read: {(error.strerror or str(error)).lower()}") from None
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
        _, log_reach, node_values = self._passes(log_policy, bonus, continuation, payoff_scale)
        return self._at_information_sets(log_reach, node_values)

    def _passes(
        self, log_policy: LogPolicy, bonus: StateValues, continuation: Continuation, payoff_scale: Scalar | float
    ) -> "_Passes":
        tree, players, xp = self.tree, self.num_players, namespace(self.payoffs, log_policy)
        policy = probabilities(log_policy, self.action_mask)
        safe_log = xp.where(self.action_mask, log_policy, -xp.inf)
        # Per node: probability of the edge into it, and its logarithm split into own (by mover) and the rest.
        moved = tree.edge_player >= 0
        mover, state, action = xp.where(moved, tree.edge_player, 0), tree.edge_state, tree.edge_action
        chance = at(self.probability, tree.order)
        edge = xp.where(moved, at(policy, mover, state, action), chance)
        log_chance = xp.where(chance > 0, xp.log(xp.where(chance > 0, chance, 1.0)), -xp.inf)
        log_edge = xp.where(moved, at(safe_log, mover, state, action), log_chance)
        # Rows 0..N−1: reach without that player's own moves; row N: full reach.
        counted = xp.arange(players + 1)[:, None] != xp.where(moved, mover, -1)[None, :]
        log_edges = xp.where(counted, log_edge[None, :], 0.0)
        log_reach = tree.down(log_edges)
        received = at(self.payoffs, slice(None), tree.order) * payoff_scale + self._paid(bonus, continuation)
        return _Passes(edge, log_reach, tree.up(edge, received))

    def _paid(
        self, bonus: Float[Array, "player state *rest"], continuation: Continuation
    ) -> Float[Array, "player node *rest"]:
        """The regularisation paid at each node, axes (player, node)."""
        tree, xp = self.tree, namespace(bonus, self.payoffs)
        decides, more = tree.node_player >= 0, (1,) * (bonus.ndim - 2)
        acting = xp.where(decides, tree.node_player, 0)
        at_node = xp.where(decides.reshape(-1, *more), at(bonus, acting, tree.node_state), 0.0)
        own = xp.arange(self.num_players)[:, None] == tree.node_player[None, :]
        return share(xp.where(own.reshape(*own.shape, *more), at_node[None, :], 0.0), continuation)

    def _beliefs(self, log_reach: Float[Array, "row node"]) -> Float[Array, " decision"]:
        """What the mover at each decision node believes of it at its information set."""
        tree, count, xp = self.tree, self.num_players * self.num_information_states, namespace(log_reach)
        nodes, flat = tree.decision_nodes, tree.decision_states
        own_log = at(log_reach, at(tree.node_player, nodes), nodes)
        top = largest(own_log, flat, count)
        top = xp.where(xp.isfinite(top), top, 0.0)
        weight = xp.exp(own_log - at(top, flat))
        total = at(sums(weight, flat, count), flat)
        size = at(sums(xp.ones_like(weight), flat, count), flat)
        # No opponent ever leads here: the belief is uniform, as at any information state of probability zero.
        return xp.where(total > 0, weight / xp.where(total > 0, total, 1.0), 1.0 / size)

    def _at_information_sets(self, log_reach, node_values) -> Evaluation:
        tree, players, xp, dtype = self.tree, self.num_players, namespace(node_values), self.payoffs.dtype
        states = self.num_information_states
        nodes, flat = tree.decision_nodes, tree.decision_states
        count = players * states
        acting, belief = at(tree.node_player, nodes), self._beliefs(log_reach)
        values = sums(belief * at(node_values, acting, nodes), flat, count)

        edges = tree.decided_edges
        mover, state, action = (at(place, edges) for place in (tree.edge_player, tree.edge_state, tree.edge_action))
        everywhere = put(xp.zeros(tree.size, dtype), nodes, belief)
        believed = at(everywhere, at(tree.parent_node, edges))
        worth = xp.zeros(self.action_mask.shape, dtype)
        worth = added(worth, (mover, state, action), believed * at(node_values, mover, edges))
        full = sums(xp.exp(at(log_reach[players], nodes)), flat, count)
        return Evaluation(
            action_values=xp.where(self.action_mask, worth, 0.0),
            values=values.reshape(players, states),
            initial_values=node_values[:, 0],
            reach=full.reshape(players, states),
            continuation=xp.zeros((players, 0), dtype),
        )

    def evaluate_along(
        self,
        log_policy: LogPolicy,
        bonus: StateValues,
        continuation: Continuation,
        payoff_scale: Scalar | float,
        moves: Float[Array, "player state action m"],
        bonus_moves: Float[Array, "player state m"],
    ) -> tuple[ActionValues, Float[Array, "player state action m"]]:
        """See `AbstractGame.evaluate_along`: reach moves beliefs, edges move values."""
        tree, players, xp = self.tree, self.num_players, namespace(log_policy)
        edge, log_reach, node_values = self._passes(log_policy, bonus, continuation, payoff_scale)
        worth = self._at_information_sets(log_reach, node_values).action_values
        moved, count = tree.edge_player >= 0, players * self.num_information_states
        log_edge = xp.where(
            moved[:, None], moves[xp.where(moved, tree.edge_player, 0), tree.edge_state, tree.edge_action], 0
        )
        counted = xp.arange(players)[:, None] != xp.where(moved, tree.edge_player, -1)
        reach = tree.down(xp.where(counted[..., None], log_edge, 0.0))
        children, above = slice(1, None), tree.parent_node[1:]
        paid = added(
            self._paid(bonus_moves, continuation),
            (slice(None), above),
            (edge[:, None] * log_edge)[children] * node_values[:, children, None],
        )
        values = tree.up(edge, paid)

        nodes, flat = tree.decision_nodes, tree.decision_states
        belief, own = self._beliefs(log_reach)[:, None], reach[tree.node_player[nodes], nodes]
        # Where no opponent leads, none of the directions does.
        belief_moves = belief * (own - sums(belief * own, flat, count)[flat])
        edges = tree.decided_edges
        mover, parents = tree.edge_player[edges], tree.parent_node[edges]
        believed, believes = (
            put(xp.zeros((tree.size, part.shape[1])), nodes, part)[parents] for part in (belief, belief_moves)
        )
        along = believes * node_values[mover, edges][:, None] + believed * values[mover, edges]
        place = mover, tree.edge_state[edges], tree.edge_action[edges]
        return worth, xp.where(self.action_mask[..., None], added(xp.zeros(moves.shape), place, along), 0.0)

    def centered(self) -> "ExtensiveFormGame":
        """The same tree with the midrange of each player's totals taken out at every leaf.

        Only the total along a play matters, so a constant at every leaf is irrelevant.
        """
        low, high = self._extreme_totals()
        middle = (0.5 * low + 0.5 * high)[:, None]
        leaf = (self.player == TERMINAL)[None, :]
        return with_payoffs(self, namespace(middle).where(leaf, self.payoffs - middle, self.payoffs))

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
        tree, paid, xp = self.tree, self.payoffs[:, self.tree.order], namespace(self.payoffs)
        moved = tree.edge_player >= 0
        mover = xp.where(moved, tree.edge_player, 0)
        closed = moved & ~at(self.action_mask, mover, tree.edge_state, tree.edge_action)
        total = tree.down(paid)
        # Of plays that are open to everybody.
        open_ = tree.down(closed[None].astype(paid.dtype)) == 0
        leaf = (tree.node_player == TERMINAL)[None, :] & open_
        return xp.min(xp.where(leaf, total, xp.inf), axis=1), xp.max(xp.where(leaf, total, -xp.inf), axis=1)


class _Passes(NamedTuple):
    """What passes over a tree find.

    Attributes:
        edge: Probability of each node at its parent.
        log_reach: Of each node, without each player's own moves; in the last row with everybody's.
        node_values: What each player expects from each node on.
    """

    edge: Float[Array, " node"]
    log_reach: Float[Array, "row node"]
    node_values: Float[Array, "player node"]


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
