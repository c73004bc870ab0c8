"""Fixed-point iteration of the logit map, accelerated after Anderson and safeguarded."""

from typing import ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from hqre_jax.core._namespace import Array, namespace, placed, solution_of
from hqre_jax.core._simplex import center
from hqre_jax.core._types import InputError, LogPolicy, Scalar
from hqre_jax.problem import Problem
from hqre_jax.solvers._solver import AbstractSolver, Iterate, look


class State(NamedTuple):
    """Best point, last differences of points and defects (newest in slot ``count mod memory``), damping, least ‖f‖₂."""

    iterate: Iterate
    points: Float[Array, "memory n"]
    defects: Float[Array, "memory n"]
    count: Int[Array, ""]
    damping: Scalar
    least: Scalar


class FixedPoint(AbstractSolver):
    """Anderson-accelerated iteration of ``z ← T(z)`` on centred logits, ``T(z) = Q^π/τ + log ρ``.

    Each step mixes the last few differences so as to cancel the defect ``f = T(z) − z`` in least squares (type
    II). The safeguard: a step that more than doubles the least ``‖f‖₂`` is taken back, the memory is emptied and
    damping is halved for good: the next step is a mirror step of that length. Needs one evaluation a step and no
    derivative; near a regular equilibrium it converges where plain iteration cycles.

    Args:
        memory: Differences kept, at most as many as there are logits.

    Example:
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> hq.solve(game, 8.0, solver=hq.solvers.FixedPoint()).result
        <RESULTS.successful: 'successful'>
    """

    memory: int = eqx.field(static=True, default=16)

    name: ClassVar[str] = "fixed_point"
    default_max_steps: ClassVar[int] = 10_000
    patience: ClassVar[int] = 500
    speaks_numpy: ClassVar[bool] = True

    def __check_init__(self):
        if self.memory < 1:
            raise InputError("memory", f"is {self.memory}; at least one difference must be kept")

    def init(self, problem: Problem, log_policy: LogPolicy) -> State:
        """See `AbstractSolver.init`."""
        xp, iterate = namespace(problem.tau), look(problem, center(log_policy, problem.mask))
        size, dtype = iterate.logits.size, iterate.logits.dtype
        empty = xp.zeros((min(self.memory, size), size), dtype)
        least = xp.linalg.norm(self._defect(problem, iterate))
        return State(iterate, empty, empty, xp.zeros((), int), xp.ones((), dtype), least)

    def step(self, problem: Problem, state: State) -> State:
        """See `AbstractSolver.step`; one evaluation of the game."""
        xp, here = namespace(problem.tau), state.iterate
        z = here.logits.ravel()
        f = self._defect(problem, here)
        memory = len(state.points)
        used = xp.arange(memory) < state.count
        gram = state.defects @ state.defects.T
        ridge = jnp.finfo(z.dtype).eps * 10 * (xp.trace(gram) + jnp.finfo(z.dtype).tiny)
        gram = gram + ridge * xp.eye(memory, dtype=z.dtype) + xp.diag(xp.where(used, 0.0, 1.0))
        mix = solution_of(xp, gram, state.defects @ f)
        step = state.damping * f - mix @ (state.points + state.damping * state.defects)
        candidate = center((z + step).reshape(here.logits.shape), problem.mask)
        seen = look(problem, candidate, here)
        there = self._defect(problem, seen)
        size = xp.linalg.norm(there)
        accepted = size <= 2.0 * state.least
        slot = xp.mod(state.count, memory)
        moved = candidate.ravel() - z
        changed = there - f
        return State(
            iterate=_choose(accepted, seen, here._replace(stalled=here.stalled + 1)),
            points=xp.where(accepted, placed(xp, state.points, slot, moved), 0.0),
            defects=xp.where(accepted, placed(xp, state.defects, slot, changed), 0.0),
            count=xp.where(accepted, state.count + 1, 0),
            damping=xp.where(accepted, state.damping, 0.5 * state.damping),
            least=xp.minimum(size, state.least),
        )

    @staticmethod
    def _defect(problem: Problem, iterate: Iterate) -> Float[Array, " n"]:
        return (center(iterate.response, problem.mask) - iterate.logits).ravel()


def _choose(condition: Bool[Array, ""], yes: Iterate, no: Iterate) -> Iterate:
    xp = namespace(condition)
    return Iterate(*(xp.where(condition, a, b) for a, b in zip(yes, no, strict=True)))
