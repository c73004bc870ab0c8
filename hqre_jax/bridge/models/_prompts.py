"""Prompts that were read: what they begin with alike is read once, and kept for the calls to come."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from hqre_jax.bridge.models._decoder import Decoder
from hqre_jax.bridge.models._programs import STRETCH, Memory, Stretch, read_stretch

# Each size is a program that takes seconds to compile: few of them, at the price of some padding.
_SHORTEST = 32  # length that a prompt's last stretch is padded to, at least
_FEWEST = 4  # stretches that are looked at, at least


@dataclass(frozen=True)
class ReadPrompt:
    """A prompt in the model's memory.

    Attributes:
        length: Tokens read.
        stretches: Their keys and values.
        num_cached: How many of them were not read again.
    """

    length: int
    stretches: tuple[Stretch, ...]
    num_cached: int


class PromptReader:
    """Reads prompts stretch by stretch, and no stretch twice after the same tokens.

    Stretches begin at fixed positions and each is read by a program that depends on its place and length alone: what a
    prompt leaves in memory is the same bits whether its beginning was found or read.

    Args:
        decoder: The weights.
        max_bytes: Most memory for stretches that are kept; those unused longest go first.
    """

    def __init__(self, decoder: Decoder, max_bytes: int):
        self._decoder = decoder
        self._max_bytes = max_bytes
        self._kept: OrderedDict[bytes, Stretch] = OrderedDict()
        self._num_bytes = 0
        shape = decoder.architecture
        dtype = decoder.embedding.dtype
        self._padding = Stretch(
            jnp.zeros((shape.num_layers, shape.num_kv_heads, shape.head_width, STRETCH), dtype),
            jnp.zeros((shape.num_layers, shape.num_kv_heads, STRETCH, shape.head_width), dtype),
        )

    def read(self, tokens: Sequence[int]) -> ReadPrompt:
        """Read a prompt.

        Args:
            tokens: The prompt; may be empty.

        Returns:
            What stays of it in memory.
        """
        stretches: list[Stretch] = []
        num_cached = 0
        for start, part, key in _parts(tokens):
            stretch = self._kept.get(key)
            if stretch is None:
                stretch = self._read_part(part, start, stretches)
                self._keep(key, stretch)
            else:
                num_cached += len(part)
                self._kept.move_to_end(key)
            stretches.append(stretch)
        return ReadPrompt(len(tokens), tuple(stretches), num_cached)

    def _read_part(self, part: Sequence[int], start: int, before: list[Stretch]) -> Stretch:
        padded = np.zeros(bucket(len(part), _SHORTEST), np.int32)
        padded[: len(part)] = part
        num_past = bucket(len(before) + 1, _FEWEST) - 1
        past = (*before, *[self._padding] * (num_past - len(before)))
        return read_stretch(self._decoder, jnp.asarray(padded), jnp.asarray(start, jnp.int32), past)

    def _keep(self, key: bytes, stretch: Stretch) -> None:
        self._kept[key] = stretch
        self._num_bytes += _num_bytes(stretch)
        while self._num_bytes > self._max_bytes and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self._num_bytes -= _num_bytes(dropped)


def lay_out(decoder: Decoder, prompts: Sequence[ReadPrompt], num_rows: int, capacity: int) -> tuple[Memory, ...]:
    """Lay prompts side by side for a batch.

    Args:
        decoder: The weights, for their shapes.
        prompts: One for each row that is used.
        num_rows: Rows of the batch.
        capacity: Positions of a row, a multiple of `STRETCH`.

    Returns:
        The memory of every block; what is no prompt's own is 0.
    """
    shape, dtype = decoder.architecture, decoder.embedding.dtype
    stretches = [[(np.asarray(s.keys), np.asarray(s.values)) for s in prompt.stretches] for prompt in prompts]
    memories = []
    for layer in range(shape.num_layers):
        keys = np.zeros((num_rows, shape.num_kv_heads, shape.head_width, capacity), dtype)
        values = np.zeros((num_rows, shape.num_kv_heads, capacity, shape.head_width), dtype)
        for row, parts in enumerate(stretches):
            for i, (key, value) in enumerate(parts):
                place = slice(i * STRETCH, (i + 1) * STRETCH)
                keys[row, :, :, place], values[row, :, place] = key[layer], value[layer]
        memories.append(Memory(jnp.asarray(keys), jnp.asarray(values)))
    return tuple(memories)


def bucket(size: int, smallest: int) -> int:
    """The least smallest · 2^k that holds so many: few sizes, few programs."""
    while smallest < size:
        smallest *= 2
    return smallest


def _parts(tokens: Sequence[int]) -> Iterator[tuple[int, Sequence[int], bytes]]:
    """The stretches of a prompt: start, tokens, and a digest of all tokens up to its end."""
    key = b""
    for start in range(0, len(tokens), STRETCH):
        part = tokens[start : start + STRETCH]
        key = hashlib.blake2b(key + np.asarray(part, np.int32).tobytes(), digest_size=20).digest()
        yield start, part, key


def _num_bytes(stretch: Stretch) -> int:
    return stretch.keys.nbytes + stretch.values.nbytes
