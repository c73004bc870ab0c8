"""Mirror descent: the update of T2."""

from typing import ClassVar, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from hqre_jax.bounds import bounds
from hqre_jax.core._simplex import mirror_step
from hqre_jax.core._temperatures import as_float_array, concrete
from hqre_jax.core._types import InputError, LogPolicy, Scalar, StateValues
from hqre_jax.problem import Problem
from hqre_jax.solvers._solver import AbstractSolver, Iterate, look


class State(NamedTuple):
    """Current point, and the product of step and temperature at every decision point."""

    iterate: Iterate
    eta_tau: StateValues


def step_size(step: float | Scalar) -> Float[Array, ""]:
    """A mirror step η as an array: positive, and infinite for the logit response itself."""
    size = as_float_array(step, "step", jnp.result_type(float))
    if size.shape:
        raise InputError("step", f"has shape {size.shape}; one number is wanted")
    if concrete(size) and not float(size) > 0:
        raise InputError("step", f"is {float(size):g}; it must be greater than 0")
    return size


class MirrorDescent(AbstractSolver):
    """Simultaneous mirror descent, ``π⁺ ∝ π^{1/(1+ητ)} ρ^{ητ/(1+ητ)} exp(ηQ(π)/(1+ητ))``.

    With a positive margin κ and ``η ≤ κ/L²`` the divergence ``D = Σ w KL(π*‖π)`` shrinks by ``1/(1+ηκ)`` a step
    (theory.md, T2). Larger steps may diverge.

    Args:
        step: η, in units of 1/payoff. By default ``κ/L²`` where the margin is certified; elsewhere ``τ_min/L²``
            (γ = 0) or ``ητ = 1``, steps without a guarantee, whose result is judged like any other.

    Example:
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> hq.solve(game, 8.0, solver=hq.solvers.MirrorDescent()).result
        <RESULTS.successful: 'successful'>
    """

    step_size: Float[Array, ""] | None

    name: ClassVar[str] = "mirror_descent"
    default_max_steps: ClassVar[int] = 200_000
    patience: ClassVar[int] = 2_000

    def __init__(self, step: float | Scalar | None = None):
        self.step_size = None if step is None else step_size(step)

    def init(self, problem: Problem, log_policy: LogPolicy) -> State:
        """See `AbstractSolver.init`."""
        if self.step_size is not None:
            eta_tau = self.step_size.astype(problem.tau.dtype) * problem.tau
        else:
            known = bounds(problem)
            least = jnp.min(jnp.where(jnp.any(problem.mask, axis=-1), problem.tau, jnp.inf))
            fallback = jnp.where(known.lipschitz > 0, least / known.lipschitz**2, jnp.inf)
            eta = jnp.where(known.margin > 0, known.max_step, fallback)
            eta_tau = jnp.where(jnp.isnan(known.lipschitz), 1.0, eta * problem.tau)
        return State(look(problem, log_policy), eta_tau)

    def step(self, problem: Problem, state: State) -> State:
        """See `AbstractSolver.step`; one evaluation of the game."""
        logits = mirror_step(state.iterate.logits, state.iterate.response, state.eta_tau)
        return state._replace(iterate=look(problem, logits, state.iterate))
