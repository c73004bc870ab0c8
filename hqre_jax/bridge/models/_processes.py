"""One run in several processes, each with devices of its own: on several machines, a process on each."""

import json
import os
import pickle
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental.multihost_utils import broadcast_one_to_all, process_allgather

from hqre_jax.bridge.models._sampling import Completion
from hqre_jax.core._types import InputError

_Value = TypeVar("_Value")
COORDINATOR, PROCESSES, PROCESS = "HQRE_COORDINATOR", "HQRE_PROCESSES", "HQRE_PROCESS"


def join_processes() -> None:
    """Join the other processes of the run, if the environment says that there are some.

    ``HQRE_COORDINATOR`` is address and port of the first process, ``HQRE_PROCESSES`` their number, and
    ``HQRE_PROCESS`` which one this is, from 0. To be called before anything is computed; all wait for all.

    Raises:
        InputError: Where only some of the three are set, or they are no numbers.

    Example:
        >>> from hqre_jax.bridge.models import join_processes
        >>> join_processes()  # without HQRE_PROCESSES there is nobody to join
    """
    values = [os.environ.get(name, "") for name in (COORDINATOR, PROCESSES, PROCESS)]
    if not any(values):
        return
    coordinator, count, number = values
    if not (":" in coordinator and count.isdecimal() and number.isdecimal() and int(number) < int(count)):
        raise InputError(
            f"{COORDINATOR}, {PROCESSES}, {PROCESS}",
            f"are {values} in the environment; they look like HOST:PORT, 2 and, from 0, 1",
        )
    jax.distributed.initialize(coordinator, int(count), int(number))


def from_first(value: _Value) -> _Value:
    """What the first process has, in all of them.

    So one process decides, reads and writes, and the others ask for what it says, and compute with it.

    Args:
        value: Of the first process, anything that can be pickled; what others give is not looked at.

    Returns:
        The first process's value.

    Example:
        >>> from hqre_jax.bridge.models import from_first
        >>> from_first({"step": 3})
        {'step': 3}
    """
    if jax.process_count() == 1:
        return value
    data = pickle.dumps(value) if jax.process_index() == 0 else b""
    size = int(broadcast_one_to_all(np.int64(len(data))))
    whole = np.zeros(size, np.uint8)
    whole[: len(data)] = np.frombuffer(data, np.uint8)
    return pickle.loads(np.asarray(broadcast_one_to_all(whole), np.uint8).tobytes())


def by_first(action: Callable[[], _Value]) -> _Value:
    """What a function returns or raises in the first process, in all of them: it is called in no other one.

    Args:
        action: Takes nothing; what it returns or raises can be pickled.

    Returns:
        What it returned.

    Example:
        >>> from hqre_jax.bridge.models import by_first
        >>> by_first(lambda: sorted({"a": 1}))
        ['a']
    """
    if jax.process_count() == 1:
        return action()
    value, error = None, None
    if jax.process_index() == 0:
        try:
            value = action()
        except Exception as caught:
            error = caught
    value, error = from_first((value, error))
    if error is not None:
        raise error
    return value  # type: ignore[return-value]


def own_share(count: int) -> range:
    """Which of so many prompts this process samples: every process a share, none twice.

    Args:
        count: How many prompts there are in all.

    Returns:
        Places of this process's prompts.

    Example:
        >>> from hqre_jax.bridge.models import own_share
        >>> own_share(10)  # of one process that is alone
        range(0, 10)
    """
    return range(jax.process_index(), count, jax.process_count())


def gathered(completions: Sequence[Completion] | InputError, count: int) -> list[Completion]:
    """The completions of all processes, in all of them.

    Args:
        completions: Of this process's `own_share`, in its order; or why it has none.
        count: How many there are in all.

    Returns:
        The completions, in the order of the prompts.

    Raises:
        InputError: What a process gives in place of completions, in all of them.

    Example:
        >>> from hqre_jax.bridge.models import Completion, gathered, own_share
        >>> mine = [Completion((k,), (-1.0,), True) for k in own_share(3)]
        >>> [completion.tokens for completion in gathered(mine, 3)]
        [(0,), (1,), (2,)]
    """
    if isinstance(completions, InputError):
        lines: Any = {"field": completions.field, "problem": completions.problem}
    else:
        lines = [[completion.tokens, completion.log_probs, completion.ended] for completion in completions]
    data = np.frombuffer(json.dumps(lines).encode(), np.uint8)
    sizes = np.reshape(process_allgather(np.array([len(data)], np.int32)), -1)
    everywhere = process_allgather(np.pad(data, (0, int(sizes.max()) - len(data)))).reshape(len(sizes), -1)
    whole: list[Completion | None] = [None] * count
    for process, (size, own) in enumerate(zip(sizes, everywhere, strict=True)):
        said = json.loads(np.asarray(own[:size], np.uint8).tobytes())
        if isinstance(said, dict):
            raise InputError(**said)
        for place, (tokens, log_probs, ended) in zip(range(process, count, len(sizes)), said, strict=True):
            whole[place] = Completion(tuple(tokens), tuple(log_probs), ended)
    return [completion for completion in whole if completion is not None]
