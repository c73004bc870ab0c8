"""The principal branch of many small games at once: straight continuation in ``s`` of ``τ/s``, with guards.

    z = log ρ + s · gain(π(z)),      s from 0 (the reference) to 1 (the question).

All lanes take one linear solve per round; each has its own step. At a trial point Newton's method gives the correction
``d = (I − sJ)⁻¹ (log ρ + s·gain − z)`` and the tangent ``t = (I − sJ)⁻¹ gain``; a point is kept if

* ``det(I − sJ) > 0``: as at s = 0, and as on every stretch of the branch without a fold or a bifurcation;
* the correction moves no probability by more than 0.05 and no log-odds of use by more than 1.

Otherwise the step is shortened. A lane whose step becomes too short (near a fold, a bifurcation, a sharp bend) gives
up: it belongs to pseudo-arclength continuation. Lanes that are certified to have one equilibrium need no guards, for
any way to it is right.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from hqre_jax._batch._interleaved import (
    Interleaved,
    Linear,
    Odds,
    Policies,
    apart,
    apply,
    largest,
    linearise,
    policies,
    solve_linear,
    total,
)

# A correction may move a probability by this much; steps aim at a fraction of it.
_MISS, _AIM = 0.05, 0.5
# Corrections of log-odds beyond this are not small, whatever the probabilities.
_FAR = 1.0
_SHORTEST = 1e-3
# Rounds after which a lane gives up.
_ROUNDS = 100
# Rounds before lanes are left.
_PATIENCE = 6

PerLane = Float[Array, " lane"]


class Path(NamedTuple):
    """Where each lane is on its branch.

    Attributes:
        odds: z at the last point kept.
        slope: Tangent dz/ds there.
        bend: Estimate of half the second derivative, ½ d²z/ds².
        position: s.
        step: The step that is being tried.
        rounds: Linear solves so far.
        live: Whether the lane is on its way.
        arrived: Whether it reached s = 1 and converged there.
    """

    odds: Odds
    slope: Odds
    bend: Odds
    position: PerLane
    step: PerLane
    rounds: Int[Array, " lane"]
    live: Bool[Array, " lane"]
    arrived: Bool[Array, " lane"]


def begin(games: Interleaved, unique: Bool[Array, " lane"], live: Bool[Array, " lane"]) -> Path:
    """The reference policy, with tangent, bend, and a first step whose prediction should miss by little.

    At s = 0 the branch has ``z' = gain(ρ)`` and ``z'' = 2 J z'``. If each order is smaller than the one before by the
    same factor, predicting to second order over a step h misses by ``h³ |z''/2|²/|z'|``.
    """
    pi = policies(games.reference)
    linear = linearise(games, pi)
    slope = linear.gain
    bend = tuple(
        sum((apply(block, slope[j]) for j, block in enumerate(row) if block is not None), jnp.zeros_like(slope[i]))
        for i, row in enumerate(linear.coupling)
    )
    first, second = _moved(pi, slope), _moved(pi, bend)
    miss = second * second / jnp.maximum(first, jnp.finfo(first.dtype).tiny)
    step = jnp.minimum(1.0, (_AIM * _MISS / jnp.maximum(miss, jnp.finfo(miss.dtype).tiny)) ** (1 / 3))
    zero = jnp.zeros_like(step)
    return Path(
        odds=games.reference,
        slope=slope,
        bend=bend,
        position=zero,
        step=jnp.where(unique, 1.0, step),
        rounds=jnp.zeros(step.shape, jnp.int32),
        live=live & jnp.isfinite(miss),
        arrived=jnp.zeros(step.shape, bool),
    )


def follow(games: Interleaved, path: Path, unique: Bool[Array, " lane"], close: Any, leave: Any) -> Path:
    """Rounds until no more than ``leave`` lanes are on their way.

    Args:
        games: The games.
        path: Where they are.
        unique: Lanes certified to have one equilibrium.
        close: A last correction that moves probabilities by less than this is the last.
        leave: Lanes that may be left on their way, after some rounds.

    Returns:
        Where they are then.
    """

    def unfinished(path: Path) -> Bool[Array, ""]:
        few = (jnp.sum(path.live) <= leave) & (jnp.max(path.rounds) >= _PATIENCE)
        return jnp.any(path.live) & ~few

    return jax.lax.while_loop(unfinished, lambda p: _round(games, p, unique, close), path)


def _round(games: Interleaved, path: Path, unique: Bool[Array, " lane"], close: Any) -> Path:
    go = jnp.any(path.live)
    goal = path.position + path.step
    goal = jnp.where(goal > 1.0 - 1e-6, 1.0, goal)
    step = goal - path.position
    trial = tuple(z + step * (t + step * b) for z, t, b in zip(path.odds, path.slope, path.bend, strict=True))

    def first_order(trial: Odds) -> tuple[Policies, Linear]:
        pi = policies(trial)
        return pi, linearise(games, pi)

    pi, linear = apart(go, first_order, trial)
    defect = tuple(r + goal * g - z for r, g, z in zip(games.reference, linear.gain, trial, strict=True))
    (correction, slope), determinant = solve_linear(goal, linear, [defect, linear.gain], go)
    miss, far = apart(go, lambda *x: (_moved(*x), _moved_odds(*x)), pi, correction)
    finite = jnp.isfinite(miss) & jnp.isfinite(determinant)
    landed = path.position >= 1.0
    guarded = (determinant > 0) & (miss <= _MISS) & (far <= _FAR)
    kept = path.live & finite & (guarded | (unique & (far <= 4.0)))
    arrived = kept & (goal >= 1.0) & (miss <= close)
    # The error of a prediction to second order grows with the cube of the step.
    ratio = _AIM * _MISS / jnp.maximum(miss, 1e-9)
    factor = jnp.where(finite, jnp.clip(jnp.sqrt(jnp.sqrt(ratio)), 0.2, 3.0), 0.2)
    factor = jnp.where(kept, factor, jnp.minimum(factor, 0.5))
    after = step * factor
    rounds = path.rounds + path.live
    lost = ~kept & (landed | (after < _SHORTEST))
    bend_scale = jnp.where(step > 0, 0.5 / jnp.where(step > 0, step, 1.0), 0.0)

    def keep(new: Array, old: Array) -> Array:
        return jnp.where(kept, new, old)

    return Path(
        odds=jax.tree.map(lambda z, d, old: keep(z + d, old), trial, correction, path.odds),
        slope=jax.tree.map(keep, slope, path.slope),
        bend=jax.tree.map(lambda new, old, b: keep(bend_scale * (new - old), b), slope, path.slope, path.bend),
        position=keep(goal, path.position),
        step=jnp.where(path.live, after, path.step),
        rounds=rounds,
        live=path.live & ~arrived & ~lost & (rounds < _ROUNDS),
        arrived=path.arrived | arrived,
    )


def _moved(pi: Policies, change: Odds) -> PerLane:
    """Largest change of a probability, to first order, when log-odds change."""
    most = jnp.zeros_like(pi[0][0])
    for p, d in zip(pi, change, strict=True):
        weighted = p[1:] * d
        mean = total(weighted)
        most = jnp.maximum(most, largest(jnp.abs(weighted - p[1:] * mean), 0.0))
        most = jnp.maximum(most, jnp.abs(p[0] * mean))
    return most


def _moved_odds(pi: Policies, change: Odds) -> PerLane:
    """Largest change of log-odds, actions that are hardly played left out."""
    most = jnp.zeros_like(pi[0][0])
    for p, d in zip(pi, change, strict=True):
        most = jnp.maximum(most, largest(jnp.where(p[1:] > 1e-6, jnp.abs(d), 0.0), 0.0))
    return most
