"""Checks that constructors share. They run where values can be seen and pass silently under tracing."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from hqre_jax.core._temperatures import as_array, as_float_array, concrete
from hqre_jax.core._types import ActionMask, InputError

_SUM_TOL = 1e-8


def finite(value: Any, field: str, ndim: int | None = None, dtype: Any = None) -> Float[Array, "..."]:
    """``value`` as a finite real array of ``ndim`` axes."""
    array = as_float_array(value, field, dtype)
    if ndim is not None and array.ndim != ndim:
        raise InputError(field, f"has {array.ndim} axes, where {ndim} are wanted")
    if array.size == 0:
        raise InputError(field, "is empty")
    if concrete(array):
        bad = np.argwhere(~np.isfinite(np.asarray(array)))
        if len(bad):
            place = "".join(f"[{k}]" for k in bad[0])
            raise InputError(field + place, f"is {float(array[tuple(bad[0])]):g}; it must be finite")
    return array


def distribution(value: Any, field: str, shape: tuple[int, ...], axes: int, dtype: Any) -> Float[Array, "..."]:
    """Non-negative array of ``shape`` whose last ``axes`` axes sum to 1 within 1e-8."""
    array = finite(value, field, dtype=dtype)
    expect_shape(array, field, shape)
    if concrete(array):
        p = np.asarray(array, np.float64)
        nonnegative(p, field)
        sums = p.sum(tuple(range(p.ndim - axes, p.ndim)))
        check_sums(sums, field, np.abs(sums - 1) <= sum_tol(dtype), "1")
    return array


def sum_tol(dtype: Any) -> float:
    """How far a sum of probabilities may be from 1: 1e-8, or what single precision can hold."""
    return max(_SUM_TOL, 64 * float(jnp.finfo(dtype).eps))


def nonnegative(p: np.ndarray, field: str) -> None:
    """Reject negative probabilities."""
    bad = np.argwhere(p < 0)
    if len(bad):
        place = "".join(f"[{k}]" for k in bad[0])
        raise InputError(field + place, f"is {p[tuple(bad[0])]:g}; probabilities are not negative")


def check_sums(sums: np.ndarray | np.floating, field: str, good: np.ndarray | np.bool, wanted: str) -> None:
    """Reject the first row of probabilities whose sum is not good."""
    bad = np.argwhere(~good)
    if len(bad):
        place = "".join(f"[{k}]" for k in bad[0])
        raise InputError(field + place, f"sums to {np.asarray(sums)[tuple(bad[0])]:.12g}; it must sum to {wanted}")


def expect_shape(array: Any, field: str, shape: tuple[int, ...]) -> None:
    """Reject an array of another shape."""
    if array.shape != shape:
        raise InputError(field, f"has shape {tuple(array.shape)}, where {shape} is wanted")


def complete_mask(action_mask: Any, num_states: Sequence[int], num_actions: Sequence[int]) -> ActionMask:
    """Mask of valid actions: the constructor's shape, less what the user masks out.

    Args:
        action_mask: None, or a boolean array ``(player, information state, action)``.
        num_states: Information states of each player.
        num_actions: Actions of each player.

    Returns:
        Boolean array ``(player, information state, action)``.

    Raises:
        InputError: On a wrong shape or type, or an information state left without actions.
    """
    states = np.arange(max(num_states))[None, :, None] < np.asarray(num_states)[:, None, None]
    actions = np.arange(max(num_actions))[None, None, :] < np.asarray(num_actions)[:, None, None]
    default = states & actions
    if action_mask is None:
        return as_array(default)
    if not concrete(action_mask):
        expect_shape(action_mask, "action_mask", default.shape)
        return action_mask & default
    try:
        mask = np.asarray(action_mask)
    except ValueError:
        raise InputError("action_mask", "is ragged: lists at the same depth must have equal lengths") from None
    if mask.dtype != bool and not (np.issubdtype(mask.dtype, np.integer) and np.isin(mask, (0, 1)).all()):
        raise InputError("action_mask", f"has type {mask.dtype}; true and false are wanted")
    expect_shape(mask, "action_mask", default.shape)
    mask = mask.astype(bool) & default
    empty = np.argwhere(states[..., 0] & ~mask.any(-1))
    if len(empty):
        i, x = empty[0]
        raise InputError("action_mask", f"leaves player {i + 1} without an action at information state {x + 1}")
    return as_array(mask)


def cancel(first: Float[Array, "*shape"], second: Float[Array, "*shape"]) -> Bool[Array, ""] | np.bool:
    """Whether payoffs are opposed, ``first = −second``, but for rounding; of numpy where they can be seen."""
    seen = concrete(first) and concrete(second)
    xp = np if seen else jnp
    u, v = (np.asarray(first), np.asarray(second)) if seen else (first, second)
    size = xp.maximum(xp.abs(u).max(), xp.abs(v).max())
    limits = jnp.finfo(first.dtype)
    return xp.abs(u + v).max() <= 64 * limits.eps * xp.maximum(size, limits.tiny)
