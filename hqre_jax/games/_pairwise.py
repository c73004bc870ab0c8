"""Payoffs of every two decision points that meet, in games of one simultaneous move."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import jax
from jaxtyping import Bool, Float, Int

from hqre_jax.core._namespace import Array, add_up, namespace, placed
from hqre_jax.core._types import ActionMask


class PairPayoffs(NamedTuple):
    """Decision points that meet: m pairs of a row player with a column player, others' profiles k.

    ``to_row[m, k, a, b]`` and ``to_col[m, k, a, b]`` are their payoffs, a the row player's action. Decision points are
    numbered ``player·X + state``.
    """

    rows: Int[Array, " m"]
    cols: Int[Array, " m"]
    to_row: Float[Array, "m k a b"]
    to_col: Float[Array, "m k a b"]
    row_mask: Bool[Array, "m a"]
    col_mask: Bool[Array, "m b"]


class PairwisePayoffs(NamedTuple):
    """All pairs of a game, and how likely they are to meet.

    Attributes:
        groups: Pairs of equal shape together.
        laws: Laws of worlds that decision points believe in, ``(law, world)`` (1 for the edges of a graph): first the
            prior; then, if there are several worlds, what types of probability zero believe in, the uniform one.
        reach: Probability of each decision point under each law.
    """

    groups: Sequence[PairPayoffs]
    laws: Float[Array, "law m"]
    reach: Float[Array, "law n"]


def world_pairs(
    payoffs: Float[Array, "player world *actions"],
    seen: Int[Array, "player world"],
    action_mask: Bool[Array, "player state action"],
) -> list[PairPayoffs]:
    """Every pair of players in every world (the one world, or a profile of types).

    Args:
        payoffs: What joint actions pay in each world.
        seen: Information map.
        action_mask: Valid actions.

    Returns:
        Groups of pairs.
    """
    xp, num_players, num_states, num_actions = namespace(payoffs), len(payoffs), action_mask.shape[1], payoffs.shape[2:]

    def matrices(owner: int, i: int, j: int) -> Float[Array, "world k a b"]:
        last = xp.moveaxis(payoffs[owner], (i + 1, j + 1), (-2, -1))
        return last.reshape(payoffs.shape[1], -1, num_actions[i], num_actions[j])

    def mask(i: int) -> Bool[Array, "world a"]:
        return action_mask[i, seen[i], : num_actions[i]]

    alike: dict[tuple[int, ...], list[PairPayoffs]] = {}
    for i, j in itertools.combinations(range(num_players), 2):
        points = i * num_states + seen[i], j * num_states + seen[j]
        pairs = PairPayoffs(*points, matrices(i, i, j), matrices(j, i, j), mask(i), mask(j))
        alike.setdefault(pairs.to_row.shape[1:], []).append(pairs)
    # Pairs of one shape are one group: the compiled program does not grow with the number of players.
    return [jax.tree.map(lambda *parts: xp.concatenate(parts), *group) for group in alike.values()]


def edge_pairs(
    edges: Int[Array, "edge 2"], payoffs: Float[Array, "edge 2 action action"], action_mask: ActionMask
) -> PairPayoffs:
    """Every edge, turned so that the lower player is the row; edges that join the same pair are summed.

    Args:
        edges: Players that each edge joins.
        payoffs: What they get there.
        action_mask: Valid actions.

    Returns:
        One group of pairs.
    """
    xp = namespace(edges, payoffs)
    low, high = xp.min(edges, axis=1), xp.max(edges, axis=1)
    turned = (edges[:, 0] > edges[:, 1])[:, None, None, None]
    payoffs = xp.where(turned, xp.swapaxes(payoffs[:, ::-1], -1, -2), payoffs)
    pair = low * len(action_mask) + high
    order = xp.argsort(pair)
    pair = pair[order]
    slot = xp.cumsum(xp.concatenate([xp.zeros(1, bool), pair[1:] != pair[:-1]]))
    total = add_up(xp, payoffs[order], slot, pair.size)
    rows = placed(xp, xp.zeros_like(low), slot, low[order])
    cols = placed(xp, xp.zeros_like(high), slot, high[order])
    mask = action_mask[:, 0]
    return PairPayoffs(rows, cols, total[:, :1], total[:, 1:], mask[rows], mask[cols])
