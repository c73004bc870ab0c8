"""From a problem to its solution: choose the method, run it, judge the residual, say which equilibrium it is."""

from hqre_jax.solving._branch import Branch, BranchError, Fold, trace_branch
from hqre_jax.solving._solution import History, Solution, SolveError
from hqre_jax.solving._solve import solve
from hqre_jax.solving.batch import BatchSolution, BatchSolveError, solve_batch

__all__ = [
    "BatchSolution",
    "BatchSolveError",
    "Branch",
    "BranchError",
    "Fold",
    "History",
    "Solution",
    "SolveError",
    "solve",
    "solve_batch",
    "trace_branch",
]
