"""Quantiles of Fisher's F, and so of Student's t, in JAX."""

import jax
import jax.numpy as jnp
from jax.scipy.special import betainc
from jaxtyping import Array, Float

# Beyond so many degrees of freedom the quantile is that of χ²/d within a millionth.
_MANY = 1e6
# Halvings of [0, 1]: the quantile may be as small as one over `_MANY`, and is wanted to half its digits.
_HALVINGS = 60


@jax.jit
def fisher_quantile(
    level: Float[Array, "..."] | float, numerator: Float[Array, "..."], denominator: Float[Array, "..."]
) -> Float[Array, "..."]:
    """The number that an F(d₁, d₂) variable exceeds with probability ``1 − level``.

    ``|t|`` with ν degrees of freedom stays below ``sqrt(fisher_quantile(level, 1, ν))``.

    Args:
        level: Probability, strictly between 0 and 1.
        numerator: d₁ > 0.
        denominator: d₂ > 0; large and infinite values stand for the limit.

    Returns:
        The quantile; solved by bisection in ``x = d₁F/(d₁F + d₂)``, whose law is Beta(d₁/2, d₂/2).
    """
    d1, d2 = jnp.broadcast_arrays(numerator, jnp.minimum(denominator, _MANY))

    def halve(_, bracket):
        low, high = bracket
        middle = 0.5 * (low + high)
        below = betainc(0.5 * d1, 0.5 * d2, middle) < level
        return jnp.where(below, middle, low), jnp.where(below, high, middle)

    low, high = jax.lax.fori_loop(0, _HALVINGS, halve, (jnp.zeros_like(d1), jnp.ones_like(d1)))
    x = 0.5 * (low + high)
    return d2 * x / (d1 * jnp.maximum(1.0 - x, jnp.finfo(x.dtype).tiny))
