"""T5: mirror descent on sampled payoffs: a geometric approach to a floor, and 1/k with decreasing steps."""

from statistics import NormalDist
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import hqre_jax as hq
from hqre_jax.bounds import Bounds
from hqre_jax.core._namespace import namespace
from hqre_jax.core._simplex import mirror_step
from hqre_jax.core._types import ActionValues, LogPolicy, Scalar
from proofs_check.comparison import Sides, select
from proofs_check.experiment import Drawing, Experiment, each_game
from proofs_check.games.certified import BAYESIAN, GENERAL_SUM, NEAR_ZERO_SUM, Certified, given_certified
from proofs_check.numerics import accuracy
from proofs_check.numerics.equilibria import best_equilibrium

ROUND = "(a) E[D⁺|past] ≤ (D+η²σ²)/(1+ηκ)"
FLOOR = "(b) E D, constant step"
DECAY = "(c) E D, step 2/(κ(k+k0))"
# Names of the negative controls.
BIASED, TOO_LARGE, UNDERSTATED = "biased estimates", "steps too large", "σ² understated"

# Independent runs, their length, and how many policies (a) looks at.
_NUM_RUNS, NUM_STEPS, _NUM_POLICIES = 32, 100, 4
# Logits of policies that (a) looks at and of the start of (c); sizes of the noise, units of payoff.
_SPREAD, _LEAST_NOISE, _LARGEST_NOISE = 1.0, 0.03, 1.0
# Largest step where L = 0 allows any: ηκ.
_LARGEST_STEP = 1.0
# Chance that the means of a sound statement are called too high, over all comparisons of a ledger of this many games.
_FALSE_ALARM, _LEDGER = 1e-3, 100_000


class Sample(NamedTuple):
    """What is chosen besides the game.

    Attributes:
        size: s, the size of the noise, units of payoff.
        bias: What is added to every estimate of the first action, as a multiple of s.
        factor: Of the constant step, 1 being the largest that T5 allows.
        told: Factor on σ² that the bounds are told.
        key: Of policies and noise.
    """

    size: Float[Array, "*game"]
    bias: Float[Array, "*game"]
    factor: Float[Array, "*game"]
    told: Float[Array, "*game"]
    key: Any


def step_of(known: Bounds, sample: Sample) -> Any:
    """η; of one game or of many."""
    return sample.factor * namespace(known.margin).minimum(0.5 * known.max_step, _LARGEST_STEP / known.margin)


class Run(NamedTuple):
    """What one game gives.

    Attributes:
        before: D at several policies.
        after: ``E[D⁺ | past]`` there.
        slack: What rounding and the inexact π* may add to ``E[D⁺|past] − (D+η²σ²)/(1+ηκ)``.
        floor: D of every run with a constant step from π*, averaged over the second half of its steps.
        start: D_0 of (c).
        decay: D_K of every run with decreasing steps.
        error: Bound on the error of every single D of (b) and (c).
    """

    before: Float[Array, " policy"]
    after: Float[Array, " policy"]
    slack: Float[Array, " policy"]
    floor: Float[Array, " run"]
    start: Scalar
    decay: Float[Array, " run"]
    error: Scalar


def _update(problem: hq.Problem, log_policy: LogPolicy, eta: Scalar, noise: ActionValues) -> LogPolicy:
    """π⁺ as a log-policy."""
    response = problem.response_logits(log_policy) + noise / problem.tau[..., None]
    return problem.log_policy(mirror_step(log_policy, response, eta * problem.tau))


def _signs(num_actions: int) -> Float[np.ndarray, "pattern action"]:
    """All vectors of signs."""
    bits = np.arange(2**num_actions)[:, None] >> np.arange(num_actions)
    return 1.0 - 2.0 * (bits % 2)


@each_game
def _play(case: Certified, star: LogPolicy, sample: Sample) -> Run:
    """One round at several policies, and 32 runs of 100 steps of either kind."""
    problem, known = case.problem.centered(), case.known
    mask, dtype, weights = problem.mask, problem.tau.dtype, known.weights
    kappa, eta = known.margin, step_of(known, sample)
    _, far_key, play_key = jax.random.split(sample.key, 3)  # the first has been taken to find π*
    off = accuracy.distance_to_equilibrium(problem, star, weights, kappa)
    bias = sample.size * sample.bias * jnp.where(jnp.arange(mask.shape[-1]) == 0, 1.0, 0.0)
    first_bias = jnp.broadcast_to(bias, mask.shape)

    def divergence(log_policy: LogPolicy) -> Scalar:
        return accuracy.divergence(star, log_policy, problem, weights)

    def of_reading(log_policy: LogPolicy) -> Scalar:
        return accuracy.divergence_slack(problem, weights, star, log_policy, off)

    def of_a_step(log_policy: LogPolicy) -> Scalar:
        damping = eta * problem.tau / (1 + eta * problem.tau)
        error = accuracy.logit_rounding(problem, log_policy, damping)
        return accuracy.step_slack(problem, weights, star, log_policy, error)

    def one_round(log_policy: LogPolicy) -> tuple[Scalar, Scalar, Scalar]:
        # The same signs everywhere: D⁺ is a sum over decision points, so that only each one's own law matters.
        patterns = sample.size * jnp.asarray(_signs(mask.shape[-1]), dtype)
        noise = patterns[:, None, None, :] + first_bias[None]
        after = jax.vmap(lambda xi: _update(problem, log_policy, eta, xi))(noise)
        expected = jnp.mean(jax.vmap(divergence)(after))
        slack = jnp.max(jax.vmap(lambda p: of_a_step(p) + of_reading(p))(after)) + of_reading(log_policy)
        return divergence(log_policy), expected, slack

    scales = _SPREAD * jnp.linspace(0.0, 1.0, _NUM_POLICIES)[:, None, None, None]
    far = jax.random.normal(far_key, (_NUM_POLICIES, *mask.shape), dtype)
    policies = jax.vmap(lambda off_star: problem.log_policy(star + off_star))(scales * far)
    before, after, slack = jax.vmap(one_round)(policies)

    def play(key: Any, begin: LogPolicy, steps: Float[Array, " step"]) -> tuple[LogPolicy, Float[Array, " step"]]:
        def advance(log_policy, now):
            key, step = now
            signs = jax.random.rademacher(key, mask.shape, dtype)
            log_policy = _update(problem, log_policy, step, sample.size * signs + first_bias)
            return log_policy, divergence(log_policy)

        return jax.lax.scan(advance, begin, (jax.random.split(key, NUM_STEPS), steps))

    # Two kinds of runs: constant steps from π*, decreasing steps from far away.
    decreasing = 2 / (kappa * (jnp.arange(NUM_STEPS) + _offset(kappa, known.lipschitz)))
    kinds = jnp.stack([star, policies[-1]]), jnp.stack([jnp.full(NUM_STEPS, eta), decreasing])
    keys = jax.random.split(play_key, (2, _NUM_RUNS))
    ends, along = jax.vmap(jax.vmap(play, (0, None, None)))(keys, *kinds)
    # What one step errs by is damped by the next, so that errors of steps add up at most.
    error = jax.vmap(jax.vmap(lambda p: NUM_STEPS * of_a_step(p) + of_reading(p)))(ends)
    error = jnp.max(error) + of_reading(policies[-1])
    late = jnp.mean(along[0, :, NUM_STEPS // 2 :], axis=1)
    return Run(before, after, slack, late, before[-1], along[1, :, -1], error)


def observe(cases: Certified, sample: Sample) -> Run:
    """What games give, with the HQRE that was found for π*."""
    return _play(cases, best_equilibrium(cases.problem, sample.key), sample)


def _offset(kappa: Any, lipschitz: Any) -> Any:
    """The least k0."""
    return namespace(kappa).maximum(1.0, 4 * (lipschitz / kappa) ** 2)


def sides(cases: Certified, sample: Sample) -> dict[str, Sides]:
    """The three claims for games with a margin: (a) at policies near and far, (b) from π*, (c) from far away."""
    eta = step_of(cases.known, sample)
    holds = (cases.known.margin > 0) & np.isfinite(eta)
    run, problem, known = select((observe(cases, sample), cases.problem, cases.known), holds)
    size, told, eta, kappa = sample.size[holds], sample.told[holds], eta[holds], known.margin
    variance = told * size**2 * known.weights.sum(axis=(1, 2))
    rate = 1 / (1 + eta * kappa)
    steps = np.arange(NUM_STEPS // 2, NUM_STEPS) + 1
    floor = (eta * variance / kappa) * np.mean(1 - rate[:, None] ** steps, axis=1)
    k0 = _offset(kappa, known.lipschitz)
    end = NUM_STEPS + k0
    decay = (k0 * (k0 + 1) * run.start + 4 * variance * NUM_STEPS * (1 + 1 / k0) / kappa**2) / (end * (end + 1))
    promised = (run.before + (eta**2 * variance)[:, None]) * rate[:, None]
    return {
        ROUND: Sides(run.after, promised, run.slack, problem=problem),
        FLOOR: Sides(_normal_lower_bound(run.floor), floor, run.error, problem=problem),
        DECAY: Sides(_normal_lower_bound(run.decay), decay, run.error, problem=problem),
    }


def _normal_lower_bound(runs: Float[np.ndarray, "game run"]) -> Float[np.ndarray, " game"]:
    """What the expectation is at least: the mean less z standard errors, for all comparisons of a ledger together."""
    z = -NormalDist().inv_cdf(_FALSE_ALARM / (2 * _LEDGER))
    return runs.mean(axis=1) - z * runs.std(axis=1, ddof=1) / np.sqrt(runs.shape[1])


def draw_sample(cases: Certified, drawing: Drawing) -> Sample:
    """Sizes of noise, log-uniform."""
    del cases
    ones = np.ones(drawing.num)
    size = _LEAST_NOISE * (_LARGEST_NOISE / _LEAST_NOISE) ** drawing.rng.random(drawing.num)
    return Sample(size, 0 * ones, ones, ones, drawing.keys())


def _controls(cases: Certified, sample: Sample, drawing: Drawing) -> dict[str, tuple[Certified, Sample]]:
    """Three wrong hypotheses in games close to zero-sum."""
    del drawing
    wrong = {
        BIASED: sample._replace(bias=sample.bias + 2.0),
        TOO_LARGE: sample._replace(factor=16 * sample.factor),
        UNDERSTATED: sample._replace(told=sample.told / 16),
    }
    return {name: (cases, changed) for name, changed in wrong.items()}


EXPERIMENT = Experiment((GENERAL_SUM, NEAR_ZERO_SUM, BAYESIAN), sides, draw_sample, given=given_certified)
CONTROL = Experiment((NEAR_ZERO_SUM,), sides, draw_sample, variants=_controls)
