"""T3s: regret on sampled payoffs grows with the logarithm of time if steps decrease, in proportion to them if not."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

import hqre_jax as hq
from hqre_jax.core._simplex import log_softmax, span
from hqre_jax.core._types import LogPolicy, PerPlayer
from proofs_check.comparison import Sides, select
from proofs_check.experiment import Drawing, Experiment, each_game
from proofs_check.games.certified import BAYESIAN, GENERAL_SUM, NEAR_ZERO_SUM, Certified, given_certified
from proofs_check.numerics import accuracy
from proofs_check.numerics.confidence import betting_lower_bound
from proofs_check.play.sampled import (
    LOOKED_AT,
    NUM_ROUNDS,
    NUM_RUNS,
    Constants,
    excess,
    floor_of,
    harmonic,
    influence_of,
    logarithmic,
    majorant,
    play,
    reach_of,
    steepness_of,
    transient,
    variance_of,
    width_of,
)

ROUND = "(a) E g_x ≤ (τ/8)(a+√2v+b/τ)²"
LOGARITHMIC = "(b) E Σ g ≤ G (1/k0 + log(1+(K−1)/k0))"
LINEAR = "(c) E Σ g ≤ (√G⁰ + √Kf)²"
# Names of the negative controls.
BIASED, TOO_LARGE, UNDERSTATED = "biased estimates", "steps too large", "variance understated"
# Logits of π* and of starts; sizes of the noise, units of payoff; largest ηκ where L = 0 allows any step.
_SPREAD, _NEAREST, _LEAST_NOISE, _LARGEST_NOISE, _LARGEST_STEP = 1.0, 0.02, 0.03, 1.0, 1.0
# Chance that a sound statement fails, over all comparisons of a ledger of this many games, this many in each.
_FALSE_ALARM, _LEDGER = 1e-3, 100_000 * 32
_ALARM = _FALSE_ALARM / _LEDGER
# Of the controls: what the bounds are told of the variance, and the bias in units of payoff.
_DENIED, _BIAS = 1e-3, 3.0


class Trial(NamedTuple):
    """What is drawn besides the game.

    Attributes:
        star: Logits of π*.
        start: Logits of π⁰ less those of π*.
        size: s.
        bias: What the estimates of the first action are too high by, units of payoff.
        sampled: Whether the others' actions are drawn.
        factor: Of the constant step, 1 being the largest that is allowed.
        told: Factor on ς² that the bounds are told.
        key: Of all plays.
    """

    star: Float[Array, "player state action"]
    start: Float[Array, "player state action"]
    size: Float[Array, ""]
    bias: Float[Array, ""]
    sampled: Bool[Array, ""]
    factor: Float[Array, ""]
    told: Float[Array, ""]
    key: Any


class Run(NamedTuple):
    """What one game gives: gaps of each run in some rounds, sums over rounds with decreasing and constant steps."""

    gaps: Float[Array, "looked player state run"]
    totals: Float[Array, "kind player run"]
    rounds: Float[Array, "looked player state"]
    bounds: Float[Array, "kind player"]
    round_slack: Float[Array, "looked player state"]
    slack: Float[Array, "kind player"]


def planted(problem: hq.Problem, star: LogPolicy) -> hq.Problem:
    """The problem with the reference with which π* is its HQRE."""
    pull = accuracy.action_values(problem, star) / problem.tau[..., None]
    return eqx.tree_at(lambda p: p.log_reference, problem, problem.log_policy(star - pull))


@each_game
def observe(case: Certified, trial: Trial) -> Run:
    """48 runs of 48 rounds of one game with decreasing steps, and as many with constant ones."""
    plain, weights, margin, lipschitz = case.problem, case.known.weights, case.known.margin, case.known.lipschitz
    mask = plain.mask
    star, start = (log_softmax(logits, mask) for logits in (trial.star, trial.star + trial.start))
    problem = planted(plain.centered(), star)
    tau, reach, influence = problem.tau, reach_of(plain), influence_of(plain)
    steepness = steepness_of(plain, weights)
    known = Constants(
        tau,
        weights,
        steepness,
        width_of(plain),
        trial.told * variance_of(plain, trial.size, trial.sampled),
        margin,
        lipschitz,
        accuracy.divergence(star, start, problem, weights),
        span(start - star, mask),
    )
    largest = jnp.minimum(margin / (2 * lipschitz**2), _LARGEST_STEP / margin)
    eta = trial.factor * largest
    kinds = jnp.stack([known.decreasing(NUM_ROUNDS), jnp.full(NUM_ROUNDS, eta)])
    bias = jnp.where(mask & (jnp.arange(mask.shape[-1]) == 0)[None, None], trial.bias, 0.0)
    runs = jax.vmap(
        lambda steps, keys: jax.vmap(
            lambda k: play(problem, reach, start, steps, (trial.size, bias), trial.sampled, k)
        )(keys)
    )(kinds, jax.random.split(trial.key, (2, NUM_RUNS)))

    # The recursions once more for rounded play and the unknown exact π*: what they exceed the bounds by is slack.
    off = accuracy.distance_to_equilibrium(problem, star, weights, margin)
    pull = span(accuracy.operator(problem, star), mask) + 2 * accuracy.operator_rounding(problem, star)
    farther = known._replace(
        ratio=known.ratio + (pull + steepness * off) / tau,
        distance=known.distance + accuracy.divergence_slack(problem, weights, star, start, off),
    )
    error = jnp.max(runs.error, axis=(0, 1))
    exact = jax.vmap(lambda steps: majorant(known, steps))(kinds)
    slack = jax.vmap(lambda steps: excess(problem, known, farther, steps, error))(kinds)
    bounds = jnp.stack(
        [
            logarithmic(known, NUM_ROUNDS) * harmonic(known.offset, NUM_ROUNDS),
            (jnp.sqrt(transient(known, influence, eta, NUM_ROUNDS)) + jnp.sqrt(NUM_ROUNDS * floor_of(known, eta))) ** 2,
        ]
    )

    def per_player(values: Array) -> PerPlayer:
        return jnp.sum(reach[None] * values, axis=-1)

    looked = jnp.asarray(LOOKED_AT)
    return Run(
        jnp.moveaxis(runs.gaps[0], 0, -1),
        jnp.moveaxis(runs.total, 1, -1),
        exact[0, looked],
        per_player(bounds),
        slack[0, looked],
        per_player(jnp.sum(slack, axis=1)),
    )


def draw_sample(cases: Certified, drawing: Drawing) -> Trial:
    """π*, starts near and far, a quarter of them π* itself; noise of all sizes, with and without drawn actions."""
    rng, shape = drawing.rng, cases.problem.log_reference.shape
    num = shape[0]
    spread = _NEAREST ** rng.random(num) * (rng.random(num) < 0.75)
    parts = (
        _SPREAD * rng.standard_normal(shape),
        spread[:, None, None, None] * rng.standard_normal(shape),
        _LEAST_NOISE * (_LARGEST_NOISE / _LEAST_NOISE) ** rng.random(num),
        np.zeros(num),
        rng.random(num) < 0.5,
        np.ones(num),
        np.ones(num),
    )
    return Trial(*parts, drawing.keys())


def sides(cases: Certified, trials: Trial) -> dict[str, Sides]:
    """The three claims for games with a margin; (a) in two rounds, (b) and (c) for each player."""
    holds = cases.known.margin > 0
    run, problem = select((observe(cases, trials), cases.problem), holds)
    totals = betting_lower_bound(run.totals, _ALARM)
    return {
        ROUND: Sides(betting_lower_bound(run.gaps, _ALARM), run.rounds, run.round_slack, problem=problem),
        LOGARITHMIC: Sides(totals[:, 0], run.bounds[:, 0], run.slack[:, 0], problem=problem),
        LINEAR: Sides(totals[:, 1], run.bounds[:, 1], run.slack[:, 1], problem=problem),
    }


def _controls(cases: Certified, trials: Trial, drawing: Drawing) -> dict[str, tuple[Certified, Trial]]:
    """Play begins at π*: the bounds are told next to nothing of the noise, or estimates are biased by three units."""
    trials, ones = trials._replace(start=0 * trials.start), trials.told
    biased = trials._replace(bias=_BIAS * ones, size=_LEAST_NOISE * ones, sampled=ones < 0, key=drawing.keys())
    return {UNDERSTATED: (cases, trials._replace(told=_DENIED * ones)), BIASED: (cases, biased)}


EXPERIMENT = Experiment((GENERAL_SUM, NEAR_ZERO_SUM, BAYESIAN), sides, draw_sample, given=given_certified)
CONTROL = Experiment((NEAR_ZERO_SUM,), sides, draw_sample, variants=_controls)
