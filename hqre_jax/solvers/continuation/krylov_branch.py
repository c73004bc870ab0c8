"""The principal branch of large games, followed without a matrix.

No Jacobian is formed: the tangent is that of a polynomial through the last points of the curve, and Newton's linear
systems are solved by Krylov iteration from products with the Jacobian, each as dear as two evaluations of the game.

How much the Jacobian changes over a step (`_closeness`) is seen in one direction, that in which it changes most: powers
of ``A⁻¹(A′ − A)``, one linear system each, carried from step to step, find it well before a singular point is near.
"""

from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from hqre_jax.core._types import InputError, Scalar
from hqre_jax.equilibrium._linearization import dense_jacobian
from hqre_jax.problem import Problem
from hqre_jax.solvers.continuation._branch import AbstractBranch, Corrected, Newton, Point, State, Stride, unit_along
from hqre_jax.solvers.continuation._closeness import relative_change
from hqre_jax.solvers.continuation._conjugate_residuals import conjugate_residuals
from hqre_jax.solvers.continuation._curve import equation

# On the way a point is good enough when the last correction moved no probability by more, per length of the step; near
# singular points, where steps are shorter than this, much less.
_ON_CURVE, _CRITICAL, _TINY = 1e-3, 0.1, 1e-12
# Relative accuracy of the linear systems: on the way, of what they change by, and at the ends.
_LOOSE, _FINE, _TIGHT = 0.03, 3e-3, 1e-3
# Up to so many entries of a policy the Jacobian's change is bounded by a dense matrix; beyond, powers a step.
_SMALL, _POWERS = 200, 3


class Passed(NamedTuple):
    """What is kept of the way behind.

    Attributes:
        points: The last points ``(z/√m, t)``, newest first.
        places: Their places along the curve, in the same order.
        count: Points passed.
        direction: In which the Jacobian changed most.
        products: Products with the Jacobian so far.
    """

    points: Float[Array, "point n_plus_1"]
    places: Float[Array, " point"]
    count: Int[Array, ""]
    direction: Point
    products: Int[Array, ""]


class KrylovBranch(AbstractBranch):
    """Predictor-corrector continuation of the principal branch for games whose Jacobian is too large to form.

    A cubic through the last four points predicts, and may miss by 0.1 in probability; up to 6 corrections lead back to
    the curve, about as well as the next step needs. Up to 200 entries of a policy the Jacobian's change is bounded by a
    dense matrix; beyond, it is estimated from below by powers: evidence that no other sheet was stepped onto, and no
    bound. All else is that of `AbstractBranch`.

    Args:
        memory: Most products with the Jacobian in one linear system; memory is twice as many policies.

    Example:
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> hq.solve(game, 8.0, solver=hq.solvers.KrylovBranch()).result
        <RESULTS.successful: 'successful'>
    """

    memory: int = eqx.field(static=True, default=160)

    name: ClassVar[str] = "krylov_branch"
    default_max_steps: ClassVar[int] = 5_000
    patience: ClassVar[int] = 4
    order: ClassVar[int] = 3
    corrections: ClassVar[int] = 6
    miss: ClassVar[float] = 0.1
    aim: ClassVar[float] = 0.02
    growth: ClassVar[float] = 2.0
    turn: ClassVar[float] = 0.8

    def __check_init__(self):
        if self.memory < 1:
            raise InputError("memory", f"is {self.memory}; at least one product with the Jacobian is needed")

    def begin(self, problem: Problem, point: Point) -> Passed:
        """See `AbstractBranch.begin`."""
        nowhere = jnp.zeros((self.order + 1, point.size), point.dtype)
        # A direction in which no symmetry of a game can be expected.
        direction = jnp.sin(1.0 + jnp.arange(point.size, dtype=point.dtype) ** 1.5)
        return Passed(nowhere, nowhere[:, 0], jnp.zeros((), int), direction, jnp.zeros((), int))

    def tolerances(self, stride: Stride) -> tuple[Scalar, Scalar]:
        """See `AbstractBranch.tolerances`."""
        step = stride.length
        near = _ON_CURVE * jnp.minimum(1.0, step) * jnp.minimum(1.0, step / _CRITICAL) ** 2
        # Rounding is felt in proportion to how near a singular point is, which is no nearer than a step is long.
        rounding = 64 * jnp.finfo(step.dtype).eps * jnp.maximum(1.0, 0.1 * _CRITICAL / jnp.maximum(step, _TINY))
        near = jnp.where(stride.landing, _ON_CURVE * jnp.minimum(1.0, step), jnp.maximum(near, rounding))
        return near, near

    def newton(
        self, problem: Problem, algebra: Passed, trial: Point, border: Point, off: Scalar, stride: Stride
    ) -> Newton:
        """See `AbstractBranch.newton`; one linear system, for the tangent where there is nothing to correct yet."""
        value, push = jax.linearize(lambda point: equation(problem, point), trial)
        side = jnp.where(stride.begins, jnp.zeros_like(trial).at[-1].set(1.0), -jnp.append(value, off))
        accuracy = jnp.where(stride.landing | stride.begins, _TIGHT, _LOOSE)
        solution, _, used = conjugate_residuals(lambda v: jnp.append(push(v), border @ v), side, accuracy, self.memory)
        correction = jnp.where(stride.begins, 0.0, solution)
        algebra = algebra._replace(products=algebra.products + used)
        return Newton(correction, solution, jnp.zeros((), trial.dtype), algebra)

    def continued(
        self, state: State, there: Corrected, point: Point, algebra: Passed, length: Scalar
    ) -> tuple[Float[Array, "order n_plus_1"], Passed]:
        """See `AbstractBranch.continued`: a polynomial through the last points; at first the tangent that was found."""
        chord = jnp.linalg.norm(point - state.point)
        algebra = algebra._replace(
            points=jnp.roll(algebra.points, 1, 0).at[0].set(point),
            places=jnp.roll(algebra.places, 1).at[0].set(algebra.places[0] + chord),
            count=algebra.count + 1,
        )
        alone = jnp.zeros_like(state.curve).at[0].set(unit_along(there.onwards, state.tangent))
        return jnp.where(algebra.count == 1, alone, _through(algebra)), algebra

    def refused(self, before: Passed, after: Passed) -> Passed:
        """See `AbstractBranch.refused`."""
        return before._replace(direction=after.direction, products=after.products)

    def change(self, problem: Problem, state: State, there: Corrected, stride: Stride) -> tuple[Scalar, Passed]:
        """See `AbstractBranch.change`.

        Of small games a bound. Of large ones an estimate from below by powers; a fresh direction is mixed in at every
        step, since what a symmetry hides from the last one is lost in the systems' tolerance.
        """
        here, border, passed = state.point, state.tangent, there.algebra
        if here.size <= _SMALL:
            _, before = dense_jacobian(lambda point: equation(problem, point), here)
            _, after = dense_jacobian(lambda point: equation(problem, point), there.point)
            return relative_change(before, after, border[None], inverse_of=after), passed

        def old(v):
            return jax.jvp(lambda point: equation(problem, point), (here,), (v,))[1]

        _, new = jax.linearize(lambda point: equation(problem, point), there.point)

        def bordered(v):
            return jnp.append(new(v), border @ v)

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
        mixed = passed.direction / jnp.linalg.norm(passed.direction) + fresh / jnp.linalg.norm(fresh)
        start = (jnp.zeros((), here.dtype), mixed / jnp.linalg.norm(mixed), passed.products)
        size, direction, products = jax.lax.fori_loop(0, jnp.where(stride.arrived, 0, _POWERS), power, start)
        return size, passed._replace(direction=direction, products=products)


def _through(passed: Passed) -> Float[Array, "order n_plus_1"]:
    """Taylor coefficients at the newest point of the polynomial through the last, from divided differences."""
    behind = passed.places[0] - passed.places
    table, curve, product = passed.points, [], jnp.ones(1, behind.dtype)
    for k in range(1, len(behind)):
        gap = passed.places[:-k] - passed.places[k:]
        table = (table[:-1] - table[1:]) / jnp.where(gap > 0, gap, 1.0)[:, None]
        # Newton's polynomial: this difference times ``x (x + behind_1) … (x + behind_{k-1})``, by powers of x.
        difference = jnp.where(k < passed.count, table[0], 0.0)
        curve = [c + p * difference for c, p in zip([*curve, 0.0], product, strict=True)]
        product = jnp.append(product * behind[k], 0.0) + jnp.append(jnp.zeros(1, behind.dtype), product)
    return jnp.stack(curve)
