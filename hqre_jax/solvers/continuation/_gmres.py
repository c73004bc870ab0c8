"""Linear systems that are known by what they do to vectors."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

# Krylov vectors that are kept.
_MOST = 120


class _Cycle(NamedTuple):
    """An orthonormal basis, and the least squares problem in it as far as it is rotated (transposed)."""

    basis: Float[Array, "m_plus_1 n"]
    rotated: Float[Array, "m m_plus_1"]
    cosines: Float[Array, " m"]
    sines: Float[Array, " m"]
    left: Float[Array, " m_plus_1"]
    count: Int[Array, ""]


def gmres(
    apply: Callable[[Float[Array, " n"]], Float[Array, " n"]],
    rhs: Float[Array, " n"],
    start: Float[Array, " n"],
    most: int = _MOST,
) -> Float[Array, " n"]:
    """Generalised minimal residuals, without restarts, to the accuracy that the floating type allows.

    Args:
        apply: A linear map, the matrix of the system.
        rhs: The right side.
        start: Where to begin.
        most: Largest dimension of the Krylov space.

    Returns:
        The solution as far as it was found; its residual is the caller's to look at.

    Source: Saad & Schultz (1986), SIAM J. Sci. Stat. Comput. 7.
    """
    most = min(most, rhs.size)
    eps = jnp.finfo(rhs.dtype).eps
    defect = rhs - apply(start)
    size = jnp.linalg.norm(defect)
    enough = 4 * eps * jnp.maximum(jnp.linalg.norm(rhs), size)
    cycle = _Cycle(
        basis=jnp.zeros((most + 1, rhs.size), rhs.dtype).at[0].set(defect / jnp.where(size > 0, size, 1.0)),
        rotated=jnp.zeros((most, most + 1), rhs.dtype),
        cosines=jnp.zeros(most, rhs.dtype),
        sines=jnp.zeros(most, rhs.dtype),
        left=jnp.zeros(most + 1, rhs.dtype).at[0].set(size),
        count=jnp.zeros((), int),
    )

    def unfinished(cycle: _Cycle):
        return (cycle.count < most) & (jnp.abs(cycle.left[cycle.count]) > enough)

    def advance(cycle: _Cycle) -> _Cycle:
        k = cycle.count
        vector = apply(cycle.basis[k])
        column = cycle.basis @ vector
        vector = vector - column @ cycle.basis
        # Once more: what rounding left in the directions that were there already.
        again = cycle.basis @ vector
        vector, column = vector - again @ cycle.basis, column + again
        length = jnp.linalg.norm(vector)
        column = column.at[k + 1].set(length)

        def rotate(j, c):
            low, high = c[j], c[j + 1]
            c = c.at[j].set(cycle.cosines[j] * low + cycle.sines[j] * high)
            return c.at[j + 1].set(cycle.cosines[j] * high - cycle.sines[j] * low)

        turned = jax.lax.fori_loop(0, k, rotate, column)
        radius = jnp.hypot(turned[k], turned[k + 1])
        radius = jnp.where(radius > 0, radius, 1.0)
        cosine, sine = turned[k] / radius, turned[k + 1] / radius
        turned = turned.at[k].set(radius).at[k + 1].set(0.0)
        return _Cycle(
            basis=cycle.basis.at[k + 1].set(vector / jnp.where(length > 0, length, 1.0)),
            rotated=cycle.rotated.at[k].set(turned),
            cosines=cycle.cosines.at[k].set(cosine),
            sines=cycle.sines.at[k].set(sine),
            left=cycle.left.at[k + 1].set(-sine * cycle.left[k]).at[k].set(cosine * cycle.left[k]),
            count=k + 1,
        )

    cycle = jax.lax.while_loop(unfinished, advance, cycle)
    used = jnp.arange(most) < cycle.count
    # Unused rows and columns are those of the identity.
    identity = jnp.eye(most, dtype=rhs.dtype)
    both = used[:, None] & used[None, :]
    triangle = jnp.where(both, cycle.rotated[:, :most].T, identity)
    weights = jax.scipy.linalg.solve_triangular(triangle, jnp.where(used, cycle.left[:most], 0.0))
    return start + weights @ cycle.basis[:most]
