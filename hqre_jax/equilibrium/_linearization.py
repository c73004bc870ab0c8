"""The logit equation ``z = T(z)`` and its Jacobian, for the methods that use derivatives."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hqre_jax.core._simplex import center
from hqre_jax.core._types import LogPolicy
from hqre_jax.problem import Problem

# Columns of a Jacobian computed at once: bounds memory at this many copies of an evaluation.
_COLUMNS = 256


def defect(problem: Problem, logits: LogPolicy) -> LogPolicy:
    """``z − P T(z)`` with ``T(z) = Q^π/τ + log ρ`` at ``π = softmax(z)``; P removes the mean over actions.

    P fixes the gauge: logits are unique up to a constant per decision point. On padded entries the defect is
    ``z`` itself, so that its Jacobian is invertible whenever the equilibrium is regular.
    """
    return logits - center(problem.response_logits(problem.log_policy(logits)), problem.mask)


def dense_jacobian(
    equation: Callable[[Float[Array, " n"]], Float[Array, " m"]], point: Float[Array, " n"]
) -> tuple[Float[Array, " m"], Float[Array, "m n"]]:
    """Value and Jacobian of a function of a vector, linearised once.

    Args:
        equation: The function.
        point: Where.

    Returns:
        The value, ``(m,)``, and the Jacobian, ``(m, n)``.
    """
    value, push = jax.linearize(equation, point)
    basis = jnp.eye(point.size, dtype=point.dtype)
    small = point.size <= _COLUMNS
    columns = jax.vmap(push)(basis) if small else jax.lax.map(push, basis, batch_size=_COLUMNS)
    return value, columns.T


def logit_jacobian(problem: Problem, logits: LogPolicy) -> tuple[Float[Array, " n"], Float[Array, "n n"]]:
    """The defect at z, flattened, and its Jacobian ``I − P DT``; n is the size of the padded policy."""
    shape = logits.shape
    return dense_jacobian(lambda z: defect(problem, z.reshape(shape)).ravel(), logits.ravel())
