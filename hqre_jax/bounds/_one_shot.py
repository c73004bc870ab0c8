"""Margin and contraction of games in which everybody moves once and at once (theory.md §3, T1, T2)."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Bool, Float

from hqre_jax.bounds._edgewise import edgewise_constants
from hqre_jax.bounds._interactions import Interactions, Matrix, Vector, interactions_under, laws_of
from hqre_jax.bounds._matrices import largest_eigenvalue, perron
from hqre_jax.core._namespace import Array, each, namespace, product, repeated
from hqre_jax.problem import Problem, early_or_compiled

Scalar = Float[Array, ""]
# Comparisons that the search for weights may cost in all, its largest number of steps, and the comparisons that
# all candidates may make at once.
_SEARCH_LIMIT, _SEARCH_STEPS, _AT_ONCE = 2**24, 40, 2**20
# Decision points beyond which no matrix between them is formed.
_MATRIX_LIMIT = 128


class Bounds(NamedTuple):
    """What can be proved of a problem from its payoffs and temperatures alone; nan where nothing is.

    Attributes:
        margin: κ of theory.md §3, less rounding; units of payoff. nan unless everybody moves once and at once.
        weights: The ``w_x`` that prove it, summing to N; 0 at padding and at types of probability zero.
        lipschitz: ``L = ‖W^{1/2} Λ W^{-1/2}‖₂`` at these weights, units of payoff.
        max_step: Largest step ``κ/L²`` of T2, per unit of payoff; inf if L = 0, nan if κ ≤ 0.
        contraction: Contraction factor of the logit map (T1) or of soft Q-iteration (T4), a pure number.
        unique: Whether ``margin > 0``, ``contraction < 1`` or, in Markov games, the contraction of nested iteration
            (T4) proves that there is exactly one HQRE. Types of
            probability zero answer each other under uniform beliefs; their replies must be unique too.

    Example:
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> known = hq.bounds.bounds(hq.Problem(game, 8.0))
        >>> round(float(known.lipschitz), 3), round(float(known.max_step), 3)
        (1.5, 2.889)
    """

    margin: Scalar
    weights: Float[Array, "player state"]
    lipschitz: Scalar
    max_step: Scalar
    contraction: Scalar
    unique: Bool[Array, ""]


def one_shot_bounds(problem: Problem) -> Bounds:
    """Bounds under the prior; decision points that it never reaches must pass under the uniform law they believe in.

    Reached points do not answer to unreached ones, so the logit map is block triangular: its contraction factor is
    the larger of the two, and one HQRE of the reached leaves a game among the unreached.
    """
    xp = namespace(problem.tau)
    groups, laws, reach = laws_of(problem)
    used, tau = xp.any(problem.game.action_mask, axis=-1).ravel(), problem.tau.ravel()
    reached = used & (reach[0] > 0)

    def under(law: Float[Array, " m"], p: Vector, keep: Bool[Array, " n"]) -> tuple[Scalar, Vector, Scalar, Scalar]:
        return _constants(Interactions(groups, law, xp.where(keep, p, 1.0), keep), xp.where(keep, tau, 1.0))

    if len(laws) == 1:
        margin, weights, lipschitz, contraction = (part[None] for part in under(laws[0], reach[0], reached))
    else:
        kept = xp.stack([reached, used & ~reached])
        margin, weights, lipschitz, contraction = each(xp, under, laws, reach, kept)
    kappa, steepness = margin[0], lipschitz[0]
    divisor = xp.where(steepness > 0, steepness, 1.0)
    step = xp.where(steepness > 0, kappa / divisor / divisor, xp.inf)
    return Bounds(
        margin=kappa,
        weights=(weights[0] * problem.game.num_players / xp.sum(weights[0])).reshape(problem.tau.shape),
        lipschitz=steepness,
        max_step=xp.where(kappa > 0, step, xp.nan),
        contraction=xp.max(contraction),
        unique=xp.all((margin > 0) | (contraction < 1)),
    )


def _constants(interactions: Interactions, tau: Vector) -> tuple[Scalar, Vector, Scalar, Scalar]:
    """κ, w, L and the contraction factor among the decision points that are kept."""
    xp = namespace(tau)
    if tau.size > _MATRIX_LIMIT:
        return edgewise_constants(interactions, tau)
    p, keep = interactions.reach, interactions.keep
    eps = jnp.finfo(tau.dtype).eps
    joint = interactions.own()
    lam = joint / p[:, None]
    contraction, x, y = perron(lam / tau[:, None])
    starts = xp.stack([xp.zeros_like(tau), xp.log(y / (tau * x * p)), _cancelling(joint)])
    log_v, matrices = _descend(interactions, tau, xp.where(xp.isfinite(starts) & keep[None, :], starts, 0.0))
    weights = xp.where(keep[None, :], xp.exp(log_v) * p[None, :], 0.0)
    root = xp.sqrt(xp.where(keep[None, :], weights, 1.0))
    weighted = lam[None] * (root[:, :, None] / root[:, None, :])
    # Squares of large payoffs are no numbers: the scale is put back after the root.
    scale = xp.max(weighted, initial=0.0)
    weighted = weighted / xp.where(scale > 0, scale, 1.0)
    gram = product(xp, xp.swapaxes(weighted, 1, 2), weighted)
    radii, squares = xp.split(largest_eigenvalue(xp.concatenate([matrices, gram])), 2)
    highest = xp.max(xp.where(keep, tau, 0.0))
    margins = highest - radii - 4 * eps * highest
    best = xp.argmax(xp.where(xp.isnan(margins), -xp.inf, margins))
    lipschitz = scale * xp.sqrt(squares[best]) * (1 + (tau.size + 9) * eps)
    return margins[best], weights[best], lipschitz, contraction


def cancelling_scales(problem: Problem) -> Vector:
    """Multipliers ``log v`` of decision points that cancel zero-sum interactions of any scale.

    Args:
        problem: A problem in which everybody moves once and at once.

    Returns:
        ``log v``, one per decision point; what is added to all of them changes nothing.

    Example:
        >>> import jax.numpy as jnp
        >>> import hqre_jax as hq
        >>> pennies = hq.load_game("matching_pennies").payoffs
        >>> scales = hq.bounds.cancelling_scales(hq.Problem(hq.NormalFormGame([pennies[0], 4 * pennies[1]]), 1.0))
        >>> jnp.exp(scales[0] - scales[1]).round(3).item()
        4.0
    """
    return _scales(problem.centered())


@early_or_compiled
def _scales(problem: Problem) -> Vector:
    interactions = interactions_under(problem, 0)
    assert interactions is not None
    return _cancelling(interactions.own())


def _cancelling(joint: Matrix) -> Vector:
    """The least-squares solution ``log v`` of ``v_x J_xy = v_y J_yx``.

    It is exact on trees and for zero-sum games of any scale: it cancels their interactions.
    """
    xp, eps = namespace(joint), jnp.finfo(joint.dtype).eps
    # What rounding alone can make is no interaction to be cancelled.
    meet = xp.minimum(joint, joint.T) > 1e3 * eps * xp.max(joint)
    ratio = xp.where(meet, xp.log(xp.where(meet, joint / joint.T, 1.0)), 0.0)
    # The right side is orthogonal to the kernel of the Laplacian, which holds a constant for each component.
    values, vectors = xp.linalg.eigh(xp.diag(xp.sum(meet, axis=1)) - meet.astype(joint.dtype))
    inverse = xp.where(values > 64 * len(joint) * eps, 1 / values, 0.0)
    return -vectors @ (inverse * (vectors.T @ xp.sum(ratio, axis=1)))


def _descend(
    interactions: Interactions, tau: Vector, starts: Float[Array, "k n"]
) -> tuple[Float[Array, "c n"], Float[Array, "c n n"]]:
    """Candidates for ``log v``, starts and ends of descents, with the matrices A whose radii give their margins.

    ``C_xy = ¼ Σ_w P(w) max dd(v_x u_i + v_y u_j)``, ``w_x = v_x P(x)``. With s = max τ the matrix ``A = diag(s − τ) +
    ½ W^{-1/2} C W^{-1/2}`` is non-negative and symmetric, so that ``κ = λ_min(W^{-1/2} M W^{-1/2}) = s − spr(A)``,
    and spr(A) is quasi-convex in v. The descent takes normalised subgradient steps of geometric length on ``log v``;
    for two decision points this is bisection. The subgradient is that of ``z' A z`` at the Perron vector z, followed
    by a few power iterations per step. C_xy is homogeneous of degree 1 in ``(v_x, v_y)``, so of each pair one
    derivative is needed. Where no more than one step can be afforded, the starts are all there is.
    """
    xp, p, keep = namespace(tau), interactions.reach, interactions.keep
    excess = xp.diag(xp.where(keep, xp.max(xp.where(keep, tau, 0.0)) - tau, 0.0))
    count, tiny = len(starts), jnp.finfo(tau.dtype).tiny
    at_once = 2 * count * interactions.work <= _AT_ONCE
    steps = max(1, min(_SEARCH_STEPS, _SEARCH_LIMIT // (2 * count * interactions.work + 1)))

    def scale_of(log_v: Float[Array, "*c n"]) -> Float[Array, "*c n n"]:
        root = xp.sqrt(xp.exp(log_v) * xp.broadcast_to(p, log_v.shape))
        return 0.5 / (root[..., :, None] * root[..., None, :])

    if steps == 1:
        # Only the starts can be afforded.
        return starts, each(xp, lambda v: excess + interactions.common(xp.exp(v)) * scale_of(v), starts, at_once=False)

    def matrices_and_pulls(log_v: Float[Array, "*c n"]) -> tuple[Float[Array, "*c n n"], Float[Array, "*c n n"]]:
        common, pull = interactions.common_and_pull(xp.exp(log_v))
        scale = scale_of(log_v)
        return xp.broadcast_to(excess, scale.shape) + common * scale, pull * scale

    def step(k, state):
        log_v, z, first, _, _ = state
        matrix, pull = matrices_and_pulls(log_v) if at_once else each(xp, matrices_and_pulls, log_v, at_once=False)
        shift = xp.maximum(xp.max(xp.sum(matrix, axis=2), axis=1), tiny)[:, None]
        gradient = z * xp.einsum("kxy,ky->kx", pull, z)
        gradient = xp.where(keep[None, :] & xp.isfinite(gradient), gradient, 0.0)
        size = xp.max(xp.abs(gradient), axis=1, keepdims=True)
        for _ in range(3):
            z = z + xp.einsum("kxy,ky->kx", matrix, z) / shift
        # The floor lets a component that was harmless until now come back into sight.
        z = xp.where(keep[None, :], xp.maximum(z / xp.maximum(xp.max(z, axis=1, keepdims=True), tiny), 1e-3), 0.0)
        moved = log_v - 0.7**k * gradient / xp.where(size > 0, size, 1.0)
        return moved, z, xp.where(k == 0, matrix, first), log_v, matrix

    z = xp.broadcast_to(keep[None, :], starts.shape).astype(tau.dtype)
    blank = xp.zeros((*starts.shape, tau.size), tau.dtype)
    _, _, first, ends, last = repeated(xp, steps, step, (starts, z, blank, starts, blank))
    return xp.concatenate([starts, ends]), xp.concatenate([first, last])
