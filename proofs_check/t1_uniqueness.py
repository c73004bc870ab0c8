"""T1: a positive margin leaves exactly one HQRE.

Problem
    A game in which everybody moves once: decision points x = (agent, type), policies π_x in the simplex, values
    ``Q_x(π)``, temperatures τ_x > 0, an interior reference ρ. An HQRE is a policy with
    ``π_x ∝ ρ_x exp(Q_x(π)/τ_x)`` for every x. How many are there?

Statement
    For weights w > 0 let ``d = π − π'``, ``‖d‖_w² = Σ w_x ‖d_x‖₁²`` and ``J(p, q) = KL(p‖q) + KL(q‖p)``. Let
    ``dd(C) = max C[a,b] − C[a',b] − C[a,b'] + C[a',b']`` be the largest interaction in a matrix, and, for complete
    information (w_i u_i is replaced by ``P(θ) v_x u_i(θ,·)``, summed over the profiles θ that hold x and y, for types)

        C_ij = ¼ max_{a_-ij} dd(w_i u_i + w_j u_j),   C_ii = 0,
        κ = λ_min(W^{-1/2} (diag(wτ) − ½C) W^{-1/2}).

    Then for all interior π, π'

        (a)  Σ w_x ⟨Q_x(π) − Q_x(π'), d_x⟩ ≤ Σ w_x (τ_x − κ) J(π_x, π'_x),

    and if κ > 0 there is exactly one HQRE. More: with ``F_x(π) = τ_x (log π_x − log ρ_x) − Q_x(π)``,

        (b)  ‖π − π'‖_w ≤ ‖span(F(π) − F(π'))‖_w / 2κ.

    (c) There is one HQRE as well if ``spr(T⁻¹Λ) < 1`` (Λ as in T2, T = diag τ): whatever `bounds` calls unique is.

Proof
    Interactions. ``d_i`` sums to 0, so ``d_i = ½‖d_i‖₁ (p − q)`` with distributions p, q, and for any matrix
    ``d_iᵀ C d_j = ¼ ‖d_i‖₁ ‖d_j‖₁ (p−q)ᵀ C (p'−q') ≤ ¼ dd(C) ‖d_i‖₁ ‖d_j‖₁``, a bilinear form on distributions being
    largest at vertices. Q is a polynomial in π, so ``Q(π) − Q(π') = ∫₀¹ DQ(π' + sd) d ds``; the block (i, j) of DQ is
    u_i averaged over what the agents other than i and j do at that point of the segment. Pair the blocks (i, j) and
    (j, i): both average over the same law, hence

        Σ_i w_i ⟨Q_i(π) − Q_i(π'), d_i⟩ = Σ_{i<j} ∫ d_iᵀ E[w_i u_i + w_j u_jᵀ] d_j ds ≤ ½ Σ_{i,j} C_ij ‖d_i‖₁ ‖d_j‖₁.

    With types the blocks are sums over profiles θ, each estimated by itself. By definition of κ, the right side is at
    most ``Σ w (τ − κ) ‖d‖₁²``. As κ ≤ min τ (a diagonal entry of ``diag(τ) − ½ W^{-1/2} C W^{-1/2}`` is τ_x) and
    ``‖p − q‖₁² ≤ J(p, q)`` (Pinsker, twice), this is (a).

    Strong monotonicity. ``⟨log π_x − log π'_x, d_x⟩ = J(π_x, π'_x)``. So (a) says
    ``Σ w ⟨F(π) − F(π'), d⟩ = Σ w τ J − Σ w ⟨Q(π) − Q(π'), d⟩ ≥ κ Σ w J ≥ κ ‖d‖_w²``. And as d_x sums to 0,
    ``Σ w ⟨F(π) − F(π'), d⟩ ≤ Σ w ½ span(F_x(π) − F_x(π')) ‖d_x‖₁ ≤ ½ ‖span(F(π) − F(π'))‖_w ‖d‖_w``. Divide: (b).

    One. π is an HQRE iff every F_x(π) is constant over actions, that is, ``span F = 0``: by (b) two HQRE are equal.
    One exists by Brouwer's theorem, the logit response being a continuous map of the policies into themselves.

    (c) A softmax is ``span/2``-Lipschitz from span to ‖·‖₁ and ``span(Q_x(π) − Q_x(π')) ≤ 2 Σ_y Λ_xy ‖d_y‖₁``: two HQRE
    would have ``‖d_x‖₁ ≤ Σ_y τ_x⁻¹ Λ_xy ‖d_y‖₁`` for all x, and ``v ≤ T⁻¹Λ v`` with ``v ≥ 0`` forces v = 0. ∎

Tightness
    For 2×2 coordination ``c·I`` κ = τ − c/2, and at τ = c/2 one HQRE becomes three: the constant is best possible
    (`sharpness`: both to 1e-9, and the three HQRE a thousandth below). In zero-sum games C = 0, and κ = τ is plainly
    best. In games of three agents and more the maxima
    of different pairs need not be attained at one profile, and (a) is loose.

Reference
    theory.md §3, T1. Rosen (1965) for diagonally strict concavity, of which this is the relative-entropy form;
    McKelvey & Palfrey (1995) for uniqueness at high temperature.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import hqre_jax as hq
from hqre_jax.core._simplex import log_softmax, probabilities, span
from hqre_jax.core._types import LogPolicy, Scalar, StateValues
from proofs_check import _accuracy as accuracy
from proofs_check._cases import (
    COORDINATION,
    FAMILIES,
    ZERO_SUM,
    Cases,
    batches,
    certified,
    known_bounds,
    posed,
    quick_jit,
    scaled,
    taken,
)
from proofs_check._equilibria import defect, find_equilibria
from proofs_check._statement import Comparison, Example, Outcome, Statement

MONOTONE = "(a) interaction ≤ Σ w(τ−κ)J"
ONE = "(b) ‖π−π'‖ ≤ ‖span(F−F')‖/2κ"
COUNT = "(c) certified unique: one HQRE"
# Names of the negative controls.
HALVED, DOUBLED, UNWEIGHTED = "half of every interaction", "κ doubled", "w = 1"

_NUM_PAIRS, _NUM_STARTS = 8, 6
# Games of which all HQRE are looked for at once, at least.
_LEAST_BATCH = 40
_ASCENT_STEPS, _FIRST_LENGTH, _SHORTENING = 30, 0.5, 0.9
# How far apart the two policies of a pair are, in logits: nearly infinitesimal, and plainly not.
_REACHES = (0.05, 2.0)
# Logits of actions that a two-action start leaves out.
_OUT = -5.0
# Two approximate HQRE count as located when (b) ties them together at least this closely.
_LOCATED = 1e-6
# The largest defect of what counts as an HQRE, and how far apart two must be to count as two: where the Jacobian is
# nearly singular, one HQRE has approximations that are further apart than their defects.
_RESIDUAL, _APART = 1e-10, 1e-4
# Where three HQRE are exhibited, as a part of the temperature at which they part.
_JUST_BELOW = 1e-3


def interaction(
    problem: hq.Problem, weights: StateValues, kappa: Scalar, first: LogPolicy, second: LogPolicy
) -> tuple[Scalar, Scalar, Scalar]:
    """Both sides of (a), and what rounding may add: errors of Q times ‖d‖₁, of d times span, of J."""
    gap = probabilities(first, problem.mask) - probabilities(second, problem.mask)
    change = accuracy.action_values(problem, first) - accuracy.action_values(problem, second)
    slope = weights * (problem.tau - kappa)
    observed = jnp.sum(weights[..., None] * change * gap)
    bound = jnp.sum(slope * accuracy.symmetric_kl(first, second, problem))
    length = jnp.sum(jnp.abs(gap), axis=-1)
    logs = accuracy.log_rounding(problem, first) + accuracy.log_rounding(problem, second)
    slack = jnp.sum(weights * 2 * accuracy.value_rounding(problem) * length)
    slack = slack + 16 * accuracy.EPS * jnp.sum(weights * span(change, problem.mask))
    return observed, bound, slack + jnp.sum(jnp.abs(slope) * 4 * logs * length)


def distance(
    problem: hq.Problem, weights: StateValues, kappa: Scalar, first: LogPolicy, second: LogPolicy
) -> tuple[Scalar, Scalar, Scalar]:
    """Both sides of (b), and what rounding may add: errors of F, and 16 eps for the probabilities' own."""
    change = accuracy.operator(problem, first) - accuracy.operator(problem, second)
    errors = accuracy.operator_rounding(problem, first) + accuracy.operator_rounding(problem, second)
    observed = accuracy.total_variation_norm(first, second, problem, weights)
    bound = accuracy.weighted_norm(span(change, problem.mask), weights) / (2 * kappa)
    return observed, bound, accuracy.weighted_norm(2 * errors, weights) / (2 * kappa) + 16 * accuracy.EPS


def _adversarial_pairs(problem: hq.Problem, weights: StateValues, kappa: Scalar, key: Any):
    """Both sides of (a), and of (b), at pairs of policies found by gradient ascent on the ratio of (a)."""
    shape, mask = problem.mask.shape, problem.mask

    def pair(z, direction, reach):
        direction = reach * direction / jnp.maximum(jnp.max(jnp.abs(direction)), 1e-3)
        return log_softmax(z, mask), log_softmax(z + direction, mask)

    def sides(z, direction, reach):
        return interaction(problem, weights, kappa, *pair(z, direction, reach))

    def ratio(z, direction, reach):
        observed, bound, _ = sides(z, direction, reach)
        return observed / jnp.maximum(bound, 1e-300)

    def ascend(z, direction, reach):
        def step(point, length):
            gradients = jax.grad(ratio, argnums=(0, 1))(*point, reach)
            units = [g / jnp.maximum(jnp.max(jnp.abs(g)), 1e-300) for g in gradients]
            return (point[0] + length * units[0], point[1] + length * units[1]), None

        lengths = _FIRST_LENGTH * _SHORTENING ** jnp.arange(_ASCENT_STEPS, dtype=z.dtype)
        (z, direction), _ = jax.lax.scan(step, (z, direction), lengths)
        ends = pair(z, direction, reach)
        return sides(z, direction, reach), distance(problem, weights, kappa, *ends)

    def start(key, two_actions):
        noise = jax.random.normal(key, (2, *shape), problem.tau.dtype)
        # The interaction is largest between policies on two actions: the two of largest noise.
        rank = jnp.sum(jnp.where(mask, noise[0], -jnp.inf)[..., None, :] > noise[0][..., None], axis=-1)
        corner = jnp.where(rank < 2, 0.0, _OUT)
        across = jnp.where(rank == 0, 1.0, jnp.where(rank == 1, -1.0, 0.0)) * jnp.sign(noise[1, ..., :1])
        z = jnp.where(two_actions, corner, 1.5 * noise[0])
        return jnp.where(mask, z, 0.0), jnp.where(mask, jnp.where(two_actions, across, noise[1]), 0.0)

    lane = jnp.arange(_NUM_PAIRS)
    z, direction = jax.vmap(start)(jax.random.split(key, _NUM_PAIRS), lane % 2 == 0)
    return jax.vmap(ascend)(z, direction, jnp.asarray(_REACHES)[(lane // 2) % 2])


def _equilibrium_distances(problem: hq.Problem, weights: StateValues, kappa: Scalar, found: LogPolicy):
    """Both sides of (b) for every two of the approximate HQRE."""
    first, second = (found[ends] for ends in np.triu_indices(_NUM_STARTS, 1))
    return jax.vmap(lambda p, q: distance(problem, weights, kappa, p, q))(first, second)


@quick_jit
def _measure(cases: Cases, kappa: Float[Array, " game"], keys: Any):
    def one(problem, weights, kappa, key):
        problem = problem.centered()
        pair_key, start_key = jax.random.split(key)
        found, sizes = find_equilibria(problem, _NUM_STARTS, start_key)
        return (
            _adversarial_pairs(problem, weights, kappa, pair_key),
            _equilibrium_distances(problem, weights, kappa, found),
            jax.vmap(lambda p: probabilities(p, problem.mask))(found),
            sizes,
        )

    return jax.vmap(one)(cases.problem, cases.known.weights, kappa, keys)


def _compare(
    family: str, cases: Cases, kappa: np.ndarray, chosen: np.ndarray, unique: np.ndarray, key: Any
) -> tuple[Comparison, ...]:
    """(a), (b) for the chosen games, judged as if their margin were ``kappa``; (c) as if ``unique`` were certified."""
    keys = jax.random.split(key, len(kappa))
    (pairs, moved), located, policies, sizes = _measure(cases, jnp.asarray(kappa), keys)
    observed, bound, slack = (np.asarray(part)[chosen] for part in pairs)
    # Pairs found by ascent, then pairs of approximate HQRE: these say that there is one where they are good.
    apart = [
        np.concatenate([np.asarray(part) for part in sides], axis=1)[chosen]
        for sides in zip(moved, located, strict=True)
    ]
    told = (np.arange(apart[1].shape[1]) < _NUM_PAIRS) | (apart[1] + apart[2] <= _LOCATED)
    counts = distinct(np.asarray(policies)[unique], np.asarray(sizes)[unique] <= _RESIDUAL)[:, None]
    problems = taken(cases.problem, chosen)
    return (
        Comparison(MONOTONE, family, observed, bound, slack, problems=problems),
        Comparison(ONE, family, *apart, told, problems),
        Comparison(
            COUNT, family, 1.0 * counts, np.ones(counts.shape), 0.0 * counts, counts > 0, taken(cases.problem, unique)
        ),
    )


def distinct(policies: np.ndarray, good: np.ndarray) -> np.ndarray:
    """How many of the good policies of each game are apart from each other; axes (game, start, …)."""
    gaps = np.abs(policies[:, :, None] - policies[:, None]).max(axis=(3, 4, 5))
    kept = np.zeros_like(good)
    for k in range(good.shape[1]):
        kept[:, k] = good[:, k] & ~(kept[:, :k] & (gaps[:, k, :k] <= _APART)).any(axis=1)
    return kept.sum(axis=1)


def measure(problem: hq.Problem, key: Any) -> tuple[Comparison, ...]:
    """T1 for given problems, as the library certifies them.

    Args:
        problem: Problems in which everybody moves once; leading axis (game).
        key: Typed key of the pairs and starts.

    Returns:
        The three claims: (a) and (b) for games with a positive margin, (c) for those certified in any way.
    """
    return _judged("given", Cases(problem, known_bounds(problem)), key)


def _judged(family: str, cases: Cases, key: Any) -> tuple[Comparison, ...]:
    margin = np.asarray(cases.known.margin)
    return _compare(family, cases, margin, margin > 0, np.asarray(cases.known.unique), key)


def check(key: Any, num_games: int) -> Outcome:
    """T1 on random games just above and well above the threshold κ = 0.

    Args:
        key: Typed key.
        num_games: Number of games, over all families.

    Returns:
        The claims: (a) and (b) at the worst of 8 pairs of policies found by ascent, (b), (c) for the HQRE found from
        6 starts.
    """
    comparisons, drawn = [], 0
    for family, rng, num in batches(key, num_games, FAMILIES):
        cases = certified(family, rng, num)
        comparisons += _judged(family.name, cases, jax.random.key(int(rng.integers(2**31))))
        drawn += num
    return Outcome(tuple(comparisons), drawn)


def negative_control(key: Any, num_games: int) -> Outcome:
    """Three wrong margins, each a family of the outcome.

    Coordination games without a margin are judged as if only half of every interaction counted: at a common temperature
    ``κ = τ − c``, so that this would leave ``(κ + τ)/2 = τ − c/2 > 0``. Coordination games with a margin, as if it were
    twice as large. Zero-sum games of which one side is paid in another currency, as if the margin at the best weights
    were one at w = 1.
    """
    comparisons, drawn = [], 0
    for family, rng, num in batches(key, num_games, (COORDINATION, ZERO_SUM)):
        keys = jax.random.split(jax.random.key(int(rng.integers(2**31))))
        cases = certified(family, rng, num)
        margin, all_games = np.asarray(cases.known.margin), np.ones(num, bool)
        if family is COORDINATION:
            # No margin exceeds a temperature: (a) would have nothing on its right side.
            judged = (margin > 0) & (2 * margin < np.asarray(cases.problem.tau).min(axis=(1, 2)))
            comparisons += _compare(DOUBLED, cases, 2 * margin, judged, judged, keys[0])
            cases = scaled(family, rng, num, 0.55, 0.75)
            margin = np.asarray(cases.known.margin)
            pretended = 0.5 * (margin + np.asarray(cases.problem.tau)[:, 0, 0])
            comparisons += _compare(HALVED, cases, pretended, margin <= 0, margin <= 0, keys[1])
        else:
            ones = cases._replace(known=cases.known._replace(weights=jnp.ones_like(cases.known.weights)))
            comparisons += _compare(UNWEIGHTED, ones, margin, all_games, all_games, keys[0])
        drawn += num
    return Outcome(tuple(comparisons), drawn)


@quick_jit
def _find_all(problem: hq.Problem, keys: Any):
    """Policies from many starts and their defects, for each game."""

    def one(problem, key):
        log_policies, sizes = find_equilibria(problem.centered(), 4 * _NUM_STARTS, key)
        return jax.vmap(lambda p: probabilities(p, problem.mask))(log_policies), sizes

    return jax.vmap(one)(problem, keys)


def num_equilibria(cases: Cases) -> np.ndarray:
    """How many different HQRE Newton's method finds from many starts, for each game."""
    return distinct(*_found(cases.problem))


def _found(problem: hq.Problem) -> tuple[np.ndarray, np.ndarray]:
    """Policies from many starts, and which of them are HQRE."""
    num = len(problem.tau)
    # A few games are filled up with copies, so that one program serves the examples and the picture.
    filled = taken(problem, np.arange(max(num, _LEAST_BATCH)) % num)
    keys = jax.random.split(jax.random.key(0), len(filled.tau))
    policies, sizes = (np.asarray(part)[:num] for part in _find_all(filled, keys))
    return policies, sizes <= _RESIDUAL


def coordination(sizes: np.ndarray, tau: np.ndarray) -> Cases:
    """2×2 games ``c·I`` for both agents, c and τ of each game given."""
    payoffs = sizes[:, None, None, None] * np.broadcast_to(np.eye(2), (2, 2, 2))
    return posed(hq.NormalFormGame, (payoffs,), tau)


@quick_jit
def _determinants(problem: hq.Problem) -> Float[Array, " game"]:
    """``det DF`` at the uniform policy of games of which it is an HQRE."""

    def one(problem):
        problem, z = problem.centered(), jnp.zeros(problem.mask.size)
        return jnp.linalg.det(jax.jacfwd(lambda z: defect(problem, z))(z))

    return jax.vmap(one)(problem)


def bifurcation(sizes: np.ndarray) -> np.ndarray:
    """Where the uniform HQRE of ``c·I`` stops to be regular: the zero of ``det DF(τ)``, by bisection."""
    low, high = 0.25 * sizes, sizes.copy()
    for _ in range(52):
        middle = 0.5 * (low + high)
        below = np.asarray(_determinants(coordination(sizes, middle).problem)) < 0
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return 0.5 * (low + high)


def equilibria_below(sizes: np.ndarray) -> list[np.ndarray]:
    """The first action's probabilities, the same for both agents, at all HQRE of ``c·I`` just below τ = c/2."""
    policies, good = _found(coordination(sizes, 0.5 * sizes * (1 - _JUST_BELOW)).problem)
    return [np.unique(np.round(p[ok][:, :, 0, 0], 8), axis=0) for p, ok in zip(policies, good, strict=True)]


def sharpness() -> tuple[Example, ...]:
    """2×2 coordination ``c·I``: the least certified temperature is that at which one HQRE becomes three."""
    sizes = np.array([0.5, 1.0, 2.0, 3.0])
    # At a common temperature κ = τ − threshold, whatever τ.
    threshold = sizes - np.asarray(coordination(sizes, sizes).known.margin)
    examples = [
        Example(f"coordination {c:g}·I", "bifurcation / least certified temperature", float(found), float(least))
        for c, found, least in zip(sizes, bifurcation(sizes), threshold, strict=True)
    ]
    for c, policies in zip(sizes, equilibria_below(sizes), strict=True):
        chances = ", ".join(f"{x:.6f}" for x in policies[:, 0])
        name = f"coordination {c:g}·I, τ = {0.5 * c * (1 - _JUST_BELOW):g}: P = {chances}"
        examples.append(Example(name, "number of HQRE / 3", float(len(policies)), 3.0))
    return tuple(examples)


T1 = Statement(
    name="T1",
    title="uniqueness",
    check=check,
    control="half of every interaction is forgotten; κ doubled; w = 1",
    negative_control=negative_control,
    sharpness=sharpness,
    measure=measure,
)
