"""The steps from a question to its answer, whoever takes them: one game alone, or lanes of a batch."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Bool, Int

from hqre_jax.bounds import bounds
from hqre_jax.core._namespace import Array, namespace
from hqre_jax.core._programs import compiled
from hqre_jax.core._results import RESULTS, SELECTIONS
from hqre_jax.core._simplex import log_softmax, safe_log
from hqre_jax.core._types import LogPolicy, Scalar
from hqre_jax.equilibrium._implicit_gradient import reattach
from hqre_jax.problem import Problem, early_or_compiled, full_policy
from hqre_jax.solvers._solver import AbstractSolver, Evidence


class Found(NamedTuple):
    """What a run of one solver left.

    Attributes:
        logits: The final ones.
        residual: There, at the requested temperatures.
        code: Of the result.
        steps: Taken.
        on_branch: Whether the principal branch was followed to its end.
        evidence: What the residual rests on, where that is an estimate.
    """

    logits: LogPolicy
    residual: Scalar
    code: Int[Array, ""]
    steps: Int[Array, ""]
    on_branch: Bool[Array, ""]
    evidence: Evidence | None = None


def frozen(problem: Problem) -> Problem:
    """The problem as a constant: loops are not differentiated through."""
    return jax.tree.map(lambda x: jax.lax.stop_gradient(x) if eqx.is_inexact_array(x) else x, problem)


def starting_point(problem: Problem, initial_policy: Any) -> LogPolicy:
    """The log-policy where a method starts, the reference if nothing else is said; finite everywhere."""
    if initial_policy is None:
        return problem.log_reference
    policy = full_policy(initial_policy, problem.mask, problem.game.dtype, "initial_policy")
    # An action of probability zero would never come back; the least normal number can.
    floor = jnp.log(jnp.finfo(problem.game.dtype).tiny)
    return jnp.where(problem.mask, jnp.maximum(safe_log(policy, problem.mask), floor), 0.0)


@compiled
def certified(problem: Problem) -> Bool[Array, ""]:
    """Whether the bounds prove that there is one equilibrium."""
    return bounds(frozen(problem)).unique


def found_by(
    method: AbstractSolver, problem: Problem, state: Any, code: Int[Array, ""], steps: Int[Array, ""], tol: Scalar
) -> Found:
    """What a solver's final state says. The residual alone decides success, also where a branch was lost."""
    iterate = state.iterate
    xp = namespace(iterate.residual)
    code = xp.where(iterate.residual <= tol, RESULTS.successful.code, code)
    on_branch = method.on_branch(problem, state)
    return Found(iterate.logits, iterate.residual, code, steps, on_branch, getattr(state, "evidence", None))


def answer_of(problem: Problem, centered: Problem, found: Found, unique: Bool[Array, ""]) -> dict[str, Any]:
    """What a solution says of the policy that was found, with derivatives reattached; worth by payoffs as given."""
    # No derivative of an answer is known whose game is known by samples only.
    sampled = problem.game.sampler() is not None
    logits = found.logits if sampled else reattach(centered, found.logits)
    log_policy = log_softmax(logits, problem.mask)
    evaluation = problem.evaluate(log_policy)
    # Under tracing no temperature can be refused: what would have been is no success.
    xp = namespace(found.residual)
    code = xp.where(problem.well_posed(), found.code, RESULTS.nonfinite.code)
    good = (code == RESULTS.successful.code) | (code == RESULTS.almost_successful.code)
    selection = xp.where(
        good & unique,
        SELECTIONS.unique.code,
        xp.where(good & found.on_branch, SELECTIONS.principal_branch.code, SELECTIONS.unselected.code),
    )
    return {
        "log_policy": log_policy,
        "policy": problem.policy(logits),
        "values": evaluation.values,
        "initial_values": evaluation.initial_values,
        "residual": found.residual,
        "num_steps": found.steps,
        "result_code": code,
        "selection_code": selection,
    }


finish = early_or_compiled(answer_of)
