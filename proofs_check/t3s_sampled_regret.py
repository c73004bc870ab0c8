"""T3s: regret on sampled payoffs: it grows with the logarithm of time if steps decrease, in proportion to them if not.

Problem
    Everybody follows the mirror update of T5, seeing estimates ``Q̂_x = Q_x(π) + ξ_x`` only, at a margin κ > 0. What
    does agent i lose over K rounds, in expectation, by not having answered the others best? As in T3 the regularised
    Bayesian gap is ``g_i = Σ_x P(x) g_x`` over i's own types x, with ``g_x = τ_x KL(π_x‖BR_x(π))``, BR being the
    logit response to what the others really do.

Statement
    Let ``E[ξ_x | past] = 0`` and ``E[‖ξ_x − mean_a ξ_x‖₂² | past] ≤ ς_x²``, and ``σ² = ½ Σ_x w_x ς_x²``. With the
    payoffs of all A_x actions against *one* draw of the others' actions, each with independent noise of variance s²,

        (0)  ς_x² = (A_x − 1)(s² + 2 Σ_y Λ_xy²).

    Let ``β_x = 2 √(2 Σ_y Λ_xy²/w_y)``, ``r_x = 4 Σ_y Λ_xy`` and, with D and Λ as in T2, ``u_0 = D_0``, ``v_0 = 0``,
    ``a_0 = span(log π⁰_x − log π*_x)``,

        u_{k+1} = (u_k + η_k²σ²)/(1 + η_kκ),    v_{k+1} = (v_k + η_k²ς_x²)/(1 + η_kτ_x)²,
        b_k = min(β_x √u_k, r_x),               a_{k+1} = (a_k + η_k b_k)/(1 + η_kτ_x).

    For any steps ``0 < η_k ≤ κ/(2L²)`` chosen beforehand (any at all if L = 0) and every round k

    (a)  E g_x^k ≤ (τ_x/8)(a_k + √(2v_k) + b_k/τ_x)².

    With the steps of T5, ``η_k = 2/(κ(k+k0))``, ``k0 ≥ max(1, 4L²/κ²)``, regret per round vanishes and its sum is at
    most logarithmic. With ``θ = τ_x/κ``, ``C = k0 D_0 + 4σ²(1+1/k0)(K−1)/((K+k0)κ²)``, ``N =
    4ς_x²(1+1/k0)/(κ²(4θ−1))`` and ``A = max(a_0 √k0, (2β_x√C/κ)(1 + 1/(2k0))/(2θ − ½))``, none of which grows with K
    beyond a limit, for k < K

    (b)  E g_x^k ≤ G_x/(k + k0),   E Σ_{k<K} g_x^k ≤ G_x (1/k0 + log(1 + (K−1)/k0)),
         G_x = (τ_x/8)(A + √(2N) + β_x√C/τ_x)².

    With a constant step η it is linear, with a slope that is proportional to η and to the variance: if G⁰_x is the
    sum of T3 (b) over K rounds, free of noise and bounded (T3 (c)),

    (c)  √(E Σ_{k<K} g_x^k) ≤ √G⁰_x + √(K f_x),
         f_x = (τ_x/8)(2 min(β_x √(ησ²/κ), r_x)/τ_x + √(2ης_x²/(τ_x(2+ητ_x))))² = O(η).

Proof
    (0) Given its past an estimate is ``Q_x(·; â)`` plus noise, where the rows â_y of the others are drawn from π_y
    independently. Q_x is linear in each row, and none occurs twice in a product: the mean is Q_x(π). Moving row y
    moves ``Q̂_x(a) − Q̂_x(b)`` by at most ``span(ΔQ_x) ≤ 2Λ_xy · 2`` (as in T2): by Efron and Stein's and Popoviciu's
    inequalities its variance is at most ``¼ Σ_y (4Λ_xy)²``. And ``‖ξ − mean‖₂² = (1/A) Σ_{a<b} (ξ_a − ξ_b)²``, a sum
    of A(A−1)/2 terms. The noise adds ``(A−1)s²``.

    T5 holds with this σ²: a constant added to ξ_x changes nothing there, so that ‖ξ_x‖_∞ may be replaced by ½ span
    ξ_x, and ``span² ≤ 2(max−mean)² + 2(mean−min)² ≤ 2‖ξ_x − mean‖₂²``. Hence ``E D_k ≤ u_k``.

    (a) Up to constants, π* being a fixed point, ``(1+ητ)(log π⁺ − log π*) = log π − log π* + η(Q(π) − Q(π*)) + ηξ``.
    The recursion is linear: ``log π^k − log π* = m_k + n_k`` with ``m_0 = log π⁰ − log π*``, ``n_0 = 0``, where m is
    driven by ``Q(π) − Q(π*)`` and n by ξ. In the mean square norm over plays ``‖·‖``: given the past n_k is known and
    ξ_k has mean zero, so that ``E‖n_k − mean‖₂² ≤ v_k`` and ``‖span n_k‖ ≤ √(2v_k)``; and ``span(Q_x(π) − Q_x(π*)) ≤
    2 Σ_y Λ_xy ‖d_y‖₁`` is at most r_x, and at most ``β_x √D_k`` by Cauchy and Pinsker, so that ``‖span m_k‖ ≤ a_k``,
    by Minkowski's inequality. As in T3 ``g_x ≤ (τ/8) span(log π − log BR)²``, and that span is at most ``span m +
    span n + span(Q(π) − Q(π*))/τ``. Minkowski once more.

    (b) Write t = k + k0. T5 (c) gives ``u_k ≤ C/t`` (its recursion is u's, and k/(t+1) grows with k). ``v_k ≤ N/t``
    and ``a_k ≤ A/√t`` by induction: the former asks for ``(N + 4ς²/(κ²t))(1 + 1/t) ≤ N(1 + 2θ/t)²``, which follows
    from ``(4ς²/κ²)(1+1/t) ≤ N(4θ−1)``; the latter for ``A + 2β√C/(κt) ≤ A(1 + 2θ/t)/√(1+1/t)``, whose right side is
    at least ``A(t+2θ)/(t+½)``, so that ``2β√C/κ · (1+1/(2t)) ≤ A(2θ−½)`` suffices. Both hold as θ ≥ 1 and t ≥ k0.
    Then ``Σ_{k<K} 1/(k+k0) ≤ 1/k0 + ∫_{k0}^{K−1+k0} dt/t``.

    (c) ``√u_k ≤ √(q^k D_0) + √(ησ²/κ)`` (T5), ``v_k ≤ η²ς²/((1+ητ)²−1)``, ``min(β(x+y), r) ≤ βx + min(βy, r)``, and a
    is linear in b: the bracket of (a) is at most that of T3 (b) plus a constant, ``√(8f_x/τ_x)``. Minkowski's
    inequality for the sum over rounds. ∎

Tightness
    One agent with two actions whose payoffs are 0: β = 0, the span of n is all there is, ``g ≈ (τ/8) z²`` for logit
    differences z, and (a) is an equality in the limit of small noise. So is (c), for many rounds: a constant step
    *does* lose ``K f_x`` there, and about half of it at half the step. Elsewhere Cauchy's inequality for β, and T5's
    factor of four to eight, are what is lost. If payoffs are biased, no steps help: a negative control.

How it is measured
    Games, temperatures and policies π* are drawn, and then the reference with which π* is the HQRE, ``log ρ = log π*
    − Q(π*)/τ``; neither margin nor L depend on ρ. Gaps are evaluated exactly along sampled play, half of the games
    with the others' actions drawn. What the expectation is at least follows from independent runs by betting
    (`surely`), without any assumption on the law but ``g ≥ 0``: the chance that any of all comparisons of a sound
    statement fails is 0.1 %.

Reference
    theory.md, T3 and T5. Efron & Stein (1981); Waudby-Smith & Ramdas (2024) for means by betting.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

import hqre_jax as hq
from hqre_jax.core._simplex import log_softmax, span
from hqre_jax.core._types import LogPolicy, PerPlayer, StateValues
from proofs_check import _accuracy as accuracy
from proofs_check._cases import BAYESIAN, GENERAL_SUM, NEAR_ZERO_SUM, Cases, batches, certified, posed, quick_jit, taken
from proofs_check._confidence import surely
from proofs_check._sampled_regret import (
    LOOKED_AT,
    NUM_ROUNDS,
    NUM_RUNS,
    Constants,
    excess,
    floor_of,
    harmonic,
    in_chunks,
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
from proofs_check._statement import Comparison, Example, Outcome, Statement

ROUND = "(a) E g_x ≤ (τ/8)(a+√2v+b/τ)²"
LOGARITHMIC = "(b) E Σ g ≤ G (1/k0 + log(1+(K−1)/k0))"
LINEAR = "(c) E Σ g ≤ (√G⁰ + √Kf)²"
_FAMILIES = (GENERAL_SUM, NEAR_ZERO_SUM, BAYESIAN)
# Names of the negative controls.
BIASED, TOO_LARGE, UNDERSTATED = "biased estimates", "steps too large", "variance understated"
# Logits of π* and of starts; sizes of the noise, units of payoff; largest ηκ where L = 0 allows any step.
_SPREAD, _NEAREST, _LEAST_NOISE, _LARGEST_NOISE, _LARGEST_STEP = 1.0, 0.02, 0.03, 1.0, 1.0
# Chance that a sound statement fails, over all comparisons of a ledger of this many games, this many in each.
_FALSE_ALARM, _LEDGER = 1e-3, 100_000 * 32
_ALARM = _FALSE_ALARM / _LEDGER
# Of the controls: what the bounds are told of the variance, and the bias in units of payoff.
_DENIED, _BIAS = 1e-3, 3.0
# Copies of a game whose slope is measured to about 1 %.
_COPIES = 40


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
    """

    star: Float[Array, "player state action"]
    start: Float[Array, "player state action"]
    size: Float[Array, ""]
    bias: Float[Array, ""]
    sampled: Bool[Array, ""]
    factor: Float[Array, ""]
    told: Float[Array, ""]


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


def _run(plain: hq.Problem, weights: StateValues, margin: Array, lipschitz: Array, trial: Trial, key: Any) -> Run:
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
    )(kinds, jax.random.split(key, (2, NUM_RUNS)))

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


@quick_jit
def _measure(cases: Cases, trials: Trial, keys: Any) -> Run:
    known = cases.known
    return jax.vmap(_run)(cases.problem, known.weights, known.margin, known.lipschitz, trials, keys)


def trials_of(cases: Cases, rng: np.random.Generator) -> Trial:
    """π*, starts near and far, a quarter of them π* itself; noise of all sizes, with and without drawn actions."""
    shape = cases.problem.log_reference.shape
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
    return Trial(*map(jnp.asarray, parts))


def comparisons_under(family: str, cases: Cases, trials: Trial, rng: np.random.Generator) -> tuple[Comparison, ...]:
    """All claims for the games with a margin.

    Args:
        family: What the comparisons are called.
        cases: The games.
        trials: What else was drawn.
        rng: Source of the keys of play.

    Returns:
        One comparison for each claim.
    """
    chosen = np.asarray(cases.known.margin) > 0
    keys = jax.random.split(jax.random.key(int(rng.integers(2**31))), len(chosen))
    run = jax.tree.map(lambda x: x[chosen], in_chunks(_measure, cases, trials, keys))
    problems, totals = taken(cases.problem, chosen), surely(run.totals, _ALARM)
    return (
        Comparison(ROUND, family, surely(run.gaps, _ALARM), run.rounds, run.round_slack, problems=problems),
        *(
            Comparison(claim, family, totals[:, k], run.bounds[:, k], run.slack[:, k], problems=problems)
            for k, claim in enumerate((LOGARITHMIC, LINEAR))
        ),
    )


def check(key: Any, num_games: int) -> Outcome:
    """T3s on random certified games: 48 runs of 48 rounds with decreasing, and with constant steps.

    Args:
        key: Typed key.
        num_games: Number of games, over all families.

    Returns:
        The three claims; (a) in two rounds, (b) and (c) for each player.
    """
    comparisons, drawn = [], 0
    for family, rng, num in batches(key, num_games, _FAMILIES):
        cases = certified(family, rng, num)
        comparisons += comparisons_under(family.name, cases, trials_of(cases, rng), rng)
        drawn += num
    return Outcome(tuple(sorted(comparisons, key=lambda c: c.claim)), drawn)


def negative_control(key: Any, num_games: int) -> Outcome:
    """Play begins at π*: the bounds are told next to nothing of the noise, or estimates are biased by three units."""
    comparisons, drawn = [], 0
    for family, rng, num in batches(key, num_games, (NEAR_ZERO_SUM,)):
        cases = certified(family, rng, num)
        trials = trials_of(cases, rng)
        trials = trials._replace(start=0 * trials.start)
        wrong = {
            UNDERSTATED: trials._replace(told=_DENIED * trials.told),
            BIASED: trials._replace(bias=_BIAS * trials.told, size=_LEAST_NOISE * trials.told, sampled=trials.told < 0),
        }
        for name, changed in wrong.items():
            comparisons += comparisons_under(name, cases, changed, rng)
        drawn += num
    return Outcome(tuple(comparisons), drawn)


def sharpness() -> tuple[Example, ...]:
    """The slope of regret with constant steps, and with half of them, where payoffs are 0: known, and its bound f.

    Each agent's logits are a linear recursion there, whose variance is known in every round. Compared is the mean over
    copies of the game; its own error is about 1 %.
    """
    eta = np.array([0.2, 0.1])
    copied = np.repeat(np.arange(2), _COPIES)
    # With τ = 1 = κ and L = 0 the factor 1 is ηκ = 1.
    payoffs = np.zeros((len(copied), 2, 3, 3))
    mask = np.broadcast_to(np.arange(3) < 2, (len(copied), 2, 1, 3))
    cases = posed(lambda u, mask: hq.NormalFormGame(u, action_mask=mask), (payoffs, mask), np.ones(len(copied)))
    zeros, ones = np.zeros((len(copied), 2, 1, 3)), np.ones(len(copied))
    size = 0.1
    drawn = zeros, zeros, size * ones, 0 * ones, ones < 0, eta[copied], ones
    keys = jax.random.split(jax.random.key(0), len(copied))
    run = in_chunks(_measure, cases, Trial(*map(jnp.asarray, drawn)), keys)
    measured = run.totals[:, 1].mean(axis=(1, 2)).reshape(2, _COPIES).mean(axis=1)
    bound = run.bounds[:, 1].mean(axis=1).reshape(2, _COPIES).mean(axis=1)
    examples = []
    for e, total, most in zip(eta, measured, bound, strict=True):
        damping = (1 + e) ** -2.0
        # The two signs differ by 2 or not at all: E z² = 2η²s² Σ_{j≤k} (1+η)^{-2j}, and g = z²/8 + O(z⁴).
        squares = 2 * (e * size) ** 2 * damping * (1 - damping ** np.arange(NUM_ROUNDS)) / (1 - damping)
        name = f"payoffs 0, τ = 1, η = {e:g}, s = {size:g}"
        examples.append(Example(name, "Σ g, constant step: measured / known", float(total), float(squares.sum() / 8)))
        examples.append(Example(name, "Σ g, constant step: measured / K f", float(total), float(most)))
    return tuple(examples)


T3S = Statement(
    name="T3s",
    title="regret on sampled payoffs",
    check=check,
    control="noise understated a thousandfold; biased estimates",
    negative_control=negative_control,
    sharpness=sharpness,
    share=0.05,
)
