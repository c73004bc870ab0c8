"""Many games at once: each as `solve` would solve it, and their answers in order."""

from hqre_jax.solving.batch._solution import BatchSolution, BatchSolveError
from hqre_jax.solving.batch._solve_batch import solve_batch

__all__ = ["BatchSolution", "BatchSolveError", "solve_batch"]
