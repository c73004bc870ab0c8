"""Probability on masked simplices: everything that is said about one policy and nothing about games.

All functions act on the last axis (actions), broadcast over the axes before it, and take a boolean
``mask`` of the valid actions. Log-probabilities of padded actions are stored as 0 so that no
``inf`` enters a derivative; their probabilities are exactly 0.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def log_softmax(logits: Float[Array, "*b a"], mask: Bool[Array, "*b a"]) -> Float[Array, "*b a"]:
    """``z − log Σ_b exp z_b`` over the valid actions; 0 at padded ones."""
    top = jnp.max(jnp.where(mask, logits, -jnp.inf), axis=-1, keepdims=True)
    shifted = jnp.where(mask, logits - jnp.where(jnp.isfinite(top), top, 0.0), 0.0)
    total = jnp.sum(jnp.where(mask, jnp.exp(shifted), 0.0), axis=-1, keepdims=True)
    # A row of padding sums to zero: its logarithm is replaced, not its value hidden.
    return jnp.where(mask, shifted - jnp.log(jnp.where(total > 0, total, 1.0)), 0.0)


def log_sum_exp(logits: Float[Array, "*b a"], mask: Bool[Array, "*b a"]) -> Float[Array, "*b"]:
    """``log Σ_a exp z_a`` over the valid actions; 0 where there is none."""
    top = jnp.max(jnp.where(mask, logits, -jnp.inf), axis=-1)
    top = jnp.where(jnp.isfinite(top), top, 0.0)
    total = jnp.sum(jnp.where(mask, jnp.exp(jnp.where(mask, logits - top[..., None], 0.0)), 0.0), axis=-1)
    return top + jnp.log(jnp.where(total > 0, total, 1.0))


def probabilities(log_policy: Float[Array, "*b a"], mask: Bool[Array, "*b a"]) -> Float[Array, "*b a"]:
    """``exp`` of a log-policy, exactly 0 at padded actions."""
    return jnp.where(mask, jnp.exp(jnp.where(mask, log_policy, 0.0)), 0.0)


def safe_log(policy: Float[Array, "*b a"], mask: Bool[Array, "*b a"]) -> Float[Array, "*b a"]:
    """Log-policy of given probabilities: ``−inf`` at valid actions of probability 0, 0 at padded ones."""
    positive = mask & (policy > 0)
    return jnp.where(positive, jnp.log(jnp.where(positive, policy, 1.0)), jnp.where(mask, -jnp.inf, 0.0))


def kl(log_p: Float[Array, "*b a"], log_q: Float[Array, "*b a"], mask: Bool[Array, "*b a"]) -> Float[Array, "*b"]:
    """Kullback–Leibler divergence ``KL(p ‖ q) = Σ_a p(a) (log p(a) − log q(a))``, in nats, with ``0 log 0 = 0``."""
    used = mask & (log_p > -jnp.inf)
    gap = jnp.where(used, log_p, 0.0) - jnp.where(used, log_q, 0.0)
    return jnp.sum(probabilities(jnp.where(used, log_p, 0.0), used) * gap, axis=-1)


def span(x: Float[Array, "*b a"], mask: Bool[Array, "*b a"]) -> Float[Array, "*b"]:
    """``max_a x_a − min_a x_a`` over the valid actions; 0 where there is none."""
    width = jnp.max(jnp.where(mask, x, -jnp.inf), axis=-1) - jnp.min(jnp.where(mask, x, jnp.inf), axis=-1)
    return jnp.where(jnp.any(mask, axis=-1), width, 0.0)


def center(x: Float[Array, "*b a"], mask: Bool[Array, "*b a"]) -> Float[Array, "*b a"]:
    """``x`` less its mean over the valid actions (the gauge in which logits are unique); 0 at padded ones."""
    count = jnp.maximum(jnp.sum(mask, axis=-1, keepdims=True), 1)
    mean = jnp.sum(jnp.where(mask, x, 0.0), axis=-1, keepdims=True) / count
    return jnp.where(mask, x - mean, 0.0)


def mirror_step(
    logits: Float[Array, "*b a"], response: Float[Array, "*b a"], eta_tau: Float[Array, "*b"]
) -> Float[Array, "*b a"]:
    """Mirror update of T2, ``π⁺ ∝ π^{1/(1+ητ)} ρ^{ητ/(1+ητ)} exp(ηQ/(1+ητ))``, in logits.

    With ``response = Q/τ + log ρ`` it is the convex combination ``(z + ητ response)/(1 + ητ)``, which at an
    infinite step is the response itself.
    """
    weight = (1.0 - 1.0 / (1.0 + eta_tau))[..., None]
    return (1.0 - weight) * logits + weight * response
