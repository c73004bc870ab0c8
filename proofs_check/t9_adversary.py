"""T9: an adversary with gradients finds no counterexample, and comes close to every constant that is sharp.

Problem
    Random games are kind: in most of them a bound is far from what is observed, and a wrong constant might go
    unnoticed. So let somebody look for the worst game. How close to its bound can each statement be brought, and does
    anything get past it?

Statement
    Write a claim of T1, …, T8 as observed ≤ bound. For every game, temperatures within the hypothesis, start and step,

        observed / bound ≤ 1,

    also where gradient ascent on this ratio ends. Attacked are: T1 (a), the interaction of a pair of policies; T2 (b),
    progress promised over progress made, ``log(1+ηκ) / 2 log(1/r)``; T3 (c), the sum of all regularised gaps over its
    majorant; T4 (a), the stretch of soft Q-iteration over q; T7 (d), regret under selection; T8 (e), what temperatures
    cost over ``Σ τ log A``.

Method
    That the ratio is at most 1 is what the proofs of T1, …, T8 say; here it is tried to refute. A position is a game
    (payoffs; in T4 a kernel and a discount too), one temperature for each information state, a policy or pair of
    policies, and a step. It is drawn at random, payoffs normal: a general-sum game that nobody chose. Payoffs are
    brought to mean square 1, temperatures shifted so that ``0 < κ < L``, steps are a part of κ/L². (As κ/L grows, a
    step of κ/L² becomes a best reply and every rate sharp, whatever the game: no achievement.) Then Adam climbs,
    through the solver: what is differentiated is the run of the algorithm itself, eight mirror updates for T2, 48
    rounds for T3, soft Q-iteration for T4.

    Constants are differentiated as follows. κ is an eigenvalue, λ_min of ``W^{-1/2}(diag(wτ) − ½C)W^{-1/2}``, and L²
    one of a Gram matrix: a simple eigenvalue moves by ``zᵀ dM z``, z its unit eigenvector. C and Λ are maxima, which
    move as their maximiser does. The weights maximise κ, which therefore does not depend on them to first order
    (envelope theorem); L does, but *any* weights give true constants, so that no ratio above 1 can be due to weights
    that stand still. π* is a zero of F(·; game) and moves by ``−(∂F)⁻¹ dF`` (implicit function theorem): one Newton
    step that is differentiated, after two that are not. The ratio is at most 1 everywhere, so wherever the ascent ends
    it says something true; what is reported is measured once more by the statement's own code, at the end of each run,
    with the constants of `bounds`, the HQRE of the ledger's solver and the slacks derived there.

    The gain of T2 is *not* attacked as ``D⁺(1+ηκ)/D``: that tends to 1 as η → 0, in every game.

Tightness
    From random general-sum games the ascent brings T1 (a), T3 (c) and T4 (a) to .99 of their bounds, and T2 (b) to
    .85 in the median and .99 at best: a game that is drawn with interests aligned stays so and ends as coordination
    with κ = L, where the ratio is ``log 2 / 2 log(3/2) = .855``; one that is not ends as matching pennies, where it
    is 1. T8 (e) ends at .42: with three actions and at the HQRE nobody can lose more than
    ``max_x 2x/(e^x + 2) = .4214 log 3`` times τ (on the way there, a little). T7 (d) stays below .3: it adds norms
    where T3 adds agents.

Reference
    theory.md, T9. Kingma & Ba (2015) for Adam; Danskin (1967) for the envelope.
"""

import dataclasses
from functools import partial
from typing import Any

import jax
import numpy as np

import hqre_jax as hq
from hqre_jax.games.random._draws import generator
from proofs_check._ascent import ascend
from proofs_check._attacks import TARGETS, Target, judge_as_if
from proofs_check._cases import taken
from proofs_check._statement import Attack, Comparison, Example, Outcome, Statement

_NUM_STEPS = 200
# Games that a run of an adversary is worth: each is the last of a few hundred that were tried on the way.
_GAMES_PER_RUN, _LEAST_RUNS = 200, 10
_SHARP = ("T1", "T2", "T3", "T4")


def _runs(num_games: int) -> int:
    return max(_LEAST_RUNS, -(-num_games // _GAMES_PER_RUN))


def _climbed(target: Target, key: Any, num_runs: int) -> Any:
    """Where the runs end."""
    positions = target.draw(generator(key), num_runs)
    return ascend(target.score, positions, target.remember(positions), _NUM_STEPS)[0]


def _judged(target: Target, key: Any, num_runs: int) -> Comparison:
    comparison = target.judge(_climbed(target, key, num_runs), key)
    return dataclasses.replace(comparison, claim=f"{target.statement} {target.claim}", family="adversary's")


def attack(target: Target, key: Any, num_runs: int) -> Attack:
    """Ascents from random positions.

    Args:
        target: What is attacked.
        key: Typed key of the positions.
        num_runs: Number of ascents.

    Returns:
        What they reached.
    """
    comparison = _judged(target, key, num_runs)
    problems, ratios = comparison.problems, comparison.ratios
    assert problems is not None
    # A run that ends where rounding hides the ratio has reached nothing.
    ratios = np.where(np.isnan(ratios), 0.0, ratios)
    best: hq.Problem = taken(problems, int(np.argmax(ratios)))
    return Attack(target.statement, target.claim, ratios, best)


def armed(statement: Statement) -> Statement:
    """The statement with its adversary, if it has one."""
    target = TARGETS.get(statement.name)
    return dataclasses.replace(statement, adversary=partial(attack, target)) if target else statement


def check(key: Any, num_games: int) -> Outcome:
    """T9: every claim under attack.

    Args:
        key: Typed key.
        num_games: Two hundred of these are worth one run for each claim; ten runs at least.

    Returns:
        The claims attacked, at the end of each run.
    """
    num_runs = _runs(num_games)
    keys = jax.random.split(key, len(TARGETS))
    comparisons = tuple(_judged(t, k, num_runs) for t, k in zip(TARGETS.values(), keys, strict=True))
    return Outcome(comparisons, num_runs)


def negative_control(key: Any, num_games: int) -> Outcome:
    """The same adversary against a wrong constant: T1 and T2 as if the margin were twice what it is."""
    num_runs = _runs(num_games)
    comparisons = []
    for name in ("T1", "T2"):
        target = TARGETS[name]
        comparison = judge_as_if(target, _climbed(target, key, num_runs), key, 2.0)
        comparisons.append(dataclasses.replace(comparison, claim=f"{name} {target.claim}", family="κ doubled"))
    return Outcome(tuple(comparisons), num_runs)


def sharpness() -> tuple[Example, ...]:
    """The best of a few attacks on each of the constants that are sharp."""
    examples = []
    for name in _SHARP:
        comparison = _judged(TARGETS[name], jax.random.key(0), _LEAST_RUNS)
        best = int(np.nanargmax(comparison.ratios))
        ratio = float(comparison.ratios[best])
        examples.append(Example(f"adversary of {comparison.claim}", "observed / bound", ratio, 1.0))
    return tuple(examples)


T9 = Statement(
    name="T9",
    title="falsification",
    check=check,
    control="the adversary attacks twice the margin",
    negative_control=negative_control,
    sharpness=sharpness,
)
