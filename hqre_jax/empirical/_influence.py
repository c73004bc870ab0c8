"""How an equilibrium moves with each payoff of its game: the gradient that carries sampling errors."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

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
    return jax.jacrev(_equilibrium(problem, log_policy, leaf))(getattr(problem.game, leaf))


def log_policy_gradient_of(problem: Problem, log_policy: LogPolicy, entry: Int[Array, ""]) -> Float[Array, "..."]:
    """``∂ log π_e / ∂u`` of one entry, of the flattened policy, by the payoffs.

    Args:
        problem: The problem.
        log_policy: Its solution, ``(player, information state, action)``.
        entry: Which.

    Returns:
        Derivatives in the shape of the payoffs.
    """
    return jax.grad(lambda theta: _equilibrium(problem, log_policy, "payoffs")(theta)[entry])(
        problem.game.payoffs  # pyright: ignore[reportAttributeAccessIssue]
    )


def _equilibrium(problem: Problem, log_policy: LogPolicy, leaf: str) -> Callable[[Array], Float[Array, " entry"]]:
    """``log π`` as a function of an array of the game, with the derivatives of the exact one."""
    logits = center(log_policy, problem.mask)

    def equilibrium(theta):
        moved = eqx.tree_at(lambda p: getattr(p.game, leaf), problem, theta)
        return moved.log_policy(reattach(moved.centered(), logits)).ravel()

    return equilibrium


def play_variances(
    gradient: Float[Array, "entry player profile"],
    covariances: Float[Array, "player player profile"],
) -> Float[Array, "entry entry profile"]:
    """``c_ef(a) = g_e(a)ᵀ S(a) g_f(a)``: what one play of a profile adds to the covariance of n times the mean."""
    return jnp.einsum("eia,ija,fja->efa", gradient, covariances, gradient)
