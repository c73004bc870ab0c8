"""How far from exact a computed quantity can be: the source of every slack in the ledger.

Floating point. A sum of m products is wrong by at most ``(m + 1)·eps`` times the sum of their absolute values. A
value ``Q_i(a)`` is a sum over the others' joint actions (and types) of payoff times probability, in N − 1 stages
with fewer than m terms in all, m the number of payoffs of a player; the probabilities add up to 1 and centred
payoffs are at most ``range_i``. Hence ``(m + 16)·eps·range_i``, the 16 for the stages, the beliefs and the
exponentials.

Equilibria. By T1 (its corollary) a policy whose regularised operator F has small spans is close to the
equilibrium: ``‖π̂ − π*‖_w ≤ ‖span F(π̂)‖_w / 2κ``. So no solver need be trusted.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import hqre_jax as hq
from hqre_jax.core._simplex import center, kl, probabilities, span
from hqre_jax.core._types import ActionValues, LogPolicy, Scalar, StateValues

EPS = float(jnp.finfo(jnp.float64).eps)


def used(problem: hq.Problem) -> Float[Array, "player state"]:
    """1 at decision points, 0 at padding."""
    return jnp.any(problem.mask, axis=-1).astype(problem.tau.dtype)


def weighted_norm(values: StateValues, weights: StateValues) -> Scalar:
    """``√(Σ_x w_x v_x²)``."""
    return jnp.sqrt(jnp.sum(weights * values**2))


def total_variation_norm(first: LogPolicy, second: LogPolicy, problem: hq.Problem, weights: StateValues) -> Scalar:
    """``‖π − π'‖_w = √(Σ_x w_x ‖π_x − π'_x‖₁²)`` of two log-policies."""
    gap = probabilities(first, problem.mask) - probabilities(second, problem.mask)
    return weighted_norm(jnp.sum(jnp.abs(gap), axis=-1), weights)


def symmetric_kl(first: LogPolicy, second: LogPolicy, problem: hq.Problem) -> StateValues:
    """``J(π_x, π'_x) = ⟨log π_x − log π'_x, π_x − π'_x⟩``."""
    gap = probabilities(first, problem.mask) - probabilities(second, problem.mask)
    return jnp.sum((first - second) * gap, axis=-1)


def divergence(equilibrium: LogPolicy, log_policy: LogPolicy, problem: hq.Problem, weights: StateValues) -> Scalar:
    """``D = Σ_x w_x KL(π*_x ‖ π_x)``."""
    return jnp.sum(weights * kl(equilibrium, log_policy, problem.mask))


def action_values(problem: hq.Problem, log_policy: LogPolicy) -> ActionValues:
    """``Q_x(π)``, less its mean over actions: constants are strategically irrelevant and cost digits."""
    return center(problem.evaluate(log_policy).action_values, problem.mask)


@jax.jit
def operator(problem: hq.Problem, log_policy: LogPolicy) -> ActionValues:
    """The regularised operator ``F_x(π) = τ_x (log π_x − log ρ_x) − Q_x(π)``, centred; 0 exactly at an HQRE."""
    pull = problem.tau[..., None] * (log_policy - problem.log_reference)
    return center(pull - action_values(problem, log_policy), problem.mask)


def value_rounding(problem: hq.Problem) -> StateValues:
    """Largest rounding error of an action value, units of payoff."""
    terms = problem.game.payoffs.size / problem.game.num_players + 16
    return terms * EPS * problem.game.payoff_range()[:, None] * used(problem)


def log_rounding(problem: hq.Problem, log_policy: LogPolicy) -> StateValues:
    """Largest rounding error of an entry of ``log π − log ρ``: a few units in the last place of each."""
    return 4 * EPS * jnp.max(jnp.abs(log_policy) + jnp.abs(problem.log_reference), axis=-1)


def operator_rounding(problem: hq.Problem, log_policy: LogPolicy) -> StateValues:
    """Largest rounding error of an entry of `operator`, units of payoff."""
    return value_rounding(problem) + problem.tau * log_rounding(problem, log_policy)


def distance_to_equilibrium(problem: hq.Problem, log_policy: LogPolicy, weights: StateValues, kappa: Scalar) -> Scalar:
    """Upper bound on ``‖π̂ − π*‖_w`` from the operator at π̂, its rounding included; needs κ > 0."""
    spans = span(operator(problem, log_policy), problem.mask) + 2 * operator_rounding(problem, log_policy)
    return weighted_norm(spans, weights) / (2 * kappa)


def divergence_slack(
    problem: hq.Problem, weights: StateValues, star: LogPolicy, log_policy: LogPolicy, off: Scalar
) -> Scalar:
    """Largest error of D at ``log_policy``.

    With π̂ for π*: ``KL(π̂‖p) − KL(π*‖p) = ⟨π̂ − π*, log π̂ − log p⟩ − KL(π*‖π̂)``, at most
    ``‖π̂−π*‖_w ‖½ span(log π̂ − log p)‖_w + Σ w KL(π*‖π̂)``; by the proof of T1 the sum is at most ``off²`` where off
    bounds ``‖π̂−π*‖_w``. And rounding: each term ``p(log p − log q)`` errs by a few eps of its parts, and of p itself,
    for a logarithm of probabilities next to 1 is as good as their sum: to a few eps, not to a few eps of itself.
    """
    wide = weighted_norm(0.5 * span(star - log_policy, problem.mask), weights)
    p = probabilities(star, problem.mask)
    parts = jnp.sum(p * (1 + jnp.abs(star) + jnp.abs(log_policy)), axis=-1)
    return off * wide + off**2 + 4 * EPS * jnp.sum(weights * parts)


def step_slack(
    problem: hq.Problem, weights: StateValues, star: LogPolicy, after: LogPolicy, error: StateValues
) -> Scalar:
    """Largest change of D when the logits of π⁺ err by ``error``.

    ``KL(p‖softmax(z+Δ)) − KL(p‖softmax(z)) ≤ ‖softmax(z) − p‖₁ max|Δ| + span(Δ)²/8``.
    """
    gap = jnp.sum(jnp.abs(probabilities(after, problem.mask) - probabilities(star, problem.mask)), axis=-1)
    return jnp.sum(weights * (gap * error + 0.5 * error**2))


def logit_rounding(problem: hq.Problem, log_policy: LogPolicy, damping: StateValues) -> StateValues:
    """Largest rounding error of the logits after one update."""
    return damping * value_rounding(problem) / problem.tau + log_rounding(problem, log_policy)
