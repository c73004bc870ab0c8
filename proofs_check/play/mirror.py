"""Play that converges: the two updates of T2, and what many steps of either do to the divergence D."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import hqre_jax as hq
from hqre_jax.bounds import interactions_under
from hqre_jax.core._simplex import mirror_step
from hqre_jax.core._types import LogPolicy, Scalar, StateValues
from proofs_check.numerics import accuracy


class Steps(NamedTuple):
    """D before and after each step of a run, and what rounding and the inexact π* may add to ``D⁺ − D/(1+ηκ)``."""

    before: Float[Array, " step"]
    after: Float[Array, " step"]
    slack: Float[Array, " step"]


class Known(NamedTuple):
    """What D is measured with.

    Attributes:
        problem: Its game centred.
        weights: w.
        star: Approximate log π*.
        off: Bound on ``‖π̂ − π*‖_w``.
    """

    problem: hq.Problem
    weights: StateValues
    star: LogPolicy
    off: Scalar


def mirror_update(problem: hq.Problem, log_policy: LogPolicy, eta: Scalar) -> LogPolicy:
    """π⁺ as a log-policy."""
    return problem.log_policy(mirror_step(log_policy, problem.response_logits(log_policy), eta * problem.tau))


def mirror_run(known: Known, start: LogPolicy, eta: Scalar, rate: Scalar, num_steps: int) -> Steps:
    """Mirror updates from a start.

    Args:
        known: The game and its HQRE.
        start: log π⁰.
        eta: η.
        rate: ``1/(1 + ηκ)``.
        num_steps: Number of updates.

    Returns:
        D before and after each, with slack.
    """

    def update(log_policy):
        after = mirror_update(known.problem, log_policy, eta)
        return after, accuracy.logit_rounding(known.problem, log_policy, _damping(known.problem, eta)), 0.0

    return _run(known, update, start, rate, num_steps)


def extragradient_run(known: Known, start: LogPolicy, eta: Scalar, rate: Scalar, num_steps: int) -> Steps:
    """Extragradient updates from a start: arguments and result as those of `mirror_run`.

    The prediction's rounding ε moves no policy by more than ε in ‖·‖₁ at any point, hence Q by at most the range
    times the sum over points. What is left of the interaction, ``s = ½‖W^{-1/2} C W^{-1/2}‖_F``, may add
    ``ηs‖π* − π̄‖_w²``.
    """
    problem = known.problem
    damping, left = _damping(problem, eta), remaining_interaction(problem, known.weights)

    def update(log_policy):
        predicted = mirror_update(problem, log_policy, eta)
        ahead = problem.response_logits(predicted)
        after = problem.log_policy(mirror_step(log_policy, ahead, eta * problem.tau))
        first = accuracy.logit_rounding(problem, log_policy, damping)
        moved = problem.game.payoff_range()[:, None] * jnp.sum(first)
        error = damping * moved / problem.tau + accuracy.logit_rounding(problem, predicted, damping)
        apart = accuracy.total_variation_norm(known.star, predicted, problem, known.weights) + known.off
        return after, error + first, eta * left * apart**2

    return _run(known, update, start, rate, num_steps)


def remaining_interaction(problem: hq.Problem, weights: StateValues) -> Scalar:
    """``½‖W^{-1/2} C W^{-1/2}‖_F`` with C of T1: 0 exactly where the weights cancel every interaction."""
    meetings = interactions_under(problem, 0)
    assert meetings is not None
    w = jnp.where(meetings.keep, weights.ravel(), 1.0)
    common = meetings.common(w / meetings.reach)
    return 0.5 * jnp.sqrt(jnp.sum(common**2 / (w[:, None] * w[None, :])))


def _damping(problem: hq.Problem, eta: Scalar) -> StateValues:
    return eta * problem.tau / (1 + eta * problem.tau)


def _run(
    known: Known,
    update: Callable[[LogPolicy], tuple[LogPolicy, StateValues, Scalar | float]],
    start: LogPolicy,
    rate: Scalar,
    num_steps: int,
) -> Steps:
    """Steps of an update that says how far its logits, and D⁺ beyond that, may be off."""
    problem, weights, star, off = known

    def step(log_policy, _):
        after, error, beyond = update(log_policy)
        slack = accuracy.step_slack(problem, weights, star, after, error) + beyond
        slack = slack + accuracy.divergence_slack(problem, weights, star, after, off)
        slack = slack + rate * accuracy.divergence_slack(problem, weights, star, log_policy, off)
        before, later = (accuracy.divergence(star, p, problem, weights) for p in (log_policy, after))
        return after, Steps(before, later, slack)

    return jax.lax.scan(step, start, length=num_steps)[1]
