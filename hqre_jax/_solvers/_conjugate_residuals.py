"""Linear systems without a matrix: generalised conjugate residuals, compiled."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from hqre_jax._types import Scalar

# Below this relative residual directions are noise.
_NOISE = 1e-10
# Directions are kept and read in blocks: a system that is solved in few steps does not pay for the largest.
_BLOCK = 16


def conjugate_residuals(
    linear: Callable[[Float[Array, " n"]], Float[Array, " n"]],
    rhs: Float[Array, " n"],
    tol: Scalar | float,
    most: int,
    least: int = 0,
) -> tuple[Float[Array, " n"], Scalar, Int[Array, ""], Scalar]:
    """Solve ``A x = b`` given ``A`` as a function, least squares over a growing Krylov space (as GMRES).

    Directions u are kept with their images ``c = A u``, which are orthonormal; so ``x ← x + ⟨c, r⟩ u`` and
    ``r ← r − ⟨c, r⟩ c`` keep ``r = b − A x``, whatever rounding does to orthogonality. Images are made orthogonal once
    only, which is enough for the loose tolerances of Newton's corrections.

    Args:
        linear: A, an ``n × n`` matrix as a function.
        rhs: b.
        tol: Relative residual ``‖b − A x‖₂/‖b‖₂`` at which to stop.
        most: Largest number of products with A, rounded up to a multiple of 16; memory is twice as many vectors.
        least: Number of products to take even where fewer would do, for the sake of the determinant.

    Returns:
        x, the relative residual that was reached, the number of products, and the sign of the determinant of A as
        projected to the Krylov space: of A itself as soon as the space holds the eigenvectors of its negative
        eigenvalues. Eigenvectors that have no part in b are never seen. 0 where nothing can be said.

    Source: Eisenstat, Elman & Schultz (1983).
    """
    size = jnp.linalg.norm(rhs)
    goal = tol * size
    blocks = -(-most // _BLOCK)
    held = blocks * _BLOCK
    empty = jnp.zeros((blocks, _BLOCK, rhs.size), rhs.dtype)

    def unfinished(carry):
        _, r, _, _, _, count, stuck = carry
        left = jnp.linalg.norm(r)
        wanted = (left > goal) | ((count < least) & (left > _NOISE * size))
        return wanted & (count < held) & ~stuck

    def advance(carry):
        x, r, directions, images, rows, count, _ = carry
        image = linear(r)
        before = jnp.linalg.norm(image)

        def orthogonalise(k, parts):
            c, u, row = parts
            along = images[k] @ c
            return (
                c - along @ images[k],
                u - along @ directions[k],
                jax.lax.dynamic_update_slice(row, along, (k * _BLOCK,)),
            )

        row = jnp.zeros(held, rhs.dtype)
        c, u, row = jax.lax.fori_loop(0, (count + _BLOCK - 1) // _BLOCK, orthogonalise, (image, r, row))
        length = jnp.linalg.norm(c)
        stuck = ~(length > 10 * jnp.finfo(rhs.dtype).eps * before)
        c, u = (jnp.where(stuck, 0.0, v / length) for v in (c, u))
        along = c @ r
        place = count // _BLOCK, count % _BLOCK
        # A r = Σ_j row_j c_j; the last column holds ⟨c, r⟩.
        row = jnp.append(row.at[count].set(length), along)
        directions, images = directions.at[place].set(u), images.at[place].set(c)
        rows = jax.lax.dynamic_update_slice(rows, row[None], (count, 0))
        return x + along * u, r - along * c, directions, images, rows, count + 1, stuck

    rows = jnp.zeros((held + 1, held + 1), rhs.dtype)
    start = (jnp.zeros_like(rhs), rhs, empty, empty, rows, jnp.zeros((), int), jnp.zeros((), bool))
    x, r, _, _, rows, count, stuck = jax.lax.while_loop(unfinished, advance, start)
    relative = jnp.linalg.norm(r) / jnp.where(size > 0, size, 1.0)
    return x, relative, count, _sign(rows, count - jnp.where(stuck | (relative > _NOISE), 1, 0))


def _sign(rows: Float[Array, "k_plus_1 k_plus_1"], count: Int[Array, ""]) -> Scalar:
    """Sign of ``det CᵀAC`` in the basis c, where ``⟨c_k, r_k⟩ A c_k = A r_k − A r_{k+1}``: a Hessenberg matrix.

    Rows are eliminated here, two at a time: a factorisation's threads would wait for each other in every correction.
    """
    matrix = (rows[:-1, :-1] - rows[1:, :-1]).T

    def eliminate(k, carry):
        row, sign = carry
        below = matrix[k + 1]
        swap = jnp.abs(below[k]) > jnp.abs(row[k])
        pivot, other = jnp.where(swap, below, row), jnp.where(swap, row, below)
        factor = other[k] / jnp.where(pivot[k] == 0, 1.0, pivot[k])
        return other - factor * pivot, sign * jnp.sign(pivot[k]) * jnp.where(swap, -1.0, 1.0)

    last = jnp.maximum(count - 1, 0)
    row, sign = jax.lax.fori_loop(0, last, eliminate, (matrix[0], jnp.ones((), rows.dtype)))
    scales = jnp.where(jnp.arange(len(rows)) < count, jnp.sign(rows[:, -1]), 1.0)
    return sign * jnp.sign(row[last]) * jnp.prod(scales) * (count > 0)
