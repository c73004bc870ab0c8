"""The principal branch with dense linear algebra: the careful method for games whose Jacobian can be formed.

A step is taken only if the Jacobian proves it close enough (`_closeness`): here ``‖A⁻¹(A′ − A)‖`` is bounded by norms
of the matrix, from one more factorisation a step.
"""

from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Float

from hqre_jax.core._namespace import Array, namespace, placed, solution_of
from hqre_jax.core._types import Scalar
from hqre_jax.problem import Problem
from hqre_jax.solvers.continuation._branch import AbstractBranch, Corrected, Newton, Point, State, Stride
from hqre_jax.solvers.continuation._closeness import relative_change
from hqre_jax.solvers.continuation._curve import equation_with_jacobian

# A point is on the curve when the last correction was this small, in itself and beside the step.
_ON_CURVE, _BESIDE_STEP = 1e-8, 1e-2


class PrincipalBranch(AbstractBranch):
    """Predictor-corrector continuation of the principal branch with dense Jacobians (`AbstractBranch`).

    The prediction goes to second order and may miss by 0.05 in probability; up to 8 corrections lead back to the curve,
    to some rounding. Where symmetry and imperfection cannot be told apart (an imperfection of some hundred times the
    rounding) the branch is lost.

    Example:
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> hq.solve(game, 8.0, solver=hq.solvers.PrincipalBranch()).result
        <RESULTS.successful: 'successful'>
    """

    name: ClassVar[str] = "principal_branch"
    default_max_steps: ClassVar[int] = 5_000
    patience: ClassVar[int] = 4
    speaks_numpy: ClassVar[bool] = True
    corrections: ClassVar[int] = 8
    miss: ClassVar[float] = 0.05
    aim: ClassVar[float] = 0.015
    # The matrix says how close a step was, and the tangent is that of the point.
    turn: ClassVar[float] = -1.0
    slack: ClassVar[float] = 0.0

    def begin(self, problem: Problem, point: Point) -> Float[Array, "n n_plus_1"]:
        """See `AbstractBranch.begin`: the Jacobian at the last point is kept."""
        return namespace(point).eye(point.size - 1, point.size, dtype=point.dtype)

    def tolerances(self, stride: Stride) -> tuple[Scalar, Scalar]:
        """See `AbstractBranch.tolerances`."""
        xp = namespace(stride.length)
        beside = xp.where(stride.landing, _ON_CURVE, xp.minimum(_ON_CURVE, _BESIDE_STEP * stride.length))
        # Near a singular point rounding is the limit.
        near = xp.maximum(beside, 64 * jnp.finfo(stride.length.dtype).eps)
        return near, 100 * near

    def newton(
        self,
        problem: Problem,
        algebra: Float[Array, "n n_plus_1"],
        trial: Point,
        border: Point,
        off: Scalar,
        stride: Stride,
    ) -> Newton:
        """See `AbstractBranch.newton`; one Jacobian and its factorisation."""
        xp, (value, jacobian) = namespace(trial), equation_with_jacobian(problem, trial)
        sides = xp.stack([-xp.append(value, off), placed(xp, xp.zeros_like(trial), -1, 1.0)], axis=1)
        correction, onwards = solution_of(xp, xp.concatenate([jacobian, border[None]]), sides).T
        relative = xp.max(xp.abs(correction) / (1.0 + xp.abs(trial + correction)))
        return Newton(correction, onwards, relative, jacobian)

    def change(
        self, problem: Problem, state: State, there: Corrected, stride: Stride
    ) -> tuple[Scalar, Float[Array, "n n_plus_1"]]:
        """See `AbstractBranch.change`; an upper bound."""
        bound = relative_change(state.algebra, there.algebra, state.tangent[None], inverse_of=state.algebra)
        return bound, there.algebra
