"""T2: mirror descent converges linearly where the margin is positive, and how fast.

Problem
    A game in which everybody moves once, with decision points x, temperatures τ_x, an interior reference ρ and a
    positive margin κ at weights w (T1). Everybody updates at once, from what it would earn now:

        π⁺_x ∝ π_x^{1/(1+ητ_x)} ρ_x^{ητ_x/(1+ητ_x)} exp(η Q_x(π)/(1+ητ_x)).

    Does play approach the HQRE π*, at which rate, and for which steps η?

Statement
    Let ``Λ_xy`` bound the interaction that x feels from y: ``¼ max dd(u_i)`` (with types ¼ Σ P(θ_-i|θ_i) max dd), and
    ``L = ‖W^{1/2} Λ W^{-1/2}‖₂``. If ``0 < η ≤ κ/L²`` (any η > 0 if L = 0), then from every interior start

        (a)  D_{k+1} ≤ D_k / (1 + ηκ),     D_k = Σ_x w_x KL(π*_x ‖ π^k_x).

    Asymptotically the error of the policy shrinks per step by r, the spectral radius of the update's Jacobian at π*,
    and D by r². Hence

        (b)  log(1 + ηκ) ≤ 2 log(1/r),

    and r can be predicted: in logits, let e_k be the error, ``uᵀJ = λuᵀ`` with |λ| = r, and K a bound on the
    second derivative of the update. Then the coordinate ``c_k = uᵀe_k`` obeys

        (c)  | |c_{k+1}|/|c_k| − r | ≤ ½ K ‖u‖₁ ‖e_k‖_∞² / |c_k|.

Proof
    (a) π⁺_x maximises ``η⟨Q_x(π), p⟩ − ητ_x KL(p‖ρ_x) − KL(p‖π_x)`` over p, a function that is ``−(1+ητ_x)`` times a
    relative entropy plus linear terms, so that its maximum exceeds its value at π*_x by exactly
    ``(1+ητ_x) KL(π*_x‖π⁺_x)`` (three-point identity). With ``d = π* − π⁺``,

        (1+ητ) KL(π*‖π⁺) = KL(π*‖π) − KL(π⁺‖π) − η⟨Q(π), d⟩ + ητ(KL(π*‖ρ) − KL(π⁺‖ρ))

    at every x. π*_x maximises ``⟨Q_x(π*), p⟩ − τ_x KL(p‖ρ_x)``, hence in the same way
    ``τ KL(π⁺‖π*) = ⟨Q(π*), d⟩ − τ(KL(π*‖ρ) − KL(π⁺‖ρ))``. Insert this, sum with weights w, write KL(·,·) for weighted
    sums and D⁺ for D at π⁺:

        D⁺ + η Σ wτ J(π*, π⁺) = D − KL(π⁺, π) + η Σ w⟨Q(π*) − Q(π), d⟩.

    T1 (a) at the pair (π*, π⁺): ``Σ w⟨Q(π*) − Q(π⁺), d⟩ ≤ Σ w(τ − κ) J``. So

        D⁺ + ηκ (D⁺ + KL(π⁺, π*)) ≤ D − KL(π⁺, π) + η Σ w⟨Q(π⁺) − Q(π), d⟩.

    As in T1, ``span(Q_x(π⁺) − Q_x(π)) ≤ 2 Σ_y Λ_xy ‖π⁺_y − π_y‖₁``, so the last term is at most
    ``ηL ‖π⁺−π‖_w ‖d‖_w``. Pinsker's inequality ``‖·‖_w² ≤ 2KL`` and ``ab ≤ a²/2 + b²/2`` make it at most
    ``KL(π⁺, π) + η²L² KL(π⁺, π*)``. What remains is ``(1 + ηκ) D⁺ ≤ D + η(ηL² − κ) KL(π⁺, π*)``, and ηL² ≤ κ.

    (b) Near π* ``D = ½ eᵀGe + O(e³)`` with a positive definite G (modulo constants, which no policy sees), and (a)
    holds for all small e, so ``J'GJ ≤ G/(1+ηκ)``: the G-norm of J, hence r, is at most ``(1+ηκ)^{-1/2}``.

    (c) ``e_{k+1} = Je_k + R`` with ``‖R‖_∞ ≤ ½K‖e_k‖_∞²``; multiply by uᵀ. For K: along h, ‖h‖_∞ ≤ 1, a softmax p has
    ``‖ṗ‖₁ ≤ 1`` and ``‖p̈‖₁ ≤ 2``, with sums 0. Payoffs being multilinear, ``|Q_i''| ≤ range_i ((N−1) + (N−1)(N−2)/2)``;
    centring doubles it and the update divides by τ and damps: ``K = max_x ητ/(1+ητ) · N(N−1) range_i/τ``. ∎

Tightness
    Matching pennies with payoffs ±1: κ = τ and L = 1, so η = τ; at the uniform HQRE
    ``J = [[1, η], [−η, 1]]/(1+ητ)`` and ``r² = (1+τ²)/(1+τ²)² = 1/(1+ηκ)``: (b) is an equality and (a) is attained
    asymptotically, at every τ. (Where ηκ is small both sides of (a) are nearly D_k, whatever the game: it is (b),
    progress promised over progress made, that tells how tight the constants are.) With η = 4κ/L² and small τ the
    same game spirals outwards: the negative control.

Reference
    theory.md, T2. The three-point argument is Chen & Teboulle's (1993); for zero-sum games see Cen, Wei & Chi (2021),
    Sokota et al. (2023).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import hqre_jax as hq
from hqre_jax._simplex import center, log_softmax, mirror_step, probabilities, span
from hqre_jax._types import LogPolicy, Scalar, StateValues
from proofs_check import _accuracy as accuracy
from proofs_check._cases import FAMILIES, NEAR_ZERO_SUM, Cases, Family, batches, certified, posed, quick_jit
from proofs_check._equilibria import find_equilibria
from proofs_check._statement import Comparison, Example, Outcome, Statement

STEP = "(a) D⁺ ≤ D/(1+ηκ)"
RATE = "(b) log(1+ηκ) ≤ 2 log 1/r"
PREDICTED = "(c) measured rate = r"

_NUM_STEPS, _NUM_STARTS = 40, 2
# Standard deviation of the logits of starts far away, and the size of the error that (c) begins with.
_SPREAD, _NEARBY, _NEARBY_STEPS = 3.0, 1e-4, 8
# Close enough for an asymptotic ratio: matching pennies has no cubic terms (by symmetry), so D departs from a
# quadratic by a part of the order of D itself.
_CLOSE = 1e-3


class Run(NamedTuple):
    """What one game gives; J and the errors e_k are analysed outside compiled code.

    Attributes:
        before: D_k, one per step.
        after: D_{k+1}.
        slack: What rounding and the inexact π* may add to ``D_{k+1} − D_k/(1+ηκ)``.
        jacobian: J at π*, on centred logits.
        jacobian_error: Bound on the 2-norm of its error.
        errors: e_k of a run that starts next to π*, one more than steps.
        curvature: K of (c).
        step_error: Bound on the error of one step in logits, π*'s own included.
    """

    before: Float[Array, " step"]
    after: Float[Array, " step"]
    slack: Float[Array, " step"]
    jacobian: Float[Array, "n n"]
    jacobian_error: Scalar
    errors: Float[Array, "time n"]
    curvature: Scalar
    step_error: Scalar


def _update(problem: hq.Problem, log_policy: LogPolicy, eta: Scalar) -> LogPolicy:
    """π⁺ as a log-policy."""
    return problem.log_policy(mirror_step(log_policy, problem.response_logits(log_policy), eta * problem.tau))


def _divergence_slack(
    problem: hq.Problem, weights: StateValues, star: LogPolicy, log_policy: LogPolicy, off: Scalar
) -> Scalar:
    """Largest error of D at ``log_policy``.

    With π̂ for π*: ``KL(π̂‖p) − KL(π*‖p) = ⟨π̂ − π*, log π̂ − log p⟩ − KL(π*‖π̂)``, at most
    ``‖π̂−π*‖_w ‖½ span(log π̂ − log p)‖_w + Σ w KL(π*‖π̂)``; by the proof of T1 the sum is at most ``off²`` where off
    bounds ``‖π̂−π*‖_w``. And rounding: each term ``p(log p − log q)`` errs by a few eps of its parts.
    """
    wide = accuracy.weighted_norm(0.5 * span(star - log_policy, problem.mask), weights)
    p = probabilities(star, problem.mask)
    parts = jnp.sum(p * (jnp.abs(star) + jnp.abs(log_policy)), axis=-1)
    return off * wide + off**2 + 4 * accuracy.EPS * jnp.sum(weights * parts)


def _step_slack(
    problem: hq.Problem, weights: StateValues, star: LogPolicy, after: LogPolicy, error: StateValues
) -> Scalar:
    """Largest change of D when the logits of π⁺ err by ``error``.

    ``KL(p‖softmax(z+Δ)) − KL(p‖softmax(z)) ≤ ‖softmax(z) − p‖₁ max|Δ| + span(Δ)²/8``.
    """
    gap = jnp.sum(jnp.abs(probabilities(after, problem.mask) - probabilities(star, problem.mask)), axis=-1)
    return jnp.sum(weights * (gap * error + 0.5 * error**2))


def _logit_rounding(problem: hq.Problem, log_policy: LogPolicy, damping: StateValues) -> StateValues:
    """Largest rounding error of the logits after one update."""
    return damping * accuracy.value_rounding(problem) / problem.tau + accuracy.log_rounding(problem, log_policy)


def _run(problem: hq.Problem, weights: StateValues, kappa: Scalar, eta: Scalar, key: Any) -> Run:
    problem = problem.centered()
    mask, dtype = problem.mask, problem.tau.dtype
    solve_key, far_key, near_key = jax.random.split(key, 3)
    found, sizes = find_equilibria(problem, _NUM_STARTS, solve_key)
    star = found[jnp.argmin(jnp.where(jnp.isnan(sizes), jnp.inf, sizes))]
    off = accuracy.distance_to_equilibrium(problem, star, weights, kappa)
    damping = (eta * problem.tau) / (1 + eta * problem.tau)
    rate = 1 / (1 + eta * kappa)

    def far_step(log_policy, _):
        after = _update(problem, log_policy, eta)
        error = _logit_rounding(problem, log_policy, damping)
        slack = _step_slack(problem, weights, star, after, error)
        slack = slack + _divergence_slack(problem, weights, star, after, off)
        slack = slack + rate * _divergence_slack(problem, weights, star, log_policy, off)
        before, later = (accuracy.divergence(star, p, problem, weights) for p in (log_policy, after))
        return after, (before, later, slack)

    start = log_softmax(_SPREAD * jax.random.normal(far_key, mask.shape, dtype), mask)
    _, (before, after, slack) = jax.lax.scan(far_step, start, length=_NUM_STEPS)

    def flat_update(z):
        z = center(z.reshape(mask.shape), mask)
        return center(mirror_step(z, problem.response_logits(problem.log_policy(z)), eta * problem.tau), mask).ravel()

    centred = center(star, mask).ravel()
    jacobian = jax.jacfwd(flat_update)(centred)
    disturbance = center(_NEARBY * jax.random.normal(near_key, mask.shape, dtype), mask).ravel()
    _, path = jax.lax.scan(lambda z, _: (flat_update(z),) * 2, centred + disturbance, length=_NEARBY_STEPS)
    errors = jnp.concatenate([disturbance[None], path - centred[None]])

    agents = problem.game.num_players
    ratio = jnp.max(accuracy.used(problem) * damping * problem.game.payoff_range()[:, None] / problem.tau)
    curvature = agents * (agents - 1) * ratio
    rounding = jnp.max(accuracy.used(problem) * _logit_rounding(problem, star, damping))
    defect = jnp.max(jnp.abs(flat_update(centred) - centred))
    # Logits of π̂ and π* differ by at most the ratio times the policies' distance, plus the defect.
    least = jnp.min(jnp.where(mask.any(-1), weights, jnp.inf))
    logits_off = ratio * agents * off / jnp.sqrt(least) + defect / jnp.min(jnp.where(mask.any(-1), damping, 1.0))
    jacobian_error = mask.size * (curvature * logits_off + rounding)
    return Run(before, after, slack, jacobian, jacobian_error, errors, curvature, 2 * (rounding + defect))


@quick_jit
def _measure(cases: Cases, factor: Scalar, keys: Any) -> Run:
    known = cases.known
    return jax.vmap(_run)(cases.problem, known.weights, known.margin, factor * known.max_step, keys)


def _comparisons(family: Family, cases: Cases, factor: float, key: Any) -> tuple[Comparison, ...]:
    """The three claims for every certified game, with steps ``factor`` times the largest that T2 allows."""
    margin, step = np.asarray(cases.known.margin), factor * np.asarray(cases.known.max_step)
    chosen = (margin > 0) & np.isfinite(step)
    keys = jax.random.split(key, len(margin))
    run = jax.tree.map(lambda x: np.asarray(x)[chosen], _measure(cases, jnp.asarray(factor), keys))
    q = 1 / (1 + step * margin)[chosen]
    spectrum = _spectrum(run)
    return (
        Comparison(STEP, family.name, run.after, q[:, None] * run.before, run.slack),
        _progress(family, q, spectrum),
        _prediction(family, run, spectrum),
    )


class Spectrum(NamedTuple):
    """Spectral radius of each game's J, a bound on its error, and a left eigenvector that belongs to it."""

    radius: np.ndarray
    error: np.ndarray
    left: np.ndarray


def _spectrum(run: Run) -> Spectrum:
    """Eigenvalues by LAPACK, errors by Bauer & Fike: at most the condition of the eigenvectors times ‖ΔJ‖₂.

    LAPACK's own backward error is taken as ``16 n eps ‖J‖_F``.
    """
    size = run.jacobian.shape[-1]
    values, vectors = np.linalg.eig(np.swapaxes(run.jacobian, -1, -2))
    top = np.argmax(np.abs(values), axis=-1)
    radius = np.abs(values)[np.arange(len(top)), top]
    left = np.take_along_axis(vectors, top[:, None, None], axis=-1)[..., 0]
    backward = 16 * size * accuracy.EPS * np.linalg.norm(run.jacobian, axis=(-2, -1))
    with np.errstate(all="ignore"):
        error = np.linalg.cond(vectors) * (run.jacobian_error + backward)
    return Spectrum(radius, np.where(np.isfinite(error), error, np.inf), left)


def _progress(family: Family, q: np.ndarray, spectrum: Spectrum) -> Comparison:
    """Claim (b); an error of r by ε moves log r by ``−log(1 − ε/r)`` at most."""
    part = np.minimum(spectrum.error / spectrum.radius, 1.0)
    with np.errstate(divide="ignore"):
        return Comparison(RATE, family.name, -np.log(q), -2 * np.log(spectrum.radius), -2 * np.log1p(-part))


def _prediction(family: Family, run: Run, spectrum: Spectrum) -> Comparison:
    """Claim (c): c_k from the real iterates; what u lacks of being an eigenvector is put into the bound."""
    coordinate = np.abs(np.einsum("gi,gki->gk", spectrum.left, run.errors))
    now, then = coordinate[:, :-1], coordinate[:, 1:]
    size = np.abs(run.errors[:, :-1]).max(axis=-1)
    pulled = np.einsum("gi,gij->gj", spectrum.left, run.jacobian)
    quotient = np.einsum("gi,gi->g", pulled, spectrum.left.conj()) / np.sum(np.abs(spectrum.left) ** 2, axis=-1)
    lacking = np.abs(pulled - quotient[:, None] * spectrum.left).sum(-1) + np.abs(np.abs(quotient) - spectrum.radius)
    length = np.abs(spectrum.left).sum(-1)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        bound = 0.5 * run.curvature[:, None] * length * size**2 / now
        slack = (length * run.step_error[:, None] + lacking[:, None] * size) / now
        observed = np.abs(then / now - spectrum.radius[:, None])
    # Where the bound is as large as the rate itself (a start that hardly has this component), it says nothing.
    told = (now > 0) & (bound <= 0.1 * spectrum.radius[:, None])
    return Comparison(PREDICTED, family.name, observed, bound, slack, told)


def _over(families: tuple[Family, ...], key: Any, num_games: int, factor: float) -> Outcome:
    comparisons, drawn = [], 0
    for family, rng, num in batches(key, num_games, families):
        cases = certified(family, rng, num)
        comparisons += _comparisons(family, cases, factor, jax.random.key(int(rng.integers(2**31))))
        drawn += num
    return Outcome(tuple(comparisons), drawn)


def check(key: Any, num_games: int) -> Outcome:
    """T2 on random certified games, with the largest step it allows.

    Args:
        key: Typed key.
        num_games: Number of games, over all families.

    Returns:
        The three claims: (a) at 40 steps from a start far away, (b) at π*, (c) at 8 steps from a start next to π*.
    """
    return _over(FAMILIES, key, num_games, 1.0)


def negative_control(key: Any, num_games: int) -> Outcome:
    """Steps four times too large, in games close to zero-sum: play spirals outwards although κ > 0."""
    return _over((NEAR_ZERO_SUM,), key, num_games, 4.0)


def matching_pennies(tau: np.ndarray) -> Cases:
    """Payoffs ±1, at each of the given temperatures."""
    one = np.array([[1.0, -1.0], [-1.0, 1.0]])
    return posed(hq.NormalFormGame, (np.tile(np.stack([one, -one]), (len(tau), 1, 1, 1)),), tau)


def sharpness() -> tuple[Example, ...]:
    """Matching pennies: (b) at every τ, and D_{k+1} against D_k/(1+ηκ) where 40 steps lead close to the equilibrium.

    At τ = 0.1 they do not, and the ratio of (a) is not yet the asymptotic one that the statement speaks of.
    """
    tau = np.array([0.1, 0.5, 1.0, 2.0])
    cases = matching_pennies(tau)
    run = jax.tree.map(np.asarray, _measure(cases, jnp.asarray(1.0), jax.random.split(jax.random.key(0), len(tau))))
    q = 1 / (1 + np.asarray(cases.known.max_step) * np.asarray(cases.known.margin))
    radius = _spectrum(run).radius
    examples = []
    for g, temperature in enumerate(tau):
        name, bound = f"matching pennies, τ = {temperature:g}", q[g] * run.before[g]
        promised, made = float(-np.log(q[g])), float(-2 * np.log(radius[g]))
        examples.append(Example(name, "log(1+ηκ) / 2 log(1/r)", promised, made))
        close = np.flatnonzero((run.before[g] <= _CLOSE) & (run.slack[g] <= 1e-6 * bound))
        if close.size:
            last = close[-1]
            quantity = f"D_{last + 1} / (D_{last}/(1+ηκ))"
            examples.append(Example(name, quantity, float(run.after[g, last]), float(bound[last])))
    return tuple(examples)


T2 = Statement(
    name="T2",
    title="linear convergence",
    check=check,
    control="steps four times too large",
    negative_control=negative_control,
    sharpness=sharpness,
)
