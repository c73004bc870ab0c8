"""T5: mirror descent on sampled payoffs: a geometric approach to a floor, and 1/k with decreasing steps.

Problem
    The update of T2 with estimates Q̂ in the place of Q(π), because payoffs are known by playing only:

        π⁺_x ∝ π_x^{1/(1+ητ_x)} ρ_x^{ητ_x/(1+ητ_x)} exp(η Q̂_x/(1+ητ_x))         at every decision point x.

    How close to the HQRE π* does play come, and how fast, in expectation?

Statement
    Let κ > 0 be the margin at weights w (T1), L the constant of T2, and ``Q̂_x = Q_x(π) + ξ_x`` with
    ``E[ξ_x | past] = 0`` and ``Σ_x w_x E[‖ξ_x‖_∞² | past] ≤ σ²``. If ``0 < η ≤ κ/(2L²)`` (any η > 0 if L = 0), then

        (a)  E[D⁺ | past] ≤ (D + η²σ²)/(1 + ηκ),        D = Σ_x w_x KL(π*_x ‖ π_x),

    and so, with a constant step and ``q = 1/(1+ηκ)``,

        (b)  E D_K ≤ q^K D_0 + (1 − q^K) ησ²/κ:         a floor that halves with η and with σ²,

    and with ``η_k = 2/(κ(k+k0))``, ``k0 ≥ max(1, 4L²/κ²)``,

        (c)  E D_K ≤ [k0(k0+1) D_0 + 4σ²K(1+1/k0)/κ²] / ((K+k0)(K+k0+1)),

    which is O(1/K). Steps that minimise the right side of (a) one after the other, ``η = (√(1+κ²u/σ²) − 1)/κ`` at
    ``u_0 ≥ D_0`` and at most κ/(2L²), give ``E D_k ≤ u_k`` with ``u_{k+1} = (u_k + η²σ²)/(1+ηκ)``, no more than any
    other steps chosen beforehand. A decision point that is updated in some rounds only is not covered, unless its
    estimate is weighted with the inverse of the probability of that.

Proof
    (a) The three-point identities of T2 hold for any vector in the place of Q(π). With Q̂ and ``d = π* − π⁺``, and with
    weighted sums written as there,

        D⁺ + ηκ (D⁺ + KL(π⁺, π*)) ≤ D − KL(π⁺, π) + η Σ w⟨Q(π⁺) − Q(π), d⟩ − η Σ w⟨ξ, d⟩.

    As in T2 the third term is at most ``ηL‖π⁺−π‖_w ‖d‖_w ≤ ¼‖π⁺−π‖_w² + η²L²‖d‖_w²``, and by Pinsker's inequality at
    most ``½KL(π⁺, π) + 2η²L² KL(π⁺, π*)``, of which ``2η²L² ≤ ηκ`` takes care. The last term is
    ``−η Σ w⟨ξ, π* − π⟩ + η Σ w⟨ξ, π⁺ − π⟩``. Given the past the first part has expectation zero, for π* and π are
    known; the second is at most ``Σ w (¼‖π⁺_x−π_x‖₁² + η²‖ξ_x‖_∞²) ≤ ½KL(π⁺, π) + η² Σ w‖ξ_x‖_∞²``. What remains is
    ``(1+ηκ) E[D⁺ | past] ≤ D + η²σ²``.

    (b) Iterate: ``Σ_{j=1}^K q^j η²σ² = (1 − q^K) ησ²/κ``.

    (c) With ``t = k + k0`` and ``1 + η_kκ = (t+2)/t``, (a) times (t+1)(t+2) reads
    ``(t+1)(t+2) E D_{k+1} ≤ t(t+1) E D_k + 4σ²(1+1/t)/κ²``. Sum over k < K; ``η_0 = 2/(κk0) ≤ κ/(2L²)``.

    The last: ``(u + η²σ²)/(1+ηκ)`` increases with u, and its derivative by η vanishes where
    ``κσ²η² + 2σ²η − κu = 0``. ∎

Tightness
    One agent whose payoffs are 0, two actions, ``ξ = (±s, ∓s)``: κ = τ, L = 0, σ² = s². The difference of its logits
    obeys ``z⁺ = (z + 2ηξ_1)/(1+ητ)``, so its variance tends to ``4η²s²/((1+ητ)² − 1)``, and near the uniform policy
    ``D ≈ z²/8`` tends to ``¼ ησ²/κ · 1/(1 + ητ/2)``: the floor is a factor of four from the truth, of which one half is
    paid for L (without it, ``η²σ²/2`` suffices), and one half for the quadratic growth of D near π*. (With signs that
    are drawn independently, as below, it is a factor of eight: the two agree half of the time.) (a) itself is nearly
    attained where D dominates the noise. With estimates that are biased there is another floor, which no step
    lowers: the negative control.

How it is measured
    (a) exactly: given the past, ξ_x is one of 2^A sign vectors of size s, over which D⁺ is averaged at each x. (b) and
    (c): the mean of D over independent runs, less z standard errors, where z makes the chance that any of all the
    comparisons is too high by more than that equal to 0.1 %, were the means normal. D is skewed to the right, so that
    runs with a mean too high have a standard error too high: what is claimed is on the safe side of normal.

Reference
    theory.md, T5. Robbins & Monro (1951) for decreasing steps; relative strong monotonicity as in T2.
"""

from statistics import NormalDist
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import hqre_jax as hq
from hqre_jax.core._simplex import mirror_step
from hqre_jax.core._types import ActionValues, LogPolicy, Scalar, StateValues
from proofs_check import _accuracy as accuracy
from proofs_check._cases import (
    BAYESIAN,
    GENERAL_SUM,
    NEAR_ZERO_SUM,
    Cases,
    batches,
    certified,
    known_bounds,
    posed,
    quick_jit,
    taken,
)
from proofs_check._equilibria import find_equilibria
from proofs_check._statement import Comparison, Example, Outcome, Statement

ROUND = "(a) E[D⁺|past] ≤ (D+η²σ²)/(1+ηκ)"
FLOOR = "(b) E D, constant step"
DECAY = "(c) E D, step 2/(κ(k+k0))"
_FAMILIES = (GENERAL_SUM, NEAR_ZERO_SUM, BAYESIAN)
# Names of the negative controls.
BIASED, FOURFOLD, UNDERSTATED = "biased estimates", "steps too large", "σ² understated"

# Independent runs, their length, and how many policies (a) looks at.
_NUM_RUNS, _NUM_STEPS, _NUM_POLICIES, _NUM_STARTS = 32, 100, 4, 2
# Logits of policies that (a) looks at and of the start of (c); sizes of the noise, units of payoff.
_SPREAD, _LEAST_NOISE, _LARGEST_NOISE = 1.0, 0.03, 1.0
# Largest step where L = 0 allows any: ηκ.
_LARGEST_STEP = 1.0
# Chance that the means of a sound statement are called too high, over all comparisons of a ledger of this many games.
_FALSE_ALARM, _LEDGER = 1e-3, 100_000
# Copies of a game whose floor is measured to about 1 %.
_COPIES = 40


class Assumed(NamedTuple):
    """Constants by which games are judged: the library's, or in a negative control what should have been them.

    Attributes:
        weights: w.
        margin: κ.
        lipschitz: L.
        step: η.
        size: s, the size of the noise.
        bias: What is added to every estimate of the first action, as a multiple of s.
    """

    weights: StateValues
    margin: Float[Array, " game"]
    lipschitz: Float[Array, " game"]
    step: Float[Array, " game"]
    size: Float[Array, " game"]
    bias: Float[Array, " game"]


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


def _run(problem: hq.Problem, assumed: Assumed, key: Any) -> Run:
    problem = problem.centered()
    mask, dtype, weights = problem.mask, problem.tau.dtype, assumed.weights
    kappa, eta = assumed.margin, assumed.step
    solve_key, far_key, play_key = jax.random.split(key, 3)
    found, sizes = find_equilibria(problem, _NUM_STARTS, solve_key)
    star = found[jnp.argmin(jnp.where(jnp.isnan(sizes), jnp.inf, sizes))]
    off = accuracy.distance_to_equilibrium(problem, star, weights, kappa)
    bias = assumed.size * assumed.bias * jnp.where(jnp.arange(mask.shape[-1]) == 0, 1.0, 0.0)
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
        patterns = assumed.size * jnp.asarray(_signs(mask.shape[-1]), dtype)
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
            log_policy = _update(problem, log_policy, step, assumed.size * signs + first_bias)
            return log_policy, divergence(log_policy)

        return jax.lax.scan(advance, begin, (jax.random.split(key, _NUM_STEPS), steps))

    # Two kinds of runs: constant steps from π*, decreasing steps from far away.
    decreasing = 2 / (kappa * (jnp.arange(_NUM_STEPS) + _offset(kappa, assumed.lipschitz)))
    kinds = jnp.stack([star, policies[-1]]), jnp.stack([jnp.full(_NUM_STEPS, eta), decreasing])
    keys = jax.random.split(play_key, (2, _NUM_RUNS))
    ends, along = jax.vmap(jax.vmap(play, (0, None, None)))(keys, *kinds)
    # What one step errs by is damped by the next, so that errors of steps add up at most.
    error = jax.vmap(jax.vmap(lambda p: _NUM_STEPS * of_a_step(p) + of_reading(p)))(ends)
    error = jnp.max(error) + of_reading(policies[-1])
    late = jnp.mean(along[0, :, _NUM_STEPS // 2 :], axis=1)
    return Run(before, after, slack, late, before[-1], along[1, :, -1], error)


def _offset(kappa: Any, lipschitz: Any) -> Any:
    """The least k0."""
    return jnp.maximum(1.0, 4 * (lipschitz / kappa) ** 2)


@quick_jit
def _measure(problem: hq.Problem, assumed: Assumed, keys: Any) -> Run:
    return jax.vmap(_run)(problem, assumed, keys)


def assumed_of(cases: Cases, size: np.ndarray, factor: float = 1.0) -> Assumed:
    """The library's constants, with steps ``factor`` times the largest that T5 allows.

    Args:
        cases: Problems and what is certified of them.
        size: s of each game, units of payoff.
        factor: Of the steps.

    Returns:
        Constants of each game; the noise has no bias.
    """
    known = cases.known
    largest = jnp.minimum(0.5 * known.max_step, _LARGEST_STEP / known.margin)
    return Assumed(
        known.weights, known.margin, known.lipschitz, factor * largest, jnp.asarray(size), jnp.zeros_like(known.margin)
    )


def comparisons_under(
    family: str, problem: hq.Problem, assumed: Assumed, key: Any, understated: float = 1.0
) -> tuple[Comparison, ...]:
    """The three claims for every game with a margin.

    Args:
        family: What the comparisons are called.
        problem: Problems in which everybody moves once; leading axis (game).
        assumed: Constants by which they are judged.
        key: Typed key of policies and noise.
        understated: Factor on σ² that the bounds are told.

    Returns:
        One comparison for each claim.
    """
    chosen = (np.asarray(assumed.margin) > 0) & np.isfinite(np.asarray(assumed.step))
    keys = jax.random.split(key, len(chosen))
    run = jax.tree.map(lambda x: np.asarray(x)[chosen], _measure(problem, assumed, keys))
    kept = jax.tree.map(lambda x: np.asarray(x)[chosen], assumed)
    kappa, eta = kept.margin, kept.step
    variance = understated * kept.size**2 * kept.weights.sum(axis=(1, 2))
    rate = 1 / (1 + eta * kappa)
    problem = taken(problem, chosen)
    steps = np.arange(_NUM_STEPS // 2, _NUM_STEPS) + 1
    floor = (eta * variance / kappa) * np.mean(1 - rate[:, None] ** steps, axis=1)
    k0 = np.asarray(_offset(kappa, kept.lipschitz))
    end = _NUM_STEPS + k0
    decay = (k0 * (k0 + 1) * run.start + 4 * variance * _NUM_STEPS * (1 + 1 / k0) / kappa**2) / (end * (end + 1))
    told = (run.before + (eta**2 * variance)[:, None]) * rate[:, None]
    return (
        Comparison(ROUND, family, run.after, told, run.slack, problems=problem),
        Comparison(FLOOR, family, _surely(run.floor), floor, run.error, problems=problem),
        Comparison(DECAY, family, _surely(run.decay), decay, run.error, problems=problem),
    )


def _surely(runs: Float[np.ndarray, "game run"]) -> Float[np.ndarray, " game"]:
    """What the expectation is at least: the mean less z standard errors, for all comparisons of a ledger together."""
    z = -NormalDist().inv_cdf(_FALSE_ALARM / (2 * _LEDGER))
    return runs.mean(axis=1) - z * runs.std(axis=1, ddof=1) / np.sqrt(runs.shape[1])


def _noise(rng: np.random.Generator, num: int) -> Float[np.ndarray, " game"]:
    """Sizes of noise, log-uniform."""
    return _LEAST_NOISE * (_LARGEST_NOISE / _LEAST_NOISE) ** rng.random(num)


def measure(problem: hq.Problem, key: Any) -> tuple[Comparison, ...]:
    """T5 for given problems, with the largest step that it allows.

    Args:
        problem: Problems in which everybody moves once; leading axis (game).
        key: Typed key of the sizes of noise, of policies and of noise.

    Returns:
        The three claims, for the games with a positive margin.
    """
    cases = Cases(problem, known_bounds(problem))
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    return comparisons_under("given", problem, assumed_of(cases, _noise(rng, len(cases.known.margin))), key)


def check(key: Any, num_games: int) -> Outcome:
    """T5 on random certified games, with the largest step it allows.

    Args:
        key: Typed key.
        num_games: Number of games, over all families.

    Returns:
        The claims: (a) at policies near and far, (b) from π*, (c) from far away.
    """
    comparisons, drawn = [], 0
    for family, rng, num in batches(key, num_games, _FAMILIES):
        cases = certified(family, rng, num)
        assumed = assumed_of(cases, _noise(rng, num))
        comparisons += comparisons_under(family.name, cases.problem, assumed, jax.random.key(int(rng.integers(2**31))))
        drawn += num
    return Outcome(tuple(sorted(comparisons, key=lambda c: c.claim)), drawn)


def negative_control(key: Any, num_games: int) -> Outcome:
    """Three wrong hypotheses in games close to zero-sum; each is a family of the outcome."""
    comparisons, drawn = [], 0
    for family, rng, num in batches(key, num_games, (NEAR_ZERO_SUM,)):
        cases, size = certified(family, rng, num), _noise(rng, num)
        right, key = assumed_of(cases, size), jax.random.key(int(rng.integers(2**31)))
        wrong = {
            BIASED: (right._replace(bias=2.0 * jnp.ones_like(right.bias)), 1.0),
            FOURFOLD: (right._replace(step=16 * right.step), 1.0),
            UNDERSTATED: (right, 1 / 16),
        }
        for name, (constants, understated) in wrong.items():
            comparisons += comparisons_under(name, cases.problem, constants, key, understated)
        drawn += num
    return Outcome(tuple(comparisons), drawn)


def two_actions(tau: np.ndarray) -> Cases:
    """One agent with two actions that pay nothing, beside one with a single action."""
    return posed(hq.NormalFormGame, (np.zeros((len(tau), 2, 2, 2)),), tau)


def sharpness() -> tuple[Example, ...]:
    """The floor, and its halves at half the step and at half of σ², where payoffs are 0; and the bound beside it.

    Each agent's logits are a linear recursion there, whose variance is known at every step. The mean over copies of
    the game is compared with it: its own error is about 1 %.
    """
    eta, size = np.array([0.1, 0.05, 0.1]), np.array([0.1, 0.1, 0.1 / np.sqrt(2)])
    copied = np.repeat(np.arange(3), _COPIES)
    cases = two_actions(np.ones(len(copied)))
    assumed = assumed_of(cases, size[copied])._replace(step=jnp.asarray(eta[copied]))
    keys = jax.random.split(jax.random.key(0), len(copied))
    floor = np.asarray(_measure(cases.problem, assumed, keys).floor).reshape(3, -1).mean(axis=1)
    variance = size**2 * float(np.asarray(assumed.weights)[0].sum())
    steps = np.arange(_NUM_STEPS // 2, _NUM_STEPS) + 1
    examples = []
    for g in range(3):
        damping = 1 / (1 + eta[g]) ** 2
        # The two signs differ by 2 or not at all: E z² = 2η²σ² Σ_{j=1}^k (1+η)^{-2j}, and D = z²/8 + O(z⁴).
        spread = 2 * eta[g] ** 2 * variance[g] * damping * np.mean((1 - damping**steps) / (1 - damping))
        name = f"payoffs 0, τ = 1, η = {eta[g]:g}, σ² = {variance[g]:g}"
        examples.append(Example(name, "floor measured / known", float(floor[g]), float(spread / 8)))
        bound = eta[g] * variance[g] * np.mean(1 - (1 + eta[g]) ** -steps.astype(float))
        examples.append(Example(name, "floor measured / bound", float(floor[g]), float(bound)))
    return tuple(examples)


T5 = Statement(
    name="T5",
    title="sampled payoffs",
    check=check,
    control="biased estimates; steps sixteen times too large; σ² understated sixteenfold",
    negative_control=negative_control,
    sharpness=sharpness,
    measure=measure,
    share=0.1,
)
