"""Arrays over (player, information state, action), or the first of these, laid into larger ones and cut out again."""

import numpy as np

from hqre_jax.core._namespace import Array
from hqre_jax.core._temperatures import as_array


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
