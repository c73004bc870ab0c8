"""T1: a positive margin leaves exactly one HQRE."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import hqre_jax as hq
from hqre_jax.bounds import Bounds
from hqre_jax.core._simplex import probabilities, span
from hqre_jax.core._types import LogPolicy
from proofs_check.comparison import Sides
from proofs_check.experiment import Drawing, Experiment, each_game
from proofs_check.games.certified import COORDINATION, FAMILIES, ZERO_SUM, Certified, as_certified, certified, scaled
from proofs_check.numerics import accuracy
from proofs_check.numerics.compiled import split_keys
from proofs_check.numerics.counting import RESIDUAL, distinct
from proofs_check.numerics.equilibria import find_equilibria
from proofs_check.t1_uniqueness.pairs import NUM_PAIRS, adversarial_pairs

MONOTONE = "(a) interaction ≤ Σ w(τ−κ)J"
ONE = "(b) ‖π−π'‖ ≤ ‖span(F−F')‖/2κ"
COUNT = "(c) certified unique: one HQRE"
# Names of the negative controls.
HALVED, DOUBLED, UNWEIGHTED = "half of every interaction", "κ doubled", "w = 1"

_NUM_STARTS = 6
# Two approximate HQRE count as located when (b) ties them together at least this closely.
_LOCATED = 1e-6


def interaction(problem: hq.Problem, known: Bounds, first: LogPolicy, second: LogPolicy) -> Sides:
    """(a): ``Σ w ⟨Q(π) − Q(π'), π − π'⟩ ≤ Σ w (τ − κ) J(π, π')``.

    Rounding adds errors of Q times ‖d‖₁, of d times span, and of J.

    Args:
        problem: The game, centred.
        known: κ and w.
        first: log π.
        second: log π'.

    Returns:
        Both sides, units of payoff.
    """
    weights, kappa = known.weights, known.margin
    gap = probabilities(first, problem.mask) - probabilities(second, problem.mask)
    change = accuracy.action_values(problem, first) - accuracy.action_values(problem, second)
    slope = weights * (problem.tau - kappa)
    observed = jnp.sum(weights[..., None] * change * gap)
    bound = jnp.sum(slope * accuracy.symmetric_kl(first, second, problem))
    length = jnp.sum(jnp.abs(gap), axis=-1)
    logs = accuracy.log_rounding(problem, first) + accuracy.log_rounding(problem, second)
    slack = jnp.sum(weights * 2 * accuracy.value_rounding(problem) * length)
    slack = slack + 16 * accuracy.EPS * jnp.sum(weights * span(change, problem.mask))
    slack = slack + jnp.sum(jnp.abs(slope) * 4 * logs * length)
    return Sides(observed, bound, slack, known.margin > 0)


def distance(problem: hq.Problem, known: Bounds, first: LogPolicy, second: LogPolicy) -> Sides:
    """(b): ``‖π − π'‖_w ≤ ‖span(F(π) − F(π'))‖_w / 2κ``; rounding: errors of F, and 16 eps for the probabilities' own.

    Args and result as those of `interaction`; the sides have no unit.
    """
    weights, kappa = known.weights, known.margin
    change = accuracy.operator(problem, first) - accuracy.operator(problem, second)
    errors = accuracy.operator_rounding(problem, first) + accuracy.operator_rounding(problem, second)
    observed = accuracy.total_variation_norm(first, second, problem, weights)
    bound = accuracy.weighted_norm(span(change, problem.mask), weights) / (2 * kappa)
    slack = accuracy.weighted_norm(2 * errors, weights) / (2 * kappa) + 16 * accuracy.EPS
    return Sides(observed, bound, slack, known.margin > 0)


@each_game
def _observe(case: Certified, key: Any) -> tuple[Sides, Sides, Any, Any]:
    """(a) and (b) at pairs found by ascent on (a), (b) at every two HQRE that were found, these HQRE, their defects."""
    problem, known = case.problem.centered(), case.known
    mask = problem.mask
    pair_key, start_key = jax.random.split(key)
    found, defects = find_equilibria(problem, _NUM_STARTS, start_key)

    def monotone(first: LogPolicy, second: LogPolicy) -> Sides:
        return interaction(problem, known, first, second)

    def one(first: LogPolicy, second: LogPolicy) -> Sides:
        return distance(problem, known, first, second)

    pairs = adversarial_pairs(monotone, mask, pair_key)
    every_two = tuple(found[ends] for ends in np.triu_indices(_NUM_STARTS, 1))
    near, located = jax.vmap(one)(*pairs), jax.vmap(one)(*every_two)
    apart = Sides(*(jnp.concatenate(part) for part in zip(near[:3], located[:3], strict=True)), known.margin > 0)
    interactions = jax.vmap(monotone)(*pairs)._replace(holds=known.margin > 0)
    return interactions, apart, jax.vmap(lambda p: probabilities(p, mask))(found), defects


def sides(cases: Certified, keys: Any) -> dict[str, Sides]:
    """The three claims: (a), (b) at the worst of 8 pairs of policies, (b), (c) for the HQRE found from 6 starts."""
    interactions, apart, policies, defects = _observe(cases, keys)
    # Pairs of approximate HQRE say that there is one where they are good.
    usable = (np.arange(apart.observed.shape[1]) < NUM_PAIRS) | (apart.bound + apart.slack <= _LOCATED)
    counts = distinct(policies, defects <= RESIDUAL)[:, None]
    count = Sides(1.0 * counts, np.ones(counts.shape), 0.0 * counts, cases.known.unique, counts > 0)
    return {MONOTONE: interactions, ONE: apart._replace(usable=usable), COUNT: count}


class _Pretended(NamedTuple):
    """Games of a control, with the keys that were drawn before them."""

    cases: Certified
    keys: Any

    @property
    def problem(self) -> hq.Problem:
        return self.cases.problem


def _draw_control(drawing: Drawing) -> _Pretended:
    keys = jax.random.split(jax.random.key(int(drawing.rng.integers(2**31))))
    return _Pretended(certified(drawing.family, drawing.rng, drawing.num), keys)


def _judged_as_if(cases: Certified, margin: np.ndarray, games: np.ndarray) -> Certified:
    """The games as if their margin were this one, and certified it; without one those that are not to be judged."""
    margin = np.where(games, margin, -1.0)
    return cases._replace(known=cases.known._replace(margin=margin, unique=games))


def _controls(drawn: _Pretended, sample: Any, drawing: Drawing) -> dict[str, tuple[Certified, Any]]:
    """Three wrong margins.

    Coordination games without a margin are judged as if only half of every interaction counted: at a common temperature
    ``κ = τ − c``, so that this would leave ``(κ + τ)/2 = τ − c/2 > 0``. Coordination games with a margin, as if it were
    twice as large. Zero-sum games of which one side is paid in another currency, as if the margin at the best weights
    were one at w = 1.
    """
    del sample
    cases, (first, second) = drawn.cases, (split_keys(key, drawing.num) for key in drawn.keys)
    margin = cases.known.margin
    if drawing.family.name != COORDINATION.name:
        ones = cases._replace(known=cases.known._replace(weights=np.ones_like(cases.known.weights)))
        return {UNWEIGHTED: (_judged_as_if(ones, margin, np.ones(drawing.num, bool)), first)}
    # No margin exceeds a temperature: (a) would have nothing on its right side.
    judged = (margin > 0) & (2 * margin < cases.problem.tau.min(axis=(1, 2)))
    cold = scaled(drawing.family, drawing.rng, drawing.num, 0.55, 0.75)
    margin_there = cold.known.margin
    pretended = 0.5 * (margin_there + cold.problem.tau[:, 0, 0])
    return {
        DOUBLED: (_judged_as_if(cases, 2 * margin, judged), first),
        HALVED: (_judged_as_if(cold, pretended, margin_there <= 0), second),
    }


def _given(problem: hq.Problem) -> Certified | None:
    """Problems of which a margin or a contraction certifies that there is one HQRE, or None where there is none."""
    cases = as_certified(problem)
    return cases if ((cases.known.margin > 0) | cases.known.unique).any() else None


EXPERIMENT = Experiment(FAMILIES, sides, given=_given)
CONTROL = Experiment(
    (COORDINATION, ZERO_SUM), sides, sample=lambda drawn, drawing: None, draw=_draw_control, variants=_controls
)
