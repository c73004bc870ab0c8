"""The principal branch, followed from the reference policy through turning points by pseudo-arclength.

Unknowns are the centred logits z and the position t on ``τ(t) = τ Λ/t``, ``t ∈ [0, Λ]``, with
``Λ = max_i range_i/τ_i``, so that t is rationality per payoff range and the curve is smooth on the scale 1:

    H(z, t) = z − P[ (t/Λ) Q(payoffs)/τ + Q(bonus)/τ + log ρ ] = 0.

At t = 0 the solution is ``z = P log ρ``. The curve is parametrised by length in the norm
``‖z‖²/m + t²`` (m decision points), which lets it turn back in t at folds.
"""

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from hqre_jax._linearise import defect, dense_jacobian
from hqre_jax._problem import Problem
from hqre_jax._results import RESULTS
from hqre_jax._simplex import center
from hqre_jax._solver import AbstractSolver, Iterate, look
from hqre_jax._types import LogPolicy, Scalar

_FIRST_STEP = 0.1
_SHORTEST = 1e-10
# A predictor may miss the curve by this much in probability; steps aim at a tenth of it.
_MISS = 0.05
_CORRECTIONS = 8
# Consecutive tangents may turn by at most this angle (cosine).
_TURN = 0.8
_ON_CURVE = 1e-8
# Steps this short do not jump from sheet to sheet.
_SURE = 1e-3


class Corrected(NamedTuple):
    """What the corrector found: the point, the unit tangent, how well it went, and the side of a bifurcation."""

    logits: LogPolicy
    position: Scalar
    tangent: Float[Array, " n_plus_1"]
    good: Bool[Array, ""]
    miss: Scalar
    orientation: Scalar


class State(NamedTuple):
    """A point on the curve.

    Attributes:
        iterate: The point; its residual at the requested temperatures means little before they are reached.
        position: t.
        tangent: Unit tangent in ``(z, t)``, pointing onwards.
        length: Next step's length.
        orientation: Sign of the determinant of the bordered Jacobian: flips at a simple bifurcation.
        folds: Turning points passed.
        bifurcations: Bifurcations that are no folds passed.
        accepted: Whether the last step was taken.
    """

    iterate: Iterate
    position: Scalar
    tangent: Float[Array, " n_plus_1"]
    length: Scalar
    orientation: Scalar
    folds: Int[Array, ""]
    bifurcations: Int[Array, ""]
    accepted: Bool[Array, ""]


class PrincipalBranch(AbstractSolver):
    """Predictor-corrector continuation of the principal branch (theory.md §6; Turocy 2005 for logit QRE).

    The branch starts at ``τ = ∞`` whatever ``initial_policy`` says. The step is shortened where the corrector
    converges slowly, the tangent turns fast or the prediction misses by more than 0.05 in probability; it
    grows otherwise, so that large rationalities cost a logarithm of steps. At a bifurcation that is no fold
    the incoming tangent is followed, and the event is counted.
    """

    name: ClassVar[str] = "principal_branch"
    default_max_steps: ClassVar[int] = 5_000
    patience: ClassVar[int] = 4

    def init(self, problem: Problem, log_policy: LogPolicy) -> State:
        """See `AbstractSolver.init`; the given policy is not used."""
        logits = center(problem.log_reference, problem.mask)
        dtype = logits.dtype
        upward = jnp.zeros(logits.size + 1, dtype).at[-1].set(1.0)
        return State(
            iterate=look(problem, logits),
            position=jnp.zeros((), dtype),
            # A first step of length 0 stays at the reference and finds the tangent there.
            tangent=upward,
            length=jnp.zeros((), dtype),
            orientation=jnp.ones((), dtype),
            folds=jnp.zeros((), int),
            bifurcations=jnp.zeros((), int),
            accepted=jnp.asarray(True),
        )

    def step(self, problem: Problem, state: State) -> State:
        """See `AbstractSolver.step`; one prediction and up to 8 corrections."""
        goal = rationality(problem)
        arrived = state.position >= goal
        to_go = jnp.where(arrived, 0.0, (goal - state.position) / state.tangent[-1])
        landing = arrived | ((state.tangent[-1] > 0) & (to_go <= state.length))
        length = jnp.where(landing, to_go, state.length)
        there = correct(problem, state.iterate.logits, state.position, state.tangent, length, landing)
        turn = inner(there.tangent, state.tangent, problem)
        begins = state.length == 0
        # A flip of orientation is a bifurcation, or a jump to another sheet: only short steps tell them apart.
        crossed = (there.orientation != state.orientation) & ~begins & ~arrived
        smooth = (turn >= _TURN) & (~crossed | (length <= _SURE))
        inside = (landing | (there.position < goal)) & (there.position >= 0)
        good = there.good & inside & (begins | smooth)
        position = jnp.where(landing, goal, there.position)
        growth = jnp.clip(jnp.sqrt(0.1 * _MISS / jnp.maximum(there.miss, 1e-12)), 0.5, 2.0)
        longer = jnp.where(landing, state.length, state.length * growth)
        longer = jnp.where(begins, _FIRST_STEP, longer)
        seen = look(problem, there.logits, state.iterate)
        # Progress counts from the arrival on.
        seen = seen._replace(
            best=jnp.where(arrived, seen.best, seen.residual), stalled=jnp.where(arrived, seen.stalled, 0)
        )
        fold = (there.tangent[-1] < 0) != (state.tangent[-1] < 0)
        moved = State(
            iterate=seen,
            position=position,
            tangent=there.tangent,
            length=longer,
            orientation=there.orientation,
            folds=state.folds + (fold & ~arrived),
            bifurcations=state.bifurcations + crossed,
            accepted=jnp.asarray(True),
        )
        refused = state._replace(
            iterate=state.iterate._replace(stalled=jnp.where(arrived, state.iterate.stalled + 1, 0)),
            length=jnp.where(arrived, state.length, 0.5 * length),
            accepted=jnp.asarray(False),
        )
        return jax.tree.map(lambda a, b: jnp.where(good, a, b), moved, refused)

    def terminate(self, problem: Problem, state: State, tol: Scalar):
        """See `AbstractSolver.terminate`, from the arrival on; a step that shrinks to nothing has lost the branch."""
        done, code = super().terminate(problem, state, tol)
        goal = rationality(problem)
        endless = ~jnp.isfinite(goal)
        lost = (state.length > 0) & (state.length < _SHORTEST)
        arrived = state.position >= goal
        finite = jnp.isfinite(state.iterate.residual) & ~endless
        failed = jnp.where(finite, RESULTS.diverged.code, RESULTS.nonfinite.code)
        return (done & arrived) | lost | endless, jnp.where(arrived, code, failed)


def rationality(problem: Problem) -> Scalar:
    """``Λ = max_{i,x} range_i/τ_i(x)``, at least 1: the length of the path in t."""
    width = problem.game.payoff_range()[:, None]
    ratio = jnp.where(jnp.any(problem.mask, axis=-1), width / problem.tau, 0.0)
    return jnp.maximum(jnp.max(ratio), 1.0)


def inner(a: Float[Array, " n_plus_1"], b: Float[Array, " n_plus_1"], problem: Problem) -> Scalar:
    """Inner product in which length along the curve is measured."""
    points = jnp.sum(jnp.any(problem.mask, axis=-1))
    return a[:-1] @ b[:-1] / points + a[-1] * b[-1]


def correct(
    problem: Problem,
    logits: LogPolicy,
    position: Scalar,
    tangent: Float[Array, " n_plus_1"],
    length: Scalar,
    landing: Bool[Array, ""],
) -> Corrected:
    """Predict along the tangent, then return to the curve by Newton's method.

    Args:
        problem: The problem at the requested temperatures.
        logits: z of a point on the curve.
        position: t of that point.
        tangent: Unit tangent there.
        length: How far to predict.
        landing: Whether to correct at fixed t (the path's end) instead of at right angles to the tangent.

    Returns:
        The corrected point and what is known about it.
    """
    goal = rationality(problem)
    shape, size = logits.shape, logits.size
    points = jnp.sum(jnp.any(problem.mask, axis=-1))
    predicted = jnp.append(logits.ravel(), position) + length * tangent
    predicted = predicted.at[-1].set(jnp.where(landing & (length > 0), goal, predicted[-1]))
    border = jnp.where(landing, jnp.zeros_like(tangent).at[-1].set(1.0), tangent.at[:-1].multiply(1.0 / points))
    onwards = jnp.zeros(size + 1, logits.dtype).at[-1].set(1.0)

    def equation(point):
        return defect(problem.at_scale(point[-1] / goal), point[:-1].reshape(shape)).ravel()

    def policy_of(point):
        return problem.policy(point[:-1].reshape(shape))

    def newton(carry):
        point, policy, _, first, last, _, count = carry
        value, jacobian = dense_jacobian(equation, point)
        bordered = jnp.concatenate([jacobian, border[None]], axis=0)
        off = jnp.append(value, border @ (point - predicted))
        lu = jax.scipy.linalg.lu_factor(bordered)
        solution = jax.scipy.linalg.lu_solve(lu, jnp.stack([-off, onwards], axis=1))
        swaps = jnp.sum(lu[1] != jnp.arange(size + 1))
        sign = jnp.prod(jnp.sign(jnp.diagonal(lu[0]))) * jnp.where(swaps % 2 == 0, 1.0, -1.0)
        moved = point + solution[:, 0]
        moved_policy = policy_of(moved)
        change = jnp.max(jnp.abs(moved_policy - policy))
        change = jnp.maximum(change, jnp.max(jnp.abs(solution[:, 0]) / (1.0 + jnp.abs(moved))))
        first = jnp.where(count == 0, change, first)
        return moved, moved_policy, solution[:, 1], first, jnp.stack([last[1], change]), sign, count + 1

    def unfinished(carry):
        _, _, _, first, last, _, count = carry
        # Stop when on the curve, out of patience, or visibly not contracting.
        hopeless = ~(last[1] < jnp.inf) | ((count >= 2) & (last[1] > 0.7 * last[0])) | (first > 10 * _MISS)
        return (count == 0) | ((last[1] > _ON_CURVE) & (count < _CORRECTIONS) & ~hopeless)

    one = jnp.ones((), logits.dtype)
    predicted_policy = policy_of(predicted)
    start = (predicted, predicted_policy, tangent, one, jnp.stack([one, one]), one, 0)
    point, policy, direction, _, last, sign, _ = jax.lax.while_loop(unfinished, newton, start)
    miss = jnp.max(jnp.abs(policy - predicted_policy))
    direction = direction / jnp.sqrt(inner(direction, direction, problem))
    # Keep going the way we came; the sign of the determinant goes with that choice.
    back = inner(direction, tangent, problem) < 0
    direction = jnp.where(back, -direction, direction)
    good = (last[1] <= jnp.sqrt(_ON_CURVE)) & (miss <= _MISS) & jnp.all(jnp.isfinite(point))
    return Corrected(
        logits=center(point[:-1].reshape(shape), problem.mask),
        position=point[-1],
        tangent=direction,
        good=good & jnp.all(jnp.isfinite(direction)),
        miss=miss,
        orientation=sign,
    )
