"""The shape of a game tree, sorted by level and checked, so that evaluation is a few gathers per level."""

import itertools
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Float, Int

from hqre_jax.core._module import AbstractModule
from hqre_jax.core._namespace import Array, namespace
from hqre_jax.core._temperatures import as_array, as_float_array, real_numbers
from hqre_jax.core._types import InputError
from hqre_jax.games._checks import sum_tol
from hqre_jax.games._levels import (
    WRITTEN_OUT,
    down_levels,
    down_pieces,
    down_ranges,
    pieces,
    up_levels,
    up_pieces,
    up_ranges,
)

CHANCE, TERMINAL = -1, -2


class Tree(AbstractModule):
    """Index arrays over nodes in level order (node 0 is the root).

    Attributes:
        order: Position of each node in the user's arrays.
        levels: Half-open ranges of the levels; none where they are too many to be written out.
        piece_begins: Then where the pieces begin that the nodes are cut into, see `pieces`.
        piece_ends: Where the levels end that the pieces belong to.
        piece_width: Nodes in a piece.
        parent_node: Parent, in level order (0 at the root, unused).
        parent_in_level: Parent, counted within its own level.
        node_player: Mover; −1 chance, −2 terminal.
        node_state: Mover's information set, 0 elsewhere.
        edge_player: Mover at the parent; negative for chance and at the root.
        edge_state: Its information set, 0 elsewhere.
        edge_action: Its action, 0 elsewhere.
        decision_nodes: Nodes at which a player moves.
        decision_states: Their information sets, flattened as ``player · X + state``.
        decided_edges: Nodes whose parent is such a node.
        num_states: Information sets of each player.
        num_actions: Largest number of actions of each player.
    """

    order: Int[Array, " node"]
    parent_node: Int[Array, " node"]
    parent_in_level: Int[Array, " node"]
    node_player: Int[Array, " node"]
    node_state: Int[Array, " node"]
    edge_player: Int[Array, " node"]
    edge_state: Int[Array, " node"]
    edge_action: Int[Array, " node"]
    decision_nodes: Int[Array, " decision"]
    decision_states: Int[Array, " decision"]
    decided_edges: Int[Array, " edge"]
    piece_begins: Int[Array, " piece"]
    piece_ends: Int[Array, " piece"]
    piece_width: int = eqx.field(static=True)
    levels: tuple[tuple[int, int], ...] = eqx.field(static=True)
    num_states: tuple[int, ...] = eqx.field(static=True)
    num_actions: tuple[int, ...] = eqx.field(static=True)

    @property
    def size(self) -> int:
        """Number of nodes."""
        return len(self.order)

    def ranges(self) -> list[tuple[int, int]]:
        """Levels, or the pieces that they are cut into, from the root's children on."""
        if self.levels:
            return list(self.levels[1:])
        ends = np.minimum(self.piece_begins + self.piece_width, self.piece_ends)
        return list(zip(map(int, self.piece_begins), map(int, ends), strict=True))

    def down(self, steps: Float[Array, "row node *rest"]) -> Float[Array, "row node *rest"]:
        """Sums of the steps from the root to each node, nodes in level order; in numpy in several directions, too."""
        if namespace(steps) is np:
            return down_ranges(steps, self.parent_node, self.ranges())
        if self.levels:
            return down_levels(steps, self.parent_in_level, self.levels)
        return down_pieces(steps, self.parent_node, self.piece_begins, self.piece_width)

    def up(
        self, edge: Float[Array, " node"], received: Float[Array, "player node *rest"]
    ) -> Float[Array, "player node *rest"]:
        """What each node pays and what is expected below it, edges having these probabilities; as `down`."""
        if namespace(received) is np:
            return up_ranges(edge, received, self.parent_node, self.ranges())
        if self.levels:
            return up_levels(edge, received, self.parent_in_level, self.levels)
        return up_pieces(edge, received, self.parent_node, self.piece_begins, self.piece_ends, self.piece_width)


def build_tree(
    parent: Any,
    player: Any,
    information_set: Any,
    branch: Any,
    probability: Any,
    payoffs_shape: tuple[int, ...],
) -> tuple[Tree, np.ndarray]:
    """Sort and check a tree given by arrays over nodes.

    Args:
        parent: See `ExtensiveFormGame`; so for the other arrays.
        player: Movers.
        information_set: Own information sets.
        branch: Actions or outcomes that lead to nodes.
        probability: Chance.
        payoffs_shape: ``(N, nodes)``.

    Returns:
        The `Tree`, and the actions that it offers, ``(player, information state, action)``.

    Raises:
        InputError: Naming the first node (counted from 0) at fault.
    """
    num_players, size = payoffs_shape
    parent = _integers(parent, "parent", size)
    player = _integers(player, "player", size)
    information_set = _integers(information_set, "information_set", size)
    branch = _integers(branch, "branch", size)
    given = as_float_array(probability, "probability")
    chance = np.asarray(given, np.float64)
    if chance.shape != (size,):
        raise InputError("probability", f"has shape {chance.shape}, where ({size},) is wanted")
    _refuse("player", (player < TERMINAL) | (player >= num_players), f"names no player among {num_players}")
    depth = _depths(parent)
    order = np.argsort(depth, kind="stable")
    place = np.argsort(order, kind="stable")
    bounds = np.concatenate([[0], np.cumsum(np.bincount(depth))])
    levels = tuple((int(a), int(b)) for a, b in itertools.pairwise(bounds))
    deep = len(levels) > WRITTEN_OUT
    begins, ends, piece_width = pieces(bounds) if deep else (np.zeros(0, int), np.zeros(0, int), 0)
    above = np.where(parent < 0, 0, parent)
    num_children = np.bincount(parent[parent >= 0], minlength=size)
    _refuse("player", (player == TERMINAL) & (num_children > 0), "is −2 (terminal) at a node that has children")
    _refuse("player", (player != TERMINAL) & (num_children == 0), "moves at a node without children; ends are −2")
    _check_branches(parent, branch, num_children)
    _check_chance(parent, player, chance, sum_tol(given.dtype))
    num_states, num_actions, available = _information_sets(player, information_set, num_children, num_players)
    _check_recall(parent, player, information_set, branch, order)

    decides = player >= 0
    moved = (parent >= 0) & decides[above]
    width = max(num_states)

    def sort(values: np.ndarray) -> Int[Array, " node"]:
        return as_array(np.asarray(values)[order])

    start_of_parent_level = bounds[np.maximum(depth - 1, 0)]
    state = np.where(decides, information_set, 0)
    flat = np.where(decides, player * width + state, 0)[order]
    nodes = np.flatnonzero(decides[order])
    tree = Tree(
        order=as_array(order),
        parent_node=sort(place[above]),
        parent_in_level=sort(np.where(parent < 0, 0, place[above] - start_of_parent_level)),
        node_player=sort(player),
        node_state=sort(state),
        edge_player=sort(np.where(moved, player[above], CHANCE)),
        edge_state=sort(np.where(moved, state[above], 0)),
        edge_action=sort(np.where(moved, branch, 0)),
        decision_nodes=as_array(nodes),
        decision_states=as_array(flat[nodes]),
        decided_edges=as_array(np.flatnonzero(moved[order])),
        piece_begins=as_array(begins),
        piece_ends=as_array(ends),
        piece_width=piece_width,
        levels=() if deep else levels,
        num_states=num_states,
        num_actions=num_actions,
    )
    return tree, available


def _integers(value: Any, field: str, size: int) -> np.ndarray:
    array = np.asarray(real_numbers(value, field), np.float64)
    if array.shape != (size,):
        raise InputError(field, f"has shape {array.shape}, where ({size},) is wanted (one entry per node)")
    _refuse(field, ~np.isfinite(array) | (array != np.floor(array)), "is no integer")
    return array.astype(int)


def _refuse(field: str, bad: np.ndarray, problem: str) -> None:
    if bad.any():
        raise InputError(f"{field}[{int(np.argmax(bad))}]", problem)


def _depths(parent: np.ndarray) -> np.ndarray:
    size = len(parent)
    _refuse("parent", (parent < -1) | (parent >= size), f"is no node among {size}")
    roots = np.flatnonzero(parent == -1)
    if len(roots) != 1:
        raise InputError("parent", f"has {len(roots)} roots (entries −1), where one is wanted")
    children: list[list[int]] = [[] for _ in range(size)]
    for node, above in enumerate(parent):
        if above >= 0:
            children[above].append(node)
    depth = np.full(size, -1)
    frontier, level = [int(roots[0])], 0
    while frontier:
        depth[frontier] = level
        frontier, level = [child for node in frontier for child in children[node]], level + 1
    _refuse("parent", depth < 0, "leads round in a circle instead of up to the root")
    return depth


def _check_branches(parent: np.ndarray, branch: np.ndarray, num_children: np.ndarray) -> None:
    inner = parent >= 0
    above = np.where(inner, parent, 0)
    wrong = inner & ((branch < 0) | (branch >= num_children[above]))
    _refuse("branch", wrong, "is out of range: the children of a node are numbered 0, 1, 2, … without gaps")
    pairs = np.stack([parent[inner], branch[inner]])
    if np.unique(pairs, axis=1).shape[1] != pairs.shape[1]:
        raise InputError("branch", "gives two children of a node the same number")


def _check_chance(parent: np.ndarray, player: np.ndarray, probability: np.ndarray, tol: float) -> None:
    inner = parent >= 0
    after_chance = inner & (player[np.where(inner, parent, 0)] == CHANCE)
    bad = after_chance & ~((probability >= 0) & np.isfinite(probability))
    _refuse("probability", bad, "is negative or not finite")
    sums = np.bincount(parent[after_chance], probability[after_chance], minlength=len(parent))
    wrong = (player == CHANCE) & (np.abs(sums - 1) > tol)
    if wrong.any():
        node = int(np.argmax(wrong))
        raise InputError("probability", f"sums to {sums[node]:.12g} over the children of chance node {node}, not to 1")


def _information_sets(player, information_set, num_children, num_players):
    decides = player >= 0
    _refuse("information_set", decides & (information_set < 0), "is negative at a decision node")
    beyond = decides & (information_set >= len(player))
    _refuse("information_set", beyond, f"counts further than the {len(player)} nodes; sets are counted 0, 1, 2, …")
    num_states = [int(information_set[player == i].max(initial=-1)) + 1 for i in range(num_players)]
    if not any(num_states):
        raise InputError("player", "never moves: a game needs a decision node")
    width = max(num_states)
    actions = np.zeros((num_players, width), int)
    for node in np.flatnonzero(decides):
        i, x = player[node], information_set[node]
        if actions[i, x] not in (0, num_children[node]):
            raise InputError(
                f"information_set[{node}]",
                f"has {num_children[node]} actions at node {node} but {actions[i, x]} at another node of the same set",
            )
        actions[i, x] = num_children[node]
    for i, count in enumerate(num_states):
        if (actions[i, :count] == 0).any():
            x = int(np.argmin(actions[i, :count]))
            raise InputError("information_set", f"never uses set {x} of player {i + 1}; sets are counted 0, 1, 2, …")
    available = np.arange(max(1, actions.max())) < actions[..., None]
    return tuple(num_states), tuple(int(a) for a in actions.max(1)), available


def _check_recall(parent, player, information_set, branch, order) -> None:
    fault = forgotten_move(parent, player, information_set, branch, order)
    if fault is not None:
        node = fault[1]
        raise InputError(
            f"information_set[{node}]",
            f"gives player {player[node] + 1} imperfect recall: set {information_set[node]} is met at node {node} "
            f"after other own moves than at node {fault[0]}",
        )


def forgotten_move(parent: Any, player: Any, information_set: Any, branch: Any, order: Any) -> tuple[int, int] | None:
    """Two nodes of one information set whose mover came there by different own moves.

    Every node of a set must lie behind the same last own move; by induction, behind the same own history.

    Args:
        parent: See `ExtensiveFormGame`; so for the next three.
        player: Movers.
        information_set: Own information sets.
        branch: Actions or outcomes that lead to nodes.
        order: All nodes, parents before children.

    Returns:
        The first node of the set and the first that is at odds with it; None where recall is perfect.
    """
    last: list[dict[int, tuple[int, int]]] = [{} for _ in parent]
    known: dict[tuple[int, int], tuple[int, tuple[int, int]]] = {}
    for node in map(int, order):
        above = parent[node]
        if above >= 0:
            last[node] = last[above]
            if player[above] >= 0:
                own = int(information_set[above]), int(branch[node])
                last[node] = {**last[above], int(player[above]): own}
        if player[node] >= 0:
            before = last[node].get(int(player[node]), (-1, -1))
            first, wanted = known.setdefault((int(player[node]), int(information_set[node])), (node, before))
            if wanted != before:
                return first, node
    return None
