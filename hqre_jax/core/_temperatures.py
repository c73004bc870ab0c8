"""Temperatures: how strongly each agent, at each information state, is drawn to its reference policy."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from hqre_jax.core._types import ActionMask, InputError, StateValues


def concrete(x: Any) -> bool:
    """Whether the values of ``x`` can be looked at now, that is, outside ``jit``, ``vmap`` and ``grad``."""
    return not isinstance(x, Tracer)


def as_array(value: Any, dtype: Any = None) -> Array:
    """``value`` as a JAX array of its own, without a program: what ``jnp.asarray`` compiles for every shape.

    Args:
        value: Anything array-like.
        dtype: Wanted type.

    Returns:
        The array; of a numpy array a copy, so that nobody changes it from outside, as JAX would allow of a large one.
    """
    return jnp.asarray(value, dtype) if isinstance(value, jax.Array) else jax.device_put(np.array(value, dtype))


def full_tau(tau: Any, action_mask: ActionMask, dtype: Any, field: str = "tau") -> StateValues:
    """Temperatures of every player at every information state.

    Args:
        tau: Scalar (common), 1-d (one per player) or 2-d ``(player, information state)``; units of payoff.
        action_mask: Valid actions; it fixes the shape and says which entries are padding.
        dtype: Floating type of the result.
        field: The name that error messages give to ``tau``.

    Returns:
        Array ``(player, information state)``; padded entries are 1.

    Raises:
        InputError: If the shape does not fit, or a value is not finite and positive.
    """
    players, states = action_mask.shape[:2]
    array = as_float_array(tau, field, dtype)
    # Numpy where values can be seen: nothing to compile, and errors can name the entry.
    visible = concrete(array) and concrete(action_mask)
    xp = np if visible else jnp
    array, mask = xp.asarray(array), xp.asarray(action_mask)
    if array.ndim == 0:
        full = xp.broadcast_to(array, (players, states))
    elif array.shape == (players,):
        full = xp.broadcast_to(array[:, None], (players, states))
    elif array.shape == (players, states):
        full = array
    else:
        expected = f"a number, {players} numbers (one per player) or a {players}×{states} array"
        raise InputError(field, f"has shape {tuple(array.shape)}, where {expected} is wanted")
    used = mask.any(axis=-1)
    if visible:
        bad = np.argwhere(used & ~(np.isfinite(full) & (full > 0)))
        if len(bad):
            i, x = bad[0]
            raise InputError(field, _bad_value(float(full[i, x]), int(i), int(x), array.ndim))
    return as_array(xp.where(used, full, xp.ones((), dtype)))


def _bad_value(value: float, player: int, state: int, ndim: int) -> str:
    where = (
        "" if ndim == 0 else f" of player {player + 1}" + (f" at information state {state + 1}" if ndim == 2 else "")
    )
    return f"temperature{where} is {value:g}; it must be finite and greater than 0"


def real_numbers(value: Any, field: str) -> Any:
    """``value`` as an array of real numbers: in numpy, which can be seen while other things are traced, or JAX's own.

    Args:
        value: Anything array-like; nested lists must not be ragged.
        field: The name to blame.

    Returns:
        A numpy or JAX array of integers or floating numbers.

    Raises:
        InputError: If the value is ragged, not numeric or complex.
    """
    if not isinstance(value, jax.Array):
        try:
            value = np.asarray(value)
        except ValueError:
            raise InputError(field, "is ragged: lists at the same depth must have equal lengths") from None
        if value.dtype == object:
            what = "is missing" if value.ndim == 0 and value.item() is None else "holds something that is no number"
            raise InputError(field, f"{what}; a number or (nested) lists of numbers are wanted")
    if value.dtype == bool or not (
        jnp.issubdtype(value.dtype, jnp.integer) or jnp.issubdtype(value.dtype, jnp.floating)
    ):
        raise InputError(field, f"has type {value.dtype}; real numbers are wanted")
    return value


def as_float_array(value: Any, field: str, dtype: Any = None) -> Float[Array, "..."]:
    """``value`` as a real floating JAX array, or an `InputError` that names ``field``.

    Args:
        value: Anything array-like; nested lists must not be ragged.
        field: The name to blame.
        dtype: Wanted type; by default the type of a floating input, else JAX's default float.

    Returns:
        A JAX array of floating type.

    Raises:
        InputError: If the value is ragged, not numeric or complex, or a whole number with too many digits.
    """
    value = real_numbers(value, field)
    if dtype is None:
        # JAX has no numbers of more than 64 bits, and none whose bytes are in another order.
        is_own = jnp.issubdtype(value.dtype, jnp.floating) and value.dtype.itemsize <= 8
        dtype = jax.dtypes.canonicalize_dtype(value.dtype.newbyteorder("=")) if is_own else jnp.result_type(float)
    if value.dtype.kind in "iu" and concrete(value):
        _refuse_lost_digits(np.asarray(value), field)
    with np.errstate(over="ignore"):  # what single precision cannot hold is infinite, and refused as that
        return as_array(value, dtype)


def _refuse_lost_digits(integers: np.ndarray, field: str) -> None:
    """Refuse whole numbers beyond 2⁵³ that no double holds: another number would silently take their place."""
    for place in np.argwhere(np.abs(integers.astype(np.float64)) >= 2.0**53):
        number = int(integers[tuple(place)])
        if int(float(number)) != number:
            where = field + "".join(f"[{k}]" for k in place)
            raise InputError(where, f"is {number}, which floating numbers cannot hold; round it or rescale")
