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

    (f)  Under ``plain``, where values hold no entropy, Q-iteration ``Q_i⁺ = Q_i(⟨π(Q), Q⟩, π(Q))`` is Lipschitz with
         ``q = spr(γ diag(c) + B diag(1/τ))``, in the norm of the right Perron vector of this matrix, over all Q of the
         box with ``span Q_i(x,·) ≤ S_i``. Here ``S_i = max_{w,a_-i,a_i,a_i'} [|Δr_i| + γ ω_i TV]`` for i's own actions,
         ``R_i = S_i/τ_i`` and ``c_i = 1 + max(R_i − 1, 0)²/2R_i``.

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

    (f) ``⟨softmax(Q/τ + log ρ), Q⟩`` has the derivative ``p_a (1 + y_a)``, ``y_a = (Q_a − ⟨p,Q⟩)/τ``, of sum 1 and ℓ₁
    norm ``1 + 2 E_p(−1−y)⁺``. Under p, y has mean 0 and lies in an interval of length R; the convex ``(−1−y)⁺`` has the
    largest mean under a law on its ends −s and R − s: ``(R−s)(s−1)/R``, largest at ``s = (R+1)/2``, where it is
    ``(R−1)²/4R`` (0 if R ≤ 1). So ``|Δ⟨π,Q_i⟩| ≤ c_i ‖ΔQ_i‖_∞`` over the convex set of these Q, which the iteration
    maps into itself. The rest is (*).

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
    (d) is attained by V' = V + constant, in every game. (e) adds up worst cases over all states and the whole box. (f)
    is attained by one agent whom nobody affects, at a reference that gives its worse action ``(R−1)/2R`` where the two
    differ by R (`sharpness`). The soft value in (b) matters: with the on-policy backup
    ``⟨π(z),Q⟩ − τKL(π(z)‖ρ)``, which has the same fixed points, the constant is wrong, for that backup is steep where
    z is far from Q.

Reference
    theory.md §4, T4. Shapley (1953); Cen, Wei & Chi (2021) for the regularised zero-sum game with equal temperatures.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

import hqre_jax as hq
from hqre_jax.games._world_states import AbstractWorldStateGame
from hqre_jax.games.random._draws import generator
from proofs_check import _markov_cases as markov
from proofs_check._cases import batches, known_bounds, quick_jit, taken
from proofs_check._markov_pairs import (
    Noise,
    _coupled_pairs,
    _exact_residuals,
    _noise,
    _plain_pairs,
    _soft_pairs,
)
from proofs_check._markov_stages import _nesting, _shapley
from proofs_check._statement import Comparison, Example, Outcome, Statement

SOFT = "(a) soft Q-iteration: q"
COUPLED = "(b) coupled update: 1−α(1−q)"
FIXED_POINT = "(c) residual ≤ e/2τ(1−γ)"
PLAIN = "(f) plain Q-iteration: spr(γ diag c + B/τ)"

_FAMILIES = (markov.THREE, markov.LONG, markov.PUBLIC)
_ZERO_SUM_FAMILIES = (markov.ZERO_SUM, markov.ZERO_SUM_PUBLIC)
_NESTED_FAMILIES = (markov.THREE,)
_PLAIN_FAMILIES = (markov.LONG,)


@functools.partial(quick_jit, static_argnames="on_policy")
def _measure(cases: markov.MarkovCases, factor: Array, alpha: Array, on_policy: bool, noise: Noise):
    def one(problem, width, v, factor, excess, alpha, noise):
        return (
            _soft_pairs(problem, v, width, factor, excess, noise),
            _coupled_pairs(problem, v, width, factor, excess, alpha, on_policy, noise),
            _exact_residuals(problem, noise.first),
        )

    return jax.vmap(one)(cases.problem, cases.width, cases.weights, factor, cases.excess, alpha, noise)


@quick_jit
def _measure_plain(cases: markov.MarkovCases, noise: Noise):
    parts = cases.problem, cases.weights, cases.width, cases.swing, cases.factor, cases.excess
    return jax.vmap(_plain_pairs)(*parts, noise)


def _plain(family: str, cases: markov.MarkovCases, rng: np.random.Generator) -> Comparison:
    """Claim (f) of each game, by the factor that the library certifies."""
    noise = _noise(rng, *cases.problem.log_reference.shape)
    sides = (np.asarray(part) for part in _measure_plain(cases, noise))
    return Comparison(PLAIN, family, *sides, problems=cases.problem)


def _contraction(
    family: str, cases: markov.MarkovCases, factor: np.ndarray, on_policy: bool, rng: np.random.Generator
) -> tuple[Comparison, ...]:
    """Claims (a), (b), (c) of each game, as if its factor were ``factor``."""
    num, shape = len(factor), cases.problem.tau.shape
    # One α for everybody in half of the games, one for each information state in the others.
    alpha = 10.0 ** np.where(
        rng.random((num, 1, 1)) < 0.5, rng.uniform(-1.5, 0, (num, 1, 1)), rng.uniform(-1.5, 0, shape)
    )
    noise = _noise(rng, *cases.problem.log_reference.shape)
    soft, coupled, residual = _measure(cases, jnp.asarray(factor), jnp.asarray(alpha), on_policy, noise)
    claims = zip((SOFT, COUPLED, FIXED_POINT), (soft, coupled, residual), strict=True)
    return tuple(
        Comparison(claim, family, *(np.asarray(part) for part in sides), problems=cases.problem)
        for claim, sides in claims
    )


def measure(problem: hq.Problem, key: Any) -> tuple[Comparison, ...]:
    """T4 for given problems.

    Args:
        problem: Problems that go on, with discount below 1 and policy-independent beliefs; leading axis (game).
        key: Typed key of the points compared.

    Returns:
        (d) under ``zero_sum``. For games in which everybody affects everybody: (f) under ``plain``; under ``soft`` (a),
        (b), (c) for those with a factor below 1 and, if worlds are observed, (e) at w = 1 for those whose stage games
        have a margin. Nothing of other games.
    """
    game, rng = problem.game, generator(key)
    goes_on = isinstance(game, AbstractWorldStateGame) and hasattr(game, "transitions")
    if not (goes_on and game.policy_independent_beliefs):
        return ()
    problem = taken(problem, np.asarray(game.discount) < 1)
    if problem.continuation == "zero_sum":
        return (_shapley("given", problem, rng),)
    problem = taken(markov.centred(problem), slice(None))
    # Where somebody affects nobody v is no positive vector (a reducible A, for which the statement names another).
    influence, width, swing = (np.asarray(part) for part in markov.influences(problem))
    apart = ~np.eye(influence.shape[-1], dtype=bool)
    told = (influence[:, apart] > 0).all(axis=1) & (width > 0).all(axis=1)
    if problem.continuation == "plain":
        cases = markov.known_cases(taken(problem, told & (swing > 0).all(axis=1)))
        return (_plain("given", cases, rng),)
    problem = taken(problem, told)
    certified = np.asarray(known_bounds(problem).contraction) < 1
    cases = markov.known_cases(taken(problem, certified))
    comparisons = _contraction("given", cases, np.asarray(cases.factor), False, rng)
    if isinstance(game, hq.MarkovGame):
        ones = np.ones((len(problem.tau), game.action_mask.shape[1]))
        positive = np.asarray(markov.known_nested(problem, ones).known.margin) > 0
        nested = markov.known_nested(taken(problem, positive), ones[positive])
        comparisons += (_nesting("given", nested, np.asarray(nested.known.factor), rng),)
    return comparisons


def check(key: Any, num_games: int) -> Outcome:
    """T4 on random Markov games and public-private games.

    Args:
        key: Typed key.
        num_games: Number of games for (a), (b), (c), over all families; as many each for (d), (e) and (f).

    Returns:
        (a), (b), (f) at two stretched pairs and two far ones, (c) after few and more iterations, (d), (e) at two pairs.
    """
    comparisons, drawn = [], 0
    keys = jax.random.split(key, 4)
    for family, rng, num in batches(keys[0], num_games, _FAMILIES):
        cases = markov.contracting(family, rng, num)
        comparisons += _contraction(family.name, cases, np.asarray(cases.factor), False, rng)
        drawn += num
    for family, rng, num in batches(keys[1], num_games, _ZERO_SUM_FAMILIES):
        comparisons.append(_shapley(family.name, markov.zero_sum(family, rng, num), rng))
    for family, rng, num in batches(keys[2], num_games, _NESTED_FAMILIES):
        cases = markov.nested(family, rng, num)
        comparisons.append(_nesting(family.name, cases, np.asarray(cases.known.factor), rng))
    for family, rng, num in batches(keys[3], num_games, _PLAIN_FAMILIES):
        comparisons.append(_plain(family.name, markov.contracting(family, rng, num, "plain"), rng))
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
        soft = _contraction(family.name, cases, halved, False, rng)[0]
        coupled = _contraction(family.name, cases, np.asarray(cases.factor), True, rng)[1]
        comparisons += [soft, coupled]
        drawn += num
    for family, rng, num in batches(keys[1], num_games, _NESTED_FAMILIES[:1]):
        cases = markov.nested(family, rng, num)
        comparisons.append(_nesting(family.name, cases, np.asarray(cases.problem.game.discount), rng))
        drawn += num
    return Outcome(tuple(comparisons), drawn)


def _matching(steering: bool) -> tuple[np.ndarray, np.ndarray]:
    """Two states, 2×2: payoff for a match under a fixed kernel, or payoff for a state that a match leads to."""
    match = np.broadcast_to(np.eye(2), (2, 2, 2))
    if steering:
        payoffs = np.broadcast_to(np.array([0.0, 1.0])[None, :, None, None], (2, 2, 2, 2))
        return payoffs, np.stack([1 - match, match], axis=-1)
    return np.stack([match, match]), np.full((2, 2, 2, 2), 0.5)


def _alone(ratio: float) -> markov.MarkovCases:
    """One state, two agents with two actions, each paid ``ratio`` for its second one, whatever the other does.

    (Next to whatever: a billionth of it makes A irreducible.) At τ = 1 action values differ by R = ``ratio``; there the
    reference leads to a policy that gives the worse action ``(R−1)/2R``.
    """
    own, other = ratio * np.arange(2.0), 1e-9 * np.arange(2.0)
    payoffs = np.stack([own[:, None] + other, other[:, None] + own])[None, :, None]
    likely = (ratio - 1) / (2 * ratio)
    logits = np.broadcast_to(np.array([np.log(likely / (1 - likely)) + ratio, 0.0]), (1, 2, 1, 2))
    parts = payoffs, np.ones((1, 1, 2, 2, 1)), np.full(1, 0.5)
    return markov.settled(hq.MarkovGame, parts, np.ones((1, 2, 1)), logits, "plain")


def sharpness() -> tuple[Example, ...]:
    """(a) and (b) in a game of pure rewards and one of pure steering, at close pairs found by ascent; (f) alone."""
    games = [_matching(False), _matching(True)]
    gamma = np.array([0.5, 0.5])
    payoffs, kernels = (np.stack(parts) for parts in zip(*games, strict=True))
    tau = np.broadcast_to(np.array([4.0, 4.0])[:, None, None], (2, 2, 2))
    cases = markov.settled(hq.MarkovGame, (payoffs, kernels, gamma), tau, np.zeros((2, 2, 2, 2)))
    soft, coupled, _ = _contraction("matching", cases, np.asarray(cases.factor), False, np.random.default_rng(0))
    examples = []
    for g, name in enumerate(("rewards for matching", "steering by matching")):
        for claim, found in (("‖ΔTQ‖/‖ΔQ‖ over q", soft), ("‖Δ(z,V)⁺‖/‖Δ(z,V)‖ over 1−α(1−q)", coupled)):
            best = np.argmax(found.observed[g] / found.bound[g])
            examples.append(Example(name, claim, float(found.observed[g, best]), float(found.bound[g, best])))
    found = _plain("alone", _alone(3.0), np.random.default_rng(0))
    best = 0, np.argmax(found.observed[0] / found.bound[0])
    name = "plain, nobody else matters, R = 3"
    examples.append(Example(name, "‖ΔTQ‖/‖ΔQ‖ over γc", float(found.observed[best]), float(found.bound[best])))
    return tuple(examples)


T4 = Statement(
    name="T4",
    title="Markov games",
    check=check,
    control="half of B; on-policy backup; replies of the others forgotten",
    negative_control=negative_control,
    sharpness=sharpness,
    measure=measure,
)
