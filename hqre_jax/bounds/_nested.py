"""Nested contraction of Markov games whose stage games have a margin (theory.md, T4, last line)."""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hqre_jax.bounds._continuing import swings, widths
from hqre_jax.bounds._matrices import double_difference, largest_eigenvalue
from hqre_jax.core._types import PerPlayer, Scalar
from hqre_jax.games._world_states import AbstractWorldStateGame
from hqre_jax.problem import Problem

# Entries that the double differences of all transition rows may take.
_LIMIT = 2**22


class Nested(NamedTuple):
    """What decides whether nested iteration contracts, at weights w.

    Attributes:
        margin: κ, rounded down: every stage game whose continuation values lie in the box of T4 has this margin.
        reach: ``G = ‖W^{1/2} B W^{-1/2}‖_F``, rounded up, units of payoff.
        factor: ``γ (1 + G/κ)``, rounded up; inf where κ ≤ 0.

    Example:
        >>> import jax.numpy as jnp
        >>> import hqre_jax as hq
        >>> game = hq.load_game("dynamic_prisoners_dilemma")
        >>> found = hq.bounds.nested_constants(hq.Problem(game, 100.0), game, jnp.ones(2))
        >>> found.margin.round(3).item(), found.factor.item()
        (-92.5, inf)
    """

    margin: Scalar
    reach: Scalar
    factor: Scalar


def nested_factor(problem: Problem, game: AbstractWorldStateGame) -> Scalar:
    """The factor of `nested_constants`, the better of two choices of w: equal, and inverse to the boxes' widths.

    Where it is below 1 a ``soft`` Markov game has one stationary HQRE. inf where nothing is known: another
    continuation, γ = 1, or a game too large to look through.

    Args:
        problem: The problem.
        game: Its game by world states.

    Returns:
        ``γ (1 + G/κ)``, rounded up, a pure number.

    Source: theory.md, T4.

    Example:
        >>> import hqre_jax as hq
        >>> game = hq.load_game("dynamic_prisoners_dilemma")
        >>> [hq.bounds.nested_factor(hq.Problem(game, tau), game).round(3).item() for tau in (60.0, 5000.0)]
        [inf, 0.843]
    """
    kernel, payoffs = game.world_transitions(), game.world_payoffs()
    largest = max(payoffs.shape[2:])
    if problem.continuation != "soft" or kernel is None or kernel.size * largest**3 > _LIMIT:
        return jnp.asarray(jnp.inf, payoffs.dtype)
    width = widths(problem, game)
    scale = jnp.where(width > 0, width, 1.0)
    choices = jnp.stack([jnp.ones_like(width), jnp.min(scale) / scale])
    factors = jax.vmap(lambda w: nested_constants(problem, game, w).factor)(choices)
    return jnp.where(game.discount_factor() < 1, jnp.min(factors), jnp.inf)


def nested_constants(problem: Problem, game: AbstractWorldStateGame, weights: PerPlayer) -> Nested:
    """κ, G and ``γ (1 + G/κ)`` of a ``soft`` Markov game at weights w common to all states.

    Play the stage game ``u_i(s, ·) = r_i + γ P V_i`` to its equilibrium π(V) at every state, then back up
    ``V_i⁺(s) = τ_i LSE(Q_i/τ_i + log ρ_i)``. Stationary HQRE are the fixed points of this map.

    *Proof that it contracts.* Let V, V' lie in the box of T4 and let every stage game there have margin κ > 0 at
    common weights w. The two variational inequalities, added, give ``κ ‖d(s)‖_w² ≤ Σ_i w_i ⟨Q_i(π', V) − Q_i(π', V'),
    d_i⟩ ≤ γ Σ_i w_i ‖ΔV_i‖_∞ ‖d_i(s)‖₁`` for ``d = π(V) − π(V')`` at every s, hence ``‖d(s)‖_w ≤ γ ‖ΔV‖ / κ`` with
    ``‖ΔV‖² = Σ_i w_i ‖ΔV_i‖_∞²``. LSE is 1-Lipschitz, so ``|ΔV_i⁺(s)| ≤ γ ‖ΔV_i‖_∞ + Σ_j B_ij ‖d_j(s)‖₁``. Take the
    supremum over s for each i on its own, multiply by ``√w_i``, use Cauchy–Schwarz in the row i of
    ``W^{1/2} B W^{-1/2}`` and Minkowski over i: ``‖ΔV⁺‖ ≤ γ ‖ΔV‖ + G γ ‖ΔV‖ / κ``. ∎

    Stage interactions over the box: ``dd(w_i u_i + w_j u_j) ≤ dd(w_i r_i + w_j r_j) + γ (w_i width_i + w_j width_j)
    ½ max ‖dd P‖₁``, because the entries of ``dd P`` sum to 0 over next states.

    Args:
        problem: A ``soft`` problem with γ < 1.
        game: Its game.
        weights: w > 0, one per player.

    Returns:
        The constants.

    Source: theory.md, T4.

    Example:
        >>> import jax.numpy as jnp
        >>> import hqre_jax as hq
        >>> game = hq.load_game("dynamic_prisoners_dilemma")
        >>> found = hq.bounds.nested_constants(hq.Problem(game, 5000.0), game, jnp.ones(2))
        >>> found.margin.round(3).item(), found.reach.round(3).item(), found.factor.round(3).item()
        (4807.5, 593.97, 0.843)
    """
    payoffs, width, w = game.world_payoffs() * problem.scale, widths(problem, game), weights
    gamma, players, dtype = game.discount_factor(), game.num_players, payoffs.dtype
    eps, root = jnp.finfo(dtype).eps, jnp.sqrt(w)
    common = jnp.zeros((payoffs.shape[1], players, players), dtype)
    for i, j in itertools.combinations(range(players), 2):
        total = w[i] * payoffs[i] + w[j] * payoffs[j]
        matrices = jnp.moveaxis(total, (i + 1, j + 1), (-2, -1))
        matrices = matrices.reshape(len(total), -1, *matrices.shape[-2:])
        masks = [
            jnp.broadcast_to(game.action_mask[k, :, None, :size], (*matrices.shape[:2], size))
            for k, size in ((i, payoffs.shape[i + 2]), (j, payoffs.shape[j + 2]))
        ]
        now = jnp.max(double_difference(matrices, *masks), axis=1) + 16 * eps * jnp.max(jnp.abs(total))
        later = gamma * (w[i] * width[i] + w[j] * width[j]) * _twist(game, i, j)
        entry = 0.25 * (now + later) / (root[i] * root[j]) * (1 + 64 * eps)
        common = common.at[:, i, j].set(entry).at[:, j, i].set(entry)
    tau = problem.tau.T
    highest = jnp.max(tau)
    matrices = jnp.eye(players, dtype=dtype)[None] * (highest - tau)[:, :, None] + 0.5 * common
    kappa = highest - jnp.max(largest_eigenvalue(matrices)) - 4 * eps * highest
    influence = 0.5 * swings(problem, game) * (1 - jnp.eye(players, dtype=dtype))
    reach = jnp.sqrt(jnp.sum((influence * root[:, None] / root[None, :]) ** 2)) * (1 + 64 * players**2 * eps)
    factor = gamma * (1 + reach / jnp.where(kappa > 0, kappa, 1.0)) * (1 + 16 * eps)
    return Nested(kappa, reach, jnp.where(kappa > 0, factor, jnp.inf))


def _twist(game: AbstractWorldStateGame, i: int, j: int) -> Float[Array, " state"]:
    """``½ max ‖P(a,b) − P(a',b) − P(a,b') + P(a',b')‖₁`` at each state, rounded up; masked actions count too."""
    kernel = game.world_transitions()
    assert kernel is not None
    rows = jnp.moveaxis(kernel, (i + 1, j + 1), (-3, -2))
    rows = rows.reshape(len(kernel), -1, *rows.shape[-3:])
    change = rows[:, :, :, None] - rows[:, :, None, :]
    change = change[..., :, None, :] - change[..., None, :, :]
    size = 0.5 * jnp.max(jnp.sum(jnp.abs(change), axis=-1), axis=(1, 2, 3, 4, 5))
    return size * (1 + kernel.shape[-1] * jnp.finfo(size.dtype).eps) + 16 * jnp.finfo(size.dtype).eps
