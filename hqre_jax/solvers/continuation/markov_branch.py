"""The principal branch of Markov games, followed by pseudo-arclength with linear algebra state by state.

Unknowns are the centred logits z and s of ``τ/s``. The curve is parametrised by length in the norm ``‖z‖²/m + Λ²s²``
(m decision points, Λ the rationality at s = 1). At a trial point the linearised equation gives Newton's correction c
and the slope ``v = dz/ds`` at fixed s; the corrected point is ``(z + c + v·ds, s + ds)``, with ds such that the
correction is at right angles to the tangent, or 0 on arrival at s = 1.

How much the Jacobian changes over a step (`_closeness`) is judged in the two halves into which elimination splits it:
the matrices of all states, each by itself, and the system in the values, by its spectral radius, whose direction is
carried along the branch. Of a game whose symmetry is exact (`_symmetry`) both halves are those that symmetric policies
see: there is nothing to slow down at where only the symmetry breaks.
"""

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from hqre_jax.core._results import RESULTS
from hqre_jax.core._simplex import center
from hqre_jax.core._types import InputError, LogPolicy, Scalar, StateValues
from hqre_jax.equilibrium._residual import residual_between
from hqre_jax.problem import Problem
from hqre_jax.solvers._solver import AbstractSolver, Iterate
from hqre_jax.solvers.continuation._closeness import CHANGE, Watch, arrives_first, judge, shortest, watch
from hqre_jax.solvers.continuation._eliminated import Pieces, beginning, is_open, linearise
from hqre_jax.solvers.continuation._symmetry import Symmetry, symmetry
from hqre_jax.solvers.continuation.principal_branch import rationality

# A correction may move a probability by this much; steps aim at a fraction of it.
_MISS, _AIM = 0.05, 0.5
# Corrections of logits beyond this are not small, whatever the probabilities.
_FAR = 1.0
# Consecutive tangents may turn by at most this angle (cosine).
_TURN = 0.7
# What the first step, along the tangent alone, may move a probability by.
_FIRST = 0.15


class Point(NamedTuple):
    """A point ``(z, s)`` of the curve, or a direction there."""

    logits: LogPolicy
    scale: Scalar


class State(NamedTuple):
    """Where one is on the branch.

    Attributes:
        iterate: The last point at s = 1 that was looked at; before, the reference with residual 1.
        point: The last point kept.
        tangent: The unit tangent there, pointing onwards.
        bend: Estimate of half the curve's second derivative by length.
        values: ``V^π`` near there, for systems that are solved by iteration.
        pieces: The Jacobian there.
        direction: In which it changed most.
        length: The step to try.
        watch: What is remembered of singular points.
        lost: Whether the step became too short.
        symmetry: What the branch is symmetric under.
    """

    iterate: Iterate
    point: Point
    tangent: Point
    bend: Point
    values: StateValues
    pieces: Pieces
    direction: StateValues
    length: Scalar
    watch: Watch
    lost: Bool[Array, ""]
    symmetry: Symmetry


class MarkovBranch(AbstractSolver):
    """Predictor-corrector continuation of the principal branch of a Markov game, through folds.

    The branch starts at ``τ = ∞`` whatever ``initial_policy`` says. Each step predicts to second order and corrects
    once by Newton's method: a few passes over the transitions and one system of N·S unknowns. A point is kept if

    * the Jacobian changes little in comparison with itself, so that it is a point of the same curve; the branch goes on
      along the incoming tangent where others leave it that break a symmetry;
    * the correction moves no probability by more than 0.05 and no logit in use by more than 1, and the tangent turns by
      less than 45°.

    Otherwise the step is shortened. Where it becomes too short the branch counts as lost: from there on it belongs to
    `PrincipalBranch`.
    """

    name: ClassVar[str] = "markov_branch"
    follows_branch: ClassVar[bool] = True
    default_max_steps: ClassVar[int] = 2_000
    patience: ClassVar[int] = 6

    def init(self, problem: Problem, log_policy: LogPolicy) -> State:
        """See `AbstractSolver.init`; the given policy is not used."""
        if not is_open(problem):
            raise InputError("solver", '"markov_branch" needs a Markov game of few actions; use "auto" here')
        logits = center(problem.log_reference, problem.mask)
        zero, one = jnp.zeros((), logits.dtype), jnp.ones((), logits.dtype)
        pieces, direction = beginning(problem)
        values = jnp.zeros_like(problem.tau)
        alike = symmetry(problem)
        here = linearise(problem, logits, zero, values, pieces, direction, (values, one), alike)
        tangent = _unit(problem, Point(here.tangent, one))
        moved = _moved(problem, logits, tangent.logits)
        return State(
            iterate=Iterate(logits, here.response, one, one, jnp.zeros((), int)),
            point=Point(logits, zero),
            tangent=tangent,
            bend=Point(jnp.zeros_like(logits), zero),
            values=here.values,
            pieces=here.pieces,
            direction=direction,
            length=_FIRST / jnp.maximum(moved, jnp.finfo(zero.dtype).eps),
            watch=watch(logits.dtype),
            lost=~jnp.isfinite(moved),
            symmetry=alike,
        )

    def step(self, problem: Problem, state: State) -> State:
        """See `AbstractSolver.step`; one linear system."""
        point, tangent, bend = state.point, state.tangent, state.bend
        landed = point.scale >= 1.0
        length, landing = _next_length(state)
        trial = jax.tree.map(lambda u, d, b: u + length * (d + length * b), point, tangent, bend)
        # Rounding breaks symmetries.
        trial = Point(state.symmetry.of_logits(trial.logits), jnp.where(landing, 1.0, trial.scale))
        border = (tangent.scale * state.pieces.values, rationality(problem) ** 2 * tangent.scale)
        here = linearise(
            problem, trial.logits, trial.scale, state.values, state.pieces, state.direction, border, state.symmetry
        )
        onwards = Point(here.tangent, jnp.ones_like(length))
        along = _inner(problem, tangent, onwards)
        # At right angles to the tangent, or at fixed s.
        back = _inner(problem, tangent, Point(here.correction, jnp.zeros_like(length)))
        shift = jnp.where(landing, 0.0, -back / along)
        correction = Point(here.correction + shift * here.tangent, shift)
        direction = _unit(problem, jax.tree.map(lambda d: jnp.where(along < 0, -d, d), onwards))
        there = jax.tree.map(jnp.add, trial, correction)

        miss = _moved(problem, trial.logits, correction.logits)
        used = problem.policy(trial.logits) > 1e-6
        far = jnp.max(jnp.where(used, jnp.abs(correction.logits), 0.0))
        finite = jnp.isfinite(miss) & jnp.isfinite(along)
        ahead = landed | (_inner(problem, tangent, direction) >= _TURN)
        inside = (there.scale >= 0) & (landing | (there.scale < 1.0))
        small = (miss <= _MISS) & (far <= _FAR)
        distance = _norm(problem, correction)
        judged = judge(
            state.watch,
            length,
            change=here.change.size,
            slant=_norm(problem, jax.tree.map(lambda new, d, b: new - (d + 2 * length * b), direction, tangent, bend)),
            sound=finite & small & ~landed,
        )
        # The tangent is that of the trial: with what it may be off by.
        off = distance / jnp.maximum(length * rationality(problem), jnp.finfo(length.dtype).tiny)
        slopes = tangent.scale + off, direction.scale - off
        first = arrives_first((point.scale, there.scale), slopes, length, jnp.ones_like(length), landing)
        close = landed | (judged.close & (distance <= CHANGE * length) & first)
        kept = finite & small & close & inside & ahead
        # The error of a prediction to second order grows with the cube of the step.
        ratio = _AIM * _MISS / jnp.maximum(miss, 1e-9)
        factor = jnp.where(finite, jnp.clip(ratio**0.25, 0.2, 3.0), 0.2)
        factor = jnp.where(landed, factor, jnp.minimum(factor, judged.longer))
        passing = judged.refused.passing
        shorter = jnp.where(passing, judged.shorter, jnp.minimum(judged.shorter, length * factor))
        after = jnp.where(kept, length * factor, shorter)

        at_end = kept & landing
        log_policy = problem.log_policy(trial.logits)
        residual = jnp.where(at_end, residual_between(log_policy, here.response, problem), state.iterate.residual)
        better = residual < state.iterate.best
        seen = Iterate(
            logits=jnp.where(at_end, trial.logits, state.iterate.logits),
            response=jnp.where(at_end, here.response, state.iterate.response),
            residual=residual,
            best=jnp.where(better, residual, state.iterate.best),
            stalled=jnp.where(better | ~landed, 0, state.iterate.stalled + 1),
        )
        half = jnp.where(length > 0, 0.5 / jnp.where(length > 0, length, 1.0), 0.0)
        bent = jax.tree.map(lambda new, old: half * (new - old), direction, tangent)
        seen_singular = jax.tree.map(lambda new, old: jnp.where(landed, old, new), judged.kept, state.watch)
        moved = State(
            iterate=seen,
            point=there,
            tangent=direction,
            bend=bent,
            values=here.values,
            pieces=here.pieces,
            direction=here.change.direction,
            length=after,
            watch=seen_singular,
            lost=state.lost,
            symmetry=state.symmetry,
        )
        refused = state._replace(
            iterate=seen,
            direction=here.change.direction,
            length=after,
            watch=judged.refused,
            lost=landed | (after < shortest(after.dtype)),
        )
        return jax.tree.map(lambda new, old: jnp.where(kept, new, old), moved, refused)

    def terminate(self, problem: Problem, state: State, tol: Scalar):
        """See `AbstractSolver.terminate`; a branch that is lost has no answer, whatever the last residual was."""
        done, code = super().terminate(problem, state, tol)
        arrived = state.point.scale >= 1.0
        return (done & arrived) | state.lost, jnp.where(arrived, code, RESULTS.diverged.code)

    def on_branch(self, problem: Problem, state: State) -> Bool[Array, ""]:
        """See `AbstractSolver.on_branch`."""
        return state.point.scale >= 1.0

    def position(self, problem: Problem, state: State) -> tuple[LogPolicy, Scalar]:
        """See `AbstractSolver.position`; the iterate is a point at s = 1 only."""
        logits = jnp.where(state.point.scale < 1, state.point.logits, state.iterate.logits)
        return logits, jnp.minimum(state.point.scale, 1.0)


def _next_length(state: State) -> tuple[Scalar, Bool[Array, ""]]:
    """The step's length, and whether it ends at s = 1."""
    to_go, slope, bend = 1.0 - state.point.scale, state.tangent.scale, state.bend.scale
    length = state.length
    reached = state.point.scale + length * (slope + length * bend)
    straight = to_go / jnp.where(slope > 0, slope, 1.0)
    # To second order, where that makes sense.
    corrected = slope + straight * bend
    curved = jnp.where(corrected > 0.5 * slope, to_go / jnp.where(corrected > 0, corrected, 1.0), straight)
    arrived = to_go <= 0
    landing = arrived | ((slope > 0) & ((reached >= 1.0 - 1e-6) | (curved <= length)))
    return jnp.where(arrived, 0.0, jnp.where(landing, curved, length)), landing


def _inner(problem: Problem, a: Point, b: Point) -> Scalar:
    """Inner product in which length along the curve is measured."""
    points = jnp.sum(jnp.any(problem.mask, axis=-1))
    return jnp.sum(a.logits * b.logits) / points + rationality(problem) ** 2 * a.scale * b.scale


def _norm(problem: Problem, direction: Point) -> Scalar:
    return jnp.sqrt(_inner(problem, direction, direction))


def _unit(problem: Problem, direction: Point) -> Point:
    size = _norm(problem, direction)
    return jax.tree.map(lambda d: d / size, direction)


def _moved(problem: Problem, logits: LogPolicy, change: LogPolicy) -> Scalar:
    """Largest change of a probability, to first order, when logits change."""
    policy = problem.policy(logits)
    mean = jnp.sum(policy * change, axis=-1, keepdims=True)
    return jnp.max(jnp.abs(policy * (change - mean)))
