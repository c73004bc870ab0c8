"""T4: in Markov games soft Q-iteration, its mirror form and two-level schemes contract, with factors one can compute.

Problem
    A discounted Markov game whose beliefs ``b_i(w|x)`` do not depend on the policy (full observation; or a public
    state with types redrawn given it). With ``ℓ_i(Q) = τ_i log Σ_a ρ_i(a) exp(Q(a)/τ_i)`` at each x, the soft value,

        Q_i(V, π)(x, a) = E_{w~b_i(·|x)} E_{a_-i~π_-i} [ r_i(w, a) + γ Σ_x' P[o_i(w')=x' | w, a] V_i(x') ],

    a stationary HQRE is a fixed point of soft Q-iteration ``Q_i⁺ = Q_i(ℓ(Q), π(Q))``, ``π_i ∝ ρ_i exp(Q_i/τ_i)``. Is
    there one only, and which iterations find it?

Statement
    Let ``V_i`` live in the box ``[min r_i, max r_i]/(1−γ)``, of width ``ω_i``, TV be total variation, and

        B_ij = ½ max_{w,a_-j,a_j,a_j'} [ |Δr_i| + γ ω_i TV(P(·|w,a_j), P(·|w,a_j')) ]  (i ≠ j),   B_ii = 0,
        A = γI + B diag(1/τ),   τ_j = min_x τ_j(x),   q = spr A,   Av = qv,  v > 0.

    In the norm ``‖·‖ = max_i ‖·_i‖_∞ / v_i``, over the box,

    (a)  soft Q-iteration is Lipschitz with constant q;
    (b)  the coupled update ``z_i⁺ = (1−α)z_i + αQ_i``, ``V_i⁺ = (1−α)V_i + αℓ_i(Q_i)`` with ``Q = Q(V, π(z))`` is
         Lipschitz with constant 1 − α(1−q) (α the least, if it differs between states);
    (c)  if q < 1 there is one stationary HQRE, and after soft Q-iteration with defect ``e = ‖TQ − Q‖_∞`` the policies
         answer their own exact values (theory.md §2): ``max_a|π − softmax(Q^π/τ + log ρ)| ≤ e/2τ(1−γ)``.

    (d)  In zero-sum games where each is paid the other's entropy too (``zero_sum``), the regularised Shapley operator,
         which maps V to the saddle values of the stage games ``r + γPV``, contracts with γ in the sup norm, for all
         τ_1, τ_2.

    (e)  Nested: suppose all stage games with V in the box have margin at least κ (T1) at weights w_i common to all
         states. The map of V to the soft values at the stage games' HQRE has in ``√(Σ_i w_i max_s |ΔV_i(s)|²)`` the
         constant ``γ (1 + G/κ)``, ``G = ‖W^{1/2} B W^{-1/2}‖_F``.

Proof
    The box is mapped into itself: ℓ_i lies between the least and the largest ``Q_i``, and the Q_i of a V in the box in
    ``[min r_i, max r_i] + γ·box``, which is the box.

    Two estimates. ℓ_i has gradient π_i, a distribution: ``|Δℓ_i| ≤ ‖ΔQ_i‖_∞``. The softmax moves by
    ``‖Δπ_j(x)‖₁ ≤ span(Δz_j(x))/2τ_j(x) ≤ ‖Δz_j‖_∞/τ_j``. Changing V at fixed π changes Q_i by γ‖ΔV_i‖_∞ at most.
    Changing one π_j at fixed V changes, at each world, the mean over a_j of ``r_i + γPV_i``. That function's values
    differ by ``|Δr_i| + γω_iTV`` at most, its means by half of this times ``‖Δπ_j‖₁``; averaging over worlds and the
    others' actions makes nothing larger. One j after the other, V in the box:

        ‖ΔQ_i‖_∞ ≤ γ ‖ΔV_i‖_∞ + Σ_j B_ij ‖Δz_j‖_∞ / τ_j.                                              (*)

    (a) With z = Q, V = ℓ(Q): ``‖ΔQ_i‖_∞ ≤ m v_i`` for all i gives ``‖ΔQ_i⁺‖_∞ ≤ m (Av)_i = qm v_i``.

    (b) ``‖Δz_i‖_∞, ‖ΔV_i‖_∞ ≤ m v_i`` give ``‖ΔQ_i‖_∞ ≤ qm v_i`` by (*), hence ``‖Δℓ_i‖_∞ ≤ qm v_i``; both new
    differences are at most ``(1−α) m v_i + α q m v_i``, which grows as α falls.

    (c) Banach. For the second part let ``π = π(Q)``, so that ``ℓ(Q) = ⟨π,Q⟩ − τKL(π‖ρ)`` and the exact values V^π solve
    ``V^π = ⟨π, Q(V^π, π)⟩ − τKL(π‖ρ)``. Then ``Q^π − Q = Q(V^π, π) − Q(ℓ(Q), π) + (TQ − Q)`` has sup norm at most
    ``γ‖Q^π − Q‖ + e``, hence ``e/(1−γ)``; π is the softmax of Q/τ + log ρ, and an entry of a softmax moves by at most
    ``‖Δπ‖₁/2 ≤ span(ΔQ)/4τ ≤ ‖ΔQ‖_∞/2τ``.

    (d) The saddle value of ``f_V(p_1, p_2) = p_1ᵀ(r + γPV)p_2 − τ_1KL(p_1‖ρ_1) + τ_2KL(p_2‖ρ_2)``, concave in p_1 and
    convex in p_2, is monotone in f and moves by at most ``sup|f_V − f_V'| ≤ γ‖V − V'‖_∞``: the entropies cancel in the
    difference. With types the same holds for policies p_i(·|θ_i) under ``μ(θ|s)``.

    (e) Let π, π' be the stage HQRE at s for V, V', d = π − π'. T1's strong monotonicity at V, at the pair (π, π'),
    where only the operator of V' vanishes at π', says ``κ‖d‖_w² ≤ Σ w_i ⟨Q_i(V,π') − Q_i(V',π'), d_i⟩``, at most
    ``Σ w_i γ‖ΔV_i‖_∞ ‖d_i‖₁``: so ``‖d‖_w ≤ γ‖ΔV‖/κ``. As before ``|ΔV_i⁺(s)| ≤ γ‖ΔV_i‖_∞ + Σ_j B_ij ‖d_j(s)‖₁``. By
    Cauchy's inequality √w_i times the sum is at most row i of ``W^{1/2}BW^{-1/2}`` in length times γ‖ΔV‖/κ, at every s.
    Add up the squares over i (Minkowski). ∎

    If A is reducible, ``v = (q'I − A)⁻¹1`` for any q' > q does the same with q' in the place of q.

Tightness
    (a), (b) are attained in the limit of close pairs where one profile of the others maximises |Δr_i| and TV together:
    in `sharpness` a game of pure rewards (coordination, kernel fixed) and one of pure steering (rewards of states,
    kernel decided by matching). Several opponents, or worlds averaged by beliefs, rarely attain their maxima together.
    (d) is attained by V' = V + constant, in every game. (e) adds up worst cases over all states and the whole box. The
    soft value in (b) matters: with the on-policy backup ``⟨π(z),Q⟩ − τKL(π(z)‖ρ)``, which has the same fixed points,
    the constant is wrong, for that backup is steep where z is far from Q.

Reference
    theory.md §4, T4. Shapley (1953); Cen, Wei & Chi (2021) for the regularised zero-sum game with equal temperatures.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

import hqre_jax as hq
from hqre_jax._equilibrium import soft_values
from hqre_jax._games._world import StageGame
from hqre_jax._simplex import center, probabilities, span
from hqre_jax._types import ActionValues, LogPolicy, PerPlayer, Scalar, StateValues
from proofs_check import _accuracy as accuracy
from proofs_check import _markov_cases as markov
from proofs_check._cases import Family, batches, quick_jit
from proofs_check._equilibria import defect, find_equilibria
from proofs_check._statement import Comparison, Example, Outcome, Statement

SOFT = "(a) soft Q-iteration: q"
COUPLED = "(b) coupled update: 1−α(1−q)"
FIXED_POINT = "(c) residual ≤ e/2τ(1−γ)"
SHAPLEY = "(d) Shapley operator: γ"
NESTED = "(e) nested: γ(1+G/κ)"

_FAMILIES = (markov.THREE, markov.LONG, markov.PUBLIC)
_ZERO_SUM_FAMILIES = (markov.ZERO_SUM, markov.ZERO_SUM_PUBLIC)
_NESTED_FAMILIES = (markov.THREE,)

_NUM_STRETCHED, _NUM_FAR = 2, 2
_ASCENT_STEPS, _FIRST_LENGTH, _SHORTENING = 24, 0.5, 0.85
# Distance of stretched pairs beside temperature and box; logits of actions that a two-action start leaves out.
_REACH, _OUT = 1e-3, -6.0
# Size of the logits of far pairs.
_FAR = 5.0
# Distance of close pairs of values beside the box; how much noise there is in a nearly constant difference.
_CLOSE, _NEARLY = 1e-3, 0.05
# After how many soft Q-iterations the policies are confronted with their exact values.
_ITERATIONS = (3, 12)

# Differences and points are tuples of arrays (player, …); images too.
Point = tuple[Array, ...]
Image = Callable[[Point], Point]


def _column(per_player: PerPlayer, like: Array) -> Array:
    return per_player.reshape(-1, *(1,) * (like.ndim - 1))


def _size(point: Point, v: PerPlayer) -> Scalar:
    """``max_i ‖·_i‖_∞ / v_i``."""
    return jnp.max(jnp.stack([jnp.max(jnp.abs(part) / _column(v, part)) for part in point]))


def _policy_of(problem: hq.Problem, z: ActionValues) -> LogPolicy:
    """``π ∝ ρ exp(z/τ)``."""
    return problem.log_policy(z / problem.tau[..., None] + problem.log_reference)


def _backup(problem: hq.Problem, log_policy: LogPolicy, values: StateValues) -> ActionValues:
    """``Q(V, π)``."""
    game = problem.game
    targets = game.gather(game.at_worlds(values))
    return game.evaluate(log_policy, jnp.zeros_like(problem.tau), "soft", targets=targets).action_values


def _soft_iteration(problem: hq.Problem, point: Point) -> Point:
    (q,) = point
    return (_backup(problem, _policy_of(problem, q), soft_values(q, problem)),)


def _coupled(problem: hq.Problem, alpha: StateValues, point: Point, on_policy: bool) -> Point:
    """One coupled update; ``on_policy`` backs up what π(z) is worth instead of the soft value."""
    z, values = point
    log_policy = _policy_of(problem, z)
    q = _backup(problem, log_policy, values)
    worth = soft_values(q, problem)
    if on_policy:
        worth = jnp.sum(probabilities(log_policy, problem.mask) * q, axis=-1) + problem.bonus(log_policy)
    return z + alpha[..., None] * (q - z), values + alpha * (worth - values)


def _backup_rounding(problem: hq.Problem, point: Point) -> PerPlayer:
    """Largest rounding error of an image, per player, units of payoff.

    Q is a sum of at most m terms, m the number of a player's payoffs and of the kernel's entries, each at most
    ``max|r_i| + γ max|V_i|``, with weights that are products of N − 1 probabilities whose relative errors are a few
    eps times the logits; soft values err by a few eps of theirs.
    """
    game = problem.game
    payoffs, players = game.world_payoffs(), game.num_players
    highest = jnp.max(jnp.abs(payoffs).reshape(players, -1), axis=1)
    largest = jnp.stack([jnp.max(jnp.abs(part).reshape(players, -1), axis=1) for part in point]).max(axis=0)
    logits = jnp.max(jnp.abs(point[0] / problem.tau[..., None])) + jnp.max(jnp.abs(problem.log_reference))
    terms = payoffs.size / players + game.world_transitions().size + 16 + 8 * players * (1 + logits)
    tau = jnp.max(jnp.where(accuracy.used(problem) > 0, problem.tau, 0.0), axis=1)
    return accuracy.EPS * (terms * (highest + largest) + 8 * tau * (1 + logits))


def _images_apart(image: Image, pair: Point) -> Point:
    """Difference of the images of a pair, whose arrays have a leading axis of two."""
    return tuple(part[0] - part[1] for part in jax.vmap(image)(pair))


def _compare(problem: hq.Problem, image: Image, v: PerPlayer, factor: Scalar, pair: Point):
    """Distance of two images, ``factor`` times that of the points, and what rounding may add."""
    before = _size(tuple(part[0] - part[1] for part in pair), v)
    errors = jax.vmap(lambda point: _backup_rounding(problem, point))(pair)
    return _size(_images_apart(image, pair), v), factor * before, jnp.max(jnp.sum(errors, axis=0) / v)


def _stretched(
    image: Image, v: PerPlayer, box: Point, scales: Point, reach: Scalar, start: Point, signs: Point
) -> Point:
    """A pair ``p ± reach·d`` with ``|d_i| ≤ v_i``, d the worst signs and p climbing towards where they stretch most."""

    def ends(p: Point, d: Point) -> Point:
        return tuple(jnp.stack([x + reach * y, x - reach * y]) for x, y in zip(p, d, strict=True))

    def spread(p: Point, d: Point) -> Scalar:
        return _size(_images_apart(image, ends(p, d)), v)

    def climb(state, length):
        p, d = state
        uphill, outwards = jax.grad(spread, argnums=(0, 1))(p, d)
        moved = []
        for part, slope, scale, half in zip(p, uphill, scales, box, strict=True):
            top = jnp.abs(slope) if slope.ndim == 2 else jnp.max(jnp.abs(slope), axis=-1, keepdims=True)
            moved.append(jnp.clip(part + length * scale * slope / jnp.maximum(top, 1e-300), -half, half))
        return (tuple(moved), tuple(_column(v, part) * jnp.sign(part) for part in outwards)), None

    start = tuple(jnp.clip(part, -half, half) for part, half in zip(start, box, strict=True))
    signs = tuple(_column(v, part) * part for part in signs)
    lengths = _FIRST_LENGTH * _SHORTENING ** jnp.arange(_ASCENT_STEPS, dtype=v.dtype)
    (p, d), _ = jax.lax.scan(climb, (start, signs), lengths)
    return ends(p, d)


class Noise(NamedTuple):
    """Uniform in [−1, 1], drawn outside compiled programs, which random numbers would make slow to compile.

    Attributes:
        near: ``(pair, role, player, state, action)`` for the starts of stretched pairs.
        far: ``(pair, end, role, player, state, action)``.
        first: ``(player, state, action)``, where soft Q-iteration begins.
    """

    near: Array
    far: Array
    first: Array


def _noise(rng: np.random.Generator, num: int, *shape: int) -> Noise:
    sizes = (num, _NUM_STRETCHED, 4, *shape), (num, _NUM_FAR, 2, 2, *shape), (num, *shape)
    return Noise(*(jnp.asarray(rng.uniform(-1, 1, size)) for size in sizes))


def _two_actions(mask: Array, noise: Array) -> Array:
    """0 at two random actions of each information state, far below at the others."""
    noise = jnp.where(mask, noise, -2.0)
    rank = jnp.sum(noise[..., None, :] > noise[..., None], axis=-1)
    return jnp.where(rank < 2, 0.0, _OUT)


class _Draw(NamedTuple):
    """What every comparison of one game starts from: an infinitesimal reach, boxes that leave room for it."""

    reach: Scalar
    half: StateValues
    scale: ActionValues


def _draw(problem: hq.Problem, v: PerPlayer, width: PerPlayer) -> _Draw:
    least = jnp.min(jnp.where(accuracy.used(problem) > 0, problem.tau, jnp.inf), axis=1)
    reach = _REACH * jnp.min(jnp.minimum(least, width) / v)
    half = jnp.broadcast_to((0.5 * width - reach * v)[:, None], problem.tau.shape)
    return _Draw(reach, half, jnp.broadcast_to(problem.tau[..., None], problem.mask.shape))


def _soft_pairs(problem: hq.Problem, v: PerPlayer, width: PerPlayer, factor: Scalar, noise: Noise):
    """Claim (a) at stretched and at far pairs of Q in the box."""
    mask = problem.mask
    reach, half, scale = _draw(problem, v, width)
    box = jnp.broadcast_to(half[..., None], mask.shape)

    def image(point: Point) -> Point:
        return _soft_iteration(problem, point)

    def near(noise):
        level = half * jnp.sign(noise[2, ..., 0])
        corner = scale * (_two_actions(mask, noise[0]) - problem.log_reference)
        start = jnp.where(mask, level[..., None] + corner, 0.0)
        signs = jnp.where(mask, jnp.sign(noise[1]), 0.0)
        return _stretched(image, v, (box,), (scale,), reach, (start,), (signs,))

    def far(noise):
        return (jnp.where(mask, box * noise[0], 0.0),)

    pairs = _joined(jax.vmap(near)(noise.near), jax.vmap(jax.vmap(far))(noise.far))
    return jax.vmap(lambda pair: _compare(problem, image, v, factor, pair))(pairs)


def _coupled_pairs(
    problem: hq.Problem,
    v: PerPlayer,
    width: PerPlayer,
    factor: Scalar,
    alpha: StateValues,
    on_policy: bool,
    noise: Noise,
):
    """Claim (b) at stretched and at far pairs (z, V), V in the box."""
    mask = problem.mask
    reach, half, scale = _draw(problem, v, width)
    bound = 1 - jnp.min(jnp.where(accuracy.used(problem) > 0, alpha, 1.0)) * (1 - factor)
    box, scales = (jnp.full_like(scale, jnp.inf), half), (scale, half)

    def image(point: Point) -> Point:
        return _coupled(problem, alpha, point, on_policy)

    def near(noise):
        corner = scale * (_two_actions(mask, noise[0]) - problem.log_reference)
        start = jnp.where(mask, corner, 0.0), half * jnp.sign(noise[2, ..., 0])
        signs = jnp.where(mask, jnp.sign(noise[1]), 0.0), jnp.sign(noise[3, ..., 0])
        return _stretched(image, v, box, scales, reach, start, signs)

    def far(noise):
        return jnp.where(mask, _FAR * scale * noise[0], 0.0), half * noise[1, ..., 0]

    pairs = _joined(jax.vmap(near)(noise.near), jax.vmap(jax.vmap(far))(noise.far))
    return jax.vmap(lambda pair: _compare(problem, image, v, bound, pair))(pairs)


def _joined(close: Point, apart: Point) -> Point:
    """Stretched pairs, then far ones."""
    return tuple(map(lambda *parts: jnp.concatenate(parts), close, apart))


def _exact_residuals(problem: hq.Problem, noise: Array):
    """Claim (c) per player after a few and after more soft Q-iterations: observed, bound, slack."""
    mask, gamma = problem.mask, problem.game.discount_factor()
    used = accuracy.used(problem)

    def iterate(q, count):
        q = jax.lax.fori_loop(0, count, lambda _, q: _soft_iteration(problem, (q,))[0], q)
        log_policy = _policy_of(problem, q)
        off = jnp.max(jnp.abs(_soft_iteration(problem, (q,))[0] - q))
        answer = problem.log_policy(problem.response_logits(log_policy))
        gap = jnp.abs(probabilities(log_policy, mask) - probabilities(answer, mask))
        # Values of π: one linear solve, LU's backward error being below 16 n² eps times the largest value.
        size = problem.game.world_transitions().shape[-1]
        image = jnp.max(_backup_rounding(problem, (q,)))
        solve = 16 * size**2 * accuracy.EPS * (1 + gamma) / (1 - gamma) * jnp.max(jnp.abs(q)) / (1 - gamma)
        steepness = used / (2 * problem.tau)
        slack = steepness * ((image / (1 - gamma)) + image + solve) + 16 * accuracy.EPS
        return q, (jnp.max(gap, axis=-1), steepness * off / (1 - gamma), slack)

    q = jnp.where(mask, noise * _column(0.5 * problem.game.payoff_range() / (1 - gamma), noise), 0.0)
    _, sides = jax.lax.scan(iterate, q, jnp.asarray(_ITERATIONS))
    return sides


@functools.partial(quick_jit, static_argnames="on_policy")
def _measure(cases: markov.MarkovCases, factor: Array, alpha: Array, on_policy: bool, noise: Noise):
    def one(problem, width, v, factor, alpha, noise):
        return (
            _soft_pairs(problem, v, width, factor, noise),
            _coupled_pairs(problem, v, width, factor, alpha, on_policy, noise),
            _exact_residuals(problem, noise.first),
        )

    return jax.vmap(one)(cases.problem, cases.width, cases.weights, factor, alpha, noise)


def _contraction(
    family: Family, cases: markov.MarkovCases, factor: np.ndarray, on_policy: bool, rng: np.random.Generator
) -> tuple[Comparison, ...]:
    """Claims (a), (b), (c) of each game, as if its factor were ``factor``."""
    num, shape = len(factor), cases.problem.tau.shape
    # One α for everybody in half of the games, one for each information state in the others.
    alpha = 10.0 ** np.where(
        rng.random((num, 1, 1)) < 0.5, rng.uniform(-1.5, 0, (num, 1, 1)), rng.uniform(-1.5, 0, shape)
    )
    noise = _noise(rng, *cases.problem.log_reference.shape)
    # The Perron vector's own rounding is conceded to the factor.
    factor = jnp.asarray(factor) + cases.excess
    soft, coupled, residual = _measure(cases, factor, jnp.asarray(alpha), on_policy, noise)
    claims = zip((SOFT, COUPLED, FIXED_POINT), (soft, coupled, residual), strict=True)
    return tuple(Comparison(claim, family.name, *(np.asarray(part) for part in sides)) for claim, sides in claims)


def _stage(problem: hq.Problem, targets: Array) -> hq.Problem:
    """The problem whose continuation values are frozen."""
    return eqx.tree_at(lambda p: p.game, problem, StageGame(problem.game, targets))


def _stage_equilibrium(problem: hq.Problem, targets: Array, key: Any) -> tuple[hq.Problem, LogPolicy]:
    """The stage problem and an approximate HQRE of it."""
    stage = _stage(problem, targets)
    return stage, find_equilibria(stage, 1, key)[0][0]


def _saddle_values(problem: hq.Problem, values: Array, key: Any) -> tuple[Array, Array]:
    """Saddle value of each stage game and how far it can be off: the gap between what either player can secure."""
    stage, policy = _stage_equilibrium(problem, jnp.stack([values, -values]), key)
    game = problem.game
    best = soft_values(stage.evaluate(policy).action_values, problem)
    ceded = -problem.bonus(policy)

    def total(at_states: StateValues) -> Array:
        return game.gather(game.at_worlds(at_states))

    most = total(best)[0] + total(ceded)[1]
    least = -(total(best)[1] + total(ceded)[0])
    worth = game.evaluate(policy, problem.bonus(policy), "zero_sum", targets=stage.game.targets).continuation[0]
    return worth, jnp.abs(most - least)


@quick_jit
def _measure_shapley(problem: hq.Problem, noise: Array, keys: Any):
    """Claim (d) at a pair that differs by noise and at one that differs by little more than a constant."""

    def one(problem, noise, key):
        game, gamma = problem.game, problem.game.discount_factor()
        half = 0.5 * game.payoff_range()[0] / (1 - gamma)
        first, step = half * noise

        mixed = jnp.array([[0.0], [1.0], [_NEARLY]])
        values = first[None] + mixed * step[None] + jnp.array([[0.0], [0.0], [1 - _NEARLY]]) * half
        worth, gaps = jax.vmap(lambda v: _saddle_values(problem, v, key))(values)
        point = (
            jnp.zeros_like(problem.log_reference),
            jnp.broadcast_to(jnp.max(jnp.abs(values), axis=0), (2, step.size)),
        )
        off = jnp.max(gaps, axis=1) + 4 * jnp.max(_backup_rounding(problem, point))
        apart = jnp.max(jnp.abs(worth[1:] - worth[:1]), axis=1)
        return apart, gamma * jnp.max(jnp.abs(values[1:] - values[:1]), axis=1), off[1:] + off[:1]

    return jax.vmap(one)(problem, noise, keys)


def _steepest(problem: hq.Problem, w: PerPlayer, values: StateValues, policy: LogPolicy) -> StateValues:
    """Change of V that moves one soft value at the stage HQRE most, by the implicit function theorem."""
    z = center(policy, problem.mask).ravel()

    def answer(values, z):
        return soft_values(_backup(problem, problem.log_policy(z.reshape(problem.mask.shape)), values), problem)

    def equation(values, z):
        return defect(_stage(problem, values), z)

    moved = -jnp.linalg.solve(
        jax.jacfwd(equation, 1)(values, z), jax.jacfwd(equation)(values, z).reshape(z.size, values.size)
    )
    through = jax.jacfwd(answer, 1)(values, z).reshape(values.size, z.size) @ moved
    rows = (jax.jacfwd(answer)(values, z).reshape(values.size, -1) + through).reshape(*values.shape, *values.shape)
    # In the norm √(Σ w_j max|δ_j|²) the worst δ for one row has δ_j = ± Σ_s|row_j| / w_j.
    size = jnp.sum(jnp.abs(rows), axis=-1)
    gain = w[:, None] * jnp.sum(size**2 / w[None, None], axis=-1)
    i, x = jnp.unravel_index(jnp.argmax(gain), gain.shape)
    return jnp.sign(rows[i, x]) * (size[i, x] / w)[:, None]


@quick_jit
def _nested_image(cases: markov.NestedCases, values: Array, keys: Any) -> tuple[Array, Array, Array]:
    """Soft values at the stage HQRE, a bound on their error in the norm of (e), and the HQRE itself."""

    def one(problem, influence, w, kappa, values, key):
        stage, policy = _stage_equilibrium(problem, values, key)
        rounding = _backup_rounding(problem, (jnp.zeros_like(problem.log_reference), values))
        spans = span(accuracy.operator(stage, policy), problem.mask)
        spans = spans + 4 * rounding[:, None] + 4 * problem.tau * accuracy.log_rounding(problem, policy)
        # T1 (b) bounds what Newton's method left over, (*) what it does to the values.
        off = accuracy.weighted_norm(spans, w[:, None] * accuracy.used(problem)) / (2 * kappa)
        error = _frobenius(influence, w) * off + _nested_norm(rounding[:, None], w)
        return soft_values(stage.evaluate(policy).action_values, problem), error, policy

    return jax.vmap(one)(cases.problem, cases.influence, cases.weights, cases.margin, values, keys)


def _nested_norm(values: StateValues, w: PerPlayer) -> Scalar:
    return jnp.sqrt(jnp.sum(w * jnp.max(jnp.abs(values), axis=1) ** 2))


def _frobenius(influence: Array, w: PerPlayer) -> Scalar:
    """``‖W^{1/2} B W^{-1/2}‖_F``."""
    return jnp.sqrt(jnp.sum(influence**2 * w[:, None] / w[None, :]))


@quick_jit
def _uphill(cases: markov.NestedCases, values: Array, policies: Array) -> Array:
    return jax.vmap(_steepest)(cases.problem, cases.weights, values, policies)


def _nesting(family: Family, cases: markov.NestedCases, factor: np.ndarray, rng: np.random.Generator) -> Comparison:
    """Claim (e) at two pairs of values: anywhere in the box, and near a corner of it in the steepest direction."""
    half = 0.5 * np.broadcast_to(np.asarray(cases.width)[..., None], cases.problem.tau.shape)
    keys = jax.random.split(jax.random.key(int(rng.integers(2**31))), len(half))
    corner = (1 - 2 * _CLOSE) * half * rng.choice([-1.0, 1.0], half.shape)
    at_corner = _nested_image(cases, corner, keys)
    uphill = np.asarray(_uphill(cases, corner, at_corner[2]))
    close = corner + _CLOSE * uphill / np.max(np.abs(uphill) / half, axis=(-2, -1), keepdims=True)
    ends = half * rng.uniform(-1, 1, (2, *half.shape))
    norm = jax.vmap(_nested_norm)
    sides = []
    for first, now, second in ((corner, at_corner, close), (ends[0], _nested_image(cases, ends[0], keys), ends[1])):
        then = _nested_image(cases, second, keys)
        moved = norm(now[0] - then[0], cases.weights), factor * norm(first - second, cases.weights)
        sides.append([np.asarray(part) for part in (*moved, now[1] + then[1])])
    return Comparison(NESTED, family.name, *(np.stack(part, axis=1) for part in zip(*sides, strict=True)))


def nested_factor(cases: markov.NestedCases) -> np.ndarray:
    """``γ(1 + G/κ)`` of each game."""
    reply = np.asarray(jax.vmap(_frobenius)(cases.influence, cases.weights)) / np.asarray(cases.margin)
    return np.asarray(cases.problem.game.discount) * (1 + reply)


def _shapley(family: Family, rng: np.random.Generator, num: int) -> Comparison:
    keys = jax.random.split(jax.random.key(int(rng.integers(2**31))), num)
    problem = markov.zero_sum(family, rng, num)
    noise = jnp.asarray(rng.uniform(-1, 1, (num, 2, problem.game.transitions.shape[-1])))
    sides = _measure_shapley(problem, noise, keys)
    return Comparison(SHAPLEY, family.name, *(np.asarray(part) for part in sides))


def check(key: Any, num_games: int) -> Outcome:
    """T4 on random Markov games and public-private games.

    Args:
        key: Typed key.
        num_games: Number of games for (a), (b), (c), over all families; a quarter as many each for (d) and (e).

    Returns:
        (a), (b) at two stretched pairs and two far ones, (c) after few and more iterations, (d), (e) at two pairs.
    """
    comparisons, drawn = [], 0
    keys = jax.random.split(key, 3)
    for family, rng, num in batches(keys[0], num_games, _FAMILIES):
        cases = markov.contracting(family, rng, num)
        comparisons += _contraction(family, cases, np.asarray(cases.factor), False, rng)
        drawn += num
    for family, rng, num in batches(keys[1], -(-num_games // 4), _ZERO_SUM_FAMILIES):
        comparisons.append(_shapley(family, rng, num))
    for family, rng, num in batches(keys[2], -(-num_games // 4), _NESTED_FAMILIES):
        cases = markov.nested(family, rng, num)
        comparisons.append(_nesting(family, cases, nested_factor(cases), rng))
    # As games are counted claim by claim, so are draws: those of (a), (b), (c), the most of any.
    return Outcome(tuple(comparisons), drawn)


def negative_control(key: Any, num_games: int) -> Outcome:
    """The wrong constants: (a) with half of B, (b) for the on-policy backup, (e) with γ alone.

    A factor with half of B is ``(γ + q)/2``. (c) holds for every Q whatever the factor.
    """
    comparisons, drawn = [], 0
    keys = jax.random.split(key, 2)
    for family, rng, num in batches(keys[0], num_games, _FAMILIES[:1]):
        cases = markov.contracting(family, rng, num)
        halved = 0.5 * (np.asarray(cases.problem.game.discount) + np.asarray(cases.factor))
        soft = _contraction(family, cases, halved, False, rng)[0]
        coupled = _contraction(family, cases, np.asarray(cases.factor), True, rng)[1]
        comparisons += [soft, coupled]
        drawn += num
    for family, rng, num in batches(keys[1], num_games, _NESTED_FAMILIES[:1]):
        cases = markov.nested(family, rng, num)
        comparisons.append(_nesting(family, cases, np.asarray(cases.problem.game.discount), rng))
        drawn += num
    return Outcome(tuple(comparisons), drawn)


def _matching(steering: bool) -> tuple[np.ndarray, np.ndarray]:
    """Two states, 2×2: payoff for a match under a fixed kernel, or payoff for a state that a match leads to."""
    match = np.broadcast_to(np.eye(2), (2, 2, 2))
    if steering:
        payoffs = np.broadcast_to(np.array([0.0, 1.0])[None, :, None, None], (2, 2, 2, 2))
        return payoffs, np.stack([1 - match, match], axis=-1)
    return np.stack([match, match]), np.full((2, 2, 2, 2), 0.5)


def sharpness() -> tuple[Example, ...]:
    """(a) and (b) in a game of pure rewards and one of pure steering, at close pairs found by ascent."""
    games = [_matching(False), _matching(True)]
    gamma = np.array([0.5, 0.5])
    payoffs, kernels = (np.stack(parts) for parts in zip(*games, strict=True))
    tau = np.broadcast_to(np.array([4.0, 4.0])[:, None, None], (2, 2, 2))
    cases = markov.settled(hq.MarkovGame, (payoffs, kernels, gamma), tau, np.zeros((2, 2, 2, 2)))
    family = Family("matching", lambda rng, num: (), hq.MarkovGame)
    soft, coupled, _ = _contraction(family, cases, np.asarray(cases.factor), False, np.random.default_rng(0))
    examples = []
    for g, name in enumerate(("rewards for matching", "steering by matching")):
        for claim, found in (("‖ΔTQ‖/‖ΔQ‖ over q", soft), ("‖Δ(z,V)⁺‖/‖Δ(z,V)‖ over 1−α(1−q)", coupled)):
            best = np.argmax(found.observed[g] / found.bound[g])
            examples.append(Example(name, claim, float(found.observed[g, best]), float(found.bound[g, best])))
    return tuple(examples)


T4 = Statement(
    name="T4",
    title="Markov games",
    check=check,
    control="half of B; on-policy backup; replies of the others forgotten",
    negative_control=negative_control,
    sharpness=sharpness,
)
