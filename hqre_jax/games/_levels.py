"""Passes down and up a tree, level by level: written out where levels are few, in one loop where they are many.

Written out, every level is code of its own, exactly as wide as it is: the fastest on shallow trees, but what must be
compiled grows with the depth. The loop goes through the nodes in pieces of one width, no piece reaching into two
levels but for nodes that do not count yet: at most twice as much work as there are nodes, and a program of one size.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from hqre_jax.core._namespace import Array, add_up, namespace, placed

# Trees of up to this many levels are written out: poker's Leduc tree has 12.
WRITTEN_OUT = 12
_SURE = "promise_in_bounds"


def pieces(bounds: np.ndarray, width: int | None = None) -> tuple[np.ndarray, np.ndarray, int]:
    """Cuts levels into pieces of one width.

    Args:
        bounds: Where levels begin, and where the last one ends; the root, alone in the first, is in no piece.
        width: Nodes in a piece; by default a power of 2, about the mean width of the levels.

    Returns:
        Where pieces begin, where their levels end, and the width.
    """
    width = width or 1 << math.ceil(math.log2(max(1.0, bounds[-1] / (len(bounds) - 1))))
    cut = [(k, b) for a, b in itertools.pairwise(bounds[1:]) for k in range(a, b, width)]
    begins, ends = np.array(cut, int).reshape(-1, 2).T
    return begins, ends, width


def down_levels(
    steps: Float[Array, "row node"], parent: Int[Array, " node"], levels: tuple[tuple[int, int], ...]
) -> Float[Array, "row node"]:
    """Sums of the steps from the root to each node.

    Args:
        steps: What each node adds, nodes in level order.
        parent: Parents, each counted within its own level.
        levels: Half-open ranges of the levels.

    Returns:
        The sums, the node's own step included.
    """
    sums = [steps[:, :1]]
    for start, stop in levels[1:]:
        sums.append(at(sums[-1], slice(None), parent[start:stop]) + steps[:, start:stop])
    return jnp.concatenate(sums, axis=1)


def down_pieces(
    steps: Float[Array, "row node"], parent: Int[Array, " node"], begins: Int[Array, " piece"], width: int
) -> Float[Array, "row node"]:
    """The same in a loop over `pieces`; parents are counted from the root."""
    size = steps.shape[1]
    # What a piece holds beyond its level is written again when the turn of that level comes.
    steps, parent = jnp.pad(steps, ((0, 0), (0, width))), jnp.pad(parent, (0, width))

    def piece(sums, begin):
        above = at(sums, slice(None), jax.lax.dynamic_slice_in_dim(parent, begin, width))
        own = jax.lax.dynamic_slice_in_dim(steps, begin, width, axis=1)
        return jax.lax.dynamic_update_slice_in_dim(sums, above + own, begin, axis=1), None

    return jax.lax.scan(piece, steps, begins)[0][:, :size]


def up_levels(
    edge: Float[Array, " node"],
    received: Float[Array, "player node"],
    parent: Int[Array, " node"],
    levels: tuple[tuple[int, int], ...],
) -> Float[Array, "player node"]:
    """Expected sums from each node to the leaves.

    Args:
        edge: Probability of each node at its parent, nodes in level order.
        received: What each node pays.
        parent: Parents, each counted within its own level.
        levels: Half-open ranges of the levels.

    Returns:
        What each node pays and what is expected below it.
    """
    values = [received[:, slice(*levels[-1])]]
    for (start, stop), (below, end) in zip(levels[-2::-1], levels[:0:-1], strict=True):
        weighted = edge[None, below:end] * values[-1]
        summed = sums(weighted.T, parent[below:end], stop - start).T
        values.append(received[:, start:stop] + summed)
    return jnp.concatenate(values[::-1], axis=1)


def up_pieces(
    edge: Float[Array, " node"],
    received: Float[Array, "player node"],
    parent: Int[Array, " node"],
    begins: Int[Array, " piece"],
    ends: Int[Array, " piece"],
    width: int,
) -> Float[Array, "player node"]:
    """The same in a loop over `pieces`, the last level first; parents are counted from the root."""
    size = len(edge)
    edge, parent, paid = (
        jnp.pad(edge, (0, width)),
        jnp.pad(parent, (0, width)),
        jnp.pad(received.T, ((0, width), (0, 0))),
    )

    def piece(below, which):
        begin, end = which
        value = jax.lax.dynamic_slice_in_dim(paid, begin, width) + jax.lax.dynamic_slice_in_dim(below, begin, width)
        weighted = jax.lax.dynamic_slice_in_dim(edge, begin, width)[:, None] * value
        counted = jnp.where((begin + jnp.arange(width) < end)[:, None], weighted, 0.0)
        above = jax.lax.dynamic_slice_in_dim(parent, begin, width)
        return below.at[above].add(counted, mode=_SURE, wrap_negative_indices=False), None

    # Levels upwards, but within each in order: so sums are added up as they are when levels are written out.
    order = jnp.lexsort((begins, -ends))
    below = jax.lax.scan(piece, jnp.zeros_like(paid), (begins[order], ends[order]))[0]
    return (paid + below)[:size].T


def down_ranges(
    steps: Float[Array, "row node *rest"], parent: Int[Array, " node"], ranges: Sequence[tuple[int, int]]
) -> Float[Array, "row node *rest"]:
    """The same in numpy.

    Args:
        steps: What each node adds, perhaps in several directions.
        parent: Parents, counted from the root.
        ranges: Levels or pieces, from the root's children on.
    """
    sums: Any = np.array(steps)
    for begin, end in ranges:
        sums[:, begin:end] += sums[:, parent[begin:end]]
    return sums


def up_ranges(
    edge: Float[Array, " node"],
    received: Float[Array, "player node *rest"],
    parent: Int[Array, " node"],
    ranges: Sequence[tuple[int, int]],
) -> Float[Array, "player node *rest"]:
    """What `up_levels` returns, in numpy; arguments as of `down_ranges`."""
    values: Any = np.array(received)
    weights: Any = np.reshape(edge, (-1, *(1,) * (values.ndim - 2)))
    for begin, end in reversed(ranges):
        above: Any = (slice(None), parent[begin:end])
        np.add.at(values, above, weights[begin:end] * values[:, begin:end])
    return values


def at(values: Array, *index: Any) -> Array:
    """``values[index]`` where the index is known to be in range, without the code that would see to it."""
    if namespace(values) is np:
        return values[index]
    return values.at[index].get(mode=_SURE, wrap_negative_indices=False)


def sums(values: Array, segments: Array, count: int) -> Array:
    """Sums by segment, these too in range."""
    if namespace(values) is np:
        return add_up(np, values, segments, count)
    empty = jnp.zeros((count, *values.shape[1:]), values.dtype)
    return empty.at[segments].add(values, mode=_SURE, wrap_negative_indices=False)


def largest(values: Float[Array, " m"], segments: Int[Array, " m"], count: int) -> Float[Array, " count"]:
    """Largest value of each segment, −∞ of none; a constant to derivatives."""
    if namespace(values) is np:
        top: Any = np.full(count, -np.inf)
        np.maximum.at(top, segments, values)
        return top
    return jax.lax.stop_gradient(jax.ops.segment_max(values, segments, count, mode=_SURE))


def put(array: Array, index: Any, values: Array) -> Array:
    """The array with values at places of its first axis, in range."""
    if namespace(array) is np:
        return placed(np, array, index, values)
    return array.at[index].set(values, mode=_SURE, wrap_negative_indices=False)


def added(array: Array, index: Any, values: Array) -> Array:
    """The array with values added at places in range, of which some may be the same."""
    if namespace(array) is np:
        total: Any = np.array(array)
        np.add.at(total, index, values)
        return total
    return array.at[index].add(values, mode=_SURE, wrap_negative_indices=False)
