"""Trees in a few sizes: one compiled program serves many shapes, each filled up with nodes that are never reached."""

import numpy as np

from hqre_jax.core._temperatures import as_array
from hqre_jax.games._levels import pieces
from hqre_jax.games._tree import CHANCE, Tree

# Beyond so many nodes, or padded policy entries, what is filled up costs more than a program of one's own.
_MOST_NODES, _MOST_ENTRIES = 256, 256
# The least numbers of nodes, of pieces and of information sets, and of actions among so few nodes.
_LEAST_NODES, _LEAST_PIECES, _LEAST_STATES, _LEAST_ACTIONS = 32, 8, 8, 4
# The part of the nodes that a piece is, and that there are information sets at least.
_SHARE = 8
# Neither a player nor chance moves at what fills up, and play does not end there.
NOWHERE = -3


def power_above(number: int) -> int:
    """The least power of 2 that is not smaller."""
    return 1 << max(number - 1, 0).bit_length()


def rounded_tree(tree: Tree, num_players: int) -> Tree | None:
    """The tree among more nodes, information sets and actions than it has: powers of 2.

    What fills up hangs below the root, where chance never goes there. The last node, and only that, is moved at and
    moved to: by the first player, at its last information set, which nobody else has, by an action that it does not
    have. All that fills up lists of decisions and of edges is this node.

    Args:
        tree: The tree.
        num_players: N.

    Returns:
        The larger tree; None if it is too large.
    """
    size, states, actions = tree.size, max(tree.num_states), max(tree.num_actions)
    nodes = max(_LEAST_NODES, power_above(size + 1))
    states = max(_LEAST_STATES, nodes // _SHARE, power_above(states + 1))
    actions = max(_LEAST_ACTIONS if nodes == _LEAST_NODES else 1, power_above(actions))
    if nodes > _MOST_NODES or num_players * states * actions > _MOST_ENTRIES:
        return None
    width = nodes // _SHARE
    bounds = np.concatenate([[0], np.cumsum(np.bincount(_depths(np.asarray(tree.parent_node))))])
    begins, ends, _ = pieces(bounds, width)
    num_pieces = max(_LEAST_PIECES, power_above(len(begins)))

    def filled(values: object, length: int, fill: int, last: int | None = None):
        given = np.asarray(values)
        full = np.concatenate([given, np.full(length - len(given), fill, given.dtype)])
        if last is not None:
            full[-1] = last
        return as_array(full)

    decisions, edges = np.asarray(tree.decision_nodes), np.asarray(tree.decided_edges)
    player, state = np.divmod(np.asarray(tree.decision_states), max(tree.num_states))
    return Tree(
        order=as_array(np.concatenate([np.asarray(tree.order), np.arange(size, nodes)])),
        parent_node=filled(tree.parent_node, nodes, 0),
        parent_in_level=filled(tree.parent_in_level, nodes, 0),
        node_player=filled(tree.node_player, nodes, NOWHERE, last=0),
        node_state=filled(tree.node_state, nodes, 0, last=states - 1),
        edge_player=filled(tree.edge_player, nodes, CHANCE, last=0),
        edge_state=filled(tree.edge_state, nodes, 0, last=states - 1),
        edge_action=filled(tree.edge_action, nodes, 0),
        decision_nodes=filled(decisions, nodes, nodes - 1),
        decision_states=filled(player * states + state, nodes, states - 1),
        decided_edges=filled(edges, nodes, nodes - 1),
        # Pieces that nobody needs move what lies beyond the last node.
        piece_begins=filled(begins, num_pieces, nodes),
        piece_ends=filled(ends, num_pieces, 0),
        piece_width=width,
        levels=(),
        num_states=(states,) * num_players,
        num_actions=(actions,) * num_players,
    )


def _depths(parents: np.ndarray) -> np.ndarray:
    """Of nodes in level order, which come after their parents."""
    depths = np.zeros(len(parents), int)
    for node in range(1, len(parents)):
        depths[node] = depths[parents[node]] + 1
    return depths
