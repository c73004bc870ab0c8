"""A solver in one file: damped logit responses."""

from typing import ClassVar, NamedTuple

import equinox as eqx

import hqre_jax as hq
from hqre_jax.solvers._solver import Iterate, look


class State(NamedTuple):
    """Nothing but the point."""

    iterate: Iterate


class DampedResponse(hq.AbstractSolver):
    """``z ← (1 − share) z + share (Q/τ + log ρ)``."""

    share: float = eqx.field(static=True, default=0.5)

    name: ClassVar[str] = "damped_response"
    default_max_steps: ClassVar[int] = 1000
    patience: ClassVar[int] = 100

    def init(self, problem, log_policy) -> State:
        """See `AbstractSolver.init`."""
        return State(look(problem, log_policy))

    def step(self, problem, state) -> State:
        """See `AbstractSolver.step`."""
        here = state.iterate
        return State(look(problem, here.logits + self.share * (here.response - here.logits), here))
