"""Regret of the mirror update (theory.md, T3): what each round can cost, and all rounds together."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from hqre_jax.core._types import Scalar

Vector = Float[Array, " x"]


class RegretMajorant(NamedTuple):
    """Bounds on the regularised gap ``τ_x KL(π^k_x ‖ BR_x(π^k))`` of each decision point, units of payoff.

    Attributes:
        rounds: Bound in round k = 0, 1, …, ``(round, x)``.
        total: Bound on the sum over all rounds, to infinity, ``(x,)``.

    Example:
        >>> import jax.numpy as jnp
        >>> import hqre_jax as hq
        >>> bound = hq.bounds.RegretMajorant(rounds=jnp.array([[0.5], [0.25]]), total=jnp.array([1.0]))
        >>> bound.rounds.sum(0), bool((bound.rounds.sum(0) <= bound.total).all())
        (Array([0.75], dtype=float64), True)
    """

    rounds: Float[Array, "round x"]
    total: Vector


def regret_majorant(
    tau: Vector,
    weights: Vector,
    influence: Float[Array, "x x"],
    step: Scalar,
    margin: Scalar,
    divergence: Scalar,
    log_ratio: Vector,
    num_rounds: int,
) -> RegretMajorant:
    """The majorant of T3, ``g_x ≤ (τ/8)(a_k + b_k/τ)²``, ``a_{k+1} = (a_k + η b_k)/(1 + ητ)``, ``b_k = b_0 q^{k/2}``.

    Here ``b_0 = 2 √(Σ_y Λ_xy²/w_y) √(2 D_0)``, ``q = 1/(1 + ηκ)`` and ``a_0 = span(log π⁰ − log π*)``. The sums over
    all rounds follow from the recursion: with ``p = 1/(1 + ητ)`` and ``r = √q``,

        Σ b² = b_0²/(1 − q)
        Σ ab = (a_0 b_0 + p r η Σ b²)/(1 − p r)
        Σ a² = (a_0² + p² (2η Σ ab + η² Σ b²))/(1 − p²)

    Args:
        tau: Temperatures ``τ_x`` of the decision points, units of payoff.
        weights: ``w_x > 0`` of T2, at which ``margin`` holds.
        influence: ``Λ_xy`` of theory.md §3, units of payoff.
        step: η ≤ κ/L², per unit of payoff.
        margin: κ > 0, units of payoff.
        divergence: ``D_0 = Σ_x w_x KL(π*_x ‖ π⁰_x)``, in nats.
        log_ratio: ``a_0``, per decision point, in nats.
        num_rounds: Rounds to list.

    Returns:
        The `RegretMajorant`; inf in ``total`` where κ ≤ 0.

    Source: theory.md, T2 and T3.

    Example:
        >>> import jax.numpy as jnp
        >>> import hqre_jax as hq
        >>> ones, influence = jnp.ones(2), jnp.array([[0.0, 0.5], [0.5, 0.0]])
        >>> step, margin, divergence = jnp.array(0.5), jnp.array(0.5), jnp.array(0.1)
        >>> bound = hq.bounds.regret_majorant(ones, ones, influence, step, margin, divergence, ones, 3)
        >>> print(bound.rounds[:, 0].round(3), bound.total.round(3))
        [0.262 0.185 0.134] [1.021 1.021]
    """
    q = 1 / (1 + step * margin)
    p, r = 1 / (1 + step * tau), jnp.sqrt(q)
    first = 2 * jnp.sqrt(jnp.sum(influence**2 / weights[None, :], axis=1)) * jnp.sqrt(2 * divergence)
    k = jnp.arange(num_rounds)
    b = first[None, :] * r ** k[:, None]
    # a_k = p^k a_0 + η b_0 Σ_{l<k} p^{k−l} r^l, summed as it stands: p = r is no exception.
    lag = k[:, None] - k[None, :]
    powers = jnp.where(lag[..., None] > 0, p[None, None, :] ** jnp.maximum(lag, 1)[..., None], 0.0)
    a = log_ratio[None, :] * p[None, :] ** k[:, None] + step * jnp.einsum("klx,lx->kx", powers, b)
    squares_b = jnp.where(q < 1, first**2 / (1 - q), jnp.inf)
    products = (log_ratio * first + p * r * step * squares_b) / (1 - p * r)
    squares_a = (log_ratio**2 + p**2 * (2 * step * products + step**2 * squares_b)) / (1 - p**2)
    rounds = tau[None, :] / 8 * (a + b / tau[None, :]) ** 2
    return RegretMajorant(rounds, tau / 8 * (squares_a + 2 * products / tau + squares_b / tau**2))
