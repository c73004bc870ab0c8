"""How an equilibrium moves with each payoff of its game: the gradient that carries sampling errors."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hqre_jax.core._simplex import center
from hqre_jax.core._types import LogPolicy
from hqre_jax.equilibrium._implicit_gradient import reattach
from hqre_jax.problem import Problem


def log_policy_gradient(problem: Problem, log_policy: LogPolicy, leaf: str) -> Float[Array, "entry ..."]:
    """``∂ log π / ∂θ`` at an HQRE, by the implicit function theorem, for an array θ of the game.

    Args:
        problem: The problem.
        log_policy: Its solution, ``(player, information state, action)``.
        leaf: The game's attribute θ: ``"payoffs"`` or ``"prior"``.

    Returns:
        Derivatives ``(entry, *θ.shape)``, entries in the order of the flattened policy, padding 0; in units of
        one over those of θ.
    """
    logits = center(log_policy, problem.mask)

    def equilibrium(theta):
        moved = eqx.tree_at(lambda p: getattr(p.game, leaf), problem, theta)
        return moved.log_policy(reattach(moved.centered(), logits)).ravel()

    return jax.jacrev(equilibrium)(getattr(problem.game, leaf))


def log_policy_curvature(
    problem: Problem, log_policy: LogPolicy, directions: Float[Array, "direction ..."]
) -> Float[Array, "direction entry"]:
    """``d²/ds² log π(u + s·d)`` at s = 0 of an HQRE, for directions d of the payoffs; padding 0.

    Args:
        problem: The problem.
        log_policy: Its solution, ``(player, information state, action)``.
        directions: ``(direction, *payoffs.shape)``, units of payoff.

    Returns:
        Second derivatives, entries in the order of the flattened policy.
    """
    logits = center(log_policy, problem.mask)

    def equilibrium(theta):
        moved = eqx.tree_at(lambda p: p.game.payoffs, problem, theta)
        return moved.log_policy(reattach(moved.centered(), logits)).ravel()

    def along(direction):
        def slope(theta):
            return jax.jvp(equilibrium, (theta,), (direction,))[1]

        return jax.jvp(slope, (problem.game.payoffs,), (direction,))[1]  # pyright: ignore[reportAttributeAccessIssue]

    return jax.vmap(along)(directions)


def play_variances(
    gradient: Float[Array, "entry player profile"],
    covariances: Float[Array, "player player profile"],
) -> Float[Array, "entry entry profile"]:
    """``c_ef(a) = g_e(a)ᵀ S(a) g_f(a)``: what one play of a profile adds to the covariance of n times the mean."""
    return jnp.einsum("eia,ija,fja->efa", gradient, covariances, gradient)
