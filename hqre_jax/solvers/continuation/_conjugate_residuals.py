"""Linear systems without a matrix: generalised conjugate residuals, compiled."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from hqre_jax.core._types import Scalar

# Directions are kept and read in blocks: a system that is solved in few steps does not pay for the largest.
_BLOCK = 16
# A residual that fell by less, relatively, is the same direction once more.
_FALL = 1e-2
# Products with A for which systems are solved to rounding, and how often one begins anew with what is left.
_MOST, _ROUNDS = 128, 2


def conjugate_residuals(
    linear: Callable[[Float[Array, " n"]], Float[Array, " n"]],
    rhs: Float[Array, " n"],
    tol: Scalar | float,
    most: int,
) -> tuple[Float[Array, " n"], Scalar, Int[Array, ""]]:
    """Solve ``A x = b`` given ``A`` as a function, least squares over a growing Krylov space (as GMRES).

    Directions u are kept with their images ``c = A u``, which are orthonormal; so ``x ← x + ⟨c, r⟩ u`` and
    ``r ← r − ⟨c, r⟩ c`` keep ``r = b − A x``, whatever rounding does to orthogonality. Images are made orthogonal once
    only, which is enough for the loose tolerances of Newton's corrections. The next direction is r, or the last image
    where r hardly fell, so that the space grows whatever A is.

    Args:
        linear: A, an ``n × n`` matrix as a function.
        rhs: b.
        tol: Relative residual ``‖b − A x‖₂/‖b‖₂`` at which to stop.
        most: Largest number of products with A, rounded up to a multiple of 16; memory is twice as many vectors.

    Returns:
        x, the relative residual that was reached, and the number of products.

    Source: Eisenstat, Elman & Schultz (1983); Jiránek & Rozložník (2008) for the choice of directions.
    """
    size = jnp.linalg.norm(rhs)
    goal = tol * size
    blocks = -(-most // _BLOCK)
    empty = jnp.zeros((blocks, _BLOCK, rhs.size), rhs.dtype)

    def unfinished(carry):
        _, r, _, _, _, count, stuck = carry
        return (jnp.linalg.norm(r) > goal) & (count < blocks * _BLOCK) & ~stuck

    def advance(carry):
        x, r, direction, directions, images, count, _ = carry
        image = linear(direction)
        before = jnp.linalg.norm(image)

        def orthogonalise(k, parts):
            c, u = parts
            along = images[k] @ c
            return c - along @ images[k], u - along @ directions[k]

        c, u = jax.lax.fori_loop(0, (count + _BLOCK - 1) // _BLOCK, orthogonalise, (image, direction))
        length = jnp.linalg.norm(c)
        stuck = ~(length > 10 * jnp.finfo(rhs.dtype).eps * before)
        c, u = (jnp.where(stuck, 0.0, v / length) for v in (c, u))
        along = c @ r
        place = count // _BLOCK, count % _BLOCK
        directions, images = directions.at[place].set(u), images.at[place].set(c)
        left = r - along * c
        following = jnp.where(jnp.abs(along) > _FALL * jnp.linalg.norm(r), left, c)
        return x + along * u, left, following, directions, images, count + 1, stuck

    start = (jnp.zeros_like(rhs), rhs, rhs, empty, empty, jnp.zeros((), int), jnp.zeros((), bool))
    x, r, *_, count, _ = jax.lax.while_loop(unfinished, advance, start)
    return x, jnp.linalg.norm(r) / jnp.where(size > 0, size, 1.0), count


def to_rounding(
    linear: Callable[[Float[Array, " n"]], Float[Array, " n"]], rhs: Float[Array, " n"], start: Float[Array, " n"]
) -> Float[Array, " n"]:
    """Solve ``A x = b`` as well as the floating type allows.

    Args:
        linear: A, as a function.
        rhs: b.
        start: Where to begin.

    Returns:
        x as far as it was found; its residual is the caller's to look at.
    """

    def refine(_, x):
        left = rhs - linear(x)
        size = jnp.linalg.norm(left)
        enough = 4 * jnp.finfo(rhs.dtype).eps * jnp.linalg.norm(rhs)
        return x + conjugate_residuals(linear, left, enough / jnp.where(size > 0, size, 1.0), min(_MOST, rhs.size))[0]

    return jax.lax.fori_loop(0, _ROUNDS, refine, start)
