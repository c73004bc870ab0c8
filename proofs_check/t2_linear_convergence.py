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

    Looking ahead allows larger steps. Where the weights cancel every interaction (C = 0 in T1: two-agent zero-sum
    games up to positive scaling, polymatrix games that are zero-sum on every edge), κ = min τ, and the extragradient
    update, a prediction π̄ by the mirror update at π, then π⁺ by the same update of π with Q(π̄), has for η ≤ 1/L

        (d)  D⁺ ≤ D/(1 + ηκ):   with η = 1/L a rate of κ/L instead of κ²/L².

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
    centring doubles it and the update divides by τ and damps: ``K = max_x ητ/(1+ητ) · N(N−1) range_i/τ``.

    (d) The three-point identity holds for π⁺ with Q(π̄) against π*, and for π̄ with Q(π) against π⁺. Add both, insert
    ``τ KL(π̄‖π*) = ⟨Q(π*), π* − π̄⟩ − τ(KL(π*‖ρ) − KL(π̄‖ρ))`` as in (a), and sum with weights w:

        Σ w(1+ητ) [KL(π*‖π⁺) + KL(π⁺‖π̄)] + KL(π̄, π) + η Σ wτ KL(π̄‖π*)
            = D + η Σ w⟨Q(π*) − Q(π̄), π* − π̄⟩ + η Σ w⟨Q(π̄) − Q(π), π⁺ − π̄⟩.

    The second term on the right is 0 as C = 0. The third is at most
    ``ηL ‖π̄−π‖_w ‖π⁺−π̄‖_w ≤ KL(π̄, π) + KL(π⁺, π̄)`` if ηL ≤ 1. What remains is ``Σ w(1+ητ) KL(π*‖π⁺) ≤ D``. ∎

Tightness
    Matching pennies with payoffs ±1: κ = τ and L = 1, so η = τ; at the uniform HQRE
    ``J = [[1, η], [−η, 1]]/(1+ητ)`` and ``r² = (1+τ²)/(1+τ²)² = 1/(1+ηκ)``: (b) is an equality and (a) is attained
    asymptotically, at every τ. (Where ηκ is small both sides of (a) are nearly D_k, whatever the game: it is (b),
    progress promised over progress made, that tells how tight the constants are.) With η = 4κ/L² and small τ the
    same game spirals outwards: a negative control. (d) is looser: extragradient play of matching pennies with η = 1
    has ``r² = (1+τ²)/(1+τ)⁴``, for small τ four times the progress promised.

Reference
    theory.md, T2. The three-point argument is Chen & Teboulle's (1993); for zero-sum games see Cen, Wei & Chi (2021),
    Sokota et al. (2023).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

import hqre_jax as hq
from hqre_jax.core._simplex import log_softmax
from hqre_jax.core._types import Scalar, StateValues
from proofs_check import _accuracy as accuracy
from proofs_check._asymptotics import Local, Spectrum, around, spectrum, stability_boundary
from proofs_check._cases import (
    BATCH,
    FAMILIES,
    NEAR_ZERO_SUM,
    ZERO_SUM,
    ZERO_SUM_FAMILIES,
    Cases,
    batches,
    certified,
    known_bounds,
    posed,
    quick_jit,
    taken,
)
from proofs_check._equilibria import find_equilibria
from proofs_check._play import Known, Steps, extragradient_run, mirror_run, remaining_interaction
from proofs_check._statement import Comparison, Example, Outcome, Statement

STEP = "(a) D⁺ ≤ D/(1+ηκ)"
RATE = "(b) log(1+ηκ) ≤ 2 log 1/r"
PREDICTED = "(c) measured rate = r"
AHEAD = "(d) extragradient: D⁺ ≤ D/(1+κ/L)"
# Names of the negative controls.
FOURFOLD, DOUBLED, UNSTABLE, UNWEIGHTED = "steps too large", "κ doubled", "beyond stability", "w = 1"

_NUM_STEPS, _NUM_STARTS = 40, 2
# Standard deviation of the logits of starts far away, and the size of the error that (c) begins with.
_SPREAD, _NEARBY = 3.0, 1e-4
# Close enough for an asymptotic ratio: matching pennies has no cubic terms (by symmetry), so D departs from a
# quadratic by a part of the order of D itself.
_CLOSE = 1e-3
# Interactions that weights leave, as a part of the temperatures, and are taken to cancel.
_CANCELLED = 1e-10
# How far beyond the measured boundary the control goes.
_BEYOND = 1.1


class Run(NamedTuple):
    """What one game gives.

    Attributes:
        far: D along a run from far away.
        ahead: D along an extragradient run with the step 1/L from the same start.
        cancelled: Whether the weights cancel every interaction, the hypothesis of (d).
        local: The update next to π*.
    """

    far: Steps
    ahead: Steps
    cancelled: Bool[Array, ""]
    local: Local


def _run(problem: hq.Problem, weights: StateValues, kappa: Scalar, steepness: Scalar, eta: Scalar, key: Any) -> Run:
    problem = problem.centered()
    mask, dtype = problem.mask, problem.tau.dtype
    solve_key, far_key, near_key = jax.random.split(key, 3)
    found, sizes = find_equilibria(problem, _NUM_STARTS, solve_key)
    star = found[jnp.argmin(jnp.where(jnp.isnan(sizes), jnp.inf, sizes))]
    off = accuracy.distance_to_equilibrium(problem, star, weights, kappa)
    known = Known(problem, weights, star, off)
    start = log_softmax(_SPREAD * jax.random.normal(far_key, mask.shape, dtype), mask)
    return Run(
        far=mirror_run(known, start, eta, 1 / (1 + eta * kappa), _NUM_STEPS),
        ahead=extragradient_run(known, start, 1 / steepness, 1 / (1 + kappa / steepness), _NUM_STEPS),
        cancelled=remaining_interaction(problem, weights) <= _CANCELLED * jnp.max(problem.tau),
        local=around(known, eta, _NEARBY * jax.random.normal(near_key, mask.shape, dtype)),
    )


class Pretended(NamedTuple):
    """Constants by which games are judged: the library's, or in a negative control what should have been them.

    Attributes:
        weights: w.
        margin: κ.
        lipschitz: L.
        step: η.
    """

    weights: StateValues
    margin: Float[Array, " game"]
    lipschitz: Float[Array, " game"]
    step: Float[Array, " game"]


@quick_jit
def _measure(problem: hq.Problem, constants: Pretended, keys: Any) -> Run:
    return jax.vmap(_run)(problem, *constants, keys)


def proved(cases: Cases, factor: float | np.ndarray = 1.0) -> Pretended:
    """The library's constants, with steps ``factor`` times the largest that T2 allows."""
    known = cases.known
    return Pretended(known.weights, known.margin, known.lipschitz, factor * known.max_step)


def comparisons_under(family: str, problem: hq.Problem, constants: Pretended, key: Any) -> tuple[Comparison, ...]:
    """The four claims for every game with a margin and an interaction; (d) where its hypothesis holds.

    Args:
        family: What the comparisons are called.
        problem: Problems in which everybody moves once; leading axis (game).
        constants: By which they are judged.
        key: Typed key of the starts.

    Returns:
        One comparison for each claim.
    """
    margin, step = np.asarray(constants.margin), np.asarray(constants.step)
    chosen = (margin > 0) & np.isfinite(step)
    keys = jax.random.split(key, len(margin))
    run = jax.tree.map(lambda x: np.asarray(x)[chosen], _measure(problem, constants, keys))
    q = 1 / (1 + step[chosen] * margin[chosen])
    q_ahead = 1 / (1 + margin[chosen] / np.asarray(constants.lipschitz)[chosen])
    near, problem = spectrum(run.local), taken(problem, chosen)
    far, ahead = run.far, jax.tree.map(lambda x: x[run.cancelled], run.ahead)
    cancelled = taken(problem, run.cancelled)
    return (
        Comparison(STEP, family, far.after, q[:, None] * far.before, far.slack, problems=problem),
        _progress(family, problem, q, near),
        _prediction(family, problem, run.local, near),
        Comparison(
            AHEAD, family, ahead.after, q_ahead[run.cancelled, None] * ahead.before, ahead.slack, problems=cancelled
        ),
    )


def measure(problem: hq.Problem, key: Any) -> tuple[Comparison, ...]:
    """T2 for given problems, with the largest step that it allows.

    Args:
        problem: Problems in which everybody moves once; leading axis (game).
        key: Typed key of the starts.

    Returns:
        The four claims, for the games with a positive margin.
    """
    return comparisons_under("given", problem, proved(Cases(problem, known_bounds(problem))), key)


def _progress(family: str, problem: hq.Problem, q: np.ndarray, near: Spectrum) -> Comparison:
    """Claim (b); an error of r by ε moves log r by ``−log(1 − ε/r)`` at most."""
    part = np.minimum(near.error / near.radius, 1.0)
    with np.errstate(divide="ignore"):
        promised, made = -np.log(q), -2 * np.log(near.radius)
        return Comparison(RATE, family, promised, made, -2 * np.log1p(-part), problems=problem)


def _prediction(family: str, problem: hq.Problem, local: Local, near: Spectrum) -> Comparison:
    """Claim (c): c_k from the real iterates; what u lacks of being an eigenvector is put into the bound."""
    coordinate = np.abs(np.einsum("gi,gki->gk", near.left, local.errors))
    now, then = coordinate[:, :-1], coordinate[:, 1:]
    size = np.abs(local.errors[:, :-1]).max(axis=-1)
    pulled = np.einsum("gi,gij->gj", near.left, local.jacobian)
    quotient = np.einsum("gi,gi->g", pulled, near.left.conj()) / np.sum(np.abs(near.left) ** 2, axis=-1)
    lacking = np.abs(pulled - quotient[:, None] * near.left).sum(-1) + np.abs(np.abs(quotient) - near.radius)
    length = np.abs(near.left).sum(-1)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        bound = 0.5 * local.curvature[:, None] * length * size**2 / now
        slack = (length * local.step_error[:, None] + lacking[:, None] * size) / now
        observed = np.abs(then / now - near.radius[:, None])
    # Where the bound is as large as the rate itself (a start that hardly has this component), it says nothing.
    told = (now > 0) & (bound <= 0.1 * near.radius[:, None])
    return Comparison(PREDICTED, family, observed, bound, slack, told, problem)


def check(key: Any, num_games: int) -> Outcome:
    """T2 on random certified games, with the largest step it allows.

    Args:
        key: Typed key.
        num_games: Number of games, over all families; as many zero-sum games more, of which (d) speaks.

    Returns:
        The claims: (a) at 40 steps from a start far away, (b) at π*, (c) at 8 steps from a start next to π*, (d) at 40
        steps.
    """
    comparisons, drawn = [], 0
    for families, of in zip((FAMILIES, ZERO_SUM_FAMILIES), jax.random.split(key), strict=True):
        for family, rng, num in batches(of, num_games, families):
            cases = certified(family, rng, num)
            key = jax.random.key(int(rng.integers(2**31)))
            comparisons += comparisons_under(family.name, cases.problem, proved(cases), key)
            drawn += num
    told = [c for c in comparisons if len(c.observed)]
    return Outcome(tuple(sorted(told, key=lambda c: c.claim)), drawn)


def negative_control(key: Any, num_games: int) -> Outcome:
    """Four wrong hypotheses, in games close to zero-sum and in zero-sum ones; each is a family of the outcome."""
    comparisons, drawn = [], 0
    for family, rng, num in batches(key, num_games, (NEAR_ZERO_SUM, ZERO_SUM)):
        cases = certified(family, rng, num)
        right, key = proved(cases), jax.random.key(int(rng.integers(2**31)))
        if family is NEAR_ZERO_SUM:
            wrong = {
                FOURFOLD: proved(cases, 4.0),
                DOUBLED: right._replace(margin=2 * right.margin),
                UNSTABLE: right._replace(step=_BEYOND * _boundary(cases, key)),
            }
        else:
            ones = jnp.sign(right.weights)
            wrong = {UNWEIGHTED: right._replace(weights=ones)}
        for name, constants in wrong.items():
            comparisons += comparisons_under(name, cases.problem, constants, key)
        drawn += num
    return Outcome(tuple(comparisons), drawn)


def _boundary(cases: Cases, key: Any) -> Float[np.ndarray, " game"]:
    """Steps at which the update ceases to be stable at π*; inf where it never does."""
    known = cases.known
    run = jax.tree.map(np.asarray, _measure(cases.problem, proved(cases), jax.random.split(key, len(known.margin))))
    return stability_boundary(run.local, np.asarray(cases.problem.tau), np.asarray(known.max_step))


def matching_pennies(tau: np.ndarray) -> Cases:
    """Payoffs ±1, at each of the given temperatures; padded to three actions, so that the check's program serves."""
    one = np.pad([[1.0, -1.0], [-1.0, 1.0]], (0, 1))
    mask = np.broadcast_to(np.arange(3) < 2, (len(tau), 2, 1, 3))
    payoffs = np.tile(np.stack([one, -one]), (len(tau), 1, 1, 1))
    return posed(lambda u, mask: hq.NormalFormGame(u, action_mask=mask), (payoffs, mask), tau)


def sharpness() -> tuple[Example, ...]:
    """Matching pennies: (b) at every τ, and D_{k+1} against D_k/(1+ηκ) where 40 steps lead close to the equilibrium.

    At τ = 0.1 they do not, and the ratio of (a) is not yet the asymptotic one that the statement speaks of.
    """
    tau = np.array([0.1, 0.5, 1.0, 2.0])
    # As many as a batch of the check, for the same reason.
    cases = matching_pennies(np.resize(tau, BATCH))
    keys = jax.random.split(jax.random.key(0), BATCH)
    run = jax.tree.map(np.asarray, _measure(cases.problem, proved(cases), keys))
    far = run.far
    q = 1 / (1 + np.asarray(cases.known.max_step) * np.asarray(cases.known.margin))
    radius = spectrum(run.local).radius
    examples = []
    for g, temperature in enumerate(tau):
        name, bound = f"matching pennies, τ = {temperature:g}", q[g] * far.before[g]
        promised, made = float(-np.log(q[g])), float(-2 * np.log(radius[g]))
        examples.append(Example(name, "log(1+ηκ) / 2 log(1/r)", promised, made))
        close = np.flatnonzero((far.before[g] <= _CLOSE) & (far.slack[g] <= 1e-6 * bound))
        if close.size:
            last = close[-1]
            quantity = f"D_{last + 1} / (D_{last}/(1+ηκ))"
            examples.append(Example(name, quantity, float(far.after[g, last]), float(bound[last])))
    return tuple(examples)


T2 = Statement(
    name="T2",
    title="linear convergence",
    check=check,
    control="steps four times too large; κ doubled; steps beyond the measured stability boundary; w = 1",
    negative_control=negative_control,
    sharpness=sharpness,
    measure=measure,
)
