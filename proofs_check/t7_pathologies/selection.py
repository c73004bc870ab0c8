"""Bounded regret of mirror play at a positive margin: claim (d) of T7, its constant and its measurement."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import hqre_jax as hq
from hqre_jax.bounds import Bounds
from hqre_jax.core._simplex import safe_log, span
from hqre_jax.core._types import LogPolicy, Policy, Scalar, StateValues
from proofs_check.comparison import Sides
from proofs_check.experiment import each_game
from proofs_check.games.certified import Certified
from proofs_check.numerics import accuracy
from proofs_check.numerics.compiled import split_keys
from proofs_check.play.losses import MIRROR_ROUNDS, mirror_losses

SELECTION = "(d) HQRE: regularised regret ≤ constant"


def distances(problem: hq.Problem, weights: StateValues, log_start: LogPolicy) -> tuple[Scalar, Scalar]:
    """``‖a‖_w`` and D̄ of (d)."""
    mask = problem.mask
    spread = span(log_start - problem.log_reference, mask) + problem.game.payoff_range()[:, None] / problem.tau
    least = -jnp.min(jnp.where(mask, log_start, 0.0), axis=-1)
    return accuracy.weighted_norm(spread, weights), jnp.sum(weights * least)


@each_game
def _constants(case: Certified, start: Policy) -> tuple[Scalar, ...]:
    """``‖a‖_w``, D̄, range of temperatures, and bounds on what one update's rounding does to D, to spans, to gaps."""
    problem, known = case.problem, case.known
    mask, weights = problem.mask, known.weights
    log_start = safe_log(start, mask)
    largest = problem.game.payoff_range()[:, None] / problem.tau + jnp.max(jnp.abs(log_start), axis=-1)
    # Logits stay within largest + |log ρ|; one update errs by a few eps of that.
    errors = 8 * accuracy.EPS * (largest + jnp.max(jnp.abs(problem.log_reference), axis=-1))
    errors = errors + accuracy.value_rounding(problem) / problem.tau
    return (
        *distances(problem, weights, log_start),
        jnp.min(problem.tau),
        jnp.max(problem.tau),
        jnp.sum(weights * (2 * errors + 0.5 * errors**2)),
        accuracy.weighted_norm(2 * errors, weights),
        jnp.sum(weights * problem.tau * 4 * errors),
    )


def majorant(known: Bounds, eta: Any, spread: Any, distance: Any, low: Any, high: Any, since: Any) -> tuple[Any, Any]:
    """The right side of (d) for ``m = since``, and the same sum without squares: elementwise, whatever the arrays.

    Args:
        known: κ and L.
        eta: η.
        spread: ``‖a‖_w``.
        distance: D̄.
        low: Least temperature.
        high: Largest temperature.
        since: m.

    Returns:
        ``⅛ Σ (P s^k + R r^k)²`` and ``Σ (P s^k + R r^k)``.
    """
    r, s = (1 + eta * known.margin) ** -0.5, 1 / (1 + eta * low)
    beta = 2 * known.lipschitz * (2 * distance) ** 0.5
    c0 = eta * beta * s / (r - s)
    slow, fast = high**0.5 * c0 + beta / low**0.5, high**0.5 * (spread - c0)
    parts = ((fast**2, s * s), (2 * fast * slow, s * r), (slow**2, r * r))
    squares = sum(c / (1 - q) * q**since for c, q in parts) / 8
    return squares, sum(c / (1 - q) * q**since for c, q in ((fast, s), (slow, r)))


def unselected(cases: Certified, starts: Policy, lost: np.ndarray, rounds: int) -> Sides:
    """(d) for play that loses as much in every round for ever, as best responses do: a negative control.

    Args:
        cases: The games.
        starts: π⁰, interior, which the bound is told.
        lost: Regularised gaps of a round in the mean, axes (game, player).
        rounds: How many rounds are played.

    Returns:
        Both sides, from round 0 and from the middle of the run on.
    """
    known, eta = cases.known, cases.known.max_step
    spread, distance, low, high, *_ = _constants(cases, starts)
    since = np.array([0, rounds // 2])
    column = known._replace(margin=known.margin[:, None], lipschitz=known.lipschitz[:, None])
    bound, _ = majorant(column, *(x[:, None] for x in (eta, spread, distance, low, high)), since)
    observed = np.sum(lost * known.weights[..., 0], axis=1)[:, None] * (rounds - since)
    return Sides(observed, bound, 64 * accuracy.EPS * (observed + np.abs(bound)))


def selection(cases: Certified, starts: Policy) -> Sides:
    """(d), from round 0 and from the middle of the run on, with the largest step of T2.

    Args:
        cases: The games.
        starts: π⁰, interior.

    Returns:
        Both sides, units of payoff.
    """
    known, eta = cases.known, cases.known.max_step
    losses, _ = mirror_losses(cases.problem, starts, eta, split_keys(jax.random.key(0), len(eta)))
    spread, distance, low, high, step_error, span_error, gap_error = _constants(cases, starts)
    since = np.array([0, MIRROR_ROUNDS // 2])
    column = known._replace(margin=known.margin[:, None], lipschitz=known.lipschitz[:, None])
    bound, linear = majorant(column, *(x[:, None] for x in (eta, spread, distance, low, high)), since)
    # Rounding feeds D with step_error and the spans with span_error in every round; both die out geometrically.
    rate, s = 1 / (1 + eta * known.margin), 1 / (1 + eta * low)
    floor = 2 * known.lipschitz * np.sqrt(2 * step_error / (1 - rate))
    floor = np.sqrt(high) * (s * eta * floor + span_error) / (1 - s) + floor / np.sqrt(low)
    slack = (2 * floor[:, None] * linear + (floor**2)[:, None] * (MIRROR_ROUNDS - since)) / 8
    slack = np.abs(slack) + (gap_error * MIRROR_ROUNDS)[:, None] + 64 * accuracy.EPS * np.abs(bound)
    weighted = np.einsum("gkp,gp->gk", losses.regularised, known.weights[..., 0])
    observed = weighted[:, ::-1].cumsum(axis=1)[:, ::-1][:, since]
    return Sides(observed, bound, slack)
