"""Lanes spread over the local devices, each of which runs its own loops."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec


def on_every_device(function: Callable[..., Any], shared: Any, lanes: Any) -> Any:
    """``function(shared, lanes)`` with the lanes split evenly over the local devices.

    A loop in the function ends on each device when the lanes there are done: devices do not wait for each other's.

    Args:
        function: Maps a pytree whose arrays have a leading axis of lanes to another one.
        shared: What all lanes need; arrays are copied to every device.
        lanes: The arrays to split; the length of their first axis is a multiple of the number of devices.

    Returns:
        The results, lanes first.
    """
    devices = jax.local_devices()
    if len(devices) == 1:
        return function(shared, lanes)
    arrays, static = eqx.partition(shared, eqx.is_array)
    split = jax.shard_map(
        lambda copied, part: function(eqx.combine(copied, static), part),
        mesh=Mesh(np.asarray(devices), ("lane",)),
        in_specs=(PartitionSpec(), PartitionSpec("lane")),
        out_specs=PartitionSpec("lane"),
        check_vma=False,
    )
    return split(arrays, jax.tree.map(jnp.asarray, lanes))


def take(tree: Any, places: np.ndarray, width: int) -> Any:
    """The lanes at ``places`` of a pytree of numpy arrays, the first of them repeated up to ``width`` lanes."""
    filled = np.concatenate([places, np.full(width - len(places), places[0])])
    return jax.tree.map(lambda leaf: leaf[filled], tree)
