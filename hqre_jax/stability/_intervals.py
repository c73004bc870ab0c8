"""Confidence intervals of linear forms in estimated means: Student's quantile at Welch and Satterthwaite's degrees."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from hqre_jax.core._namespace import Array, beta_law, namespace, repeated
from hqre_jax.core._programs import compiled_later, few_so_far
from hqre_jax.core._temperatures import as_array

_BISECTIONS = 60


class Interval(NamedTuple):
    """An estimate and its confidence interval; infinite ends where the data say nothing.

    Attributes:
        estimate: The estimate.
        lower: Lower end.
        upper: Upper end.

    Example:
        >>> import jax.numpy as jnp
        >>> import hqre_jax as hq
        >>> found = hq.stability.Interval(jnp.array(1.0), jnp.array(0.5), jnp.array(1.5))
        >>> print(found.affine(jnp.array(-2.0), jnp.array(0.0)))
        -2 [-3, -1]
    """

    estimate: Float[Array, "*b"]
    lower: Float[Array, "*b"]
    upper: Float[Array, "*b"]

    def affine(self, factor: Float[Array, "*b"], shift: Float[Array, "*b"]) -> "Interval":
        """``factor·x + shift``, for factors of either sign."""
        ends = factor * self.lower + shift, factor * self.upper + shift
        xp = namespace(*ends)
        return Interval(factor * self.estimate + shift, xp.minimum(*ends), xp.maximum(*ends))

    def widened(self, by: Float[Array, "*b"]) -> "Interval":
        """Both ends moved outwards."""
        return Interval(self.estimate, self.lower - by, self.upper + by)

    def __str__(self) -> str:
        return f"{float(self.estimate):.4g} [{float(self.lower):.4g}, {float(self.upper):.4g}]"


def interval(
    estimate: Float[Array, "*b"],
    variance: Float[Array, "*b"],
    freedom: Float[Array, "*b"],
    level: Float[Array, ""] | float,
) -> Interval:
    """``estimate ± t·√variance`` at the two-sided confidence level.

    Args:
        estimate: The estimates.
        variance: Squared standard errors; infinite where nothing is known.
        freedom: Degrees of freedom of these variances.
        level: Probability of covering, strictly between 0 and 1.

    Returns:
        The intervals.

    Example:
        >>> import jax.numpy as jnp
        >>> import hqre_jax as hq
        >>> print(hq.stability.interval(jnp.array(1.0), jnp.array(0.01), jnp.array(30.0), 0.95))
        1 [0.7958, 1.204]
    """
    half = student_quantile(0.5 * (1 + level), freedom) * namespace(variance).sqrt(variance)
    return Interval(estimate, estimate - half, estimate + half)


def student_quantile(probability: Float[Array, ""] | float, freedom: Float[Array, "*b"]) -> Float[Array, "*b"]:
    """The t with ``P(T ≤ t) = probability`` for Student's T, by bisection; ``P(T > t) = ½ I_{ν/(ν+t²)}(ν/2, ½)``.

    Args:
        probability: Between ½ and 1.
        freedom: Degrees of freedom ν, at least 1 (less counts as 1).

    Returns:
        The quantiles, of the shape of ``freedom``.

    Example:
        >>> import jax.numpy as jnp
        >>> import hqre_jax as hq
        >>> print(hq.stability.student_quantile(0.975, jnp.array([1.0, 30.0])).round(3))
        [12.706  2.042]
    """
    if namespace(freedom) is np:
        known: Any = np.asarray(probability)
        return _quantile(known, freedom)
    return _early_or_compiled(as_array(probability, freedom.dtype), freedom)


def _quantile(probability: Float[Array, ""], freedom: Float[Array, "*b"]) -> Float[Array, "*b"]:
    xp = namespace(freedom)
    nu = xp.maximum(freedom, 1.0)
    # ν = 1 (Cauchy) has the heaviest tail of those allowed: its quantile is an upper end.
    low, high = xp.zeros_like(nu), xp.full_like(nu, 1.001 * xp.tan(xp.pi * (probability - 0.5)))

    def halve(_, ends):
        low, high = ends
        middle = 0.5 * (low + high)
        beyond = 0.5 * beta_law(xp, nu / 2, 0.5, nu / (nu + middle**2))
        short = beyond > 1 - probability
        return xp.where(short, middle, low), xp.where(short, high, middle)

    low, high = repeated(xp, _BISECTIONS, halve, (low, high))
    return 0.5 * (low + high)


_early_or_compiled = compiled_later(few_so_far)(_quantile)
