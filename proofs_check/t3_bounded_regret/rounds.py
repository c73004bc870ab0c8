"""Rounds of mirror play and what they cost, against every best response that T3 speaks of."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

import hqre_jax as hq
from hqre_jax.bounds import interactions_under, regret_majorant
from hqre_jax.core._simplex import kl, log_softmax, probabilities, span
from hqre_jax.core._types import LogPolicy, PerPlayer, Scalar, StateValues
from proofs_check.comparison import Sides
from proofs_check.numerics import accuracy
from proofs_check.play.mirror import mirror_update

_NUM_ROUNDS = 48

IDENTITY = "(a) g = Σ P τ KL(π‖BR)"
ROUND = "(b) g_x ≤ (τ/8)(a+b/τ)²"
TOTAL = "(c) Σ g bounded"
LOSS = "(d) Σ |V(π)−V(π*)| bounded"
LINEAR = "(e) Σ h − K h(π*) bounded"
SLOPE = "(f) h(π*) ≤ Σ P τ max log 1/ρ"


class Point(NamedTuple):
    """What is known of one game before play begins.

    Attributes:
        problem: Its game centred.
        plain: Its game as given: constants matter to (d).
        weights: w.
        reach: P(x), 0 at padding.
        star: Approximate log π*.
        off: Bound on ``‖π̂ − π*‖_w``.
    """

    problem: hq.Problem
    plain: hq.Problem
    weights: StateValues
    reach: StateValues
    star: LogPolicy
    off: Scalar

    def coefficient(self, own: float, others: float) -> PerPlayer:
        """``√(Σ_y c_y² P(y)²/w_y)`` for each player."""
        share = jnp.sum(self.reach**2 / jnp.where(self.weights > 0, self.weights, 1.0), axis=1)
        return jnp.sqrt(others**2 * (jnp.sum(share) - share) + own**2 * share)

    def per_player(self, values: StateValues) -> PerPlayer:
        """``Σ_x P(x) v_x`` over each player's own points."""
        return jnp.sum(self.reach * values, axis=-1)


def best_reply(problem: hq.Problem, log_policy: LogPolicy) -> LogPolicy:
    """BR(π) as a log-policy."""
    return problem.log_policy(problem.response_logits(log_policy))


def plain_gap(point: Point, log_policy: LogPolicy) -> PerPlayer:
    """``h_i``, the gap to the unregularised best response."""
    mask = point.problem.mask
    values = accuracy.action_values(point.problem, log_policy)
    best = jnp.max(jnp.where(mask, values, -jnp.inf), axis=-1)
    mean = jnp.sum(probabilities(log_policy, mask) * values, axis=-1)
    return point.per_player(jnp.where(mask.any(-1), best - mean, 0.0))


def _worth(problem: hq.Problem, log_policy: LogPolicy, answer: LogPolicy) -> tuple[PerPlayer, PerPlayer]:
    """``V_i(π)``, and ``V_i(BR_i, π_-i) − V_i(π)`` by evaluating both."""
    players = jnp.arange(problem.mask.shape[0] + 1)
    mine = (players[:, None] == players[None, :-1])[:, :, None, None]
    candidates = jnp.where(mine, answer[None], log_policy[None])
    values = jax.vmap(lambda policy: problem.evaluate(policy).initial_values)(candidates)
    return values[-1], jnp.diagonal(values[:-1]) - values[-1]


def _gap_rounding(point: Point, log_policy: LogPolicy, answer: LogPolicy) -> StateValues:
    """Largest error of ``τ KL(π‖BR)``: that of its terms, and ``‖π − BR‖₁`` times that of BR's logits."""
    problem = point.problem
    p, r = probabilities(log_policy, problem.mask), probabilities(answer, problem.mask)
    terms = 4 * accuracy.EPS * jnp.sum(p * (jnp.abs(log_policy) + jnp.abs(answer)), axis=-1)
    logits = accuracy.value_rounding(problem) / problem.tau + accuracy.log_rounding(problem, answer)
    return problem.tau * (terms + jnp.sum(jnp.abs(p - r), axis=-1) * logits + 0.5 * logits**2)


def _value_rounding(point: Point) -> PerPlayer:
    """Largest error of a value V_i: that of a mean of payoffs, uncentred, and of Σ P τ KL."""
    game, problem = point.plain.game, point.problem
    terms = game.payoffs.size / game.num_players + 16
    highest = jnp.max(jnp.abs(game.payoffs)) * max(game.num_players - 1, 1)
    entropy = point.per_player(problem.tau * accuracy.log_rounding(problem, point.star))
    return terms * accuracy.EPS * highest + 4 * entropy


def at_equilibrium(plain: hq.Problem, weights: StateValues, kappa: Scalar, star: LogPolicy) -> Point:
    """What is known once the HQRE is.

    Args:
        plain: The problem, its game as given.
        weights: w.
        kappa: κ.
        star: Approximate log π*.

    Returns:
        The point from which `play` begins.
    """
    problem, meetings = plain.centered(), interactions_under(plain, 0)
    assert meetings is not None
    reach = jnp.where(meetings.keep, meetings.reach, 0.0).reshape(problem.tau.shape)
    off = accuracy.distance_to_equilibrium(problem, star, weights, kappa)
    return Point(problem, plain, weights, reach, star, off)


class Start(NamedTuple):
    """Where play begins: at these logits, except for the players who begin at π*."""

    logits: Float[Array, "player state action"]
    held: Bool[Array, " player"]


def play(point: Point, kappa: Scalar, eta: Scalar, begin: Start) -> dict[str, Sides]:
    """48 rounds of a game, and both sides of every claim.

    Args:
        point: The game.
        kappa: κ.
        eta: η.
        begin: Where play begins.

    Returns:
        The sides of the six claims; (a) holds both ways round.
    """
    plain, weights = point.plain, point.weights
    problem, star, off, tau = point.problem, point.star, point.off, point.problem.tau
    mask, q = problem.mask, 1 / (1 + eta * kappa)
    influence = interactions_under(plain, 0).influence()
    positive = jnp.where(weights > 0, weights, 1.0)
    steepness = 2 * jnp.sqrt(jnp.sum(influence**2 / positive.ravel()[None, :], axis=1)).reshape(tau.shape)
    damping = eta * tau / (1 + eta * tau)
    start = log_softmax(jnp.where(begin.held[:, None, None], star, begin.logits), mask)
    distance = accuracy.divergence(star, start, problem, weights)
    ratio = span(start - star, mask)
    bounds = regret_majorant(tau.ravel(), positive.ravel(), influence, eta, kappa, distance, ratio.ravel(), _NUM_ROUNDS)
    rounds, totals = bounds.rounds.reshape(-1, *tau.shape), bounds.total.reshape(tau.shape)

    # The recursions twice: for exact play from an exact π*, and for rounded play and the unknown exact π*. By what the
    # second exceed the first is slack, whatever the majorant is said to be. log π̂ − log π* has a span of at most
    # (span F(π̂) + span(Q(π̂) − Q(π*)))/τ.
    pull = span(accuracy.operator(problem, star), mask) + 2 * accuracy.operator_rounding(problem, star)
    star_off = (pull + steepness * off) / tau
    worst_distance = distance + accuracy.divergence_slack(problem, weights, star, start, off)

    def majorant(ratio, distance):
        return tau / 8 * (ratio + steepness * jnp.sqrt(2 * distance) / tau) ** 2

    def next_ratio(ratio, distance):
        return (ratio + eta * steepness * jnp.sqrt(2 * distance)) / (1 + eta * tau)

    def advance(state, _):
        log_policy, exact, rounded = state
        answer = best_reply(problem, log_policy)
        gaps = accuracy.used(problem) * tau * kl(log_policy, answer, mask)
        worth, direct = _worth(plain, log_policy, answer)
        after = mirror_update(problem, log_policy, eta)
        error = accuracy.logit_rounding(problem, log_policy, damping)
        farther = accuracy.step_slack(problem, weights, star, after, error)
        farther = farther + 2 * accuracy.divergence_slack(problem, weights, star, after, off)
        noise = _gap_rounding(point, log_policy, answer)
        excess = majorant(*rounded) - majorant(*exact) + noise
        state = (
            after,
            (next_ratio(*exact), q * exact[1]),
            (next_ratio(*rounded) + 2 * error, q * rounded[1] + farther),
        )
        return state, (gaps, direct, worth, plain_gap(point, log_policy), excess, rounded[1], noise)

    state = start, (ratio, distance), (ratio + star_off, worst_distance)
    _, (gaps, direct, worth, hard, excess, distances, noise) = jax.lax.scan(advance, state, length=_NUM_ROUNDS)

    regularised = jax.vmap(point.per_player)(gaps)
    errors = jax.vmap(point.per_player)(noise)
    excess = excess + 64 * accuracy.EPS * jnp.abs(rounds)
    beyond = jnp.sum(jax.vmap(point.per_player)(excess), axis=0)
    bounded = point.per_player(totals)

    shrinking = jnp.sqrt(2 * distance) * jnp.sqrt(q) ** jnp.arange(_NUM_ROUNDS)
    farther = jnp.sum(jnp.maximum(jnp.sqrt(2 * distances) - shrinking, 0.0)) + _NUM_ROUNDS * off
    path = jnp.sqrt(2 * distance) / (1 - jnp.sqrt(q))

    others = 0.5 * plain.game.payoff_range() * point.coefficient(0.0, 1.0)
    values = plain.evaluate(star).initial_values
    lost = jnp.sum(jnp.abs(worth - values[None]), axis=0)
    # V_i(π̂) is off by its own gap and by what the others' error can do.
    own_gap = point.per_player(accuracy.used(problem) * tau * kl(star, best_reply(problem, star), mask))
    value_noise = _value_rounding(point)

    everybody = 0.5 * problem.game.payoff_range() * point.coefficient(1.0, 2.0)
    gap_noise = 4 * point.per_player(accuracy.value_rounding(problem))
    slope = plain_gap(point, star)
    drift = jnp.abs(jnp.sum(hard, axis=0) - _NUM_ROUNDS * slope)
    largest = jnp.max(jnp.where(mask, -problem.log_reference, 0.0), axis=-1)
    both = direct[:, None], regularised[:, None]
    return {
        IDENTITY: Sides(
            jnp.concatenate(both, axis=1),
            jnp.concatenate(both[::-1], axis=1),
            jnp.broadcast_to((errors + 2 * value_noise[None])[:, None], (*errors.shape[:1], 2, errors.shape[1])),
        ),
        ROUND: Sides(gaps, rounds, excess),
        TOTAL: Sides(jnp.sum(regularised, axis=0), bounded, beyond),
        LOSS: Sides(
            lost,
            bounded + others * path,
            beyond + others * farther + _NUM_ROUNDS * (own_gap + 2 * value_noise),
        ),
        LINEAR: Sides(drift, everybody * path, everybody * farther + 2 * _NUM_ROUNDS * gap_noise),
        SLOPE: Sides(slope, point.per_player(tau * largest), everybody * off + gap_noise),
    }
