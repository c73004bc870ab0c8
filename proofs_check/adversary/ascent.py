"""Gradient ascent on the tightness of a bound: the adversary of T9, whatever it attacks.

A *position* is a game, temperatures, a start and a step, all as unbounded numbers; a *score* is the ratio
observed/bound there. Constants are differentiated at fixed weights: any positive weights give valid constants, and
at the best ones the margin has no first-order dependence on them (the envelope theorem). What is climbed is thus the
truth, and what is reported is measured anew with the constants that the library proves.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

import hqre_jax as hq
from hqre_jax.bounds import bounds, interactions_under
from hqre_jax.core._simplex import center
from hqre_jax.core._types import LogPolicy, Scalar, StateValues
from proofs_check.numerics.compiled import each_game
from proofs_check.numerics.equilibria import defect

Position = TypeVar("Position")
# First learning rate of Adam, in units in which payoffs have mean square 1; it falls to 0 along a cosine.
_RATE = 0.1
# Newton steps that follow the equilibrium from one position to the next, and responses averaged to find the first.
_NEWTON_STEPS, _FIRST_RESPONSES = 2, 200
# Ascents of one run of a program.
_RUNS = 10


class Constants(NamedTuple):
    """κ and L of T1 and T2 at weights that do not move, as differentiable functions of payoffs and temperatures."""

    weights: StateValues
    margin: Scalar
    lipschitz: Scalar


def constants(problem: hq.Problem) -> Constants:
    """κ and L at the library's best weights; derivatives by Rayleigh quotients at fixed eigenvectors.

    Args:
        problem: A problem in which everybody moves once, no type of probability zero.

    Returns:
        The constants.
    """
    weights = bounds(jax.lax.stop_gradient(problem)).weights
    meetings = interactions_under(problem, 0)
    assert meetings is not None
    tau, w = problem.tau.ravel(), jnp.where(meetings.keep, weights.ravel(), 1.0)
    root = jnp.sqrt(w)
    common = meetings.common(w / meetings.reach)
    matrix = jnp.diag(tau) - 0.5 * common / (root[:, None] * root[None, :])
    least = jnp.linalg.eigh(jax.lax.stop_gradient(matrix))[1][:, 0]
    weighted = meetings.influence() * root[:, None] / root[None, :]
    gram = weighted.T @ weighted
    widest = jnp.linalg.eigh(jax.lax.stop_gradient(gram))[1][:, -1]
    # The floor keeps the root's derivative finite where nobody affects anybody.
    square = jnp.maximum(widest @ gram @ widest, jnp.finfo(tau.dtype).tiny)
    return Constants(weights, least @ matrix @ least, jnp.sqrt(square))


def first_equilibrium(problem: hq.Problem) -> LogPolicy:
    """Logits close to an HQRE, from averaged responses."""
    problem = problem.centered()
    start = jnp.zeros_like(problem.log_reference).ravel()
    z = jax.lax.fori_loop(0, _FIRST_RESPONSES, lambda _, z: z - 0.2 * defect(problem, z), start)
    return z.reshape(problem.mask.shape)


def equilibrium(problem: hq.Problem, nearby: LogPolicy) -> LogPolicy:
    """Logits of the HQRE next to given ones, with its derivative.

    Newton's method on frozen payoffs and temperatures, and one more step that is not frozen: at a zero of F its
    derivative is ``−J⁻¹ ∂F``, that of the implicit function.

    Args:
        problem: One problem, its game centred.
        nearby: Logits near an HQRE.

    Returns:
        Centred logits of π*.
    """
    frozen, z = jax.lax.stop_gradient((problem, center(nearby, problem.mask).ravel()))

    def jacobian_at(z):
        return jax.jacfwd(lambda z: defect(frozen, z))(z)

    def newton(_, z):
        return z - jnp.linalg.solve(jacobian_at(z), defect(frozen, z))

    z = jax.lax.fori_loop(0, _NEWTON_STEPS, newton, z)
    jacobian = jacobian_at(z)
    return (z - jnp.linalg.solve(jacobian, defect(problem, z))).reshape(problem.mask.shape)


class _Climb(NamedTuple):
    """One run of the ascent: where it is, Adam's moments, what the score remembers, and the best position yet."""

    now: Any
    moments: Any
    memory: Any
    best: Any
    reached: Scalar


def ascend(
    score: Callable[[Position, Any], tuple[Scalar, Any]], positions: Position, memories: Any, num_steps: int
) -> tuple[Position, Float[Array, " run"]]:
    """Climb from many positions at once.

    Args:
        score: ``(position, memory) -> (ratio, memory)``, the memory being what the next evaluation starts from.
        positions: Starts, leading axis (run).
        memories: What each run remembers at the start; leading axis (run).
        num_steps: Steps of Adam.

    Returns:
        The best position of each run, and its score.
    """
    return _ascents(score, num_steps)(positions, memories)


@functools.cache
def _ascents(score: Callable[..., Any], num_steps: int) -> Callable[..., Any]:
    optimizer = optax.adam(optax.cosine_decay_schedule(_RATE, num_steps))

    def run(position: Position, memory: Any) -> tuple[Position, Scalar]:
        def step(climb: _Climb, _: None) -> tuple[_Climb, None]:
            (ratio, memory), slope = jax.value_and_grad(score, has_aux=True)(climb.now, climb.memory)
            # A run that left the numbers (a singular Jacobian) stays where it is; its best position is kept.
            sound = jnp.isfinite(ratio) & jnp.all(
                jnp.stack([jnp.all(jnp.isfinite(part)) for part in jax.tree.leaves((slope, memory))])
            )
            better = sound & (ratio > climb.reached)
            best = jax.tree.map(lambda new, old: jnp.where(better, new, old), climb.now, climb.best)
            slope = jax.tree.map(lambda part: jnp.where(sound, -part, 0.0), slope)
            moves, moments = optimizer.update(slope, climb.moments)
            memory = jax.tree.map(lambda new, old: jnp.where(sound, new, old), memory, climb.memory)
            reached = jnp.where(better, ratio, climb.reached)
            return _Climb(optax.apply_updates(climb.now, moves), moments, memory, best, reached), None

        begun = _Climb(position, optimizer.init(position), memory, position, jnp.asarray(-jnp.inf))
        climb, _ = jax.lax.scan(step, begun, length=num_steps)
        return climb.best, climb.reached

    # Scores are made of bounds, which are full of maxima.
    return each_game(run, size=_RUNS, better=True)
