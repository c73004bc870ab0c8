"""The principal branch of Markov games, followed with linear algebra state by state.

At a trial point the linearised equation gives Newton's correction c at fixed s (of ``τ/s``, where ``s = t/Λ``) and the
slope ``v = dz/ds``; the corrected point is ``(z + c + v·ds, s + ds)``, with ds such that the correction is at right
angles to the tangent.

How much the Jacobian changes over a step (`_closeness`) is judged in the two halves into which elimination splits it:
the matrices of all states, each by itself, and the system in the values, by its spectral radius, whose direction is
carried along the branch. Of a game whose symmetry is exact (`_symmetry`) both halves are those that symmetric policies
see: there is nothing to slow down at where only the symmetry breaks.
"""

from typing import ClassVar, NamedTuple

import jax.numpy as jnp

from hqre_jax.core._types import InputError, LogPolicy, Scalar, StateValues
from hqre_jax.equilibrium._residual import residual_between
from hqre_jax.problem import Problem
from hqre_jax.solvers._solver import Iterate
from hqre_jax.solvers.continuation._branch import AbstractBranch, Corrected, Newton, Point, State, Stride
from hqre_jax.solvers.continuation._curve import logits_of, point_of, rationality
from hqre_jax.solvers.continuation._eliminated import Pieces, beginning, is_open, linearise
from hqre_jax.solvers.continuation._symmetry import Symmetry, symmetry

# A correction of a logit beyond this is not small, whatever the probabilities; nobody uses actions below that one.
_FAR, _UNUSED = 1.0, 1e-6


class Eliminated(NamedTuple):
    """What is kept of the linearised equation.

    Attributes:
        logits: Where it was looked at.
        response: There, centred, at the temperatures of that point.
        values: ``V^π`` near there, for systems that are solved by iteration.
        pieces: The Jacobian there.
        change: How much it changed.
        direction: In which it changed most.
        symmetry: What the branch is symmetric under.
    """

    logits: LogPolicy
    response: LogPolicy
    values: StateValues
    pieces: Pieces
    change: Scalar
    direction: StateValues
    symmetry: Symmetry


class MarkovBranch(AbstractBranch):
    """Predictor-corrector continuation of the principal branch of a Markov game (`AbstractBranch`).

    Each step predicts to second order, by 0.05 in probability at worst, and corrects once by Newton's method: a few
    passes over the transitions and one system of N·S unknowns. No logit in use may move by more than 1 there, and the
    tangent turns by less than 45°. Where steps become too short the branch counts as lost: from there on it belongs to
    `PrincipalBranch`.

    Example:
        >>> import numpy as np
        >>> import hqre_jax as hq
        >>> payoffs = np.stack([np.eye(2), 1 - np.eye(2)])[:, None]
        >>> game = hq.MarkovGame(payoffs, np.ones((1, 2, 2, 1)), 0.5)
        >>> hq.solve(game, 8.0, solver=hq.solvers.MarkovBranch()).result
        <RESULTS.successful: 'successful'>
    """

    name: ClassVar[str] = "markov_branch"
    default_max_steps: ClassVar[int] = 2_000
    patience: ClassVar[int] = 6
    corrections: ClassVar[int] = 1
    miss: ClassVar[float] = 0.05
    aim: ClassVar[float] = 0.025
    # Payoffs per step of play are small beside their range over all of it.
    opening: ClassVar[float] = jnp.inf
    turn: ClassVar[float] = 0.7

    def first_look(self, problem: Problem, logits: LogPolicy) -> Iterate:
        """See `AbstractBranch.first_look`: before the arrival nothing is looked at, and the residual counts as 1."""
        one = jnp.ones((), logits.dtype)
        return Iterate(logits, logits, one, one, jnp.zeros((), int))

    def begin(self, problem: Problem, point: Point) -> Eliminated:
        """See `AbstractBranch.begin`."""
        if not is_open(problem):
            raise InputError("solver", '"markov_branch" needs a Markov game of few actions; use "auto" here')
        pieces, direction = beginning(problem)
        logits, zero = logits_of(problem, point), jnp.zeros((), point.dtype)
        values = jnp.zeros_like(problem.tau)
        return Eliminated(logits, logits, values, pieces, zero, direction, symmetry(problem))

    def tolerances(self, stride: Stride) -> tuple[float, float]:
        """See `AbstractBranch.tolerances`."""
        return _FAR, _FAR

    def newton(
        self, problem: Problem, algebra: Eliminated, trial: Point, border: Point, off: Scalar, stride: Stride
    ) -> Newton:
        """See `AbstractBranch.newton`; one linear system."""
        goal, position = rationality(problem), trial[-1]
        # Rounding breaks symmetries.
        logits = algebra.symmetry.of_logits(logits_of(problem, trial))
        # The tangent in values and s, of any length.
        rate = border[-1] / goal
        across = (rate * algebra.pieces.values, goal**2 * rate)
        here = linearise(
            problem,
            logits,
            position / goal,
            algebra.values,
            algebra.pieces,
            algebra.direction,
            across,
            algebra.symmetry,
        )
        onwards = point_of(problem, here.tangent, goal)
        back = point_of(problem, logits + here.correction, position) - trial
        # In the direction of the border, or at fixed s.
        correction = back - (off + border @ back) / (border @ onwards) * onwards
        used = problem.policy(logits) > _UNUSED
        far = jnp.max(jnp.where(used, jnp.abs(logits_of(problem, correction)), 0.0))
        found = Eliminated(
            logits=logits,
            response=here.response,
            values=here.values,
            pieces=here.pieces,
            change=here.change.size,
            direction=here.change.direction,
            symmetry=algebra.symmetry,
        )
        return Newton(correction, onwards, far, found)

    def change(self, problem: Problem, state: State, there: Corrected, stride: Stride) -> tuple[Scalar, Eliminated]:
        """See `AbstractBranch.change`; it is found along with the correction."""
        return there.algebra.change, there.algebra

    def refused(self, before: Eliminated, after: Eliminated) -> Eliminated:
        """See `AbstractBranch.refused`."""
        return before._replace(direction=after.direction)

    def look(self, problem: Problem, there: Corrected, point: Point, stride: Stride, before: Iterate) -> Iterate:
        """See `AbstractBranch.look`: the last trial at s = 1, whose response is known; before, the reference."""
        logits, response = there.algebra.logits, there.algebra.response
        residual = residual_between(problem.log_policy(logits), response, problem)
        better = residual < before.best
        seen = Iterate(
            logits,
            response,
            residual,
            jnp.where(better, residual, before.best),
            jnp.where(better, 0, before.stalled + 1),
        )
        return Iterate(*(jnp.where(stride.landing, new, old) for new, old in zip(seen, before, strict=True)))

    def position(self, problem: Problem, state: State) -> tuple[LogPolicy, Scalar]:
        """See `AbstractSolver.position`; the iterate is a point at s = 1 only."""
        scale = state.point[-1] / rationality(problem)
        return jnp.where(scale < 1, logits_of(problem, state.point), state.iterate.logits), scale
