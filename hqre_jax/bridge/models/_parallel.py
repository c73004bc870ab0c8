"""Training on several devices: where weights and batches lie. What is computed does not change, and JAX communicates.

Devices form a grid with the axes ``data`` and ``tensor``. Sequences of a batch are divided along the first; along the
second, as in Megatron-LM, the layers that widen the stream are divided by their outputs and those that narrow it by
their inputs, so that a block needs two sums across devices. Adapters, and with them the optimiser's state, are small:
all devices have them whole.

Source: Shoeybi et al. 2019 (arXiv 1909.08053).
"""

from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.multihost_utils import process_allgather
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jax.tree_util import GetAttrKey

from hqre_jax.bridge.models._decoder import Architecture, Decoder
from hqre_jax.core._types import InputError, checked_count

_Tree = TypeVar("_Tree")
# How arrays of the decoder, and of its blocks, are divided along ``tensor``; others are whole.
_WIDENING = ("attention.query", "attention.key", "attention.value", "mlp.gate", "mlp.up", "head")
_DIVIDED = {
    **{f"{layer}.weight": PartitionSpec(None, "tensor") for layer in _WIDENING},
    **{f"{layer}.bias": PartitionSpec("tensor") for layer in _WIDENING},
    **{name: PartitionSpec("tensor") for name in ("attention.output.weight", "mlp.down.weight", "embedding")},
}


def device_grid(tensor: int = 1, num_devices: int | None = None) -> Mesh:
    """The devices of all processes as a grid with the axes ``data`` and ``tensor``.

    Args:
        tensor: Devices that share each weight; neighbours, so that they are on one machine where it has so many.
        num_devices: How many devices to use, in the order of ``jax.devices()``; None for all.

    Returns:
        The grid.

    Raises:
        InputError: Where ``tensor`` does not divide the number of devices, or there are not so many.

    Example:
        >>> from hqre_jax.bridge.models import device_grid
        >>> dict(device_grid(num_devices=1).shape)
        {'data': 1, 'tensor': 1}
    """
    devices = np.array(jax.devices())
    count = len(devices) if num_devices is None else checked_count(num_devices, "num_devices")
    if count > len(devices):
        raise InputError("num_devices", f"is {count}, and there are {len(devices)} devices")
    if count % checked_count(tensor, "tensor"):
        raise InputError("tensor", f"is {tensor}, which does not divide {count} devices")
    return Mesh(devices[:count].reshape(-1, tensor), ("data", "tensor"), axis_types=(AxisType.Auto, AxisType.Auto))


def place_decoder(decoder: Decoder, grid: Mesh) -> Decoder:
    """The frozen weights, divided along ``tensor``.

    What the number of devices does not divide stays whole on each: attention by its key and value heads, mlps by their
    hidden width, embedding and head by the vocabulary.

    Args:
        decoder: The weights, without adapters; the same in every process.
        grid: The devices.

    Returns:
        The weights, on the devices.
    """
    tensor = grid.shape["tensor"]

    def place(path: tuple, x: jax.Array) -> jax.Array:
        name = ".".join(key.name for key in path if isinstance(key, GetAttrKey)).removeprefix("blocks.")
        spec = _DIVIDED.get(name, PartitionSpec())
        even = _count(decoder.architecture, name) % tensor == 0
        return _put(x, NamedSharding(grid, spec if even else PartitionSpec()))

    return jax.tree_util.tree_map_with_path(place, decoder)


def place_batch(batch: _Tree, grid: Mesh) -> _Tree:
    """A batch, divided along ``data``.

    Args:
        batch: Arrays whose first axis is that of the sequences; whole and the same in every process.
        grid: The devices.

    Returns:
        The arrays, on the devices.

    Raises:
        InputError: Where the axis does not divide the sequences.

    Example:
        >>> import jax.numpy as jnp
        >>> from hqre_jax.bridge.models import device_grid, place_batch
        >>> placed = place_batch({"tokens": jnp.zeros((4, 8))}, device_grid(num_devices=1))
        >>> placed["tokens"].sharding.spec[0]
        'data'
    """
    parts = grid.shape["data"]
    sizes = {len(x) for x in jax.tree.leaves(batch)}
    if any(size % parts for size in sizes):
        raise InputError("batch", f"has {min(sizes)} sequences, which {parts} devices do not divide: fill it up")
    return jax.tree.map(lambda x: _put(x, NamedSharding(grid, PartitionSpec("data"))), batch)


def place_whole(tree: _Tree, grid: Mesh) -> _Tree:
    """Adapters and the optimiser's state: whole on every device.

    Args:
        tree: Arrays, the same in every process.
        grid: The devices.

    Returns:
        The arrays, on the devices.

    Example:
        >>> import jax.numpy as jnp
        >>> from hqre_jax.bridge.models import device_grid, place_whole
        >>> placed = place_whole({"step": jnp.arange(3)}, device_grid(num_devices=1))
        >>> placed["step"].sharding.is_fully_replicated
        True
    """
    return jax.tree.map(lambda x: _put(x, NamedSharding(grid, PartitionSpec())), tree)


def fetched(tree: _Tree) -> _Tree:
    """Arrays on the devices of all processes, whole and on the first device of each: what is to be looked at there.

    Args:
        tree: Arrays that are placed; every process asks for the same.

    Returns:
        The arrays.

    Example:
        >>> import jax.numpy as jnp
        >>> from hqre_jax.bridge.models import device_grid, fetched, place_whole
        >>> whole = place_whole({"step": jnp.arange(3)}, device_grid(num_devices=1))
        >>> fetched(whole)["step"].tolist()
        [0, 1, 2]
    """
    return jax.tree.map(lambda x: jnp.asarray(np.asarray(process_allgather(x, tiled=True))), tree)


def _put(x: jax.Array, sharding: NamedSharding) -> jax.Array:
    """An array on devices of which some may be another process's."""
    values = np.asarray(x)
    return jax.make_array_from_callback(values.shape, sharding, lambda part: values[part])


def _count(shape: Architecture, name: str) -> int:
    """What must be divided evenly for an array to be divided."""
    counts = {"attention": shape.num_kv_heads, "mlp": shape.hidden_width}
    return counts.get(name.partition(".")[0], shape.vocabulary)
