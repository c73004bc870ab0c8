"""The logit equation ``z = T(z)`` and its Jacobian, for the methods that use derivatives."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from hqre_jax.core._namespace import Array
from hqre_jax.core._simplex import center, kl, probabilities
from hqre_jax.core._types import ActionValues, LogPolicy
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


def slopes_by_logits(
    problem: Problem, logits: LogPolicy
) -> tuple[ActionValues, Float[Array, "player state action n"], ActionValues]:
    """``Q^π`` at ``π = softmax(z)`` and its derivatives by z, flattened, and by the scale; in numpy.

    ``∂log π(a)/∂z(b) = δ(a, b) − π(b)`` and ``∂KL(π‖ρ)/∂z(b) = π(b) (log π(b)/ρ(b) − KL)`` at one decision point;
    Q is linear in the scale, at a fixed policy.

    Args:
        problem: The problem, of numpy.
        logits: z.

    Returns:
        ``Q^π``, and the derivatives.
    """
    mask, game, size = problem.mask, problem.game, logits.size
    log_policy = problem.log_policy(logits)
    policy, surprise = probabilities(log_policy, mask), log_policy - problem.log_reference
    same: Any = np.eye(mask[..., 0].size).reshape(mask.shape[:2] * 2)
    same = same[:, :, None, :, :, None] * mask[..., None, None, None]
    own: Any = np.eye(mask.shape[2])[:, None, None, :]
    moves = (same * (own - policy)).reshape(*mask.shape, size)
    cost = kl(log_policy, problem.log_reference, mask)
    bonus_moves = -problem.tau[..., None] * (same[:, :, 0] * (policy * (surprise - cost[..., None]))).reshape(
        *mask.shape[:2], size
    )
    found = game.evaluate_along(
        log_policy, problem.bonus(log_policy), problem.continuation, problem.scale, moves, bonus_moves
    )
    assert found is not None, "a game that speaks numpy says this"
    by_scale = game.evaluate(log_policy, problem.entropy_offset, problem.continuation, 1.0).action_values
    return *found, by_scale
