"""T7: what goes wrong where nobody selects an equilibrium, and what one positive margin repairs.

Problem
    Agents on two sides meet the other side only (two agents, or any bipartite network of pairs). There are
    *conventions* a: everybody's strictly best answer to a is a. Write ``T_i[x, y]`` for what i earns by x when the
    other side plays y; ``T_i[a, a] > T_i[x, a]``. In the coordination game ``c·I``, ``T[x, y] = c`` if x = y and 0
    otherwise. Everybody updates at once, K times, from *opposed starts*: one side at convention a, the other at b.
    How much is lost? Of policy π^k in round k = 0, …, K−1, the *gap* is ``max_x Q_i(x; π^k) − ⟨Q_i(π^k), π_i^k⟩``, the
    *regularised gap* (T3) ``τ_i KL(π_i^k ‖ BR_i(π^k))``, and the *external regret* of a run is
    ``max_x Σ_k Q_i(x; π^k) − Σ_k ⟨Q_i(π^k), π_i^k⟩``.

Statement
    (a) Oscillation. Under best responses play is never coordinated. For even K, a the convention of i's own side,

            Σ gaps = ½K (T[b,b] − T[a,b] + T[a,a] − T[b,a]),             in c·I: cK,
            external regret = ½K (max_x (T[x,a] + T[x,b]) − T[a,b] − T[b,a]),    in c·I: ½cK,
            Σ regularised gaps = ½K Σ_{(s,o) = (a,b), (b,a)} τ log Σ_x (ρ_x/ρ_s) exp((T[x,o] − T[s,o])/τ).

    (b) Steps too large. In the two-action c·I at a common τ, ρ uniform, let ``η (c/2 − τ) > 2`` and start at logit
        differences (x₀, −x₀). Let x̂ > 0 solve ``(2+ητ) x̂ = ηc tanh(x̂/2)``, ``p̂ = 1/(1+e^{−x̂})`` and
        ``f(x) = (ηc tanh(x/2) − x)/(1+ητ)``. If 0 < x₀ < x̂, mirror updates approach the alternation of (x̂, −x̂) and
        (−x̂, x̂): with ``r = max((x̂ − f(x₀))/(x̂ − x₀), 1/(1+ητ)) < 1``, for every m < K,

            |Σ_{k=m}^{K−1} gap_k − (K−m) c p̂(2p̂−1)| ≤ ¾ c (x̂ − x₀) r^m / (1 − r).

    (c) Drift. Two agents, n conventions and no other action. In every round each, independently, stays with
        probability s_i; else errs, uniformly over all n, with probability ε_i; else answers the last round. Let
        ``e_i = (1−s_i) ε_i`` and ``b_i = (1−s_i)(1−ε_i)`` and ``u = 1 − (1−e_1)(1−e_2)``, ``λ = s_1 s_2 + b_1 b_2``. If
        λ < 1 and u > 0, the number S of miscoordinated rounds out of K satisfies

            E S = K D + (1 − D)(1 − λ^K)/(1 − λ),   D = u (1 − 1/n)/(1 − λ) > 0,
            P(|S − E S| ≥ t) ≤ 2 exp(−2t²/Σ_k w_k²),   w_k = (1 − λ^{K−k})/(1 − λ),

        and with δ, Δ the least and the largest miscoordination gap, ``δ S ≤ Σ gaps ≤ Δ S`` up to what an agent that
        is coordinated loses, which is nothing. Without inertia ``D = 1 − 1/n``, however rare mistakes are. The bound
        on deviations holds for sums over independent runs, with the sum of all w².

    (d) Selection. The *same* games and starts (made interior), at temperatures with margin κ > 0 (T1, at weights w),
        mirror updates with ``0 < η ≤ κ/L²``: for all m and K

            Σ_{k=m}^{K−1} Σ_i w_i τ_i KL(π_i^k ‖ BR_i(π^k)) ≤ ⅛ Σ_{k≥m} (P s^k + R r^k)² < ∞

        where ``r = (1+ηκ)^{-1/2}``, ``s = 1/(1+ητ_min)``, ``β = 2L √(2 D̄)``, ``D̄ = Σ w_i log(1/min π⁰_i)``,
        ``c₀ = ηβs/(r−s)``, ``R = √τ_max c₀ + β/√τ_min``, ``P = √τ_max (√(Σ w_i a_i²) − c₀)``,
        ``a_i = span(log π⁰_i − log ρ_i) + range_i/τ_i``.

Proof
    (a) When the sides play (a, b), the unique best responses are (b, a), and conversely: round k is (a, b) for even k
    and (b, a) for odd k. Sum what i earns and could have earned. For a pure policy at s against o,
    ``τ KL = −τ log BR(s)``, and BR is the softmax of ``T[·, o]/τ + log ρ``.

    (b) If the logit differences are (x, −x), agent 1 sees action values c(p_2, 1−p_2) of difference
    ``c(2p_2 − 1) = −c tanh(x/2)``; hence the next pair is (−f(x), f(x)), and the other way round. On x ≥ 0 f is
    concave, f(0) = 0 and ``f'(0) = (ηc/2 − 1)/(1+ητ) > 1``: there is exactly one x̂ > 0 with f(x̂) = x̂, and
    f' > −1/(1+ητ) everywhere. Chords to (x̂, f(x̂)) have slopes that decrease in x, above −1/(1+ητ), and less than 1
    from x₀ on: at most r in absolute value. So ``||x_k| − x̂| ≤ r^k (x̂ − x₀)``, by induction, as this
    keeps |x_k| in [x₀, 2x̂ − x₀]. The gap, ``cp − 2cp(1−p) = cp(2p−1)``, has the derivative ``c(4p−1)p(1−p)`` in x, at
    most ¾c. Sum the geometric series.

    (c) Let X_k = 1 if round k is miscoordinated. If somebody errs (probability u), the two agree with probability 1/n,
    whatever was before. If nobody errs and they agreed, they agree again. If nobody errs and they disagreed, they
    disagree again iff both stay or both answer. So ``P(X_{k+1} = 1 | past) = u(1−1/n) + λ X_k``: X is a Markov chain,
    and ``E X_k − D = λ^k (X_0 − D)`` with X_0 = 1. (Nobody errs with probability 1−u, which is at least λ.) Given the
    past, ``E[S | X_0, …, X_k]`` depends on X_k ∈ {0, 1} only through ``w_k X_k``: a martingale whose step k lies in
    an interval of length w_k. Azuma & Hoeffding. In a coordinated round everybody plays the best answer.

    (d) ``log π*_i − log ρ_i = Q_i(π*)/τ_i`` up to constants, so ``span(log π⁰_i − log π*_i) ≤ a_i``; and
    ``KL(π*‖π⁰) ≤ log(1/min π⁰)``, so D_0 ≤ D̄. By T2 ``D_k ≤ D̄ r^{2k}``. As in T2,
    ``b_i = span(Q_i(π^k) − Q_i(π*)) ≤ 2 Σ_j Λ_ij ‖π^k_j − π*_j‖₁``, so that ``‖b‖_w ≤ 2L √(2D_k) ≤ β r^k``. The update
    takes log π − log π* to ``(log π − log π* + η(Q(π) − Q(π*)))/(1+ητ)``, up to constants: the spans α^k_i obey
    ``‖α^{k+1}‖_w ≤ s(‖α^k‖_w + ηβ r^k)``, hence ``‖α^k‖_w ≤ s^k ‖a‖_w + c₀(r^k − s^k)``; s < r as κ ≤ τ_min. Lastly
    ``log π − log BR(π)`` has span ``α_i + b_i/τ_i`` at most, and ``KL(p‖p') ≤ span(log p − log p')²/8``:
    ``8 Σ w τ KL ≤ Σ w τ (α + b/τ)² ≤ (√τ_max ‖α‖_w + ‖b‖_w/√τ_min)²``. ∎

Tightness
    (a) is an equality. In (b) the slope of the sum is exact. In (c) the expectation is exact. In (d) only the
    finiteness matters here (T3 has the finer majorant). For c·I at a common temperature κ = τ − c/2: below c/2 some
    step oscillates by (b), above it no step does, since ``(ηc/2 − 1)/(1+ητ) < 1``: the pathology ends where the margin
    begins. External regret is *not* linear under drift: without inertia either agent earns c/n a round, as any fixed
    action would, and with inertia more. Only the gap sees this loss.

Reference
    theory.md, T7, T3. Fudenberg & Kreps (1993) for the alternation; Kandori, Mailath & Rob (1993) and Young (1993) for
    drift; Azuma (1967), Hoeffding (1963).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hqre_jax.core._types import Policy
from proofs_check import _accuracy as accuracy
from proofs_check._cases import BATCH, Cases, batches, certified, posed
from proofs_check._conventions import (
    COORDINATION,
    NUM_ACTIONS,
    PAIRED,
    WORLDS,
    Chain,
    Opposed,
    World,
    alternating_losses,
    alternation,
    miscoordination,
    opposed_starts,
    pure_starts,
    scales,
    table_of,
)
from proofs_check._losses import (
    MIRROR_ROUNDS,
    NOISY_ROUNDS,
    ROUNDS,
    Losses,
    best_response_losses,
    mirror_losses,
    noisy_losses,
)
from proofs_check._selection import selection
from proofs_check._statement import Comparison, Example, Outcome, Statement

OSCILLATION = "(a) best response: loss = ½K(…)"
LARGE_STEPS = "(b) large steps: loss = K c p̂(2p̂−1) ± …"
DRIFT = "(c) noise: δ E S − … ≤ loss ≤ Δ E S + …"
RATE = "(c) noise: S of all runs = E S ± …"

# Weight of the uniform policy in interior starts.
_TREMBLE = 0.01
# Probability that chance alone raises an alarm in one run of the statement.
_FALSE_ALARM = 1e-9


def _host(tree: Any) -> Any:
    return jax.tree.map(np.asarray, tree)


def _equal(claim: str, family: str, measured: np.ndarray, closed: np.ndarray, slack: np.ndarray) -> Comparison:
    """``measured = closed`` as two inequalities."""
    both = np.stack([measured, closed]), np.stack([closed, measured])
    observed, bound = (np.moveaxis(part, 0, -1) for part in both)
    return Comparison(claim, family, observed, bound, np.stack([slack, slack], axis=-1))


def _oscillation(world: World, cases: Cases, opposed: Opposed, losses: Losses, rounds: int) -> Comparison:
    """Claim (a) for any losses: gap, external regret and regularised gap of every player."""
    measured = np.stack([losses.gap, losses.external, losses.regularised.sum(axis=1)], axis=-1)
    closed = alternating_losses(world, cases, opposed, rounds)
    # Values err by a few eps of the payoffs (and τ log ρ); so do the sums, by K eps of their absolute values.
    pull = np.asarray(cases.problem.tau * jnp.max(jnp.abs(cases.problem.log_reference), axis=-1))[..., 0]
    size = np.abs(opposed.table).max(axis=(1, 2, 3))[:, None] + pull
    slack = accuracy.EPS * rounds * (rounds + 32) * 2 * size[..., None] * np.ones(3)
    return _equal(OSCILLATION, world.family.name, measured, closed, slack)


def _large_steps(size: np.ndarray, tau: np.ndarray, eta: np.ndarray, part: np.ndarray) -> Comparison:
    """Claim (b) for two-action c·I, padded to five actions so that (d)'s program serves; ``x₀ = part·x̂``."""
    num, limit = len(size), alternation(eta, tau, size)
    first = part * limit
    payoffs = size[:, None, None, None] * np.broadcast_to(np.eye(NUM_ACTIONS), (num, 2, NUM_ACTIONS, NUM_ACTIONS))
    mask = np.broadcast_to(np.arange(NUM_ACTIONS) < 2, (num, 2, 1, NUM_ACTIONS))
    problem = posed(COORDINATION.family.build, (payoffs, mask), tau).problem
    starts = np.zeros((num, 2, 1, NUM_ACTIONS))
    starts[:, 0, 0, 0] = starts[:, 1, 0, 1] = 1 / (1 + np.exp(-first))
    starts[:, 0, 0, 1] = starts[:, 1, 0, 0] = 1 / (1 + np.exp(first))
    keys = jax.random.split(jax.random.key(0), num)
    _, policies = _host(mirror_losses(problem, jnp.asarray(starts), jnp.asarray(eta), keys))
    path = np.log(policies[:, :, 0]) - np.log(policies[:, :, 1])
    p = 1 / (1 + np.exp(-np.abs(path)))
    gaps = size[:, None] * p * (2 * p - 1)
    chord = (limit - (eta * size * np.tanh(first / 2) - first) / (1 + eta * tau)) / (limit - first)
    rate = np.maximum(chord, 1 / (1 + eta * tau))
    since = np.array([0, MIRROR_ROUNDS // 2])
    top = 1 / (1 + np.exp(-limit))
    slope = (size * top * (2 * top - 1))[:, None] * (MIRROR_ROUNDS - since)
    transient = (0.75 * size * (limit - first) / (1 - rate))[:, None] * rate[:, None] ** since
    measured = gaps[:, ::-1].cumsum(axis=1)[:, ::-1][:, since]
    slack = 0.75 * size * _wandering(path, size, tau, eta).sum(axis=1)
    slack = (slack + accuracy.EPS * MIRROR_ROUNDS**2 * size)[:, None] * np.ones(2)
    observed = np.stack([slope - transient, measured], axis=-1)
    bound = np.stack([measured, slope + transient], axis=-1)
    return Comparison(LARGE_STEPS, "coordination c·I, 2 actions", observed, bound, np.stack([slack, slack], axis=-1))


def _wandering(path: np.ndarray, size: np.ndarray, tau: np.ndarray, eta: np.ndarray) -> np.ndarray:
    """How far rounding may have led from the exact orbit, by round, to first order and doubled.

    Near (x, −x) the update's Jacobian has the sup norm ``(1 + ½ηc/cosh²(x/2))/(1+ητ)``: where it exceeds 1, an error
    that breaks the symmetry grows.
    """
    growth = (1 + 0.5 * (eta * size)[:, None] / np.cosh(path / 2) ** 2) / (1 + eta * tau)[:, None]
    fresh = 32 * accuracy.EPS * (np.abs(path) + (size / tau)[:, None])
    error = np.zeros_like(path)
    error[:, 0] = fresh[:, 0]
    for k in range(1, path.shape[1]):
        error[:, k] = growth[:, k - 1] * error[:, k - 1] + fresh[:, k]
    return 2 * error


class Drift(NamedTuple):
    """Noisy runs of one batch of games: rounds counted apart, with what (c) says of them."""

    apart: np.ndarray
    chain: Chain


def _drift(
    world: World, cases: Cases, opposed: Opposed, rng: np.random.Generator, alarm: float
) -> tuple[Comparison, Drift]:
    """Claim (c), game by game; ``alarm`` is the probability of a false one in each."""
    num = len(opposed.first)
    noise, inertia = rng.uniform(0.1, 0.6, (num, 2)), rng.uniform(0, 0.6, (num, 2))
    inertia = inertia * (rng.random((num, 1)) < 0.5)
    keys = jax.random.split(jax.random.key(int(rng.integers(2**31))), num)
    starts = pure_starts(world, cases, opposed)
    losses = _host(noisy_losses(cases.problem, starts, jnp.asarray(noise), jnp.asarray(inertia), keys))
    mask = np.asarray(cases.problem.game.action_mask)[:, :, 0]
    chain = miscoordination(mask[:, 0].sum(-1), noise, inertia, NOISY_ROUNDS)
    deviation = np.sqrt(0.5 * np.log(2 / alarm) * chain.squares)
    # Gap of playing x against y, x ≠ y.
    missed = np.einsum("giyy->giy", opposed.table)[:, :, None] - opposed.table
    pairs = mask[..., :, None] & mask[..., None, :] & ~np.eye(mask.shape[-1], dtype=bool)
    least = np.where(pairs, missed, np.inf).min(axis=(2, 3))
    largest = np.where(pairs, missed, -np.inf).max(axis=(2, 3))
    low = least * np.maximum(chain.expected - deviation, 0)[:, None]
    high = largest * (chain.expected + deviation)[:, None]
    observed, bound = np.stack([low, losses.gap], axis=-1), np.stack([losses.gap, high], axis=-1)
    size = np.abs(opposed.table).max(axis=(2, 3))[..., None]
    slack = accuracy.EPS * NOISY_ROUNDS * (NOISY_ROUNDS + 32) * size * np.ones(2)
    return Comparison(DRIFT, world.family.name, observed, bound, slack), Drift(losses.apart, chain)


def _pooled(family: str, drifts: list[Drift], alarm: float) -> Comparison:
    """Claim (c) for the sum over all runs: one comparison, many times sharper."""
    apart, expected, squares = (
        sum(part.sum() for part in parts)
        for parts in zip(*((d.apart, d.chain.expected, d.chain.squares) for d in drifts), strict=True)
    )
    deviation = np.sqrt(0.5 * np.log(2 / alarm) * squares)
    observed, bound = np.array([[expected - deviation, apart]]), np.array([[apart, expected + deviation]])
    return Comparison(RATE, family, observed, bound, 64 * accuracy.EPS * bound)


def _selected(world: World, cases: Cases, opposed: Opposed) -> tuple[Policy, Losses]:
    """Mirror play with the largest step of T2 from the opposed start made interior."""
    mask = cases.problem.game.action_mask
    starts = (1 - _TREMBLE) * pure_starts(world, cases, opposed) + _TREMBLE * mask / jnp.sum(
        mask, axis=-1, keepdims=True
    )
    keys = jax.random.split(jax.random.key(0), len(mask))
    losses, _ = mirror_losses(cases.problem, starts, cases.known.max_step, keys)
    return starts, _host(losses)


def _certified(world: World, rng: np.random.Generator, num: int) -> tuple[Cases, Opposed]:
    """Games at heterogeneous temperatures with a positive margin, and opposed starts."""
    cases = certified(world.family, rng, num)
    kept = np.asarray(cases.known.margin) > 0
    assert kept.all(), "temperatures are chosen to give a margin"
    return cases, opposed_starts(cases, rng)


def check(key: Any, num_games: int) -> Outcome:
    """T7 on random games with conventions.

    Args:
        key: Typed key.
        num_games: Number of games, over all families.

    Returns:
        All claims; (c) for pairs of agents, (b) for as many two-action games as there are coordination games.
    """
    comparisons, drawn, drifts = [], 0, {world: [] for world in PAIRED}
    by_family = {world.family: world for world in WORLDS}
    plan = list(batches(key, num_games, tuple(by_family)))
    alarm = _FALSE_ALARM / (2 * sum(num for _, _, num in plan))
    for family, rng, num in plan:
        world = by_family[family]
        cases, opposed = _certified(world, rng, num)
        keys = jax.random.split(jax.random.key(int(rng.integers(2**31))), num)
        played = _host(best_response_losses(cases.problem, pure_starts(world, cases, opposed), keys))
        comparisons.append(_oscillation(world, cases, opposed, played, ROUNDS))
        comparisons.append(selection(world.family.name, cases, *_selected(world, cases, opposed)))
        if world is COORDINATION:
            comparisons.append(_large_steps(*_drawn_steps(rng, num)))
        if world in PAIRED:
            comparison, drift = _drift(world, cases, opposed, rng, alarm)
            comparisons.append(comparison)
            drifts[world].append(drift)
        drawn += num
    pooled = [_pooled(world.family.name, parts, _FALSE_ALARM / (2 * len(PAIRED))) for world, parts in drifts.items()]
    return Outcome(tuple(sorted((*comparisons, *pooled), key=lambda c: c.claim)), drawn)


def _drawn_steps(rng: np.random.Generator, num: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """c, τ, η above ``2/(c/2 − τ)``, and where to start, of two-action games."""
    size = scales(rng, (num,))
    tau = size * rng.uniform(0.05, 0.4, num)
    return size, tau, rng.uniform(1.5, 10, num) * 2 / (size / 2 - tau), rng.uniform(0.3, 0.9, num)


def negative_control(key: Any, num_games: int) -> Outcome:
    """Mirror play at a positive margin, judged by (a) as if it were best response: nothing of the kind is lost."""
    comparisons, drawn = [], 0
    by_family = {world.family: world for world in WORLDS}
    for family, rng, num in batches(key, num_games, tuple(by_family)):
        world = by_family[family]
        cases, opposed = _certified(world, rng, num)
        _, losses = _selected(world, cases, opposed)
        comparisons.append(_oscillation(world, cases, opposed, losses, MIRROR_ROUNDS))
        drawn += num
    return Outcome(tuple(comparisons), drawn)


def sharpness() -> tuple[Example, ...]:
    """The slopes of (a) and (b) in c·I with c = 1."""
    # Copies of one game, as many as a batch of the check, so that the check's programs serve.
    ones = np.ones(BATCH)
    payoffs = np.broadcast_to(np.eye(NUM_ACTIONS), (BATCH, 2, NUM_ACTIONS, NUM_ACTIONS))
    cases = posed(COORDINATION.family.build, (payoffs, np.ones((BATCH, 2, 1, NUM_ACTIONS), bool)), ones)
    opposed = Opposed(np.zeros(BATCH, int), np.ones(BATCH, int), table_of(cases.problem.game))
    starts = pure_starts(COORDINATION, cases, opposed)
    losses = _host(best_response_losses(cases.problem, starts, jax.random.split(jax.random.key(0), BATCH)))
    steps = _large_steps(ones, 0.2 * ones, 20.0 * ones, 0.5 * ones)
    return (
        Example("coordination 1·I, 5 actions", "best response: Σ gaps / cK", float(losses.gap[0, 0]), float(ROUNDS)),
        Example("coordination 1·I, 5 actions", "external regret / ½cK", float(losses.external[0, 0]), 0.5 * ROUNDS),
        Example(
            "coordination 1·I, τ = 0.2, η = 20",
            "mirror steps: later gaps / slope",
            float(steps.observed[0, 1, 1]),
            float(0.5 * (steps.observed[0, 1, 0] + steps.bound[0, 1, 1])),
        ),
    )


T7 = Statement(
    name="T7",
    title="pathologies",
    check=check,
    control="HQRE play at a positive margin is judged as if it were best response",
    negative_control=negative_control,
    sharpness=sharpness,
)
