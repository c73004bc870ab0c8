"""The first few small problems of a size, by the same methods on numpy arrays: nothing is compiled for them."""

from typing import Any

import jax
import numpy as np

from hqre_jax.bounds import bounds
from hqre_jax.core._programs import in_numpy
from hqre_jax.core._results import RESULTS
from hqre_jax.core._temperatures import as_array
from hqre_jax.core._types import LogPolicy, Scalar
from hqre_jax.problem import Problem, is_early, leave_to_programs
from hqre_jax.solvers import KrylovBranch
from hqre_jax.solvers._loop import MOST_EARLY_STEPS, iterate
from hqre_jax.solvers._solver import AbstractSolver
from hqre_jax.solving._choice import choice
from hqre_jax.solving._steps import answer_of, found_by

# Padded policy entries up to which numpy's dense Jacobians cost less than programs with Krylov iterations.
_DENSE = 256


def early_answer(
    problem: Problem, method: AbstractSolver | None, start: LogPolicy, tol: Scalar, max_steps: Any
) -> tuple[str, dict[str, Any]] | None:
    """The answer of the method, or of the automatic choice, where numpy finds one sooner than a program is compiled.

    Args:
        problem: The problem, its numbers known.
        method: The method; None for the automatic choice.
        start: The log-policy where it starts.
        tol: Largest acceptable residual.
        max_steps: Largest number of steps; None for each method's own.

    Returns:
        The name of the method that succeeded and what a solution says, as programs would up to rounding; None where
        the problem is not one of the first few small ones of its size, or where no method succeeded in a few steps.
    """
    name = "auto" if method is None else method.name
    if not (method is None or method.speaks_numpy) or not is_early(problem, name):
        return None
    centered = problem.centered()
    unique = bounds(centered).unique
    given, plain, first, unique, tol = in_numpy((problem, centered, start, unique, tol))
    for chosen in choice(centered, bool(unique)) if method is None else [method]:
        if isinstance(chosen, KrylovBranch) and problem.mask.size <= _DENSE:
            continue
        if not chosen.speaks_numpy:
            break
        limit = min(chosen.default_max_steps if max_steps is None else int(max_steps), MOST_EARLY_STEPS)
        with np.errstate(all="ignore"):
            found = found_by(chosen, plain, *iterate(chosen, plain, first, tol, limit), tol)
            if found.code == RESULTS.successful.code and (method is not None or unique or found.on_branch):
                return chosen.name, jax.tree.map(as_array, answer_of(given, plain, found, unique))
    leave_to_programs(problem, name)
    return None
