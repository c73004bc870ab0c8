"""T3: regret against the regularised best response stays bounded; against the plain one it grows, at a known rate.

Problem
    Everybody follows the mirror update of T2 in a game with types, at a margin κ > 0 and a step ``η ≤ κ/L²``. Let
    ``U_i`` be i's expected payoff, ``V_i = U_i − Σ_x P(x) τ_x KL(π_x‖ρ_x)`` over i's own types x, and BR the logit
    response. What does agent i lose, over all rounds, by not having answered the others best?

Statement
    (a)  The regularised Bayesian gap ``g_i = max_p V_i(p, π_-i) − V_i(π)`` is ``Σ_x P(x) g_x``, where
         ``g_x = τ_x KL(π_x‖BR_x(π))``.

    With D, q, Λ as in T2, ``a_0 = span(log π⁰_x − log π*_x)``, ``b_k = 2 √(Σ_y Λ_xy²/w_y) √(2 D_0 q^k)`` and
    ``a_{k+1} = (a_k + η b_k)/(1 + ητ_x)``, in every round k

    (b)  g_x^k ≤ (τ_x/8)(a_k + b_k/τ_x)²;   hence
    (c)  Σ_k g_i^k ≤ Σ_x P(x) G_x,   G_x the sum of (b) over all rounds, a geometric one: finite.

    Let R_i be the range of u_i and, for coefficients c, ``S(c) = √(Σ_y c_y² P(y)²/w_y) √(2D_0)/(1 − √q)``. Then

    (d)  Σ_k |V_i(π^k) − V_i(π*)| ≤ Σ_x P(x) G_x + ½ R_i S(1 for the others' points, 0 for i's own).

    The gap to the *unregularised* best response, ``h_i = max_p U_i(p, π_-i) − U_i(π)``, does not vanish:

    (e)  |Σ_{k<K} h_i^k − K h_i(π*)| ≤ ½ R_i S(2 for the others' points, 1 for i's own),
    (f)  0 ≤ h_i(π*) ≤ Σ_x P(x) τ_x max_a log 1/ρ_x(a):

    regret grows *linearly*, with slope h_i(π*) exactly, which is 0 only if π*_x = ρ_x at every type that occurs.

Proof
    (a) i's policies at different types do not interact: ``V_i(p, π_-i) = Σ P(x) [⟨Q_x, p_x⟩ − τ_x KL(p_x‖ρ_x)]``; and
    by Gibbs' identity ``⟨Q,p⟩ − τKL(p‖ρ) = τ log Σ ρ exp(Q/τ) − τKL(p‖BR)``.

    (b) For ``f = log p − log p'``: ``KL(p‖p') = E_p f + log E_p exp(−f) ≤ span(f)²/8``, by Hoeffding's lemma, as
    ``E_p exp(−f) = 1``. Take p = π_x, p' = BR_x: f is ``log π − log π*`` less ``log BR − log π*``. As π* = BR(π*), the
    span of the second is ``span(Q_x(π) − Q_x(π*))/τ ≤ 2 Σ_y Λ_xy ‖d_y‖₁/τ ≤ 2 √(Σ Λ_xy²/w_y) ‖d‖_w/τ ≤ b_k/τ``, by
    Cauchy, Pinsker (``‖d‖_w² ≤ 2D``) and T2. The first has a span of at most a_k: so it is for k = 0, and up to
    constants ``(1+ητ)(log π⁺ − log π*) = log π − log π* + η(Q(π) − Q(π*))``, π* being a fixed point.

    (c) a_k is a sum of two geometric sequences, b_k is one, their squares are summable (q < 1).

    (d) ``V_i(π) − V_i(π*) = −g_i(π) + max_p V_i(p, π_-i) − max_p V_i(p, π*_-i)``. For any p the difference of the two
    V_i is one of U_i: its size is at most R_i times the total variation between the others' joint plays, which given
    types is at most ``½ Σ_j ‖d_j‖₁``, on average ``½ Σ_y P(y) ‖d_y‖₁ ≤ ½ √(Σ P(y)²/w_y) ‖d‖_w``. Sum
    ``‖d‖_w ≤ √(2 D_0 q^k)``.

    (e) The maximum of U_i moves as in (d); ``U_i(π)`` by ½ R_i times the sum over all decision points, i's own too.

    (f) ``max_p U_i(p, ·) ≤ max_p V_i(p, ·) + Σ P τ max log 1/ρ``, for KL(p‖ρ) is largest at a vertex, and
    ``U_i(π*) ≥ V_i(π*) = max_p V_i(p, π*_-i)``. If h_i(π*) = 0 then π*_x, which is interior, maximises a linear
    function: Q_x is constant and π*_x = ρ_x. ∎

Tightness
    (b) is attained in the limit of small errors: in matching pennies, by an agent that plays π* against one that nearly
    does. Later rounds are looser, for (b) adds up in size what in zero-sum games turns around. (c), (d), (e) sum
    the worst of every round. (f) is best possible: if ρ gives the best action ε → 0 and π* gives it p, then
    h/τ ≈ (1 − p) log(p/ε), nearly log 1/ε. With the uniform reference and two actions at most 0.40 of it.

Reference
    theory.md, T3. Hoeffding (1963) for the lemma.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import hqre_jax as hq
from hqre_jax.core._types import Scalar
from hqre_jax.games.random._draws import generator
from proofs_check._cases import (
    BATCH,
    FAMILIES,
    NEAR_ZERO_SUM,
    Cases,
    Family,
    _pose,
    batches,
    certified,
    known_bounds,
    quick_jit,
    taken,
)
from proofs_check._regret import Point, Run, Start, best_reply, plain_gap, run
from proofs_check._statement import Comparison, Example, Outcome, Statement
from proofs_check.t2_linear_convergence import matching_pennies

IDENTITY = "(a) g = Σ P τ KL(π‖BR)"
ROUND = "(b) g_x ≤ (τ/8)(a+b/τ)²"
TOTAL = "(c) Σ g bounded"
LOSS = "(d) Σ |V(π)−V(π*)| bounded"
LINEAR = "(e) Σ h − K h(π*) bounded"
SLOPE = "(f) h(π*) ≤ Σ P τ max log 1/ρ"

# Logits of starts: largest standard deviation, the least as a part of it. How much too large the control's steps are.
_SPREAD, _NEAREST, _TOO_LARGE = 3.0, 0.02, 8.0


@quick_jit
def _measure(cases: Cases, factor: Scalar, starts: Start, keys: Any) -> Run:
    known = cases.known
    return jax.vmap(run)(cases.problem, known.weights, known.margin, factor * known.max_step, starts, keys)


def comparisons_under(family: str, cases: Cases, factor: float | np.ndarray, starts: Start) -> tuple[Comparison, ...]:
    """All claims for every certified game, with steps ``factor`` times the largest that T2 allows.

    Args:
        family: What the comparisons are called.
        cases: The games.
        factor: One for all, or one for each.
        starts: Where play begins.

    Returns:
        One comparison for each claim.
    """
    chosen = (np.asarray(cases.known.margin) > 0) & np.isfinite(np.asarray(cases.known.max_step))
    keys = jax.random.split(jax.random.key(0), len(chosen))
    found, problems = _measure(cases, jnp.asarray(factor), starts, keys), taken(cases.problem, chosen)
    claims = zip((IDENTITY, ROUND, TOTAL, LOSS, LINEAR, SLOPE), found, strict=True)
    return tuple(
        Comparison(claim, family, *(np.asarray(p)[chosen] for p in sides), problems=problems) for claim, sides in claims
    )


def measure(problem: hq.Problem, key: Any) -> tuple[Comparison, ...]:
    """T3 for given problems, from random starts, with the largest step that T2 allows.

    Args:
        problem: Problems in which everybody moves once; leading axis (game).
        key: Typed key of the starts.

    Returns:
        The six claims, for the games with a positive margin.
    """
    cases = Cases(problem, known_bounds(problem))
    return comparisons_under("given", cases, 1.0, _starts(cases, generator(key)))


def _starts(cases: Cases, rng: np.random.Generator) -> Start:
    """Near and far; in half of the games some players, but never all, may begin at π*."""
    num, players, states, actions = cases.problem.log_reference.shape
    spread = _SPREAD * _NEAREST ** rng.random((num, 1, 1, 1))
    logits = spread * rng.standard_normal((num, players, states, actions))
    held = rng.random((num, players)) < 0.5 * rng.integers(0, 2, (num, 1))
    held[np.arange(num), rng.integers(players, size=num)] = False
    return Start(jnp.asarray(logits), jnp.asarray(held))


def _over(families: tuple[Family, ...], key: Any, num_games: int, factor: float) -> Outcome:
    comparisons, drawn = [], 0
    for family, rng, num in batches(key, num_games, families):
        cases = certified(family, rng, num)
        comparisons += comparisons_under(family.name, cases, factor, _starts(cases, rng))
        drawn += num
    return Outcome(tuple(comparisons), drawn)


def check(key: Any, num_games: int) -> Outcome:
    """T3 on random certified games: 48 rounds from a random start, with the largest step that T2 allows.

    Args:
        key: Typed key.
        num_games: Number of games, over all families.

    Returns:
        The six claims; (a), (b) in every round.
    """
    return _over(FAMILIES, key, num_games, 1.0)


def negative_control(key: Any, num_games: int) -> Outcome:
    """Steps eight times too large, in games close to zero-sum: play circles, and the gap returns in every round."""
    return _over((NEAR_ZERO_SUM,), key, num_games, _TOO_LARGE)


def _rare_best_action(rarity: np.ndarray, chance: np.ndarray) -> tuple[Float[Array, " game"], Float[Array, " game"]]:
    """Slope of regret and its bound (f) for an agent whose reference gives the better of two actions ``rarity``.

    Its payoff, which nobody else touches, is such that π* gives that action ``chance`` at τ = 1.
    """
    lift = np.log(chance / (1 - chance)) + np.log1p(-rarity) - np.log(rarity)
    payoffs = np.zeros((len(lift), 2, 2, 2))
    payoffs[:, 0, 0, :] = lift[:, None]
    logits = np.zeros((len(lift), 2, 1, 2))
    logits[:, 0, 0, 0] = np.log(rarity) - np.log1p(-rarity)
    problem = _pose(hq.NormalFormGame, (payoffs,), np.ones((len(lift), 2, 1)), logits)

    def one(problem):
        problem = problem.centered()
        policy = best_reply(problem, problem.log_reference)
        ones = jnp.ones_like(problem.tau)
        point = Point(problem, problem, ones, ones, policy, jnp.zeros(()))
        bound = jnp.max(jnp.where(problem.mask, -problem.log_reference, 0.0), axis=-1)
        return plain_gap(point, policy)[0], point.per_player(problem.tau * bound)[0]

    return quick_jit(jax.vmap(one))(problem)


def sharpness() -> tuple[Example, ...]:
    """(b) in the first round of matching pennies, and (f) where the reference hardly knows the best action."""
    tau = np.array([0.2, 1.0])
    logits = np.zeros((BATCH, 2, 1, 3))
    logits[:, 1, 0, :2] = 1e-3, -1e-3
    start = Start(jnp.asarray(logits), jnp.zeros((BATCH, 2), bool))
    cases = matching_pennies(np.resize(tau, BATCH))
    found = _measure(cases, jnp.asarray(1.0), start, jax.random.split(jax.random.key(0), BATCH))
    observed, bound, _ = (np.asarray(part)[:, 0, 0, 0] for part in found.rounds)
    examples = [
        Example(f"matching pennies, τ = {t:g}", "g⁰ / majorant", float(g), float(b))
        for t, g, b in zip(tau, observed, bound, strict=False)
    ]
    rarity, chance = np.array([1e-6, 1e-30, 1e-200]), np.array([0.1, 0.02, 0.003])
    slopes, bounds = _rare_best_action(rarity, chance)
    examples += [
        Example(f"ρ = {r:g} at the best action", "h(π*) / τ log 1/ρ", float(s), float(b))
        for r, s, b in zip(rarity, slopes, bounds, strict=True)
    ]
    return tuple(examples)


T3 = Statement(
    name="T3",
    title="bounded regret",
    check=check,
    control="steps eight times too large",
    negative_control=negative_control,
    sharpness=sharpness,
    measure=measure,
)
