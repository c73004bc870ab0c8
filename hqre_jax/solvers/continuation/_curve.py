"""The principal branch as a curve: coordinates, length, equation.

Unknowns are the centred logits z and the position t on ``τ(t) = τ Λ/t``, ``t ∈ [0, Λ]``, with
``Λ = max_i range_i/τ_i``, so that t is rationality per payoff range and the curve is smooth on the scale 1:

    H(z, t) = z − P[ (t/Λ) Q(payoffs)/τ + Q(bonus)/τ + log ρ ] = 0.

At t = 0 the solution is ``z = P log ρ``. The curve is parametrised by length in the norm ``‖z‖²/m + t²`` (m decision
points), which lets it turn back in t at folds; so points are kept as ``(z/√m, t)``, whose norm is the Euclidean one.
"""

from typing import Any

import numpy as np
from jaxtyping import Float

from hqre_jax.core._namespace import Array, namespace
from hqre_jax.core._simplex import center
from hqre_jax.core._types import LogPolicy, Policy, Scalar
from hqre_jax.equilibrium._linearization import defect, dense_jacobian, slopes_by_logits
from hqre_jax.problem import Problem


def rationality(problem: Problem) -> Scalar:
    """``Λ = max_{i,x} range_i/τ_i(x)``, at least 1: the length of the path in t."""
    xp = namespace(problem.tau)
    width = problem.game.payoff_range()[:, None]
    ratio = xp.where(xp.any(problem.mask, axis=-1), width / problem.tau, 0.0)
    return xp.maximum(xp.max(ratio), 1.0)


def unit(problem: Problem) -> Scalar:
    """√m, by which logits are divided."""
    xp = namespace(problem.tau)
    return xp.sqrt(xp.sum(xp.any(problem.mask, axis=-1)).astype(problem.game.dtype))


def point_of(problem: Problem, logits: LogPolicy, position: Scalar) -> Float[Array, " n_plus_1"]:
    """The point ``(z/√m, t)``."""
    xp = namespace(logits, position)
    return xp.append(center(logits, problem.mask).ravel() / unit(problem), position)


def logits_of(problem: Problem, point: Float[Array, " n_plus_1"]) -> LogPolicy:
    """The logits z of a point, or its change along a direction."""
    return (point[:-1] * unit(problem)).reshape(problem.mask.shape)


def policy_of(problem: Problem, point: Float[Array, " n_plus_1"]) -> Policy:
    """The policy at a point."""
    return problem.policy(logits_of(problem, point))


def equation(problem: Problem, point: Float[Array, " n_plus_1"]) -> Float[Array, " n"]:
    """``H/√m`` at a point, whose norm is that of the curve."""
    off = defect(problem.at_scale(point[-1] / rationality(problem)), logits_of(problem, point))
    return off.ravel() / unit(problem)


def equation_with_jacobian(
    problem: Problem, point: Float[Array, " n_plus_1"]
) -> tuple[Float[Array, " n"], Float[Array, "n n_plus_1"]]:
    """``H/√m`` at a point and its Jacobian; in numpy, which differentiates nothing, by its formula."""
    if namespace(point) is not np:
        return dense_jacobian(lambda moved: equation(problem, moved), point)
    goal, logits, mask = rationality(problem), logits_of(problem, point), problem.mask
    worth, slopes, by_scale = slopes_by_logits(problem.at_scale(point[-1] / goal), logits)
    off = logits - center(problem.response_to(worth), mask)
    columns: Any = np.moveaxis(np.asarray(slopes), -1, 0) / problem.tau[..., None]
    valid: Any = np.broadcast_to(mask, columns.shape)
    by_logits = np.eye(logits.size) - center(columns, valid).reshape(logits.size, -1).T
    by_position = -center(by_scale / problem.tau[..., None], mask).ravel() / (goal * unit(problem))
    jacobian: Any = np.column_stack([by_logits, by_position])
    return off.ravel() / unit(problem), jacobian
