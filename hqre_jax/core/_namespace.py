"""Formulas written once that run on numpy arrays at once, or on JAX's as part of a program: whichever they are given.

To compile a program takes a thousand times as long as small arrays take in numpy. What is here is spelled differently
by the two; all else has one name in both.
"""

from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

# What formulas take. To type checkers numpy's arrays pass for JAX's: callers give them JAX's, and get them back.
if TYPE_CHECKING:
    from jax import Array as Array
else:
    Array = jax.Array | np.ndarray | np.generic


def namespace(*arrays: Array) -> ModuleType:
    """``numpy`` where all are its own arrays and numbers, ``jax.numpy`` otherwise."""
    return np if all(isinstance(array, np.ndarray | np.generic) for array in arrays) else jnp


def repeat_while(xp: ModuleType, unfinished: Callable[[Any], Any], step: Callable[[Any], Any], state: Any) -> Any:
    """The first of the states ``state``, ``step(state)``, … that is not ``unfinished``."""
    if xp is jnp:
        return jax.lax.while_loop(unfinished, step, state)
    while unfinished(state):
        state = step(state)
    return state


def placed(xp: ModuleType, array: Array, index: Any, value: Any) -> Array:
    """A copy of the array with a value at an index."""
    if xp is jnp:
        return array.at[index].set(value)
    copy: Any = np.array(array)
    copy[index] = value
    return copy


def solution_of(xp: ModuleType, matrix: Float[Array, "n n"], sides: Float[Array, "n *m"]) -> Float[Array, "n *m"]:
    """``matrix⁻¹ sides``; not finite where the matrix is singular."""
    if xp is jnp:
        return jnp.linalg.solve(matrix, sides)
    try:
        found: Any = np.linalg.solve(matrix, sides)
    except np.linalg.LinAlgError:
        found = np.full_like(sides, np.nan)
    return found


def repeated(xp: ModuleType, count: int, step: Callable[[Any, Any], Any], state: Any) -> Any:
    """The state after ``step(k, state)`` for k = 0, …, count − 1."""
    if xp is jnp:
        return jax.lax.fori_loop(0, count, step, state)
    for k in range(count):
        state = step(k, state)
    return state


def each(xp: ModuleType, function: Callable[..., Any], *arrays: Array, at_once: bool = True) -> Any:
    """``function`` of every entry along the first axes; its answers stacked.

    Args:
        xp: The namespace.
        function: Of one entry of each array.
        arrays: The arrays.
        at_once: Whether JAX vectorises, or saves memory and takes one entry after the other.
    """
    if xp is jnp:
        return jax.vmap(function)(*arrays) if at_once else jax.lax.map(lambda entry: function(*entry), arrays)
    return jax.tree.map(lambda *parts: np.stack(parts), *map(function, *arrays))


def held(xp: ModuleType, array: Array) -> Array:
    """The array, taken for a constant by derivatives."""
    return jax.lax.stop_gradient(array) if xp is jnp else array


def product(xp: ModuleType, a: Array, b: Array) -> Array:
    """The matrix product; in full precision also where a device would rather not."""
    return xp.matmul(a, b, precision="highest") if xp is jnp else np.matmul(a, b)


def beta_law(xp: ModuleType, a: Array, b: Array | float, x: Array) -> Float[Array, "*b"]:
    """``I_x(a, b)``, the probability that a Beta(a, b) variable stays below x."""
    if xp is jnp:
        return jax.scipy.special.betainc(a, b, x)
    # Not before it is wanted: it takes a while to import.
    from scipy.special import betainc

    law: Any = np.asarray(betainc(a, b, x))
    return law


def add_up(
    xp: ModuleType, values: Float[Array, "m *rest"], slots: Int[Array, " m"], count: int
) -> Float[Array, "count *rest"]:
    """The sum of the values of each slot."""
    if xp is jnp:
        return jax.ops.segment_sum(values, slots, count)
    sums: Any = np.zeros((count, *values.shape[1:]), values.dtype)
    np.add.at(sums, slots, values)
    return sums
