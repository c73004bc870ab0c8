"""Arrays over (player, information state, action), or the first of these, laid into larger ones and cut out again."""

from typing import Any

import numpy as np

from hqre_jax.core._namespace import Array
from hqre_jax.core._temperatures import as_array, real_numbers
from hqre_jax.core._types import InputError


def filled_up(array: Array, shape: tuple[int, ...], fill: float) -> Array:
    """An array over the first axes of (player, state, action) laid into the beginning of a larger one.

    Args:
        array: The array; of another shape than is wanted only if its values are known.
        shape: The wanted one, of all three axes.
        fill: What stands in the rest.
    """
    wanted = shape[: array.ndim]
    if array.shape == wanted:
        return array
    more = [(0, most - given) for most, given in zip(wanted, array.shape, strict=True)]
    return as_array(np.pad(np.asarray(array), more, constant_values=fill))


def cut_down(array: Array, shape: tuple[int, ...]) -> Array:
    """The part that `filled_up` was given: the beginning of an array along its axes."""
    if array.shape == shape[: array.ndim]:
        return array
    return as_array(np.asarray(array)[tuple(slice(size) for size in shape[: array.ndim])])


def padded_rows(value: Any, mask: np.ndarray, field: str) -> np.ndarray:
    """Nested lists without padding, laid into a padded array; padded lists pass as they are.

    Args:
        value: The lists, (player, information state, action).
        mask: Valid actions.
        field: The name that error messages give it.

    Raises:
        InputError: On a wrong number of players, information states or actions.
    """
    out = np.zeros(mask.shape)
    if len(value) != mask.shape[0]:
        raise InputError(field, f"has {len(value)} players, where the game has {mask.shape[0]}")
    for i, states in enumerate(value):
        used = int(mask[i].any(-1).sum())
        if not isinstance(states, list | tuple | np.ndarray) or len(states) not in (used, mask.shape[1]):
            raise InputError(f"{field}[{i}]", f"must list {used} information states")
        for x, row in enumerate(states):
            place = f"{field}[{i}][{x}]"
            numbers = np.asarray(real_numbers(row, place), np.float64)
            last = int(np.flatnonzero(mask[i, x]).max(initial=-1))
            if numbers.ndim != 1 or not last < len(numbers) <= mask.shape[2]:
                raise InputError(place, f"must list {last + 1} probabilities")
            out[i, x, : len(numbers)] = numbers
    return out
