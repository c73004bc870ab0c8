"""The principal branch of large games: followed by pseudo-arclength as in `principal_branch`, without a matrix.

Unknowns and curve are those of `principal_branch`. What differs is that no Jacobian is formed: the predictor
extrapolates through the last points of the curve, and the corrector is Newton's method whose linear systems are
solved by Krylov iteration from products with the Jacobian, each as dear as two evaluations of the game.

How much the Jacobian changes over a step (`_closeness`) is seen in one direction, that in which it changes most: powers
of ``A⁻¹(A′ − A)``, one linear system each, carried from step to step, find it well before a singular point is near.
"""

from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from hqre_jax.core._results import RESULTS
from hqre_jax.core._simplex import center
from hqre_jax.core._types import InputError, LogPolicy, Policy, Scalar
from hqre_jax.equilibrium._linearization import defect, dense_jacobian
from hqre_jax.problem import Problem
from hqre_jax.solvers._solver import AbstractSolver, Iterate, look
from hqre_jax.solvers.continuation._closeness import (
    CHANGE,
    Watch,
    arrives_first,
    judge,
    relative_change,
    shortest,
    watch,
)
from hqre_jax.solvers.continuation._conjugate_residuals import conjugate_residuals
from hqre_jax.solvers.continuation.principal_branch import rationality

_FIRST_STEP = 0.1
# Points of the curve through which the predictor goes: a cubic; a parabola where it goes far.
_POINTS, _FEW_POINTS = 4, 3
# A predictor may miss the curve by this much in probability; steps aim at a fifth of it.
_MISS, _AIM = 0.1, 0.02
# Consecutive chords may turn by at most this angle (cosine).
_TURN, _SHORT = 0.8, 0.3
_CORRECTIONS = 6
# On the way a point is good enough when the last correction moved no probability by more, per length of the step; near
# singular points, where steps are shorter than this, much less.
_ON_CURVE, _CRITICAL, _TINY = 1e-3, 0.1, 1e-12
# Relative accuracy of the linear systems, on the way, of what they change by, and at the end.
_LOOSE, _FINE, _TIGHT = 0.03, 3e-3, 1e-3
# Up to so many entries of a policy the Jacobian's change is bounded by a dense matrix; beyond, powers a step.
_SMALL, _POWERS = 200, 3


class State(NamedTuple):
    """A point on the curve and those before it.

    Attributes:
        iterate: The point; its residual at the requested temperatures means little before they are reached.
        position: t.
        points: The last points ``(z/√m, t)``, newest first.
        lengths: Their places along the curve, in the same order.
        count: Points passed.
        length: Next step's length.
        direction: In which the Jacobian changed most.
        watch: What is remembered of singular points; counts bifurcations that are no folds.
        accepted: Whether the last step was taken.
        products: Products with the Jacobian so far.
    """

    iterate: Iterate
    position: Scalar
    points: Float[Array, "point n_plus_1"]
    lengths: Float[Array, " point"]
    count: Int[Array, ""]
    length: Scalar
    direction: Float[Array, " n_plus_1"]
    watch: Watch
    accepted: Bool[Array, ""]
    products: Int[Array, ""]


class Corrected(NamedTuple):
    """What the corrector found: the point, how far the prediction missed it, how well, at what cost; across what."""

    point: Float[Array, " n_plus_1"]
    miss: Scalar
    good: Bool[Array, ""]
    products: Int[Array, ""]
    border: Float[Array, " n_plus_1"]


class KrylovBranch(AbstractSolver):
    """Predictor-corrector continuation of the principal branch for games whose Jacobian is too large to form.

    As `PrincipalBranch` it starts at ``τ = ∞`` whatever ``initial_policy`` says and follows the curve through
    turning points; steps are shortened where the Jacobian changes too much, the corrector fails, the curve turns or the
    prediction misses by more than 0.1 in probability. A bifurcation that breaks a symmetry is passed along the incoming
    direction and counted. Up to 200 entries of a policy the Jacobian's change is bounded by a dense matrix; beyond, it
    is estimated from below by powers: evidence that no other sheet was stepped onto, and no bound.

    Args:
        memory: Most products with the Jacobian in one linear system; memory is twice as many policies.
    """

    memory: int = eqx.field(static=True, default=160)

    name: ClassVar[str] = "krylov_branch"
    follows_branch: ClassVar[bool] = True
    default_max_steps: ClassVar[int] = 5_000
    patience: ClassVar[int] = 4

    def __check_init__(self):
        if self.memory < 1:
            raise InputError("memory", f"is {self.memory}; at least one product with the Jacobian is needed")

    def init(self, problem: Problem, log_policy: LogPolicy) -> State:
        """See `AbstractSolver.init`; the given policy is not used."""
        logits = center(problem.log_reference, problem.mask)
        start = jnp.append(logits.ravel() / _unit(problem), 0.0)
        return State(
            iterate=look(problem, logits),
            position=jnp.zeros((), logits.dtype),
            points=jnp.zeros((_POINTS, start.size), start.dtype).at[0].set(start),
            lengths=jnp.zeros(_POINTS, start.dtype),
            count=jnp.ones((), int),
            length=jnp.asarray(_FIRST_STEP, start.dtype),
            # A direction in which no symmetry of a game can be expected.
            direction=jnp.sin(1.0 + jnp.arange(start.size, dtype=start.dtype) ** 1.5),
            watch=watch(start.dtype),
            accepted=jnp.asarray(True),
            products=jnp.zeros((), int),
        )

    def step(self, problem: Problem, state: State) -> State:
        """See `AbstractSolver.step`; one prediction and up to 6 corrections, from the arrival on one correction."""
        goal = rationality(problem)
        arrived = state.position >= goal
        here = state.points[0]
        ahead = _extrapolated(state, state.length)
        rise = ahead[-1] - here[-1]
        landing = ~arrived & (ahead[-1] >= goal)
        length = jnp.where(landing, state.length * (goal - here[-1]) / jnp.where(landing, rise, 1.0), state.length)
        predicted = jnp.where(arrived, here, _extrapolated(state, length))
        final = landing | arrived
        predicted = predicted.at[-1].set(jnp.where(final, goal, predicted[-1]))
        there = self._correct(problem, here, predicted, final, arrived)
        chord, before = there.point - here, here - state.points[1]
        new, old = jnp.linalg.norm(chord), jnp.linalg.norm(before)
        # A chord much shorter than the last one says nothing of a turn that was made before.
        straight = (chord @ before >= _TURN * new * old) | (new < _SHORT * old)
        inside = (final | (there.point[-1] < goal)) & (there.point[-1] >= 0)
        distance = jnp.linalg.norm(there.point - predicted)
        change, direction, powers = self._change(problem, here, there, state.direction, arrived)
        judged = judge(
            state.watch, length, change, slant=distance / length, sound=there.good & ~arrived & (state.count > 1)
        )
        slopes = _slopes(state, there.point, new)
        off = distance / length
        first = arrives_first((here[-1], there.point[-1]), (slopes[0] + off, slopes[1] - off), new, goal, landing)
        close = judged.close & (distance <= CHANGE * length) & first
        good = there.good & (arrived | (inside & ((state.count == 1) | straight) & close))
        point = there.point.at[-1].set(jnp.where(final, goal, there.point[-1]))
        seen = look(problem, _logits(problem, point), state.iterate)
        # Progress counts from the arrival on.
        seen = seen._replace(
            best=jnp.where(arrived, seen.best, seen.residual), stalled=jnp.where(arrived, seen.stalled, 0)
        )
        # The cubic's error grows as the fourth power of the step.
        growth = jnp.clip((_AIM / jnp.maximum(there.miss, 1e-12)) ** 0.25, 0.5, 2.0)
        products = state.products + there.products + powers
        moved = State(
            iterate=seen,
            position=point[-1],
            points=jnp.where(arrived, state.points.at[0].set(point), jnp.roll(state.points, 1, 0).at[0].set(point)),
            lengths=jnp.roll(state.lengths, 1).at[0].set(state.lengths[0] + jnp.linalg.norm(chord)),
            count=state.count + 1,
            length=jnp.where(final, state.length, length * jnp.minimum(growth, judged.longer)),
            direction=direction,
            watch=jax.tree.map(lambda new, old: jnp.where(arrived, old, new), judged.kept, state.watch),
            accepted=jnp.asarray(True),
            products=products,
        )
        refused = state._replace(
            iterate=state.iterate._replace(stalled=jnp.where(arrived, state.iterate.stalled + 1, 0)),
            length=jnp.where(arrived, state.length, judged.shorter),
            direction=direction,
            watch=judged.refused,
            accepted=jnp.asarray(False),
            products=products,
        )
        return jax.tree.map(lambda a, b: jnp.where(good, a, b), moved, refused)

    def terminate(self, problem: Problem, state: State, tol: Scalar):
        """See `AbstractSolver.terminate`, from the arrival on; a step that shrinks to nothing has lost the branch."""
        done, code = super().terminate(problem, state, tol)
        goal = rationality(problem)
        endless = ~jnp.isfinite(goal)
        arrived = state.position >= goal
        lost = ~arrived & (state.length < shortest(goal.dtype))
        finite = jnp.isfinite(state.iterate.residual) & ~endless
        failed = jnp.where(finite, RESULTS.diverged.code, RESULTS.nonfinite.code)
        return (done & arrived) | lost | endless, jnp.where(arrived, code, failed)

    def on_branch(self, problem: Problem, state: State) -> Bool[Array, ""]:
        """See `AbstractSolver.on_branch`."""
        return state.position >= rationality(problem)

    def position(self, problem: Problem, state: State) -> tuple[LogPolicy, Scalar]:
        """See `AbstractSolver.position`."""
        return state.iterate.logits, state.position / rationality(problem)

    def _change(
        self,
        problem: Problem,
        here: Float[Array, " n_plus_1"],
        there: Corrected,
        direction: Float[Array, " n_plus_1"],
        arrived: Bool[Array, ""],
    ) -> tuple[Scalar, Float[Array, " n_plus_1"], Int[Array, ""]]:
        """``‖A⁻¹(A − A₀)‖``, the direction that shows it, and what it costs.

        Of small games a bound. Of large ones an estimate from below by powers; a fresh direction is mixed in at every
        step, since what a symmetry hides from the last one is lost in the systems' tolerance.
        """
        if here.size <= _SMALL:
            _, before = dense_jacobian(lambda point: _off(problem, point), here)
            _, after = dense_jacobian(lambda point: _off(problem, point), there.point)
            bound = relative_change(before, after, there.border[None], inverse_of=after)
            return bound, direction, jnp.zeros((), int)

        def old(v):
            return jax.jvp(lambda point: _off(problem, point), (here,), (v,))[1]

        _, new = jax.linearize(lambda point: _off(problem, point), there.point)

        def bordered(v):
            return jnp.append(new(v), there.border @ v)

        def power(_, carry):
            _, v, products = carry
            difference = jnp.append(new(v) - old(v), 0.0)
            y, left, used = conjugate_residuals(bordered, difference, _FINE, self.memory)
            size = jnp.linalg.norm(y)
            # A system that could not be solved says nothing, and that is too little.
            size = jnp.where((left <= 2 * _FINE) | (jnp.linalg.norm(difference) == 0), size, jnp.inf)
            useful = jnp.isfinite(size) & (size > 0)
            return size, jnp.where(useful, y / jnp.where(useful, size, 1.0), v), products + used

        # No two steps draw the same: their lengths differ.
        angles = (1.0 + jnp.arange(here.size, dtype=here.dtype)) ** 1.5 * (1.0 + jnp.abs(there.point[-1]))
        fresh = jnp.sin(angles)
        mixed = direction / jnp.linalg.norm(direction) + fresh / jnp.linalg.norm(fresh)
        start = (jnp.zeros((), here.dtype), mixed / jnp.linalg.norm(mixed), jnp.zeros((), int))
        return jax.lax.fori_loop(0, jnp.where(arrived, 0, _POWERS), power, start)

    def _correct(
        self,
        problem: Problem,
        here: Float[Array, " n_plus_1"],
        predicted: Float[Array, " n_plus_1"],
        final: Bool[Array, ""],
        arrived: Bool[Array, ""],
    ) -> Corrected:
        """Return to the curve by Newton's method, at right angles to the step or (at the end) at fixed t."""
        across = predicted - here
        across = across / jnp.maximum(jnp.linalg.norm(across), jnp.finfo(here.dtype).tiny)
        border = jnp.where(final, jnp.zeros_like(here).at[-1].set(1.0), across)
        step = jnp.linalg.norm(predicted - here)
        near = _ON_CURVE * jnp.minimum(1.0, step) * jnp.minimum(1.0, step / _CRITICAL) ** 2
        # Rounding is felt in proportion to how near a singular point is, which is no nearer than a step is long.
        rounding = 64 * jnp.finfo(here.dtype).eps * jnp.maximum(1.0, 0.1 * _CRITICAL / jnp.maximum(step, _TINY))
        near = jnp.where(final, _ON_CURVE * jnp.minimum(1.0, step), jnp.maximum(near, rounding))
        accuracy = jnp.where(final, _TIGHT, _LOOSE)

        def equation(point):
            return jnp.append(_off(problem, point), border @ (point - predicted))

        def newton(carry):
            point, policy, _, last, count, products = carry
            value, push = jax.linearize(equation, point)
            correction, _, used = conjugate_residuals(push, -value, accuracy, self.memory)
            moved = point + correction
            moved_policy = _policy(problem, moved)
            change = jnp.max(jnp.abs(moved_policy - policy))
            return moved, moved_policy, last, change, count + 1, products + used

        def unfinished(carry):
            _, _, earlier, last, count, _ = carry
            hopeless = ~(last < jnp.inf) | ((count >= 2) & (last > 0.7 * earlier)) | (last > 5 * _MISS)
            more = (count == 0) | ((last > near) & (count < _CORRECTIONS) & ~hopeless)
            return more & (~arrived | (count == 0))

        policy = _policy(problem, predicted)
        zero, infinite = jnp.zeros((), int), jnp.asarray(jnp.inf, here.dtype)
        start = (predicted, policy, infinite, infinite, zero, zero)
        point, corrected, _, last, _, products = jax.lax.while_loop(unfinished, newton, start)
        miss = jnp.max(jnp.abs(corrected - policy))
        good = (arrived | ((last <= near) & (miss <= _MISS))) & jnp.all(jnp.isfinite(point))
        return Corrected(point, miss, good, products, across)


def _off(problem: Problem, point: Float[Array, " n_plus_1"]) -> Float[Array, " n"]:
    """The logit equation at a point, in units in which its norm is that of the curve."""
    off = defect(problem.at_scale(point[-1] / rationality(problem)), _logits(problem, point))
    return off.ravel() / _unit(problem)


def _unit(problem: Problem) -> Scalar:
    """√m, by which logits are divided, so that the Euclidean norm measures length along the curve."""
    return jnp.sqrt(jnp.sum(jnp.any(problem.mask, axis=-1)).astype(problem.game.dtype))


def _logits(problem: Problem, point: Float[Array, " n_plus_1"]) -> LogPolicy:
    return (point[:-1] * _unit(problem)).reshape(problem.mask.shape)


def _policy(problem: Problem, point: Float[Array, " n_plus_1"]) -> Policy:
    return problem.policy(_logits(problem, point))


def _extrapolated(state: State, length: Scalar) -> Float[Array, " n_plus_1"]:
    """The polynomial through the last points, a step of this length beyond the newest; at first straight upward."""
    at, places = state.lengths[0] + length, state.lengths
    used = jnp.arange(_POINTS) < jnp.where(state.watch.passing, jnp.minimum(state.count, _FEW_POINTS), state.count)
    other = used[None, :] & ~jnp.eye(_POINTS, dtype=bool)
    apart = jnp.where(other, places[:, None] - places[None, :], 1.0)
    weights = jnp.prod(jnp.where(other, (at - places[None, :]) / apart, 1.0), axis=1)
    through = jnp.where(used, weights, 0.0) @ state.points
    return jnp.where(state.count == 1, state.points[0].at[-1].add(length), through)


def _slopes(state: State, point: Float[Array, " n_plus_1"], chord: Scalar) -> tuple[Scalar, Scalar]:
    """Slope of t along the curve at the newest point and at one beyond it: that of the polynomial through the last."""
    places = jnp.concatenate([(state.lengths[0] + chord)[None], state.lengths])
    values = jnp.concatenate([point[-1:], state.points[:, -1]])
    used = jnp.arange(_POINTS + 1) <= state.count
    other = used[None, :] & used[:, None] & ~jnp.eye(_POINTS + 1, dtype=bool)
    gaps = jnp.where(other, places[:, None] - places[None, :], 1.0)
    weights = 1.0 / jnp.prod(gaps, axis=1)
    quotients = jnp.where(other, weights[None, :] / weights[:, None] * (values[None, :] - values[:, None]) / gaps, 0.0)
    slopes = jnp.sum(quotients, axis=1)
    return slopes[1], slopes[0]
