"""The solvers, each an `AbstractSolver`, and their names."""

from hqre_jax.solvers._solver import AbstractSolver, Evidence, Iterate, look
from hqre_jax.solvers.continuation._branch import AbstractBranch
from hqre_jax.solvers.continuation.krylov_branch import KrylovBranch
from hqre_jax.solvers.continuation.markov_branch import MarkovBranch
from hqre_jax.solvers.continuation.principal_branch import PrincipalBranch
from hqre_jax.solvers.extragradient import Extragradient
from hqre_jax.solvers.fixed_point import FixedPoint
from hqre_jax.solvers.mirror_descent import MirrorDescent
from hqre_jax.solvers.newton import Newton
from hqre_jax.solvers.soft_value_iteration import SoftValueIteration
from hqre_jax.solvers.stochastic_mirror import StochasticMirror

# Those that reach any tolerance; `StochasticMirror` is the one that does with estimates.
SOLVERS: dict[str, type[AbstractSolver]] = {
    solver.name: solver
    for solver in (
        MirrorDescent,
        Extragradient,
        FixedPoint,
        Newton,
        PrincipalBranch,
        KrylovBranch,
        MarkovBranch,
        SoftValueIteration,
    )
}

__all__ = [
    "SOLVERS",
    "AbstractBranch",
    "AbstractSolver",
    "Evidence",
    "Extragradient",
    "FixedPoint",
    "Iterate",
    "KrylovBranch",
    "MarkovBranch",
    "MirrorDescent",
    "Newton",
    "PrincipalBranch",
    "SoftValueIteration",
    "StochasticMirror",
    "look",
]
