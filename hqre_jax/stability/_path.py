"""How a run of policies moved: swinging to and fro, wandering, or arriving. Exact; no payoffs are needed."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Float

from hqre_jax.core._namespace import Array, namespace
from hqre_jax.core._programs import compiled_later, few_so_far
from hqre_jax.core._temperatures import as_float_array
from hqre_jax.core._types import InputError, StateValues


def oscillation_index(policies: Any) -> StateValues:
    """Cosine of successive steps of each decision point, weighted with their lengths.

    ``Σ_k ⟨s_k, s_{k+1}⟩ / Σ_k ‖s_k‖ ‖s_{k+1}‖`` with ``s_k = π^{k+1}_x − π^k_x``: −1 for play that jumps to and fro, 1
    for play that goes one way, about −½ for independent noise about a fixed point. Convergence may oscillate too:
    the index says how play moves, not whether it settles.

    Args:
        policies: π^0, …, π^K, ``(time, player, information state, action)``, K ≥ 2.

    Returns:
        The index in [−1, 1], ``(player, information state)``; 0 where nothing moved twice.

    Raises:
        InputError: If there are fewer than three policies.

    Example:
        >>> import hqre_jax as hq
        >>> to_and_fro = [[[[0.9, 0.1]]], [[[0.1, 0.9]]], [[[0.9, 0.1]]], [[[0.1, 0.9]]]]
        >>> print(hq.stability.oscillation_index(to_and_fro).round(3))
        [[-1.]]
    """
    return _oscillation(_path(policies, 3))


@compiled_later(few_so_far)
def _oscillation(path: Float[Array, "time player state action"]) -> StateValues:
    xp, steps = namespace(path), path[1:] - path[:-1]
    length = xp.linalg.norm(steps, axis=-1)
    turns = xp.sum(xp.sum(steps[1:] * steps[:-1], axis=-1), axis=0)
    sizes = xp.sum(length[1:] * length[:-1], axis=0)
    return xp.where(sizes > 0, turns / xp.where(sizes > 0, sizes, 1.0), 0.0)


def drift_index(policies: Any) -> StateValues:
    """Path length over displacement, ``Σ_k ‖s_k‖ / ‖π^K_x − π^0_x‖``, of each decision point.

    1 for play that goes straight; of order √K for a random walk, K for oscillation; infinite for play that ends
    where it began.

    Args:
        policies: π^0, …, π^K, ``(time, player, information state, action)``, K ≥ 1.

    Returns:
        The index, at least 1, ``(player, information state)``; 1 where nothing moved.

    Raises:
        InputError: If there are fewer than two policies.

    Example:
        >>> import hqre_jax as hq
        >>> to_and_fro = [[[[0.9, 0.1]]], [[[0.1, 0.9]]], [[[0.9, 0.1]]], [[[0.1, 0.9]]]]
        >>> print(hq.stability.drift_index(to_and_fro).round(3))
        [[3.]]
    """
    return _drift(_path(policies, 2))


@compiled_later(few_so_far)
def _drift(path: Float[Array, "time player state action"]) -> StateValues:
    xp, steps = namespace(path), path[1:] - path[:-1]
    length = xp.sum(xp.linalg.norm(steps, axis=-1), axis=0)
    far = xp.linalg.norm(xp.sum(steps, axis=0), axis=-1)
    # What is left of a sum of K steps that cancel is rounding.
    lost = far <= len(steps) * jnp.finfo(steps.dtype).eps
    return xp.where(length > 0, xp.where(lost, xp.inf, length / xp.where(lost, 1.0, far)), 1.0)


def _path(policies: Any, least: int) -> Float[Array, "time player state action"]:
    array = as_float_array(policies, "policies")
    if array.ndim != 4 or len(array) < least:
        wanted = f"at least {least} policies, (time, player, information state, action), are wanted"
        raise InputError("policies", f"have shape {array.shape}; {wanted}")
    return array
