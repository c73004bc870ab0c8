"""Methods that follow the principal branch from the reference to the temperatures asked for."""

from hqre_jax.solvers.continuation.krylov_branch import KrylovBranch
from hqre_jax.solvers.continuation.markov_branch import MarkovBranch
from hqre_jax.solvers.continuation.principal_branch import PrincipalBranch

__all__ = ["KrylovBranch", "MarkovBranch", "PrincipalBranch"]
