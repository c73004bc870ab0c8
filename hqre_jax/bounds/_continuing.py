"""Contraction of games that go on (theory.md, T4)."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from hqre_jax.bounds._matrices import spectral_radius
from hqre_jax.core._types import Scalar
from hqre_jax.games._world_states import AbstractWorldStateGame, legal_actions
from hqre_jax.problem import Problem


def continuing_contraction(problem: Problem, game: AbstractWorldStateGame) -> Scalar:
    """Factor q of T4: two HQRE would be two fixed points of a contraction.

    ``zero_sum``: γ, the factor of the regularised Shapley operator. ``soft``: ``spr(γI + B diag(1/τ))``. ``plain``:
    ``spr(γ diag(c) + B diag(1/τ))``, where ``c_i`` is the sup-norm Lipschitz constant of the on-policy backup
    ``Q ↦ ⟨softmax(Q/τ + log ρ), Q⟩``.

    *Proof of the plain factor.* The backup's derivative has entries ``p_a (1 + y_a)``, ``y_a = (Q_a − ⟨p,Q⟩)/τ``, of
    sum 1 and ℓ₁ norm ``1 + 2 E_p(−1−y)⁺``. Under p, y has mean 0 and lies in an interval of length
    ``R = span(Q)/τ``; the convex ``(−1−y)⁺`` is largest for two-point laws at its ends, ``(R−s)(s−1)/R`` with
    lower end −s, that is ``(R−1)²/(4R)`` at most (0 if R ≤ 1). Hence ``c = 1 + max(R−1, 0)²/(2R)`` over the
    convex set of Q with that span, which Q-iteration maps into itself together with the box of T4; the rest is T4's
    own estimate of the others' part. ∎

    Everywhere ``τ_j`` is its least over j's states and worlds include those of probability zero.
    """
    gamma = game.discount_factor()
    inside = gamma < 1
    if problem.continuation == "zero_sum":
        return jnp.where(inside, gamma, jnp.nan)
    swing, tau = swings(problem, game), jnp.min(problem.tau, axis=1)
    eye = jnp.eye(game.num_players, dtype=tau.dtype)
    stretch = jnp.ones_like(tau)
    if problem.continuation == "plain":
        ratio = jnp.diag(swing) / tau
        excess = jnp.maximum(ratio - 1, 0.0)
        stretch = 1 + excess**2 / (2 * jnp.maximum(ratio, 1.0))
    matrix = gamma * jnp.diag(stretch) + 0.5 * swing * (1 - eye) / tau[None, :]
    return jnp.where(inside, spectral_radius(jnp.where(inside, matrix, 0.0)), jnp.nan)


def widths(problem: Problem, game: AbstractWorldStateGame) -> Float[Array, " player"]:
    """Width of the box ``[min r_i, max r_i]/(1−γ)`` that holds V_i, Shannon's ``τ log A`` added under ``soft``."""
    high, low = _extremes(problem, game)
    width = high - low
    if problem.continuation == "soft":
        used, offset = jnp.any(problem.mask, axis=-1), problem.scale * problem.entropy_offset
        offsets = jnp.where(used, offset, -jnp.inf), jnp.where(used, offset, jnp.inf)
        width = width + jnp.max(offsets[0], axis=1) - jnp.min(offsets[1], axis=1)
    return width / (1 - game.discount_factor())


def _extremes(
    problem: Problem, game: AbstractWorldStateGame
) -> tuple[Float[Array, " player"], Float[Array, " player"]]:
    """Largest and smallest payoff of each player over what may be done."""
    payoffs = game.world_payoffs() * problem.scale
    legal = legal_actions(game.action_mask, game.information_map(), payoffs.shape[2:])
    axes = tuple(range(1, payoffs.ndim))
    high = jnp.max(jnp.where(legal[None], payoffs, -jnp.inf), axis=axes)
    return high, jnp.min(jnp.where(legal[None], payoffs, jnp.inf), axis=axes)


def swings(problem: Problem, game: AbstractWorldStateGame) -> Float[Array, "player player"]:
    """``max_{w,a,a_j'} [|Δr_i| + γ width(V_i) TV]`` when j alone changes its action (i = j included), rounded up."""
    payoffs, kernel = game.world_payoffs() * problem.scale, game.world_transitions()
    gamma, players = game.discount_factor(), game.num_players
    legal = legal_actions(game.action_mask, game.information_map(), payoffs.shape[2:])
    width = widths(problem, game)
    high, low = _extremes(problem, game)

    def of_mover(j: int) -> Float[Array, " player"]:
        pays = jnp.moveaxis(payoffs, j + 2, -1)
        change = jnp.abs(pays[..., :, None] - pays[..., None, :])
        if kernel is not None:
            rows = jnp.moveaxis(kernel, j + 1, -2)
            distance = 0.5 * jnp.sum(jnp.abs(rows[..., :, None, :] - rows[..., None, :, :]), axis=-1)
            change = change + gamma * width.reshape(-1, *(1,) * distance.ndim) * distance[None]
        may = jnp.moveaxis(legal, j + 1, -1)
        may = may[..., :, None] & may[..., None, :]
        return jnp.max(jnp.where(may[None], change, 0.0), axis=tuple(range(1, change.ndim)))

    swing = jnp.stack([of_mover(j) for j in range(players)], axis=1)
    eps, top = jnp.finfo(payoffs.dtype).eps, jnp.maximum(jnp.abs(high), jnp.abs(low))
    count = kernel.shape[-1] if kernel is not None else 0
    return swing * (1 + 4 * (count + 8) * eps) + 8 * eps * top[:, None]
