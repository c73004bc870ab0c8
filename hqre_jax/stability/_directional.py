"""What two policies and the payoffs observed under each say of the stability of play between them (theory.md, T6)."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from hqre_jax.core._namespace import Array, each, namespace
from hqre_jax.core._programs import compiled_later, few_so_far, in_numpy
from hqre_jax.core._simplex import log_softmax, log_sum_exp
from hqre_jax.core._temperatures import as_array, as_float_array, concrete, full_tau
from hqre_jax.core._types import (
    ActionMask,
    ActionValues,
    InputError,
    Policy,
    Scalar,
    StateValues,
    checked_kind,
)
from hqre_jax.problem import full_policy
from hqre_jax.rollouts._observations import checked_level, checked_mask
from hqre_jax.stability._estimates import ActionValueEstimates, linear_interval
from hqre_jax.stability._intervals import Interval, interval

# The contraction ratio of a certified problem at a step that T2 allows is never below this: see `directional`.
LEAST_RATIO = 1 - 2 / 3**0.5


class Directional(NamedTuple):
    """Stability between two policies π and π', ``d = π − π'``, seen in the one direction d.

    Attributes:
        margin: ``κ̂ = (Σ w τ J − Σ w ⟨Q̂ − Q̂', d⟩) / Σ w J``, units of payoff. The margin κ of T1 at weights w is at
            most its expectation: a negative κ̂ refutes a positive margin, a large one certifies nothing.
        ratio: ``r̂ = (Σ w J + η Σ w ⟨Q̂ − Q̂', d⟩) / Σ w (1+ητ) J``, by what the mirror update with step η multiplies
            the part of ``log π − log π'`` along d, a pure number. Above 1 exactly where the margin is negative
            (divergence); below `LEAST_RATIO` (overshooting) the step is too large for the margin.
        lipschitz: ``L̂ = ‖½ span(Q̂ − Q̂')‖_w / ‖d‖_w``, units of payoff; its expectation's part without noise is a
            *lower* bound on L of T2. The interval is conservative (Bonferroni over pairs of actions).
        terms: ``τ_x J_x − ⟨Q̂_x − Q̂'_x, d_x⟩`` of each decision point, units of payoff: who is responsible. If
            all of them are negative where something moved, no weights at all give a positive margin.
        ratios: ``(J_x + η⟨Q̂_x − Q̂'_x, d_x⟩) / (1+ητ_x) J_x``, the ratio of each decision point on its own; not a number
            where it did not move.
        weighted_divergence: ``Σ w J``, a pure number.

    Example:
        >>> import numpy as np
        >>> import hqre_jax as hq
        >>> here, there = np.array([[[0.9, 0.1]], [[0.9, 0.1]]]), np.array([[[0.1, 0.9]], [[0.1, 0.9]]])
        >>> one, many = np.ones((2, 1, 2)), np.full((2, 1, 2), 1e4)
        >>> seen = [hq.stability.ActionValueEstimates.independent(4 * policy, one, many) for policy in (here, there)]
        >>> found = hq.stability.directional(here, there, *seen, 0.1)
        >>> bool(found.diverges), bool(found.overshoots)
        (True, False)
    """

    margin: Interval
    ratio: Interval
    lipschitz: Interval
    terms: Interval
    ratios: Interval
    weighted_divergence: Scalar

    @property
    def diverges(self) -> Bool[Array, ""]:
        """Whether the margin is negative beyond doubt."""
        return self.margin.upper < 0

    @property
    def overshoots(self) -> Bool[Array, ""]:
        """Whether the contraction ratio is below `LEAST_RATIO` beyond doubt."""
        return self.ratio.upper < LEAST_RATIO


def directional(
    policy: Any,
    other: Any,
    estimates: ActionValueEstimates,
    other_estimates: ActionValueEstimates,
    tau: Any,
    *,
    step: Any = np.inf,
    weights: Any = None,
    action_mask: Any = None,
    level: float = 0.95,
) -> Directional:
    """Directional margin, contraction ratio and Lipschitz constant from rollouts under two policies.

    The ratio follows from the update of T2, ``log π⁺ = (log π + ητ log ρ + ηQ(π))/(1+ητ)`` up to constants:
    ``Σ w (1+ητ) ⟨Δ log π⁺, d⟩ = Σ w J + η Σ w ⟨ΔQ, d⟩``. If κ > 0 and ``η ≤ κ/L²``, then with s = κ/L

        1 − 2/√3 ≤ (1 − s)/(1 + s + s²) ≤ r < 1          (the middle for s ≥ 1; otherwise r > 0).

    *Proof.* By the proof of T1 ``|Σ w ⟨ΔQ, d⟩|`` is at most ``B = Σ w (τ − κ) J``, and by that of T2 at most LA, where
    ``A = Σ w J``. So r ≤ 1 − ηκA/(A + ηκA + ηB) < 1, and ``r ≥ (A − η min(LA, B))/(A + ηκA + ηB)``, which is least
    where B = LA if ηL > 1 (and not negative otherwise): ``(1 − ηL)/(1 + ηκ + ηL)``, which falls in η. Put η = κ/L²; the
    least value over s is at s = 1 + √3. ∎

    So a ratio below `LEAST_RATIO` refutes the step, one above 1 the margin.

    Args:
        policy: π, ``(player, information state, action)``, positive at every valid action.
        other: π', same shape.
        estimates: Estimates of ``Q^π``.
        other_estimates: Estimates of ``Q^π'``, from other rollouts.
        tau: Temperatures as in `solve`, units of payoff.
        step: η, in units of 1/payoff; infinite for the logit response.
        weights: w > 0 of each decision point, as ``tau``; 1 by default.
        action_mask: Valid actions; by default those of positive probability.
        level: Confidence level of each interval.

    Returns:
        `Directional`. Variances of margin, ratio and terms are those of linear forms in all estimates, with
        the covariances between agents; quantiles are Student's. Where a needed cell has fewer than two
        payoffs the interval is infinite. Equal policies show nothing: not a number.

    Raises:
        InputError: On bad input.

    Source: theory.md, T6.

    Example:
        >>> import numpy as np
        >>> import hqre_jax as hq
        >>> here, there = np.array([[[0.9, 0.1]], [[0.9, 0.1]]]), np.array([[[0.1, 0.9]], [[0.1, 0.9]]])
        >>> one, many = np.ones((2, 1, 2)), np.full((2, 1, 2), 1e4)
        >>> seen = [hq.stability.ActionValueEstimates.independent(4 * policy, one, many) for policy in (here, there)]
        >>> print(hq.stability.directional(here, there, *seen, 8.0, step=0.1).margin)
        6.544 [6.537, 6.55]
        >>> print(hq.stability.directional(here, there, *seen, 0.1, step=0.1).margin)
        -1.356 [-1.363, -1.35]
    """
    mask = _mask_of(policy, other, action_mask, estimates=estimates, other_estimates=other_estimates)
    dtype = estimates.mean.dtype
    p = full_policy(policy, mask, dtype, "policy", interior=True)
    q = full_policy(other, mask, dtype, "other", interior=True)
    eta = checked_step(step, dtype)
    full = full_tau(tau, mask, dtype), full_tau(1.0 if weights is None else weights, mask, dtype, "weights")
    return _directional(p, q, estimates, other_estimates, *full, eta, mask, as_array(checked_level(level), dtype))


def checked_step(step: Any, dtype: Any) -> Float[Array, ""]:
    """η of an update; infinite for the logit response."""
    eta = as_float_array(step, "step", dtype)
    if eta.shape or (concrete(eta) and not float(eta) > 0):
        raise InputError("step", f"is {step!r}; it must be one number greater than 0")
    return eta


@compiled_later(few_so_far)
def _directional(
    p: Policy,
    q: Policy,
    estimates: ActionValueEstimates,
    other: ActionValueEstimates,
    tau: StateValues,
    weights: StateValues,
    eta: Scalar,
    mask: ActionMask,
    level: Scalar,
) -> Directional:
    xp = namespace(p)
    direction = xp.where(mask, p - q, 0.0)
    log_ratio = xp.where(mask, xp.log(xp.where(mask, p, 1.0)) - xp.log(xp.where(mask, q, 1.0)), 0.0)
    divergence = xp.sum(direction * log_ratio, axis=-1)
    weights = xp.where(xp.any(mask, axis=-1), weights, 0.0)

    def pairing(coefficients: ActionValues) -> Interval:
        return linear_interval(((coefficients, estimates), (-coefficients, other)), level)

    total = xp.sum(weights * divergence)
    heat = xp.sum(weights * tau * divergence)
    pull = pairing(weights[..., None] * direction)
    margin = pull.affine(-1 / total, heat / total)
    # η may be infinite: both sides are divided by 1 + η.
    slow, fast = 1 / (1 + eta), xp.where(xp.isinf(eta), 1.0, eta / (1 + eta))
    damped = slow * total + fast * heat
    ratio = pull.affine(fast / damped, slow * total / damped)
    alone = each(xp, lambda point: pairing(point * direction), _points(tau))
    alone = Interval(*(part.reshape(tau.shape) for part in alone))
    terms = alone.affine(-xp.ones_like(tau), tau * divergence)
    own = slow * divergence + fast * tau * divergence
    own = xp.where(divergence > 0, own, xp.nan)
    ratios = alone.affine(fast / own, slow * divergence / own)
    moved = xp.sqrt(xp.sum(weights * xp.sum(xp.abs(direction), axis=-1) ** 2))
    steepness = _half_spans(estimates, other, mask, level)
    lipschitz = Interval(*(xp.sqrt(xp.sum(weights * part**2)) / moved for part in steepness))
    return Directional(margin, ratio, lipschitz, terms, ratios, total)


def _points(table: StateValues) -> Float[Array, "point player state 1"]:
    """For each decision point an array that is 1 there and 0 elsewhere."""
    return namespace(table).eye(table.size, dtype=table.dtype).reshape(table.size, *table.shape, 1)


def _half_spans(
    estimates: ActionValueEstimates, other: ActionValueEstimates, mask: ActionMask, level: Scalar
) -> Interval:
    """``½ span(Q̂ − Q̂')`` of each decision point, with ends that hold at all points at once."""
    xp, (players, states, actions) = namespace(estimates.mean), mask.shape
    points = players * states
    shift = (estimates.mean - other.mean).reshape(points, actions)
    valid = mask.reshape(points, actions)
    pairs = valid[:, :, None] & valid[:, None, :] & ~xp.eye(actions, dtype=bool)[None]
    variance = xp.zeros((points, actions, actions), shift.dtype)
    squares, total, blind = variance, variance, xp.zeros((points, actions), bool)
    bias = (estimates.bias + other.bias).reshape(points, actions)
    for part in (estimates, other):
        blocks = part.covariance.reshape(points, actions, points, actions)
        blocks = xp.moveaxis(xp.diagonal(blocks, axis1=0, axis2=2), -1, 0)
        own = xp.diagonal(blocks, axis1=1, axis2=2)
        freedom = xp.maximum(part.count.reshape(points, actions) - 1, 1)
        variance = variance + own[:, :, None] + own[:, None, :] - 2 * blocks
        total = total + own[:, :, None] + own[:, None, :]
        squares = squares + (own**2 / freedom)[:, :, None] + (own**2 / freedom)[:, None, :]
        blind = blind | (part.count.reshape(points, actions) < 2)
    variance = xp.where(blind[:, :, None] | blind[:, None, :], xp.inf, xp.maximum(variance, 0.0))
    freedom = xp.where(squares > 0, total**2 / xp.where(squares > 0, squares, 1.0), 1e6)
    count = max(1, points * actions * (actions - 1) // 2)
    gaps = interval(shift[:, :, None] - shift[:, None, :], variance, xp.minimum(freedom, 1e6), 1 - (1 - level) / count)
    gaps = gaps.widened(bias[:, :, None] + bias[:, None, :])
    # One of (a, b) and (b, a) is positive; the other adds nothing to a largest one.
    widest = (xp.max(xp.where(pairs, part, 0.0), axis=(1, 2)) for part in gaps)
    return Interval(*(0.5 * part.reshape(players, states) for part in widest))


def soft_gap(
    policy: Any,
    estimates: ActionValueEstimates,
    tau: Any,
    *,
    reference: Any = None,
    action_mask: Any = None,
    level: float = 0.95,
) -> Interval:
    """Regularised gap ``τ_x KL(π_x ‖ BR_x(π))`` of each decision point (T3) from rollouts under π.

    ``g = τ log Σ ρ exp(Q/τ) − ⟨π, Q⟩ + τ KL(π‖ρ)`` is convex in Q, so that noise raises the plugged-in value; half the
    trace of its Hessian ``(diag(b) − bbᵀ)/τ``, b = BR, times the covariance is taken off again. The interval is
    that of the linearised gap, ``(b − π)ᵀ Σ (b − π)``, and covers at its level only where noise is small
    beside τ.

    Args:
        policy: π, ``(player, information state, action)``.
        estimates: Estimates of ``Q^π``.
        tau: Temperatures as in `solve`, units of payoff.
        reference: ρ, uniform by default.
        action_mask: Valid actions; by default those of positive probability.
        level: Confidence level.

    Returns:
        Intervals ``(player, information state)``, units of payoff. Summed with the probabilities of information
        states they are the Bayesian gap of one round, summed over rounds the regret.

    Raises:
        InputError: On bad input.

    Source: theory.md, T3, T6.

    Example:
        >>> import numpy as np
        >>> import hqre_jax as hq
        >>> policy, one, many = np.array([[[0.731, 0.269]], [[0.5, 0.5]]]), np.ones((2, 1, 2)), np.full((2, 1, 2), 1e4)
        >>> seen = hq.stability.ActionValueEstimates.independent([[[2.0, 0.0]], [[2.0, 0.0]]], one, many)
        >>> print(hq.stability.soft_gap(policy, seen, 2.0).estimate[1].round(3))
        [0.24]
    """
    mask = _mask_of(policy, policy, action_mask, estimates=estimates)
    dtype = estimates.mean.dtype
    p = full_policy(policy, mask, dtype, "policy")
    rho = None if reference is None else full_policy(reference, mask, dtype, "reference", interior=True)
    return _soft_gap(p, estimates, full_tau(tau, mask, dtype), rho, mask, as_array(checked_level(level), dtype))


@compiled_later(few_so_far)
def _soft_gap(
    p: Policy, estimates: ActionValueEstimates, tau: StateValues, rho: Policy | None, mask: ActionMask, level: Scalar
) -> Interval:
    xp = namespace(p)
    uniform = 1 / xp.maximum(xp.sum(mask, axis=-1, keepdims=True), 1)
    log_rho = xp.log(xp.where(mask, uniform if rho is None else rho, 1.0))
    mean = xp.where(mask, estimates.mean, 0.0)
    logits = xp.where(mask, mean / tau[..., None] + log_rho, 0.0)
    best = xp.where(mask, xp.exp(log_softmax(logits, mask)), 0.0)
    divergence = xp.sum(p * (xp.where(p > 0, xp.log(xp.where(p > 0, p, 1.0)), 0.0) - log_rho), axis=-1)
    gap = tau * log_sum_exp(logits, mask) - xp.sum(p * mean, axis=-1) + tau * divergence

    def at(point: Float[Array, "player state 1"]) -> tuple[Interval, Scalar]:
        own = (point * best).ravel()
        spread = xp.diag(own) - xp.outer(own, own)
        return linear_interval(((point * (best - p), estimates),), level), 0.5 * xp.sum(spread * estimates.covariance)

    lines, excess = each(xp, at, _points(tau))
    # Cells that were not seen leave the gap unknown even where the response would not use them.
    blind = xp.any(mask & ~estimates.known(), axis=-1)
    gap = gap - excess.reshape(tau.shape) / tau
    low, high = ((end - lines.estimate).reshape(tau.shape) for end in (lines.lower, lines.upper))
    far = xp.where(blind, xp.inf, 0.0)
    return Interval(gap, xp.maximum(gap + low - far, 0.0), gap + high + far)


def effective_temperature(
    policy: Any, estimates: ActionValueEstimates, *, reference: Any = None, action_mask: Any = None, level: float = 0.95
) -> Interval:
    """The temperature at which π would be the best logit response to what was seen, at each decision point.

    ``τ̂ = Σ π (ℓ − ℓ̄) Q̂ / Σ π (ℓ − ℓ̄)²`` with ``ℓ = log π − log ρ`` and ``ℓ̄ = Σ π ℓ``: the regression of Q̂, which is
    noisy, on ℓ, which is known exactly. It is unbiased, linear in Q̂, and τ itself where π is the logit
    response (``Q = τℓ + const``).

    Args:
        policy: π, ``(player, information state, action)``, positive at every valid action.
        estimates: Estimates of ``Q^π``.
        reference: ρ, uniform by default.
        action_mask: Valid actions; by default those of positive probability.
        level: Confidence level.

    Returns:
        Intervals ``(player, information state)``, units of payoff; not a number where π = ρ.

    Raises:
        InputError: On bad input.

    Example:
        >>> import numpy as np
        >>> import hqre_jax as hq
        >>> policy, one, many = np.array([[[0.731, 0.269]], [[0.5, 0.5]]]), np.ones((2, 1, 2)), np.full((2, 1, 2), 1e4)
        >>> seen = hq.stability.ActionValueEstimates.independent([[[2.0, 0.0]], [[1.0, 1.0]]], one, many)
        >>> print(hq.stability.effective_temperature(policy, seen).estimate.round(2))
        [[ 2.]
         [nan]]
    """
    mask = _mask_of(policy, policy, action_mask, estimates=estimates)
    dtype = estimates.mean.dtype
    p = full_policy(policy, mask, dtype, "policy", interior=True)
    rho = None if reference is None else full_policy(reference, mask, dtype, "reference", interior=True)
    return _effective(p, rho, estimates, mask, as_array(checked_level(level), dtype))


@compiled_later(few_so_far)
def _effective(
    p: Policy, rho: Policy | None, estimates: ActionValueEstimates, mask: ActionMask, level: Scalar
) -> Interval:
    xp = namespace(p)
    ratio = xp.where(mask, xp.log(xp.where(mask, p, 1.0)), 0.0)
    ratio = ratio if rho is None else ratio - xp.where(mask, xp.log(xp.where(mask, rho, 1.0)), 0.0)
    centred = ratio - xp.sum(p * ratio, axis=-1, keepdims=True)
    spread = xp.sum(p * centred**2, axis=-1)
    # Rounding makes no spread: below it π is ρ.
    spread = xp.where(spread > 64 * jnp.finfo(p.dtype).eps ** 2, spread, xp.nan)
    form = p * centred / xp.where(xp.isnan(spread), 1.0, spread)[..., None]
    alone = each(xp, lambda point: linear_interval(((point * form, estimates),), level), _points(spread))
    return Interval(*(xp.where(xp.isnan(spread), xp.nan, part.reshape(spread.shape)) for part in alone))


def _mask_of(policy: Any, other: Any, action_mask: Any, **estimates: ActionValueEstimates) -> ActionMask:
    """The mask that is given, or the actions that either policy uses; and estimates that fit it."""
    if action_mask is not None:
        mask = jnp.asarray(checked_mask(action_mask) if concrete(action_mask) else action_mask)
    else:
        arrays = [as_float_array(part, "policy") for part in (policy, other)]
        if arrays[0].ndim != 3 or arrays[0].shape != arrays[1].shape:
            shapes = arrays[0].shape, arrays[1].shape
            wanted = "one (player, information state, action) is wanted"
            raise InputError("policy", f"and other have shapes {shapes}; {wanted}")
        arrays = in_numpy(arrays) or arrays
        mask = jnp.asarray((arrays[0] > 0) | (arrays[1] > 0))
    for name, given in estimates.items():
        shape = checked_kind(given, ActionValueEstimates, name).mean.shape
        if shape != mask.shape:
            raise InputError(name, f"have shape {shape}, where that of the policy, {mask.shape}, is wanted")
    return mask
