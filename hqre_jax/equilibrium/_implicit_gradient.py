"""Implicit gradients: the equilibrium moves with payoffs, temperatures, references and discount as z = T(z) says."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from hqre_jax.core._namespace import Array, namespace
from hqre_jax.core._types import LogPolicy
from hqre_jax.equilibrium._linearization import defect
from hqre_jax.problem import Problem

# Up to this many unknowns the linearised equation is solved densely, beyond it by GMRES without a matrix.
_DENSE = 2048


def reattach(problem: Problem, logits: LogPolicy) -> LogPolicy:
    """Logits that have the value of a computed solution and the derivatives of the exact one.

    By the implicit function theorem ``dz = (I − P ∂T/∂z)⁻¹ P ∂T/∂θ dθ`` for every parameter θ of the problem.
    The loop that found z is not differentiated; forward, reverse and repeated derivatives all go through
    `jax.lax.custom_root`.

    Args:
        problem: The problem, with the parameters to differentiate by.
        logits: Its solution, in any gauge.

    Returns:
        The same logits, differentiable. Derivatives mean something only where the solve succeeded.
    """
    if namespace(logits) is np:  # nothing is derived there
        return logits
    shape = logits.shape
    found = jax.lax.stop_gradient(logits).ravel()

    def equation(z):
        return defect(problem, z.reshape(shape)).ravel()

    def linear_solve(linear, rhs):
        if rhs.size <= _DENSE:
            return jnp.linalg.solve(jax.jacfwd(linear)(jnp.zeros_like(rhs)), rhs)
        # GMRES alone cannot be transposed: its tolerance depends on the right side.
        return jax.lax.custom_linear_solve(linear, rhs, solve=_gmres, transpose_solve=_gmres)

    return jax.lax.custom_root(equation, found, lambda _, z: z, linear_solve).reshape(shape)


def _gmres(linear: Callable[[Float[Array, " n"]], Float[Array, " n"]], rhs: Float[Array, " n"]) -> Float[Array, " n"]:
    tol = 100 * float(jnp.finfo(rhs.dtype).eps)
    return jax.scipy.sparse.linalg.gmres(linear, rhs, tol=tol, restart=50, maxiter=50)[0]
