"""The logit equation ``z = T(z)`` and its Jacobian, for the methods that use derivatives."""

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from hqre_jax.core._namespace import Array
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


def drawn_with_slopes(
    problem: Problem, logits: LogPolicy
) -> tuple[LogPolicy, Float[Array, "player state action player state action"]]:
    """``Q^π/τ`` at ``π = softmax(z)`` and its derivatives by z: in numpy, of a game that shows its payoff tensor.

    With ``D(a, b)``, what i is paid for a where j plays b and the others as they do, ``Q_i(a) = Σ_b D(a, b) π_j(b)``
    and ``∂Q_i(a)/∂z_j(b) = π_j(b) (D(a, b) − Q_i(a))`` for j ≠ i; one's own logits do not matter.

    Args:
        problem: The problem, of numpy, for two players or more; its scale is not looked at.
        logits: z.

    Returns:
        ``Q^π/τ``, padding 0, and the derivatives of (i, x, a) by the logits of (j, y, b).
    """
    payoffs, policy = np.asarray(problem.game.payoff_tensor()), problem.policy(logits)
    players, actions = range(len(payoffs)), payoffs.shape[1:]
    drawn: Any = np.zeros(logits.shape)
    slopes: Any = np.zeros(logits.shape * 2)
    for i, j in itertools.permutations(players, 2):
        pays, own, other = payoffs[i], actions[i], actions[j]
        for k in reversed(players):
            if k not in (i, j):
                pays = np.tensordot(pays, policy[k, 0, : actions[k]], axes=(k, 0))
        pays, mixed = (pays if i < j else pays.T) / problem.tau[i], policy[j, 0, :other]
        drawn[i, 0, :own] = pays @ mixed
        slopes[i, 0, :own, j, 0, :other] = mixed * (pays - drawn[i, 0, :own, None])
    return drawn, slopes
