"""Extragradient (predictive) updates: look ahead, then step."""

from typing import ClassVar, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from hqre_jax.bounds import bounds
from hqre_jax.core._simplex import mirror_step
from hqre_jax.core._types import LogPolicy, Scalar, StateValues
from hqre_jax.problem import Problem
from hqre_jax.solvers._solver import AbstractSolver, Iterate, look
from hqre_jax.solvers.mirror_descent import step_size


class State(NamedTuple):
    """Current point, and the product of step and temperature at every decision point."""

    iterate: Iterate
    eta_tau: StateValues


class Extragradient(AbstractSolver):
    """Mirror step to a prediction ``π̄``, then the same step from π with the payoffs of ``π̄``.

    In monotone games its steps may be of order 1/L instead of κ/L², so that its rate is governed by κ/L instead
    of κ²/L² (theory.md, T2; Cen, Wei & Chi 2021 for zero-sum games, whose η is our ``η/(1+ητ)``).

    Args:
        step: η, in units of 1/payoff. By default ``1/(2L)`` where L is known (γ = 0), elsewhere ``ητ = 1``.

    Example:
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> hq.solve(game, 8.0, solver=hq.solvers.Extragradient()).result
        <RESULTS.successful: 'successful'>
    """

    step_size: Float[Array, ""] | None

    name: ClassVar[str] = "extragradient"
    default_max_steps: ClassVar[int] = 100_000
    patience: ClassVar[int] = 2_000

    def __init__(self, step: float | Scalar | None = None):
        self.step_size = None if step is None else step_size(step)

    def init(self, problem: Problem, log_policy: LogPolicy) -> State:
        """See `AbstractSolver.init`."""
        if self.step_size is not None:
            eta_tau = self.step_size.astype(problem.tau.dtype) * problem.tau
        else:
            lipschitz = bounds(problem).lipschitz
            eta = jnp.where(lipschitz > 0, 0.5 / lipschitz, jnp.inf)
            eta_tau = jnp.where(jnp.isnan(lipschitz), 1.0, eta * problem.tau)
        return State(look(problem, log_policy), eta_tau)

    def step(self, problem: Problem, state: State) -> State:
        """See `AbstractSolver.step`; two evaluations of the game."""
        here = state.iterate
        predicted = mirror_step(here.logits, here.response, state.eta_tau)
        ahead = problem.response_logits(problem.log_policy(predicted))
        logits = mirror_step(here.logits, ahead, state.eta_tau)
        return state._replace(iterate=look(problem, logits, here))
