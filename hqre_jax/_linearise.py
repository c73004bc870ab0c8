"""The logit equation ``z = T(z)`` and its Jacobian, for the methods that use derivatives."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hqre_jax._problem import Problem
from hqre_jax._simplex import center
from hqre_jax._types import LogPolicy

# Columns of a Jacobian computed at once: bounds memory at this many copies of an evaluation.
_COLUMNS = 256


def defect(problem: Problem, logits: LogPolicy) -> LogPolicy:
    """``z − P T(z)`` with ``T(z) = Q^π/τ + log ρ`` at ``π = softmax(z)``; P removes the mean over actions.

    P fixes the gauge: logits are unique up to a constant per decision point. On padded entries the defect is
    ``z`` itself, so that its Jacobian is invertible whenever the equilibrium is regular.
    """
    return logits - center(problem.response_logits(problem.log_policy(logits)), problem.mask)


def dense_jacobian(problem: Problem, logits: LogPolicy) -> tuple[Float[Array, " n"], Float[Array, "n n"]]:
    """Defect and its Jacobian, flattened.

    Args:
        problem: The question.
        logits: z.

    Returns:
        The defect, shape ``(n,)``, and ``I − P DT``, shape ``(n, n)``, ``n`` the size of the padded policy.
    """
    shape = logits.shape
    value, push = jax.linearize(lambda z: defect(problem, z.reshape(shape)).ravel(), logits.ravel())
    basis = jnp.eye(logits.size, dtype=logits.dtype)
    small = logits.size <= _COLUMNS
    rows = jax.vmap(push)(basis) if small else jax.lax.map(push, basis, batch_size=_COLUMNS)
    return value, rows.T
