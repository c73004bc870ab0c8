"""Pseudo-arclength continuation, once: prediction, correction, acceptance, arrival and the lengths of steps.

What methods differ in is their linear algebra, and what it can tell at what price: see `AbstractBranch`.
"""

import abc
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from hqre_jax.core._namespace import Array, namespace, placed, repeat_while
from hqre_jax.core._results import RESULTS
from hqre_jax.core._types import LogPolicy, Policy, Scalar
from hqre_jax.problem import Problem
from hqre_jax.solvers._solver import AbstractSolver, Iterate, look
from hqre_jax.solvers.continuation._closeness import CHANGE, Watch, arrives_first, judge, shortest, watch
from hqre_jax.solvers.continuation._curve import logits_of, point_of, policy_of, rationality

# What the first step, along the tangent alone, may move a probability by.
_FIRST = 0.15
# A step that would end short of the end is stretched by so much: what was left would be short beside what the point
# itself is off by.
_STRETCH = 1.25
# A correction that moves a probability by more is not worth another.
_HOPELESS = 0.5

Point = Float[Array, " n_plus_1"]


class State(NamedTuple):
    """A point on the curve, and what is known of the curve there.

    Attributes:
        iterate: The point; its residual at the requested temperatures means little before they are reached.
        point: ``(z/√m, t)``.
        curve: Taylor coefficients of the curve by length, from the tangent on, which points onwards.
        length: Next step's length; 0 before anything is known.
        watch: What is remembered of singular points; counts bifurcations that are no folds.
        accepted: Whether the last step was taken.
        algebra: What the linear algebra keeps.
    """

    iterate: Iterate
    point: Point
    curve: Float[Array, "order n_plus_1"]
    length: Scalar
    watch: Watch
    accepted: Bool[Array, ""]
    algebra: Any

    @property
    def tangent(self) -> Point:
        """Unit tangent."""
        return self.curve[0] / namespace(self.curve).linalg.norm(self.curve[0])


class Stride(NamedTuple):
    """The step that is tried.

    Attributes:
        length: How far the prediction goes.
        begins: Whether nothing is known yet: the step stays where it is, and finds the tangent.
        landing: Whether the step is to end where the path does, and corrects at fixed t.
        arrived: Whether it begins there.
    """

    length: Scalar
    begins: Bool[Array, ""]
    landing: Bool[Array, ""]
    arrived: Bool[Array, ""]


class Newton(NamedTuple):
    """One step of Newton's method.

    Attributes:
        correction: What it adds to the trial point.
        onwards: Along the curve at the trial point; any length and sign, any vector from methods without tangents.
        size: How large the correction is, apart from the probabilities that it moves.
        algebra: What the linear algebra keeps.
    """

    correction: Point
    onwards: Point
    size: Scalar
    algebra: Any


class Corrected(NamedTuple):
    """What the corrector found: the point, along the curve there, how well it went."""

    point: Point
    onwards: Point
    algebra: Any
    good: Bool[Array, ""]
    miss: Scalar
    distance: Scalar


class AbstractBranch(AbstractSolver):
    """Predictor-corrector continuation of the principal branch (theory.md §6; Turocy 2005 for logit QRE).

    The branch starts at ``τ = ∞`` whatever ``initial_policy`` says. A step is shortened where the Jacobian changes too
    much for the curve to be known between its ends (``_closeness``), the corrector converges slowly, the prediction
    misses, or the curve turns; it grows otherwise, so that large rationalities cost a logarithm of steps. At a
    bifurcation that breaks a symmetry the incoming tangent is followed, and the event is counted.

    A method is its linear algebra: `begin`, `newton`, `change`; and how far that may be trusted.

    Example:
        >>> import hqre_jax as hq
        >>> methods = hq.solvers.PrincipalBranch(), hq.solvers.Newton()
        >>> [isinstance(method, hq.solvers.AbstractBranch) for method in methods]
        [True, False]
        >>> [method.follows_branch for method in methods]
        [True, False]
    """

    follows_branch: ClassVar[bool] = True
    # Coefficients by which the curve is extrapolated.
    order: ClassVar[int] = 2
    corrections: ClassVar[int]
    # A prediction may miss the curve by this much in probability; steps aim at so much, and grow by this at most.
    miss: ClassVar[float]
    aim: ClassVar[float]
    growth: ClassVar[float] = 3.0
    # The first step is no longer than this.
    opening: ClassVar[float] = 0.1
    # Consecutive tangents may turn by at most this angle (cosine).
    turn: ClassVar[float]
    # What a tangent is off by, in units of the correction by length of the step.
    slack: ClassVar[float] = 1.0

    @abc.abstractmethod
    def begin(self, problem: Problem, point: Point) -> Any:
        """What the linear algebra keeps, before the first step."""

    @abc.abstractmethod
    def newton(
        self, problem: Problem, algebra: Any, trial: Point, border: Point, off: Scalar, stride: Stride
    ) -> Newton:
        """Solve ``H'(trial) δ = −H(trial)``, ``⟨border, δ⟩ = −off``.

        Args:
            problem: The problem at the requested temperatures.
            algebra: What was kept.
            trial: Where.
            border: At right angles to what the correction may do.
            off: What is wrong there, in its direction.
            stride: The step that is tried.

        Returns:
            The correction, and the solution of the same system for ``(0, …, 0, 1)``: the direction of the curve.
        """

    @abc.abstractmethod
    def change(self, problem: Problem, state: State, there: Corrected, stride: Stride) -> tuple[Scalar, Any]:
        """``‖A⁻¹(A′ − A)‖`` of the Jacobian, bordered by the tangent, over the step, and what is kept of it."""

    def tolerances(self, stride: Stride) -> tuple[Scalar | float, Scalar | float]:
        """How large a last correction ends the search for the curve, and how large a one may be accepted."""
        return jnp.inf, jnp.inf

    def continued(self, state: State, there: Corrected, point: Point, algebra: Any, length: Scalar) -> tuple[Any, Any]:
        """The curve's coefficients at the next point, and what is kept: here from the tangents of both ends."""
        xp, tangent = namespace(length), unit_along(there.onwards, state.tangent)
        half = xp.where(length > 0, 0.5 / xp.where(length > 0, length, 1.0), 0.0)
        return xp.stack([tangent, half * (tangent - state.curve[0])]), algebra

    def refused(self, before: Any, after: Any) -> Any:
        """What is kept of a step that is not taken."""
        return before

    def look(self, problem: Problem, there: Corrected, point: Point, stride: Stride, before: Iterate) -> Iterate:
        """The iterate at the next point."""
        return look(problem, logits_of(problem, point), before)

    def init(self, problem: Problem, log_policy: LogPolicy) -> State:
        """See `AbstractSolver.init`; the given policy is not used."""
        xp = namespace(problem.tau)
        zero = xp.zeros((), problem.log_reference.dtype)
        point = point_of(problem, problem.log_reference, zero)
        return State(
            iterate=self.first_look(problem, logits_of(problem, point)),
            point=point,
            curve=placed(xp, xp.zeros((self.order, point.size), point.dtype), (0, -1), 1.0),
            length=zero,
            watch=watch(zero),
            accepted=xp.asarray(True),
            algebra=self.begin(problem, point),
        )

    def first_look(self, problem: Problem, logits: LogPolicy) -> Iterate:
        """The iterate at the reference."""
        return look(problem, logits)

    def step(self, problem: Problem, state: State) -> State:
        """See `AbstractSolver.step`; one prediction, and corrections."""
        xp, goal = namespace(problem.tau), rationality(problem)
        stride = _stride(state, goal)
        length, begins, landing, arrived = stride
        predicted, ahead = _predicted(state, length)
        predicted = placed(xp, predicted, -1, xp.where(landing, goal, predicted[-1]))
        there = self.correct(problem, state.algebra, predicted, state.tangent, stride)
        position = xp.where(landing, goal, there.point[-1])
        point = point_of(problem, logits_of(problem, there.point), position)
        change, algebra = self.change(problem, state, there, stride)
        curve, algebra = self.continued(state, there, point, algebra, length)

        on_the_way = ~begins & ~arrived
        slant = xp.linalg.norm(curve[0] - ahead)
        judged = judge(state.watch, length, change=change, slant=slant, sound=there.good & on_the_way)
        moved = state._replace(
            iterate=self._seen(problem, there, point, stride, state.iterate),
            point=point,
            curve=curve,
            watch=jax.tree.map(lambda new, old: xp.where(on_the_way, new, old), judged.kept, state.watch),
            accepted=xp.asarray(True),
            algebra=algebra,
        )
        off = self.slack * there.distance / xp.where(on_the_way, length, 1.0)
        slopes = state.tangent[-1] + off, moved.tangent[-1] - off
        close = (
            judged.close
            & (there.distance <= CHANGE * length)
            & arrives_first((state.point[-1], position), slopes, length, goal, landing)
            & (state.tangent @ moved.tangent >= self.turn)
        )
        inside = (landing | (position < goal)) & (position >= 0)
        good = there.good & xp.all(xp.isfinite(curve)) & inside & (~on_the_way | close)

        # The error of an extrapolation grows with a power of the step, the third at least.
        factor = xp.clip((self.aim / xp.maximum(there.miss, 1e-12)) ** 0.25, 0.2, self.growth)
        factor = xp.where(xp.isfinite(there.miss), factor, 0.2)
        first = xp.minimum(_FIRST / xp.maximum(_rate(problem, moved), jnp.finfo(length.dtype).eps), self.opening)
        longer = xp.where(begins, first, length * xp.minimum(factor, judged.longer))
        shorter = xp.where(judged.refused.passing, judged.shorter, xp.minimum(judged.shorter, length * factor))
        # Without a beginning the branch is lost.
        shorter = xp.where(begins, jnp.finfo(length.dtype).tiny, shorter)
        moved = moved._replace(length=xp.where(landing, state.length, longer))
        refused = state._replace(
            iterate=state.iterate._replace(stalled=xp.where(arrived, state.iterate.stalled + 1, 0)),
            length=xp.where(arrived, state.length, shorter),
            watch=judged.refused,
            accepted=xp.asarray(False),
            algebra=self.refused(state.algebra, algebra),
        )
        return jax.tree.map(lambda new, old: xp.where(good, new, old), moved, refused)

    def correct(self, problem: Problem, algebra: Any, predicted: Point, tangent: Point, stride: Stride) -> Corrected:
        """Return to the curve by Newton's method, at right angles to the tangent or, at the end, at fixed t.

        From the arrival on one correction is made at a time.

        Args:
            problem: The problem at the requested temperatures.
            algebra: What the linear algebra has kept.
            predicted: The prediction.
            tangent: Unit tangent at the last point.
            stride: The step that is tried.

        Returns:
            The corrected point and what is known about it.
        """
        xp = namespace(predicted)
        border = xp.where(stride.landing, placed(xp, xp.zeros_like(tangent), -1, 1.0), tangent)
        enough, acceptable = self.tolerances(stride)

        def newton(carry):
            point, policy, _, algebra, last, count = carry
            found = self.newton(problem, algebra, point, border, border @ (point - predicted), stride)
            moved = point + found.correction
            moved_policy = policy_of(problem, moved)
            size = xp.maximum(_distance(moved_policy, policy), found.size)
            return moved, moved_policy, found.onwards, found.algebra, xp.stack([last[1], size]), count + 1

        def unfinished(carry):
            *_, last, count = carry
            # Stop when on the curve, out of patience, or visibly not contracting.
            hopeless = ~(last[1] < xp.inf) | ((count >= 2) & (last[1] > 0.7 * last[0])) | (last[1] > _HOPELESS)
            more = (last[1] > enough) & (count < self.corrections) & ~hopeless & ~stride.arrived
            return (count == 0) | more

        policy = policy_of(problem, predicted)
        one = xp.ones((), predicted.dtype)
        start = (predicted, policy, tangent, algebra, xp.stack([one, one]), xp.zeros((), int))
        found = newton(start) if self.corrections == 1 else repeat_while(xp, unfinished, newton, start)
        point, corrected, onwards, algebra, last, _ = found
        miss = _distance(corrected, policy)
        good = (stride.arrived | (last[1] <= acceptable)) & (miss <= self.miss) & xp.all(xp.isfinite(point))
        return Corrected(point, onwards, algebra, good, miss, distance=xp.linalg.norm(point - predicted))

    def terminate(self, problem: Problem, state: State, tol: Scalar):
        """See `AbstractSolver.terminate`, from the arrival on; a step that shrinks to nothing has lost the branch."""
        done, code = super().terminate(problem, state, tol)
        xp, goal = namespace(problem.tau), rationality(problem)
        endless = ~xp.isfinite(goal)
        arrived = state.point[-1] >= goal
        lost = ~arrived & (state.length > 0) & (state.length < shortest(goal.dtype))
        finite = xp.isfinite(state.iterate.residual) & ~endless
        failed = xp.where(finite, RESULTS.diverged.code, RESULTS.nonfinite.code)
        return (done & arrived) | lost | endless, xp.where(arrived, code, failed)

    def on_branch(self, problem: Problem, state: State) -> Bool[Array, ""]:
        """See `AbstractSolver.on_branch`."""
        return state.point[-1] >= rationality(problem)

    def position(self, problem: Problem, state: State) -> tuple[LogPolicy, Scalar]:
        """See `AbstractSolver.position`."""
        return state.iterate.logits, state.point[-1] / rationality(problem)

    def _seen(self, problem: Problem, there: Corrected, point: Point, stride: Stride, before: Iterate) -> Iterate:
        """The iterate at the next point; progress counts from the arrival on."""
        xp, seen = namespace(point), self.look(problem, there, point, stride, before)
        return seen._replace(
            best=xp.where(stride.arrived, seen.best, seen.residual), stalled=xp.where(stride.arrived, seen.stalled, 0)
        )


def unit_along(direction: Point, tangent: Point) -> Point:
    """The unit vector of a direction, which goes on as the tangent came."""
    xp = namespace(direction)
    onwards = direction / xp.linalg.norm(direction)
    return xp.where(onwards @ tangent < 0, -onwards, onwards)


def _predicted(state: State, length: Scalar) -> tuple[Point, Point]:
    """The curve and its tangent a step beyond the point, extrapolated; over a bifurcation by a parabola at most."""
    xp = namespace(state.point)
    ahead, slope = xp.zeros_like(state.point), xp.zeros_like(state.point)
    for k in reversed(range(len(state.curve))):
        coefficient = state.curve[k] if k < 2 else xp.where(state.watch.passing, 0.0, state.curve[k])
        ahead, slope = coefficient + length * ahead, (k + 1) * coefficient + length * slope
    return state.point + length * ahead, slope


def _stride(state: State, goal: Scalar) -> Stride:
    """The step to try, of the length that was chosen or to the end of the path."""
    xp = namespace(state.point)
    to_go, (slope, bend) = goal - state.point[-1], state.curve[:2, -1]
    # Where the parabola meets the end.
    square = slope**2 + 4.0 * bend * to_go
    root = slope + xp.sqrt(xp.maximum(square, 0.0))
    meeting = 2.0 * to_go / xp.where(slope > 0, root, 1.0)
    arrived = to_go <= 0
    landing = arrived | ((slope > 0) & (square >= 0) & (meeting <= _STRETCH * state.length))
    length = xp.where(arrived, 0.0, xp.where(landing, meeting, state.length))
    return Stride(length, begins=~arrived & (state.length == 0), landing=landing, arrived=arrived)


def _distance(a: Policy, b: Policy) -> Scalar:
    xp = namespace(a)
    return xp.max(xp.abs(a - b))


def _rate(problem: Problem, state: State) -> Scalar:
    """Largest change of a probability by length, to first order."""
    xp = namespace(state.point)
    policy, change = policy_of(problem, state.point), logits_of(problem, state.tangent)
    return xp.max(xp.abs(policy * (change - xp.sum(policy * change, axis=-1, keepdims=True))))
