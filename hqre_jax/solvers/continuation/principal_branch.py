"""The principal branch, followed from the reference policy through turning points by pseudo-arclength.

Unknowns are the centred logits z and the position t on ``τ(t) = τ Λ/t``, ``t ∈ [0, Λ]``, with
``Λ = max_i range_i/τ_i``, so that t is rationality per payoff range and the curve is smooth on the scale 1:

    H(z, t) = z − P[ (t/Λ) Q(payoffs)/τ + Q(bonus)/τ + log ρ ] = 0.

At t = 0 the solution is ``z = P log ρ``. The curve is parametrised by length in the norm
``‖z‖²/m + t²`` (m decision points), which lets it turn back in t at folds.

A step is taken only if the Jacobian proves it close enough (`_closeness`): here ``‖A⁻¹(A′ − A)‖`` is bounded by norms
of the matrix, from one more factorisation a step.
"""

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from hqre_jax.core._results import RESULTS
from hqre_jax.core._simplex import center
from hqre_jax.core._types import LogPolicy, Scalar
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

_FIRST_STEP = 0.1
# A predictor may miss the curve by this much in probability; steps aim at a fraction of it.
_MISS, _AIM = 0.05, 0.3
_CORRECTIONS = 8
# A point is on the curve when the last correction was this small, in itself and beside the step.
_ON_CURVE, _BESIDE_STEP = 1e-8, 1e-2


class Corrected(NamedTuple):
    """What the corrector found: the point, the unit tangent and Jacobian there, and how well it went."""

    logits: LogPolicy
    position: Scalar
    tangent: Float[Array, " n_plus_1"]
    jacobian: Float[Array, "n n_plus_1"]
    good: Bool[Array, ""]
    miss: Scalar
    distance: Scalar


class State(NamedTuple):
    """A point on the curve.

    Attributes:
        iterate: The point; its residual at the requested temperatures means little before they are reached.
        position: t.
        tangent: Unit tangent in ``(z, t)``, pointing onwards.
        bend: Estimate of half the curve's second derivative by length.
        jacobian: ``∂H/∂(z, t)`` there.
        length: Next step's length.
        watch: What is remembered of singular points; counts bifurcations that are no folds.
        folds: Turning points passed.
        accepted: Whether the last step was taken.
    """

    iterate: Iterate
    position: Scalar
    tangent: Float[Array, " n_plus_1"]
    bend: Float[Array, " n_plus_1"]
    jacobian: Float[Array, "n n_plus_1"]
    length: Scalar
    watch: Watch
    folds: Int[Array, ""]
    accepted: Bool[Array, ""]


class PrincipalBranch(AbstractSolver):
    """Predictor-corrector continuation of the principal branch (theory.md §6; Turocy 2005 for logit QRE).

    The branch starts at ``τ = ∞`` whatever ``initial_policy`` says. A step is shortened where the Jacobian changes too
    much for the curve to be known between its ends (see the module), the corrector converges slowly or the prediction
    misses by more than 0.05 in probability; it grows otherwise, so that large rationalities cost a logarithm of steps.
    At a bifurcation that breaks a symmetry the incoming tangent is followed, and the event is counted. Where symmetry
    and imperfection cannot be told apart (an imperfection of some hundred times the rounding) the branch is lost.
    """

    name: ClassVar[str] = "principal_branch"
    follows_branch: ClassVar[bool] = True
    default_max_steps: ClassVar[int] = 5_000
    patience: ClassVar[int] = 4

    def init(self, problem: Problem, log_policy: LogPolicy) -> State:
        """See `AbstractSolver.init`; the given policy is not used."""
        logits = center(problem.log_reference, problem.mask)
        dtype, size = logits.dtype, logits.size
        upward = jnp.zeros(size + 1, dtype).at[-1].set(1.0)
        return State(
            iterate=look(problem, logits),
            position=jnp.zeros((), dtype),
            # A first step of length 0 stays at the reference and finds tangent and Jacobian there.
            tangent=upward,
            bend=jnp.zeros_like(upward),
            jacobian=jnp.eye(size, size + 1, dtype=dtype),
            length=jnp.zeros((), dtype),
            watch=watch(dtype),
            folds=jnp.zeros((), int),
            accepted=jnp.asarray(True),
        )

    def step(self, problem: Problem, state: State) -> State:
        """See `AbstractSolver.step`; one prediction and up to 8 corrections."""
        goal = rationality(problem)
        arrived = state.position >= goal
        to_go = jnp.where(arrived, 0.0, (goal - state.position) / state.tangent[-1])
        landing = arrived | ((state.tangent[-1] > 0) & (to_go <= state.length))
        length = jnp.where(landing, to_go, state.length)
        ahead = state.tangent + length * state.bend
        there = correct(problem, state.iterate.logits, state.position, state.tangent, ahead, length, landing)
        begins = state.length == 0
        on_the_way = ~begins & ~arrived
        judged = judge(
            state.watch,
            length,
            change=_relative_change(problem, state.tangent, state.jacobian, there.jacobian),
            slant=_norm(problem, there.tangent - (ahead + length * state.bend)),
            sound=there.good & on_the_way,
        )
        straight = there.distance <= CHANGE * length
        inside = (landing | (there.position < goal)) & (there.position >= 0)
        slopes = state.tangent[-1], there.tangent[-1]
        first = arrives_first((state.position, there.position), slopes, length, goal, landing)
        good = there.good & inside & (~on_the_way | (judged.close & straight & first))
        growth = jnp.clip((_AIM * _MISS / jnp.maximum(there.miss, 1e-12)) ** 0.25, 0.5, 3.0)
        longer = jnp.where(landing, state.length, state.length * jnp.minimum(growth, judged.longer))
        seen = look(problem, there.logits, state.iterate)
        # Progress counts from the arrival on.
        seen = seen._replace(
            best=jnp.where(arrived, seen.best, seen.residual), stalled=jnp.where(arrived, seen.stalled, 0)
        )
        fold = (there.tangent[-1] < 0) != (state.tangent[-1] < 0)
        moved = State(
            iterate=seen,
            position=jnp.where(landing, goal, there.position),
            tangent=there.tangent,
            bend=jnp.where(length > 0, 0.5 / jnp.where(length > 0, length, 1.0) * (there.tangent - state.tangent), 0.0),
            jacobian=there.jacobian,
            length=jnp.where(begins, _FIRST_STEP, longer),
            watch=jax.tree.map(lambda new, old: jnp.where(on_the_way, new, old), judged.kept, state.watch),
            folds=state.folds + (fold & ~arrived),
            accepted=jnp.asarray(True),
        )
        refused = state._replace(
            iterate=state.iterate._replace(stalled=jnp.where(arrived, state.iterate.stalled + 1, 0)),
            length=jnp.where(arrived, state.length, judged.shorter),
            watch=judged.refused,
            accepted=jnp.asarray(False),
        )
        return jax.tree.map(lambda a, b: jnp.where(good, a, b), moved, refused)

    def terminate(self, problem: Problem, state: State, tol: Scalar):
        """See `AbstractSolver.terminate`, from the arrival on; a step that shrinks to nothing has lost the branch."""
        done, code = super().terminate(problem, state, tol)
        goal = rationality(problem)
        endless = ~jnp.isfinite(goal)
        lost = (state.length > 0) & (state.length < shortest(goal.dtype))
        arrived = state.position >= goal
        finite = jnp.isfinite(state.iterate.residual) & ~endless
        failed = jnp.where(finite, RESULTS.diverged.code, RESULTS.nonfinite.code)
        return (done & arrived) | lost | endless, jnp.where(arrived, code, failed)

    def on_branch(self, problem: Problem, state: State) -> Bool[Array, ""]:
        """See `AbstractSolver.on_branch`."""
        return state.position >= rationality(problem)

    def position(self, problem: Problem, state: State) -> tuple[LogPolicy, Scalar]:
        """See `AbstractSolver.position`."""
        return state.iterate.logits, state.position / rationality(problem)


def rationality(problem: Problem) -> Scalar:
    """``Λ = max_{i,x} range_i/τ_i(x)``, at least 1: the length of the path in t."""
    width = problem.game.payoff_range()[:, None]
    ratio = jnp.where(jnp.any(problem.mask, axis=-1), width / problem.tau, 0.0)
    return jnp.maximum(jnp.max(ratio), 1.0)


def inner(a: Float[Array, " n_plus_1"], b: Float[Array, " n_plus_1"], problem: Problem) -> Scalar:
    """Inner product in which length along the curve is measured."""
    points = jnp.sum(jnp.any(problem.mask, axis=-1))
    return a[:-1] @ b[:-1] / points + a[-1] * b[-1]


def _norm(problem: Problem, direction: Float[Array, " n_plus_1"]) -> Scalar:
    return jnp.sqrt(inner(direction, direction, problem))


def _relative_change(
    problem: Problem,
    tangent: Float[Array, " n_plus_1"],
    old: Float[Array, "n n_plus_1"],
    new: Float[Array, "n n_plus_1"],
) -> Scalar:
    """A bound on ``‖A⁻¹(A′ − A)‖`` in the norm of the curve, A the old Jacobian bordered by the tangent."""
    points = jnp.sum(jnp.any(problem.mask, axis=-1))
    unit = jnp.append(jnp.full(old.shape[0], 1 / jnp.sqrt(points).astype(old.dtype)), 1.0)
    # In units in which that norm is the Euclidean one; the equation's own unit cancels.
    old, new = old / unit[None], new / unit[None]
    return relative_change(old, new, (tangent * unit)[None], inverse_of=old)


def correct(
    problem: Problem,
    logits: LogPolicy,
    position: Scalar,
    tangent: Float[Array, " n_plus_1"],
    ahead: Float[Array, " n_plus_1"],
    length: Scalar,
    landing: Bool[Array, ""],
) -> Corrected:
    """Predict, then return to the curve by Newton's method.

    Args:
        problem: The problem at the requested temperatures.
        logits: z of a point on the curve.
        position: t of that point.
        tangent: Unit tangent there.
        ahead: Where to predict, for each unit of length: the tangent, or what bends with the curve.
        length: How far to predict.
        landing: Whether to correct at fixed t (the path's end) instead of at right angles to the tangent.

    Returns:
        The corrected point and what is known about it.
    """
    goal = rationality(problem)
    shape, size = logits.shape, logits.size
    points = jnp.sum(jnp.any(problem.mask, axis=-1))
    predicted = jnp.append(logits.ravel(), position) + length * ahead
    predicted = predicted.at[-1].set(jnp.where(landing & (length > 0), goal, predicted[-1]))
    border = jnp.where(landing, jnp.zeros_like(tangent).at[-1].set(1.0), tangent.at[:-1].multiply(1.0 / points))
    onwards = jnp.zeros(size + 1, logits.dtype).at[-1].set(1.0)

    def equation(point):
        return defect(problem.at_scale(point[-1] / goal), point[:-1].reshape(shape)).ravel()

    def policy_of(point):
        return problem.policy(point[:-1].reshape(shape))

    # Near a singular point rounding is the limit.
    rounding = 64 * jnp.finfo(logits.dtype).eps
    near = jnp.maximum(jnp.where(landing, _ON_CURVE, jnp.minimum(_ON_CURVE, _BESIDE_STEP * length)), rounding)

    def newton(carry):
        point, policy, _, _, first, last, count = carry
        value, jacobian = dense_jacobian(equation, point)
        bordered = jnp.concatenate([jacobian, border[None]], axis=0)
        off = jnp.append(value, border @ (point - predicted))
        solution = jnp.linalg.solve(bordered, jnp.stack([-off, onwards], axis=1))
        moved = point + solution[:, 0]
        moved_policy = policy_of(moved)
        change = jnp.max(jnp.abs(moved_policy - policy))
        change = jnp.maximum(change, jnp.max(jnp.abs(solution[:, 0]) / (1.0 + jnp.abs(moved))))
        first = jnp.where(count == 0, change, first)
        return moved, moved_policy, solution[:, 1], jacobian, first, jnp.stack([last[1], change]), count + 1

    def unfinished(carry):
        _, _, _, _, first, last, count = carry
        # Stop when on the curve, out of patience, or visibly not contracting.
        hopeless = ~(last[1] < jnp.inf) | ((count >= 2) & (last[1] > 0.7 * last[0])) | (first > 10 * _MISS)
        return (count == 0) | ((last[1] > near) & (count < _CORRECTIONS) & ~hopeless)

    one = jnp.ones((), logits.dtype)
    predicted_policy = policy_of(predicted)
    blank = jnp.zeros((size, size + 1), logits.dtype)
    start = (predicted, predicted_policy, tangent, blank, one, jnp.stack([one, one]), 0)
    point, policy, direction, jacobian, _, last, _ = jax.lax.while_loop(unfinished, newton, start)
    miss = jnp.max(jnp.abs(policy - predicted_policy))
    direction = direction / _norm(problem, direction)
    # Keep going the way we came.
    direction = jnp.where(inner(direction, tangent, problem) < 0, -direction, direction)
    good = (last[1] <= 100 * near) & (miss <= _MISS) & jnp.all(jnp.isfinite(point))
    return Corrected(
        logits=center(point[:-1].reshape(shape), problem.mask),
        position=point[-1],
        tangent=direction,
        jacobian=jacobian,
        good=good & jnp.all(jnp.isfinite(direction)),
        miss=miss,
        distance=_norm(problem, point - predicted),
    )
