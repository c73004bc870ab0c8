"""Numbers of a matrix that are never too small: its interaction, spectral radius and largest eigenvalue."""

import math

import jax.numpy as jnp
from jaxtyping import Bool, Float

from hqre_jax.core._namespace import Array, namespace, product, repeated

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

    Example:
        >>> import jax.numpy as jnp
        >>> import hqre_jax as hq
        >>> both = jnp.array([True, True])
        >>> hq.bounds.double_difference(jnp.array([[1.0, -1.0], [-1.0, 1.0]]), both, both).item()
        4.0
        >>> hq.bounds.double_difference(jnp.array([[1.0, 2.0], [11.0, 12.0]]), both, both).item()
        0.0
    """
    xp = namespace(matrix)
    if matrix.shape[-2] > matrix.shape[-1]:
        return double_difference(xp.swapaxes(matrix, -1, -2), cols, rows)
    if not affords_exact(matrix.shape):
        return 4.0 * xp.max(xp.abs(doubly_centered(matrix, rows, cols)), axis=(-1, -2))
    return exact_double_difference(matrix, rows, cols)


def exact_double_difference(
    matrix: Float[Array, "*b r c"], rows: Bool[Array, "*b r"], cols: Bool[Array, "*b c"]
) -> Float[Array, "*b"]:
    """`double_difference`, whatever it costs."""
    xp = namespace(matrix)
    if matrix.shape[-2] > matrix.shape[-1]:
        return exact_double_difference(xp.swapaxes(matrix, -1, -2), cols, rows)
    gap = matrix[..., :, None, :] - matrix[..., None, :, :]
    above = xp.max(xp.where(cols[..., None, None, :], gap, -xp.inf), axis=-1)
    # The least of C[a] − C[a'] is minus the largest of C[a'] − C[a].
    width = above + xp.swapaxes(above, -1, -2)
    valid = rows[..., :, None] & rows[..., None, :]
    return xp.max(xp.where(valid, width, 0.0), axis=(-1, -2), initial=0.0)


def affords_exact(shape: tuple[int, ...]) -> bool:
    """Whether `double_difference` is exact for matrices of this shape, ``(*b, r, c)``."""
    return math.prod(shape) * min(shape[-2:]) <= _EXACT_LIMIT


def doubly_centered(
    matrix: Float[Array, "*b r c"], rows: Bool[Array, "*b r"], cols: Bool[Array, "*b c"]
) -> Float[Array, "*b r c"]:
    """The matrix less the means of its rows and of its columns, 0 where it is not valid.

    Every double difference stays what it was, whatever the rounding of the means: ``dd(C) ≤ 4 max |C~|``.
    """
    xp = namespace(matrix)
    valid = rows[..., :, None] & cols[..., None, :]
    for axis in (-1, -2):
        count = xp.maximum(xp.sum(valid, axis=axis, keepdims=True), 1)
        matrix = xp.where(valid, matrix - xp.sum(matrix, axis=axis, keepdims=True, where=valid) / count, 0.0)
    return matrix


def spectral_radius(matrix: Float[Array, "n n"]) -> Float[Array, ""]:
    """Upper bound, tight to rounding, on the spectral radius of a non-negative matrix; see ``perron``.

    Args:
        matrix: Non-negative A.

    Returns:
        ``spr(A)``, rounded up.

    Example:
        >>> import jax.numpy as jnp
        >>> import hqre_jax as hq
        >>> hq.bounds.spectral_radius(jnp.array([[0.0, 0.5], [2.0, 0.0]])).round(3).item()
        1.0
    """
    return perron(matrix)[0]


def perron(matrix: Float[Array, "n n"]) -> tuple[Float[Array, ""], Float[Array, " n"], Float[Array, " n"]]:
    """Upper bound on the spectral radius of a non-negative matrix, with positive vectors that go with it.

    The bound is the smaller of two that hold for any such A: ``‖A^m‖^{1/m}`` with m = 2^k by repeated squaring, and
    the Collatz–Wielandt quotient ``max_x (A v)_x / v_x`` at the positive ``v = A^m 1 + A^{m+1} 1/ρ`` (the second
    term serves bipartite A, whose powers alternate). All terms are non-negative, so a product has relative error
    n·eps at most; the 2^k-th root turns the sum of the errors of all squarings into less than 2 n·eps.

    Args:
        matrix: Non-negative A.

    Returns:
        ``spr(A)``, rounded up, tight to rounding; and the directions of ``Σ_k A^k 1`` and ``Σ_k (Aᵀ)^k 1``, summed by
        doubling, which are those of ``(I−A)⁻¹1`` and ``(I−Aᵀ)⁻¹1`` where A contracts and Perron vectors elsewhere.
    """
    xp = namespace(matrix)
    n, dtype = matrix.shape[0], matrix.dtype
    eps, tiny = jnp.finfo(dtype).eps, jnp.finfo(dtype).tiny
    scale = xp.max(matrix, initial=0.0)
    unit = matrix / xp.where(scale > 0, scale, 1.0)
    # Beyond this exponent the power drowns the sum before it.
    largest = 0.25 * math.log(float(jnp.finfo(dtype).max))

    def square(k, state):
        power, log_norm, sums = state
        half = halves[k]
        size = xp.exp(xp.minimum((log_norm + xp.log(scale)) / (2 * half), largest))
        both = xp.stack([power, power.T])
        sums = sums + size * xp.einsum("kxy,ky->kx", both, sums)
        sums = sums / xp.max(sums, axis=1, keepdims=True)
        power = product(xp, power, power)
        top = xp.max(power, initial=0.0)
        return power / xp.where(top > 0, top, 1.0), log_norm + xp.log(top) * half, sums

    halves = 0.5 ** xp.arange(1, (_MANY_SQUARINGS if n <= _SMALL_MATRIX else _FEW_SQUARINGS) + 1, dtype=dtype)
    start = unit, xp.zeros((), dtype), xp.ones((2, n), dtype)
    power, log_norm, sums = repeated(xp, len(halves), square, start)
    rows = xp.sum(power, axis=1)
    norm = xp.exp(log_norm + xp.log(xp.max(rows, initial=0.0)) * halves[-1])

    def apply(v):
        return product(xp, unit, v)

    v = rows + apply(rows) / xp.where(norm > 0, norm, 1.0)
    v = v + xp.sqrt(tiny)
    quotient = xp.max(apply(v) / v, initial=0.0)
    return scale * xp.minimum(norm, quotient) * (1 + 8 * (n + 8) * eps), sums[0], sums[1]


def largest_eigenvalue(matrix: Float[Array, "*b n n"]) -> Float[Array, "*b"]:
    """Largest eigenvalue of symmetric matrices, rounded up.

    The method is backward stable: it finds the eigenvalues of ``A + E``, ``‖E‖₂ ≤ c n eps ‖A‖₂`` with c of order 1,
    and none of them is further than ``‖E‖₂`` from A's own. 8 is taken for c, ``‖A‖_F`` for ``‖A‖₂``.

    Args:
        matrix: Symmetric A, any axes before the last two.

    Returns:
        ``λ_max(A)``, rounded up; nan where A is not finite.
    """
    xp = namespace(matrix)
    n, eps = matrix.shape[-1], jnp.finfo(matrix.dtype).eps
    size = xp.max(xp.abs(matrix), axis=(-1, -2), keepdims=True)
    unit = matrix / xp.where(size > 0, size, 1.0)
    norm = xp.sqrt(xp.sum(unit**2, axis=(-1, -2)))
    top = xp.linalg.eigvalsh(unit)[..., -1] + 8 * (n + 8) * eps * norm
    return size[..., 0, 0] * top
