"""Margin and contraction of games with many decision points: work and memory grow with the edges, not the pairs."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.sparse.linalg import cg
from jaxtyping import Array, Bool, Float, Int

from hqre_jax.bounds._interactions import Interactions, Vector
from hqre_jax.core._types import Scalar

# Power iterations behind each spectral radius, and conjugate gradient steps behind the weights that cancel.
_POWERS, _CONJUGATE_STEPS = 400, 1000


class Links(NamedTuple):
    """Where an n × n matrix has entries: at ``(row, column)`` and ``(column, row)`` of every pair that interacts."""

    rows: Int[Array, " m"]
    cols: Int[Array, " m"]

    def times(self, to_row: Float[Array, " m"], to_col: Float[Array, " m"], z: Vector) -> Vector:
        """Product of the matrix with entries ``to_row`` at (row, column), ``to_col`` at (column, row)."""
        terms = jnp.concatenate([to_row * z[self.cols], to_col * z[self.rows]])
        return jax.ops.segment_sum(terms, jnp.concatenate([self.rows, self.cols]), z.size)


def edgewise_constants(interactions: Interactions, tau: Vector) -> tuple[Scalar, Vector, Scalar, Scalar]:
    """κ, w, L and the contraction factor among the decision points that are kept, as bounds on the safe side.

    The weights are the best of three: equal ones, those of the vectors that prove contraction, and those that cancel
    interactions that are zero-sum up to scale; descents from there, which small games afford, are left out.
    """
    p, keep = interactions.reach, interactions.keep
    rows, cols = interactions.ends()
    links, (to_row, to_col) = Links(rows, cols), interactions.own_parts()
    by_row, by_col = to_row / (p * tau)[rows], to_col / (p * tau)[cols]
    contraction, x = _radius(lambda z: links.times(by_row, by_col, z), keep, tau.dtype)
    # The transposed matrix has each entry at the other end.
    _, y = _radius(lambda z: links.times(by_col, by_row, z), keep, tau.dtype)
    starts = jnp.stack([jnp.zeros_like(tau), jnp.log(y / (tau * x * p)), _cancelling(links, to_row, to_col, tau.size)])
    starts = jnp.where(keep[None] & jnp.isfinite(starts), starts, 0.0)
    highest = jnp.max(jnp.where(keep, tau, 0.0))

    def margin(log_v: Vector) -> Scalar:
        """``s − spr(A)``, ``A = diag(s − τ) + ½ W^{-1/2} C W^{-1/2}`` with s = max τ."""
        root = jnp.sqrt(jnp.exp(log_v) * p)
        entries = 0.5 * interactions.common_parts(jnp.exp(log_v)) / (root[rows] * root[cols])
        radius, _ = _radius(lambda z: (highest - tau) * z + links.times(entries, entries, z), keep, tau.dtype)
        return highest - radius - 4 * jnp.finfo(tau.dtype).eps * highest

    margins = jax.lax.map(margin, starts)
    best = jnp.argmax(jnp.where(jnp.isnan(margins), -jnp.inf, margins))
    weights = jnp.where(keep, jnp.exp(starts[best]) * p, 0.0)
    root = jnp.sqrt(jnp.where(keep, weights, 1.0))
    ratio = root[rows] / root[cols]
    steep_row, steep_col = to_row / p[rows] * ratio, to_col / p[cols] / ratio
    # Squares of large payoffs are no numbers: the scale is put back after the root.
    scale = jnp.max(jnp.concatenate([steep_row, steep_col]), initial=0.0)
    unit = jnp.where(scale > 0, scale, 1.0)
    steep_row, steep_col = steep_row / unit, steep_col / unit
    squared, _ = _radius(
        lambda z: links.times(steep_col, steep_row, links.times(steep_row, steep_col, z)), keep, tau.dtype
    )
    lipschitz = scale * jnp.sqrt(squared) * (1 + 8 * jnp.finfo(tau.dtype).eps)
    return margins[best], weights, lipschitz, contraction


def _radius(times: Callable[[Vector], Vector], keep: Bool[Array, " n"], dtype) -> tuple[Scalar, Vector]:
    """Upper bound on the spectral radius of a non-negative matrix, and the positive vector that proves it.

    ``spr(A) ≤ max_x (A v)_x / v_x`` for every positive v (Collatz–Wielandt); v comes from power iteration, shifted so
    that bipartite A do no harm. Non-negative terms: a product is wrong by as many eps as it has terms.
    """
    floor = jnp.sqrt(jnp.finfo(dtype).tiny)

    def bound(v: Vector, image: Vector) -> Scalar:
        return jnp.max(jnp.where(keep, image / v, 0.0), initial=0.0)

    def step(_, state):
        v, least, proof = state
        image = times(v)
        quotient = bound(v, image)
        proof = jnp.where(quotient < least, v, proof)
        moved = image + 0.5 * quotient * v
        top = jnp.max(jnp.where(keep, moved, 0.0))
        moved = jnp.where(keep, jnp.maximum(moved / jnp.where(top > 0, top, 1.0), floor), 1.0)
        return jnp.where(top > 0, moved, v), jnp.minimum(quotient, least), proof

    ones = jnp.ones(keep.shape, dtype)
    _, least, proof = jax.lax.fori_loop(0, _POWERS, step, (ones, bound(ones, times(ones)), ones))
    return least * (1 + 8 * (keep.size + 8) * jnp.finfo(dtype).eps), proof


def _cancelling(links: Links, to_row: Float[Array, " m"], to_col: Float[Array, " m"], size: int) -> Vector:
    """The least-squares solution ``log v`` of ``v_row to_row = v_col to_col``, by conjugate gradients."""
    eps = jnp.finfo(to_row.dtype).eps
    # What rounding alone can make is no interaction to be cancelled.
    largest = jnp.max(jnp.maximum(to_row, to_col), initial=0.0)
    meet = jnp.minimum(to_row, to_col) > 1e3 * eps * largest
    ratio = jnp.where(meet, jnp.log(jnp.where(meet, to_row, 1.0)) - jnp.log(jnp.where(meet, to_col, 1.0)), 0.0)
    ones, link = jnp.ones(size, to_row.dtype), meet.astype(to_row.dtype)
    degree = links.times(link, link, ones)
    target = links.times(-ratio, ratio, ones)
    # The right side is orthogonal to the kernel of the Laplacian, which holds a constant for each component.
    found, _ = cg(
        lambda z: degree * z - links.times(link, link, z), target, tol=float(100 * eps), maxiter=_CONJUGATE_STEPS
    )
    return found
