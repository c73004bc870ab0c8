"""Two numbers of a matrix: its largest interaction, and the spectral radius of a non-negative one."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from hqre_jax._types import Scalar

# Comparisons that one exact double difference may cost; beyond it the doubly centred bound is taken.
_EXACT_LIMIT = 2**24
# Exponents k of ‖A^(2^k)‖^(1/2^k): small matrices afford the limit itself, large ones lean on the quotient bound.
_MANY_SQUARINGS, _FEW_SQUARINGS, _SMALL_MATRIX = 40, 14, 64


def double_difference(
    matrix: Float[Array, "*b r c"], rows: Bool[Array, "*b r"], cols: Bool[Array, "*b c"]
) -> Float[Array, "*b"]:
    """Largest interaction ``max C[a,b] − C[a',b] − C[a,b'] + C[a',b']``; terms of a or b alone cancel.

    Exact while ``(*b)·A²·B`` comparisons (A the smaller side) stay below 2²⁴. Beyond that the bound
    ``4 max |C~|`` with C~ the doubly centred C, at most 4 and for coordination ``c·I`` nearly 2 times too large.

    Args:
        matrix: C, any axes before the last two.
        rows: Valid rows.
        cols: Valid columns.

    Returns:
        ``dd(C) ≥ 0`` in the units of C (0 where there is no valid row or column).

    Source: theory.md §3.
    """
    if matrix.shape[-2] > matrix.shape[-1]:
        return double_difference(jnp.swapaxes(matrix, -1, -2), cols, rows)
    if matrix.size * matrix.shape[-2] > _EXACT_LIMIT:
        valid = rows[..., :, None] & cols[..., None, :]
        for axis in (-1, -2):
            count = jnp.maximum(jnp.sum(valid, axis=axis, keepdims=True), 1)
            matrix = jnp.where(valid, matrix - jnp.sum(matrix, axis=axis, keepdims=True, where=valid) / count, 0.0)
        return 4.0 * jnp.max(jnp.abs(matrix), axis=(-1, -2))
    gap = matrix[..., :, None, :] - matrix[..., None, :, :]
    above = jnp.max(jnp.where(cols[..., None, None, :], gap, -jnp.inf), axis=-1)
    # The least of C[a] − C[a'] is minus the largest of C[a'] − C[a].
    width = above + jnp.swapaxes(above, -1, -2)
    valid = rows[..., :, None] & rows[..., None, :]
    return jnp.max(jnp.where(valid, width, 0.0), axis=(-1, -2), initial=0.0)


def spectral_radius(matrix: Float[Array, "n n"]) -> Scalar:
    """Upper bound, tight to rounding, on the spectral radius of a non-negative matrix.

    The smaller of two bounds that hold for any such A: ``‖A^m‖^{1/m}`` with m = 2^k by repeated squaring, and the
    Collatz–Wielandt quotient ``max_x (A v)_x / v_x`` at the positive ``v = A^m 1 + A^{m+1} 1/ρ`` (the second
    term serves bipartite A, whose powers alternate). All terms are non-negative, so a product has relative error
    n·eps at most; the 2^k-th root turns the sum of the errors of all squarings into less than 2 n·eps.

    Args:
        matrix: Non-negative A.

    Returns:
        ``spr(A)``, rounded up.
    """
    n = matrix.shape[0]
    eps, tiny = jnp.finfo(matrix.dtype).eps, jnp.finfo(matrix.dtype).tiny
    scale = jnp.max(matrix, initial=0.0)
    unit = matrix / jnp.where(scale > 0, scale, 1.0)

    def square(state, half):
        power, log_norm = state
        power = jnp.matmul(power, power, precision="highest")
        top = jnp.max(power, initial=0.0)
        return (power / jnp.where(top > 0, top, 1.0), log_norm + jnp.log(top) * half), None

    halves = 0.5 ** jnp.arange(1, (_MANY_SQUARINGS if n <= _SMALL_MATRIX else _FEW_SQUARINGS) + 1, dtype=matrix.dtype)
    (power, log_norm), _ = jax.lax.scan(square, (unit, jnp.zeros((), matrix.dtype)), halves)
    rows = jnp.sum(power, axis=1)
    norm = jnp.exp(log_norm + jnp.log(jnp.max(rows, initial=0.0)) * halves[-1])

    def apply(v):
        return jnp.matmul(unit, v, precision="highest")

    v = rows + apply(rows) / jnp.where(norm > 0, norm, 1.0)
    v = v + jnp.sqrt(tiny)
    quotient = jnp.max(apply(v) / v, initial=0.0)
    return scale * jnp.minimum(norm, quotient) * (1 + 8 * (n + 8) * eps)
