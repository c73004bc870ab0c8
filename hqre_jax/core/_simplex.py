"""Probability on masked simplices: everything that is said about one policy and nothing about games.

All functions act on the last axis (actions), broadcast over the axes before it, and take a boolean
``mask`` of the valid actions. Log-probabilities of padded actions are stored as 0 so that no
``inf`` enters a derivative; their probabilities are exactly 0.
"""

from jaxtyping import Bool, Float

from hqre_jax.core._namespace import Array, held, namespace


def log_softmax(logits: Float[Array, "*b a"], mask: Bool[Array, "*b a"]) -> Float[Array, "*b a"]:
    """``z − log Σ_b exp z_b`` over the valid actions; 0 at padded ones."""
    xp = namespace(logits, mask)
    # Whatever is taken off cancels, and so does what it adds to derivatives: that of a maximum is 0/0 where a program
    # computes its argument twice and rounds it differently.
    top = held(xp, xp.max(xp.where(mask, logits, -xp.inf), axis=-1, keepdims=True))
    shifted = xp.where(mask, logits - xp.where(xp.isfinite(top), top, 0.0), 0.0)
    total = xp.sum(xp.where(mask, xp.exp(shifted), 0.0), axis=-1, keepdims=True)
    # A row of padding sums to zero: its logarithm is replaced, not its value hidden.
    return xp.where(mask, shifted - xp.log(xp.where(total > 0, total, 1.0)), 0.0)


def log_sum_exp(logits: Float[Array, "*b a"], mask: Bool[Array, "*b a"]) -> Float[Array, "*b"]:
    """``log Σ_a exp z_a`` over the valid actions; 0 where there is none."""
    xp = namespace(logits, mask)
    top = held(xp, xp.max(xp.where(mask, logits, -xp.inf), axis=-1))
    top = xp.where(xp.isfinite(top), top, 0.0)
    total = xp.sum(xp.where(mask, xp.exp(xp.where(mask, logits - top[..., None], 0.0)), 0.0), axis=-1)
    return top + xp.log(xp.where(total > 0, total, 1.0))


def probabilities(log_policy: Float[Array, "*b a"], mask: Bool[Array, "*b a"]) -> Float[Array, "*b a"]:
    """``exp`` of a log-policy, exactly 0 at padded actions."""
    xp = namespace(log_policy, mask)
    return xp.where(mask, xp.exp(xp.where(mask, log_policy, 0.0)), 0.0)


def safe_log(policy: Float[Array, "*b a"], mask: Bool[Array, "*b a"]) -> Float[Array, "*b a"]:
    """Log-policy of given probabilities: ``−inf`` at valid actions of probability 0, 0 at padded ones."""
    xp = namespace(policy, mask)
    positive = mask & (policy > 0)
    return xp.where(positive, xp.log(xp.where(positive, policy, 1.0)), xp.where(mask, -xp.inf, 0.0))


def kl(log_p: Float[Array, "*b a"], log_q: Float[Array, "*b a"], mask: Bool[Array, "*b a"]) -> Float[Array, "*b"]:
    """Kullback–Leibler divergence ``KL(p ‖ q) = Σ_a p(a) (log p(a) − log q(a))``, in nats, with ``0 log 0 = 0``."""
    xp = namespace(log_p, log_q, mask)
    used = mask & (log_p > -xp.inf)
    gap = xp.where(used, log_p, 0.0) - xp.where(used, log_q, 0.0)
    return xp.sum(probabilities(xp.where(used, log_p, 0.0), used) * gap, axis=-1)


def span(x: Float[Array, "*b a"], mask: Bool[Array, "*b a"]) -> Float[Array, "*b"]:
    """``max_a x_a − min_a x_a`` over the valid actions; 0 where there is none."""
    xp = namespace(x, mask)
    width = xp.max(xp.where(mask, x, -xp.inf), axis=-1) - xp.min(xp.where(mask, x, xp.inf), axis=-1)
    return xp.where(xp.any(mask, axis=-1), width, 0.0)


def center(x: Float[Array, "*b a"], mask: Bool[Array, "*b a"]) -> Float[Array, "*b a"]:
    """``x`` less its mean over the valid actions (the gauge in which logits are unique); 0 at padded ones."""
    xp = namespace(x, mask)
    count = xp.maximum(xp.sum(mask, axis=-1, keepdims=True), 1)
    mean = xp.sum(xp.where(mask, x, 0.0), axis=-1, keepdims=True) / count
    return xp.where(mask, x - mean, 0.0)


def mirror_step(
    logits: Float[Array, "*b a"], response: Float[Array, "*b a"], eta_tau: Float[Array, "*b"]
) -> Float[Array, "*b a"]:
    """Mirror update of T2, ``π⁺ ∝ π^{1/(1+ητ)} ρ^{ητ/(1+ητ)} exp(ηQ/(1+ητ))``, in logits.

    With ``response = Q/τ + log ρ`` it is the convex combination ``(z + ητ response)/(1 + ητ)``, which at an
    infinite step is the response itself.
    """
    weight = (1.0 - 1.0 / (1.0 + eta_tau))[..., None]
    return (1.0 - weight) * logits + weight * response
