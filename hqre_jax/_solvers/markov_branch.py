"""The principal branch of a Markov game, followed in the temperature itself, with guards."""

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from hqre_jax._equilibrium import residual_between
from hqre_jax._problem import Problem
from hqre_jax._results import RESULTS
from hqre_jax._simplex import center
from hqre_jax._solver import AbstractSolver, Iterate
from hqre_jax._solvers._eliminated import linearise
from hqre_jax._types import LogPolicy, Scalar, StateValues

# A correction may move a probability by this much; steps aim at a fraction of it.
_MISS, _AIM = 0.05, 0.5


# Corrections of logits beyond this are not small, whatever the probabilities.
_FAR = 1.0
# What the first step, along the tangent alone, may move a probability by.
_FIRST = 0.15
_SHORTEST = 1e-3


class State(NamedTuple):
    """A point of the branch, and what came before it.

    Attributes:
        iterate: The last point at s = 1 that was looked at; before, the reference with residual 1.
        logits: z at the last point kept.
        slope: Tangent dz/ds there.
        bend: Estimate of ``½ d²z/ds²``.
        values: ``V^π`` near there, for solvers that want a start.
        position: s.
        step: The step to try.
        lost: Whether the step became too short.
    """

    iterate: Iterate
    logits: LogPolicy
    slope: LogPolicy
    bend: LogPolicy
    values: StateValues
    position: Scalar
    step: Scalar
    lost: Bool[Array, ""]


class NaturalContinuation(AbstractSolver):
    """Continuation of the principal branch in s of ``τ/s``, from the reference policy at s = 0 to the question at 1.

    Each step predicts to second order and corrects once by Newton's method. A point is kept if

    * the determinant of the linearised equation is positive, as on every stretch of the branch from s = 0 on without a
      fold or a bifurcation (not computed where N·S exceeds 1024: there corrections must be five times smaller);
    * the correction moves no probability by more than 0.05 and no logit in use by more than 1.

    Otherwise the step is shortened. Near a fold, a bifurcation or a sharp bend it becomes too short and the branch
    counts as lost: from there on it belongs to `PrincipalBranch`. For Markov games only, whose linear algebra it does
    state by state: a step is a few passes over the transitions and one system of N·S unknowns.
    """

    name: ClassVar[str] = "natural_continuation"
    default_max_steps: ClassVar[int] = 200
    patience: ClassVar[int] = 6

    def init(self, problem: Problem, log_policy: LogPolicy) -> State:
        """See `AbstractSolver.init`; the given policy is not used."""
        logits = center(problem.log_reference, problem.mask)
        zero = jnp.zeros((), logits.dtype)
        here = linearise(problem, logits, zero, jnp.zeros_like(problem.tau))
        moved = _moved(problem, logits, here.tangent)
        one = jnp.ones_like(zero)
        return State(
            iterate=Iterate(logits, here.response, one, one, jnp.zeros((), int)),
            logits=logits,
            slope=here.tangent,
            bend=jnp.zeros_like(logits),
            values=here.values,
            position=zero,
            step=jnp.minimum(1.0, _FIRST / jnp.maximum(moved, jnp.finfo(zero.dtype).tiny)),
            lost=~jnp.isfinite(moved),
        )

    def step(self, problem: Problem, state: State) -> State:
        """See `AbstractSolver.step`; one linear system."""
        goal = state.position + state.step
        goal = jnp.where(goal > 1.0 - 1e-6, 1.0, goal)
        step = goal - state.position
        trial = state.logits + step * (state.slope + step * state.bend)
        here = linearise(problem, trial, goal, state.values)
        miss = _moved(problem, trial, here.correction)
        used = problem.policy(trial) > 1e-6
        far = jnp.max(jnp.where(used, jnp.abs(here.correction), 0.0))
        finite = jnp.isfinite(miss) & jnp.isfinite(here.orientation)
        kept = finite & (here.orientation > 0) & (miss <= _MISS) & (far <= _FAR)
        landed = state.position >= 1.0
        # The error of a prediction to second order grows with the cube of the step.
        ratio = _AIM * _MISS / jnp.maximum(miss, 1e-9)
        factor = jnp.where(finite, jnp.clip(ratio**0.25, 0.2, 3.0), 0.2)
        after = step * jnp.where(kept, factor, jnp.minimum(factor, 0.5))
        at_end = kept & (goal >= 1.0)
        log_policy = problem.log_policy(trial)
        residual = jnp.where(at_end, residual_between(log_policy, here.response, problem), state.iterate.residual)
        better = residual < state.iterate.best
        seen = Iterate(
            logits=jnp.where(at_end, trial, state.iterate.logits),
            response=jnp.where(at_end, here.response, state.iterate.response),
            residual=residual,
            best=jnp.where(better, residual, state.iterate.best),
            stalled=jnp.where(better | ~landed, 0, state.iterate.stalled + 1),
        )
        length = jnp.where(step > 0, step, 1.0)
        bend = jnp.where(step > 0, 0.5 * (here.tangent - state.slope) / length, state.bend)
        moved = State(seen, trial + here.correction, here.tangent, bend, here.values, goal, after, state.lost)
        refused = state._replace(iterate=seen, step=after, lost=landed | (after < _SHORTEST))
        return jax.tree.map(lambda new, old: jnp.where(kept, new, old), moved, refused)

    def terminate(self, problem: Problem, state: State, tol: Scalar):
        """See `AbstractSolver.terminate`; a branch that is lost has no answer, whatever the last residual was."""
        done, code = super().terminate(problem, state, tol)
        arrived = state.position >= 1.0
        return (done & arrived) | state.lost, jnp.where(arrived, code, RESULTS.diverged.code)


def _moved(problem: Problem, logits: LogPolicy, change: LogPolicy) -> Scalar:
    """Largest change of a probability, to first order, when logits change."""
    policy = problem.policy(logits)
    mean = jnp.sum(policy * change, axis=-1, keepdims=True)
    return jnp.max(jnp.abs(policy * (change - mean)))
