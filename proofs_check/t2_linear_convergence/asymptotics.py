"""Mirror updates next to the HQRE: their Jacobian, its spectrum, and the step at which they cease to be stable."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hqre_jax.core._simplex import center, mirror_step
from hqre_jax.core._types import LogPolicy, Scalar, StateValues
from proofs_check.numerics import accuracy
from proofs_check.play.mirror import Known

_NUM_STEPS = 8
# How far beyond the first step, as a factor, a boundary is looked for, and how closely it is located.
_FARTHEST, _BISECTIONS = 1e4, 60


class Local(NamedTuple):
    """What is known of the update near π*; analysed outside compiled code.

    Attributes:
        jacobian: J at π*, on centred logits.
        jacobian_error: Bound on the 2-norm of its error.
        projection: P, which makes logits centred.
        damping: ``ητ/(1+ητ)``.
        errors: e_k of a run that starts next to π*, one more than steps.
        curvature: K of T2 (c).
        step_error: Bound on the error of one step in logits, π*'s own included.
    """

    jacobian: Float[Array, "n n"]
    jacobian_error: Scalar
    projection: Float[Array, "n n"]
    damping: StateValues
    errors: Float[Array, "time n"]
    curvature: Scalar
    step_error: Scalar


def around(known: Known, eta: Scalar, disturbance: LogPolicy) -> Local:
    """The update near π*.

    Args:
        known: The game and its HQRE.
        eta: η.
        disturbance: What is added to the logits of π* at the start of the run.

    Returns:
        Its derivative, and a run.
    """
    problem, weights, star, off = known
    mask = problem.mask
    damping = (eta * problem.tau) / (1 + eta * problem.tau)

    def update(z):
        z = center(z.reshape(mask.shape), mask)
        return center(mirror_step(z, problem.response_logits(problem.log_policy(z)), eta * problem.tau), mask).ravel()

    centred, away = center(star, mask).ravel(), center(disturbance, mask).ravel()
    jacobian = jax.jacfwd(update)(centred)
    _, path = jax.lax.scan(lambda z, _: (update(z),) * 2, centred + away, length=_NUM_STEPS)

    agents = problem.game.num_players
    ratio = jnp.max(accuracy.used(problem) * damping * problem.game.payoff_range()[:, None] / problem.tau)
    curvature = agents * (agents - 1) * ratio
    rounding = jnp.max(accuracy.used(problem) * accuracy.logit_rounding(problem, star, damping))
    defect = jnp.max(jnp.abs(update(centred) - centred))
    # Logits of π̂ and π* differ by at most the ratio times the policies' distance, plus the defect.
    least = jnp.min(jnp.where(mask.any(-1), weights, jnp.inf))
    logits_off = ratio * agents * off / jnp.sqrt(least) + defect / jnp.min(jnp.where(mask.any(-1), damping, 1.0))
    return Local(
        jacobian=jacobian,
        jacobian_error=mask.size * (curvature * logits_off + rounding),
        projection=jax.jacfwd(lambda z: center(z.reshape(mask.shape), mask).ravel())(centred),
        damping=damping,
        errors=jnp.concatenate([away[None], path - centred[None]]),
        curvature=curvature,
        step_error=2 * (rounding + defect),
    )


class Spectrum(NamedTuple):
    """Spectral radius of each game's J, a bound on its error, and a left eigenvector that belongs to it."""

    radius: np.ndarray
    error: np.ndarray
    left: np.ndarray


def spectrum(local: Local) -> Spectrum:
    """Eigenvalues by LAPACK, errors by Bauer & Fike: at most the condition of the eigenvectors times ‖ΔJ‖₂.

    LAPACK's own backward error is taken as ``16 n eps ‖J‖_F``.
    """
    size = local.jacobian.shape[-1]
    values, vectors = np.linalg.eig(np.swapaxes(local.jacobian, -1, -2))
    top = np.argmax(np.abs(values), axis=-1)
    radius = np.abs(values)[np.arange(len(top)), top]
    left = np.take_along_axis(vectors, top[:, None, None], axis=-1)[..., 0]
    backward = 16 * size * accuracy.EPS * np.linalg.norm(local.jacobian, axis=(-2, -1))
    with np.errstate(all="ignore"):
        error = np.linalg.cond(vectors) * (local.jacobian_error + backward)
    return Spectrum(radius, np.where(np.isfinite(error), error, np.inf), left)


def stability_boundary(local: Local, tau: np.ndarray, step: np.ndarray) -> np.ndarray:
    """The step at which the spectral radius of the update's Jacobian at π* is 1, as measured.

    ``J(η) = (P + diag(ητ) R)/(1 + ητ)``, R the Jacobian of the response, which J at any one step reveals.

    Args:
        local: Of each game, at a stable step.
        tau: Temperatures, axes (game, player, state).
        step: That step.

    Returns:
        A step at which stability is lost, by bisection; inf where there is none up to ten thousand times ``step``.
    """

    def by_entry(values: np.ndarray) -> np.ndarray:
        flat = np.asarray(values).reshape(len(step), -1)
        return np.repeat(flat, local.jacobian.shape[-1] // flat.shape[1], axis=1)[..., None]

    damping, tau = by_entry(local.damping), by_entry(tau)
    response = (local.jacobian - (1 - damping) * local.projection) / damping

    def stable(eta: np.ndarray) -> np.ndarray:
        part = 1 - 1 / (1 + eta[:, None, None] * tau)
        return np.abs(np.linalg.eigvals((1 - part) * local.projection + part * response)).max(axis=-1) <= 1

    low, high = step, _FARTHEST * step
    none = stable(high)
    for _ in range(_BISECTIONS):
        middle = np.sqrt(low * high)
        inside = stable(middle)
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return np.where(none, np.inf, high)
