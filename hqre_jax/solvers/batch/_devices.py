"""Lanes spread over the local devices, each of which runs its own loops, and over the cores of a single one."""

import concurrent.futures
import functools
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

# Seconds to look out for an answer before going to sleep.
_MOMENT = 5e-4


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


def on_every_core(work: Callable[..., None], pieces: Iterable[tuple[Any, ...]]) -> None:
    """``work(*piece)`` for all pieces, at the same time on all cores where the only device is the processor.

    A compiled program keeps one core busy and leaves Python to other threads, which start the next one.

    Args:
        work: Calls a program that is compiled already and puts its answers away; no call depends on another one.
        pieces: What it is called with, one at least. They are drawn one at a time, when a thread is free.
    """
    # A thread has its own settings.
    wide = jax.dtypes.canonicalize_dtype(float) == np.float64
    waiting, turn, broken = iter(pieces), threading.Lock(), threading.Event()

    def drain(piece: tuple[Any, ...] | None) -> None:
        try:
            with jax.enable_x64(wide):
                while piece is not None and not broken.is_set():
                    work(*piece)
                    # Threads that prepare their pieces in turns do not contend for Python.
                    with turn:
                        piece = next(waiting, None)
        except BaseException:
            broken.set()
            raise

    # The first pieces are ready before any thread starts: a program that runs may keep its neighbour off the core.
    first, *more = itertools.islice(waiting, num_cores())
    others = [_threads().submit(drain, piece) for piece in more]
    try:
        drain(first)
    finally:
        concurrent.futures.wait(others)
    for other in others:
        other.result()


def look_out(array: Any) -> None:
    """Wait for a value that is about to be there: to sleep and be woken takes as long as to solve a few games.

    No other thread of Python gets a turn meanwhile, so this is for one that is alone, and does not last.
    """
    until = time.perf_counter() + _MOMENT
    while not array.is_ready() and time.perf_counter() < until:
        pass


def num_cores() -> int:
    """Calls that `on_every_core` makes at the same time: as many as there are cores, or one where devices are many."""
    devices = jax.local_devices()
    if len(devices) > 1 or devices[0].platform != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def _threads() -> concurrent.futures.ThreadPoolExecutor:
    return concurrent.futures.ThreadPoolExecutor(num_cores(), thread_name_prefix="hqre_jax_batch")


def take(tree: Any, places: np.ndarray, width: int) -> Any:
    """The lanes at ``places`` of a pytree of numpy arrays, the first of them repeated up to ``width`` lanes."""
    filled = np.concatenate([places, np.full(width - len(places), places[0])])
    return jax.tree.map(lambda leaf: leaf[filled], tree)
