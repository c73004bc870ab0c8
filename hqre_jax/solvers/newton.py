"""Newton's method on the logit equation, damped by a line search."""

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from hqre_jax.core._simplex import center
from hqre_jax.core._types import LogPolicy
from hqre_jax.equilibrium._linearization import defect, logit_jacobian
from hqre_jax.problem import Problem
from hqre_jax.solvers._solver import AbstractSolver, Iterate, look

_SHORTEST = 2.0**-20


class State(NamedTuple):
    """Current point."""

    iterate: Iterate


class Newton(AbstractSolver):
    """Newton steps for ``z = P T(z)`` in centred logits, halved until ``‖z − P T(z)‖₂`` falls enough (Armijo).

    Quadratic near a regular equilibrium, and a local method: which equilibrium it finds, or whether it stops at
    a point where the norm cannot be reduced, depends on the start. The Jacobian is dense, ``n²`` numbers for
    ``n`` padded policy entries, and costs n directional derivatives.

    Example:
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> hq.solve(game, 8.0, solver=hq.solvers.Newton()).result
        <RESULTS.successful: 'successful'>
    """

    name: ClassVar[str] = "newton"
    default_max_steps: ClassVar[int] = 200
    patience: ClassVar[int] = 20

    def init(self, problem: Problem, log_policy: LogPolicy) -> State:
        """See `AbstractSolver.init`."""
        return State(look(problem, center(log_policy, problem.mask)))

    def step(self, problem: Problem, state: State) -> State:
        """See `AbstractSolver.step`; one Jacobian and a few evaluations."""
        here = state.iterate
        value, jacobian = logit_jacobian(problem, here.logits)
        direction = -jnp.linalg.solve(jacobian, value).reshape(here.logits.shape)
        start = jnp.sum(value**2)

        def too_long(length):
            trial = defect(problem, here.logits + length * direction)
            falls = jnp.sum(trial**2) <= (1.0 - 1e-4 * length) * start
            return ~falls & (length > _SHORTEST)

        length = jax.lax.while_loop(too_long, lambda t: 0.5 * t, jnp.ones((), value.dtype))
        logits = center(here.logits + length * direction, problem.mask)
        return State(look(problem, logits, here))
