"""T7s: the pathologies of T7 on sampled payoffs: they need few samples, and none protect; a margin does.

Problem
    Two agents meet in a game with conventions (T7), n actions each, and nobody knows it. In every round agent i sees,
    of each of its actions x, the mean of m payoffs against what the other played in this round: ``T_i[x, y]`` plus
    normal noise of variance s² each. In the next round it plays the action whose mean was largest. They start at
    opposed conventions (a, b). How much is lost, and what do agents lose who make mirror updates on such payoffs
    instead? Gaps, external regret and regularised gaps are those of T7, and exact: what is sampled is what agents
    see.

Statement
    Let ``Δ = min_{i, y, x≠y} T_i[y,y] − T_i[x,y]``, the least lead of a best answer, and ``e² = s²/m``.

    (a) Oscillation. If ``m ≥ (4s²/Δ²) log((n−1)K/α)``, then with probability 1 − α at least play is the alternation
    of T7 (a) for K rounds, and (K even) the losses are those of T7 (a), exactly:

            Σ gaps = ½K (T[b,b] − T[a,b] + T[a,a] − T[b,a]),
            external regret = ½K (max_x (T[x,a] + T[x,b]) − T[a,b] − T[b,a]).

    (b) Drift. For any m, x looks best to i against y with probability
    ``R_i[x|y] = ∫ φ(z) Π_{x'≠x} Φ(z + (T_i[x,y] − T_i[x',y])/e) dz > 0``. With ``h_i(x_1, x_2)`` the gap,
    ``W_1 = h_i``, ``W_{k+1}(x_1, x_2) = h_i(x_1, x_2) + Σ R_1[x'_1|x_2] R_2[x'_2|x_1] W_k(x'_1, x'_2)``,

            E Σ_{k<K} h_i = W_K(a, b),    P(|Σ h_i − W_K(a,b)| ≥ t) ≤ 2 exp(−2t²/Σ_{k<K} span(W_k)²),

    of independent runs the sums. It is linear in K: W_{k+1} − W_k tends to a positive slope.

    (c) In c·I the slope is known. There mistakes are alike: R is that of T7 (c) with ``ε = (1 − R[y|y]) n/(n−1)`` and
    no inertia, and the rounds S that are miscoordinated satisfy, with ``λ = (1−ε)²``,

            E S = K (1 − 1/n) + (1 − λ^K)/(n (1 − λ)):

    slope ``c(1 − 1/n)`` *however many* samples are seen; with many the start, with slope c, lasts longer.

    (d) Selection. The same games and opposed starts (made interior), at temperatures with margin κ > 0: mirror
    updates on payoffs against one draw of the other's action, with noise of the variance e², and steps
    ``2/(κ(k+k0))`` (T5). Then T3s (b) holds with ``D_0 ≤ Σ_i w_i log(1/min π⁰_i)`` and ``a_0 ≤ span(log π⁰_i − log
    ρ_i) + range_i/τ_i``: the expected sum of regularised gaps is at most logarithmic in K.

Proof
    (a) Some x ≠ y looks better than y with probability at most ``(n−1) Φ(−Δ/(e√2)) ≤ ½(n−1) exp(−Δ²/(4e²))``. There
    are two agents and fewer than K times to choose: nobody errs with probability ``1 − K(n−1) exp(−mΔ²/(4s²))``. Then
    T7 (a).

    (b) Given z·e, the noise of x, the rivals are independent. The pair of actions is a Markov chain, as noise is
    fresh in every round, and given the first k+1 rounds the expectation of the sum depends on the last pair through
    W_{K−k}: a martingale whose step lies in an interval of length span(W_{K−k}), the first pair being given. Azuma &
    Hoeffding. All R are positive, so there is one stationary law, positive on miscoordinated pairs, where somebody's
    gap is; W_{k+1} − W_k tends to its mean of h_i, which is positive as every pair (x, y), x ≠ y, costs i at least Δ.

    (c) By symmetry every mistake is as likely as every other: y with probability 1 − ε + ε/n, any other with ε/n.
    This is T7 (c) with ``D = 1 − 1/n``, the two being apart in round 0.

    (d) T7's bounds on D_0 and a_0 (its proof of (d)) and T3s (0), (b), whose right side increases with both. ∎

Tightness
    (a) is an equality; (b) and (c) are exact in expectation. What is promised in (d) is finite after all logarithms,
    and large for small margins: T3s says where it is attained.

How it is measured
    (a) with m such that α is 1e-14; (b) for each game over sixteen runs and for all games together; (c) for all runs
    together; (d) as T3s is. The chance that a sound claim fails in a run over 100,000 games is 1e-9 in each of (a), (b)
    and (c); in (d) it is that of T3s.

Reference
    theory.md, T7. Azuma (1967), Hoeffding (1963); Trefethen & Weideman (2014) for the trapezoidal rule.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import hqre_jax as hq
from hqre_jax.bounds import Bounds
from hqre_jax.core._simplex import safe_log, span
from hqre_jax.core._types import PerPlayer, Scalar
from proofs_check import _accuracy as accuracy
from proofs_check._cases import Cases, batches, certified, posed, quick_jit
from proofs_check._confidence import surely
from proofs_check._conventions import (
    COORDINATION,
    NUM_ACTIONS,
    PAIRED,
    Opposed,
    World,
    alternating_losses,
    miscoordination,
    opposed_starts,
    pure_starts,
    table_of,
)
from proofs_check._losses import ROUNDS
from proofs_check._sampled_conventions import Law, losses_under, response_law, sampled_responses
from proofs_check._sampled_regret import (
    NUM_ROUNDS,
    NUM_RUNS,
    Constants,
    Play,
    excess,
    harmonic,
    in_chunks,
    logarithmic,
    play,
    reach_of,
    steepness_of,
    variance_of,
    width_of,
)
from proofs_check._statement import Comparison, Example, Outcome, Statement

OSCILLATION = "(a) many samples: loss = ½K(…)"
DRIFT = "(b) few samples: loss = W ± …"
POOLED = "(b) few samples: loss of all games = W ± …"
SLOPE = "(c) c·I: S of all runs = K(1−1/n) + … ± …"
SELECTION = "(d) HQRE: E Σ g ≤ G (1/k0 + log …)"

# Runs of (b) and (c), their rounds; weight of the uniform policy in interior starts of (d).
_RUNS, _ROUNDS, _TREMBLE = 16, 200, 0.01
# Probability of an error in one run of (a); that chance alone breaks one of (a) to (c), or a comparison of (d).
_SLIP, _FALSE_ALARM, _ALARM = 1e-14, 1e-9, 1e-3 / (100_000 * 32)
# Noise of the means that few samples leave, in parts of the average lead; of one payoff, in parts of Δ.
_ERROR, _NOISE = (0.4, 1.5), (0.1, 3.0)
# Agents of the control who play their last action again this often.
_STAY = 0.5


class Sample(NamedTuple):
    """Games from opposed starts, and how well they are seen.

    Attributes:
        table: T.
        valid: Which actions there are, 1 or 0; the same for both.
        start: (a, b).
        lead: Δ.
        error: e of (b), (c) and (d).
    """

    table: np.ndarray
    valid: np.ndarray
    start: np.ndarray
    lead: np.ndarray
    error: np.ndarray


def sample_of(world: World, cases: Cases, opposed: Opposed, rng: np.random.Generator) -> Sample:
    """The games of a batch, with a size of the noise for each."""
    valid = np.asarray(cases.problem.game.action_mask)[:, 0, 0]
    table = opposed.table
    lead = np.einsum("giyy->giy", table)[:, :, None, :] - table
    others = valid[:, None, :, None] & valid[:, None, None, :] & ~np.eye(valid.shape[1], dtype=bool)
    least = np.where(others, lead, np.inf).min(axis=(1, 2, 3))
    average = lead.sum(axis=(1, 2, 3), where=others) / np.broadcast_to(others, lead.shape).sum(axis=(1, 2, 3))
    error = average * rng.uniform(*_ERROR, len(table))
    return Sample(table, valid.astype(float), opposed.own(world), least, error)


def _both_ways(claim: str, family: str, measured: np.ndarray, low: np.ndarray, high: np.ndarray, slack: np.ndarray):
    """``low ≤ measured ≤ high``."""
    observed, bound = np.stack([low, measured], axis=-1), np.stack([measured, high], axis=-1)
    return Comparison(claim, family, observed, bound, np.stack([slack, slack], axis=-1))


def _rounding(sample: Sample, rounds: int) -> np.ndarray:
    """What rounding may add to a sum of losses.

    R errs by its 73 terms and by what four factors Φ make of their arguments' rounding; in every round the law of play
    moves by that of both agents, and stays moved at most.
    """
    size = np.abs(sample.table).max(axis=(1, 2, 3))
    return accuracy.EPS * rounds**2 * (512 + 16 * size / sample.error) * size


def _oscillation(
    world: World, cases: Cases, opposed: Opposed, sample: Sample, rng: np.random.Generator, error: np.ndarray
) -> Comparison:
    """Claim (a), judging runs whose means err by ``error``."""
    seen = sampled_responses(sample.table, sample.valid, sample.start, error, (1, ROUNDS), rng)
    measured = np.stack([seen.gap[:, 0], seen.external[:, 0]], axis=-1)
    closed = alternating_losses(world, cases, opposed, ROUNDS)[..., :2]
    slack = _rounding(sample, ROUNDS)[:, None, None] * np.ones(measured.shape)
    return _both_ways(OSCILLATION, world.family.name, measured, closed, closed, slack)


def _few_errors(sample: Sample, rng: np.random.Generator) -> np.ndarray:
    """``s/√m`` for the least m of (a), s being drawn."""
    size = sample.lead * rng.uniform(*_NOISE, len(sample.lead))
    needed = 4 * (size / sample.lead) ** 2 * np.log((sample.valid.sum(axis=1) - 1) * ROUNDS / _SLIP)
    return size / np.sqrt(np.ceil(needed))


class Drift(NamedTuple):
    """Runs of one batch of games.

    Attributes:
        gap: Σ_k gaps, summed over runs; axes (game, player).
        apart: Miscoordinated rounds of all runs.
        law: What (b) expects of one run.
        responses: R.
        num_actions: n.
        scale: Largest payoff.
        slack: What rounding may add to the losses of one run, in units of the scale.
    """

    gap: np.ndarray
    apart: np.ndarray
    law: Law
    responses: np.ndarray
    num_actions: np.ndarray
    scale: np.ndarray
    slack: np.ndarray

    @property
    def rounds_apart(self) -> Law:
        """What (c) expects, in c·I, where every convention is found again with the same probability."""
        num = self.num_actions
        mistaken = (1 - self.responses[:, :, 0, 0]) * (num / (num - 1))[:, None]
        chain = miscoordination(num, mistaken, np.zeros_like(mistaken), _ROUNDS)
        return Law(chain.expected, chain.squares)


def _drift(sample: Sample, rng: np.random.Generator, stay: float = 0.0) -> Drift:
    law, size = response_law(sample.table, sample.valid, sample.error), np.abs(sample.table).max(axis=(1, 2, 3))
    seen = sampled_responses(sample.table, sample.valid, sample.start, sample.error, (_RUNS, _ROUNDS), rng, stay)
    return Drift(
        seen.gap.sum(axis=1),
        seen.apart.sum(axis=1),
        losses_under(sample.table, sample.valid, sample.start, law, _ROUNDS),
        law,
        sample.valid.sum(axis=1),
        size,
        _rounding(sample, _ROUNDS) / size,
    )


def _deviation(squares: np.ndarray, alarm: float) -> np.ndarray:
    return np.sqrt(0.5 * np.log(2 / alarm) * _RUNS * squares)


def _each(family: str, sample: Sample, drift: Drift, alarm: float) -> Comparison:
    """Claim (b), game by game and player by player."""
    expected, off = _RUNS * drift.law.expected, _deviation(drift.law.squares, alarm)
    slack = _RUNS * (drift.slack * drift.scale)[:, None] * np.ones(off.shape)
    return _both_ways(DRIFT, family, drift.gap, np.maximum(expected - off, 0.0), expected + off, slack)


def _pooled(claim: str, family: str, drifts: list[Drift], alarm: float) -> Comparison:
    """Claim (b) for the first agent's losses in all games, each in units of its payoffs; claim (c) for all S."""
    total, mean, squares = 0.0, 0.0, 0.0
    for drift in drifts:
        if claim == SLOPE:
            parts = drift.apart, *drift.rounds_apart
        else:
            one = drift.scale
            parts = drift.gap[:, 0] / one, drift.law.expected[:, 0] / one, drift.law.squares[:, 0] / one**2
        total, mean, squares = total + parts[0].sum(), mean + _RUNS * parts[1].sum(), squares + parts[2].sum()
    off, measured = _deviation(np.array([squares]), alarm), np.array([total])
    slack = np.array([_RUNS * sum(drift.slack.sum() for drift in drifts)])
    return _both_ways(claim, family, measured, mean - off, mean + off, slack)


@quick_jit
def _selected(
    problem: hq.Problem, known: Bounds, starts: Array, error: Array, keys: Any
) -> tuple[Float[Array, "game player run"], Float[Array, "game player"], Float[Array, "game player"]]:
    """Sums of regularised gaps of sampled mirror play, their bounds, and what rounding may add."""

    def one(
        plain: hq.Problem, known: Bounds, start: Array, error: Scalar, key: Any
    ) -> tuple[Array, PerPlayer, PerPlayer]:
        problem, weights, sampled = plain.centered(), known.weights, jnp.ones((), bool)
        mask, log_start = plain.mask, safe_log(start, plain.mask)
        constants = Constants(
            plain.tau,
            weights,
            steepness_of(plain, weights),
            width_of(plain),
            variance_of(plain, error, sampled),
            known.margin,
            known.lipschitz,
            jnp.sum(weights * -jnp.min(jnp.where(mask, log_start, 0.0), axis=-1)),
            span(log_start - plain.log_reference, mask) + plain.game.payoff_range()[:, None] / plain.tau,
        )
        steps, reach = constants.decreasing(NUM_ROUNDS), reach_of(plain)

        def run(key: Any) -> Play:
            return play(problem, reach, log_start, steps, (error, jnp.zeros(mask.shape)), sampled, key)

        runs = jax.vmap(run)(jax.random.split(key, NUM_RUNS))
        bound = logarithmic(constants, NUM_ROUNDS) * harmonic(constants.offset, NUM_ROUNDS)
        slack = excess(problem, constants, constants, steps, jnp.max(runs.error, axis=0))
        return runs.total.T, jnp.sum(reach * bound, axis=-1), jnp.sum(reach * jnp.sum(slack, axis=0), axis=-1)

    return jax.vmap(one)(problem, known, starts, error, keys)


def _selection(
    world: World, cases: Cases, opposed: Opposed, sample: Sample, rng: np.random.Generator
) -> tuple[Comparison, np.ndarray]:
    """Claim (d), and the mean sums of regularised gaps."""
    mask = cases.problem.game.action_mask
    uniform = mask / jnp.sum(mask, axis=-1, keepdims=True)
    starts = (1 - _TREMBLE) * pure_starts(world, cases, opposed) + _TREMBLE * uniform
    keys = jax.random.split(jax.random.key(int(rng.integers(2**31))), len(mask))
    error = jnp.asarray(sample.error)
    totals, bound, slack = in_chunks(_selected, cases.problem, cases.known, starts, error, keys)
    return Comparison(SELECTION, world.family.name, surely(totals, _ALARM), bound, slack), totals.mean(axis=-1)


def _drawn(world: World, rng: np.random.Generator, num: int) -> tuple[Cases, Opposed, Sample]:
    """Games at heterogeneous temperatures with a positive margin, from opposed starts."""
    cases = certified(world.family, rng, num)
    assert (np.asarray(cases.known.margin) > 0).all(), "temperatures are chosen to give a margin"
    opposed = opposed_starts(cases, rng)
    return cases, opposed, sample_of(world, cases, opposed, rng)


def check(key: Any, num_games: int) -> Outcome:
    """T7s on random games with conventions.

    Args:
        key: Typed key.
        num_games: Number of games, over all families.

    Returns:
        All claims; (c) for coordination games only.
    """
    comparisons, drawn, drifts = [], 0, {world: [] for world in PAIRED}
    by_family = {world.family: world for world in PAIRED}
    plan = list(batches(key, num_games, tuple(by_family)))
    alarm = _FALSE_ALARM / (2 * sum(num for _, _, num in plan))
    for family, rng, num in plan:
        world = by_family[family]
        cases, opposed, sample = _drawn(world, rng, num)
        comparisons.append(_oscillation(world, cases, opposed, sample, rng, _few_errors(sample, rng)))
        comparisons.append(_selection(world, cases, opposed, sample, rng)[0])
        drifts[world].append(_drift(sample, rng))
        comparisons.append(_each(family.name, sample, drifts[world][-1], alarm))
        drawn += num
    for world, parts in drifts.items():
        claims = (POOLED, SLOPE) if world is COORDINATION else (POOLED,)
        comparisons += [_pooled(claim, world.family.name, parts, _FALSE_ALARM / 8) for claim in claims]
    return Outcome(tuple(sorted(comparisons, key=lambda c: c.claim)), drawn)


def negative_control(key: Any, num_games: int) -> Outcome:
    """Too few samples, judged by (a); and agents who look every second time only, judged by (b) and (c)."""
    comparisons, drawn = [], 0
    by_family = {world.family: world for world in PAIRED}
    for family, rng, num in batches(key, num_games, tuple(by_family)):
        world = by_family[family]
        cases, opposed, sample = _drawn(world, rng, num)
        comparisons.append(_oscillation(world, cases, opposed, sample, rng, sample.error))
        drift = _drift(sample, rng, _STAY)
        comparisons.append(_each(family.name, sample, drift, _FALSE_ALARM / (2 * num)))
        if world is COORDINATION:
            comparisons.append(_pooled(SLOPE, family.name, [drift], _FALSE_ALARM))
        drawn += num
    return Outcome(tuple(comparisons), drawn)


def sharpness() -> tuple[Example, ...]:
    """Slopes in c·I with c = 1 and five actions, per round and agent: measured, against the closed forms."""
    payoffs = np.broadcast_to(np.eye(NUM_ACTIONS), (1, 2, NUM_ACTIONS, NUM_ACTIONS))
    cases = posed(COORDINATION.family.build, (payoffs, np.ones((1, 2, 1, NUM_ACTIONS), bool)), np.ones(1))
    opposed, rng = Opposed(np.zeros(1, int), np.ones(1, int), table_of(cases.problem.game)), np.random.default_rng(0)
    sample = sample_of(COORDINATION, cases, opposed, rng)._replace(error=np.full(1, 0.5))
    few = _few_errors(sample, rng)
    alternating = sampled_responses(sample.table, sample.valid, sample.start, few, (1, ROUNDS), rng)
    drift = _drift(sample, rng)
    comparison, kept = _selection(COORDINATION, cases, opposed, sample, rng)
    name, circling = "coordination 1·I, 5 actions", alternating_losses(COORDINATION, cases, opposed, NUM_ROUNDS)
    return (
        Example(name, "many samples: Σ gaps / cK", float(alternating.gap[0, 0, 0]), float(ROUNDS)),
        Example(name, "many samples: external regret / ½cK", float(alternating.external[0, 0, 0]), 0.5 * ROUNDS),
        Example(name, "few samples: S / E S", float(drift.apart[0]), _RUNS * float(drift.rounds_apart.expected[0])),
        Example(name, "HQRE, τ = 1: Σ regularised gaps / bound", float(kept[0, 0]), float(comparison.bound[0, 0])),
        Example(name, "HQRE, τ = 1: the same / that of best responses", float(kept[0, 0]), float(circling[0, 0, 2])),
    )


T7S = Statement(
    name="T7s",
    title="pathologies on sampled payoffs",
    check=check,
    control="too few samples are judged as if they were many; agents who look every second time, as if always",
    negative_control=negative_control,
    sharpness=sharpness,
    share=0.1,
)
