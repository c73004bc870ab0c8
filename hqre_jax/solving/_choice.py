"""Which method answers a question, and for how many steps."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from hqre_jax.core._types import InputError
from hqre_jax.problem import Problem
from hqre_jax.solvers import SOLVERS, FixedPoint, KrylovBranch, MarkovBranch, PrincipalBranch, StochasticMirror
from hqre_jax.solvers._solver import AbstractSolver
from hqre_jax.solvers.continuation._eliminated import is_open

# Padded policy entries up to which "auto" follows the principal branch with dense Jacobians: at first, for beyond it
# Krylov iterations are up to a hundred times as fast, and where those fail.
_DENSE_FIRST, _DENSE_AT_ALL = 200, 1500
# Entries up to which a faster method is not worth another program.
_ONE_FOR_ALL = 100


def choice(problem: Problem, unique: bool) -> list[AbstractSolver]:
    """Methods to try in turn until one succeeds, where it is known whether there is one equilibrium."""
    methods = uncertified_choice(problem)
    return [FixedPoint(), *(method for method in methods if method.follows_branch)] if unique else methods


def uncertified_choice(problem: Problem) -> list[AbstractSolver]:
    """The same where nothing is known of uniqueness; what does not follow the branch comes last, if at all."""
    fast: list[AbstractSolver] = [MarkovBranch()] if is_open(problem) else []
    unselected = [FixedPoint()] if problem.mask.size > _DENSE_AT_ALL else []
    return [*fast, *followers(problem), *unselected]


def followers(problem: Problem) -> list[AbstractSolver]:
    """The methods that follow the principal branch of any such game wherever it leads, the fastest first."""
    dense: list[AbstractSolver] = [PrincipalBranch()] if problem.mask.size <= _DENSE_AT_ALL else []
    return dense if problem.mask.size <= _DENSE_FIRST else [KrylovBranch(), *dense]


def traced_choice(problem: Problem) -> list[AbstractSolver]:
    """The same where values cannot be looked at, so that all are compiled: the last goes wherever the branch leads."""
    fast = [method for method in uncertified_choice(problem) if isinstance(method, MarkovBranch)]
    return [*(fast if problem.mask.size > _ONE_FOR_ALL else []), followers(problem)[0]]


def method_of(solver: str | AbstractSolver) -> AbstractSolver | None:
    """The method of that name; None for the automatic choice."""
    if isinstance(solver, AbstractSolver):
        return solver
    if solver == "auto":
        return None
    if isinstance(solver, str) and solver in SOLVERS:
        return SOLVERS[solver]()
    if solver == StochasticMirror.name:
        return StochasticMirror()
    names = ", ".join([*SOLVERS, StochasticMirror.name])
    raise InputError("solver", f"is {solver!r}; it must be a solver object or one of auto, {names}")


def step_limit(max_steps: int | None) -> Int[Array, ""] | None:
    """The largest number of steps as an array; None for each method's own."""
    if max_steps is None:
        return None
    if isinstance(max_steps, bool) or not isinstance(max_steps, int | np.integer) or max_steps < 0:
        raise InputError("max_steps", f"is {max_steps!r}; it must be a whole number, 0 or more")
    return jnp.asarray(min(int(max_steps), np.iinfo(np.int32).max))
