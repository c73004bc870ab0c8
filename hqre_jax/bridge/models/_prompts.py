"""Prompts that were read: what they begin with alike is read once, and kept for the calls to come."""

import hashlib
import itertools
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from hqre_jax.bridge.models._decoder import Decoder
from hqre_jax.bridge.models._programs import STRETCH, Memory, Stretch, read_stretches, rows_are_alike

# Each size is a program that takes seconds to compile: few of them, at the price of some padding.
_SHORTEST, _ROUND = 32, 16  # length that stretches are padded to: so much at least, and a multiple
_FEWEST = 4  # stretches that are looked at, at least
_TOGETHER = 8  # stretches that are read at once, in half the time


@dataclass(frozen=True)
class ReadPrompt:
    """A prompt in the model's memory.

    Attributes:
        stretches: Keys and values of its stretches.
        lengths: Tokens of each.
        num_cached: How many tokens were not read again.
    """

    stretches: tuple[Stretch, ...]
    lengths: tuple[int, ...]
    num_cached: int


class PromptReader:
    """Reads prompts stretch by stretch, and no stretch twice after the same tokens.

    Where stretches begin follows from the prompt alone, and each is read by a program that depends on its place and
    length: what a prompt leaves in memory is the same bits whether its beginning was found or read, and with whom.

    Args:
        decoder: The weights.
        end_tokens: Tokens that end a message. Before the last message a stretch ends: questions after the same
            worked examples share all of these.
        max_bytes: Most memory for stretches that are kept; those unused longest go first.
    """

    def __init__(self, decoder: Decoder, end_tokens: frozenset[int], max_bytes: int):
        self._decoder = decoder
        self._end_tokens = end_tokens
        self._alike = rows_are_alike(decoder)
        self._max_bytes = max_bytes
        self._kept: OrderedDict[bytes, Stretch] = OrderedDict()
        self._num_bytes = 0
        self._lock = threading.Lock()

    def read(self, prompts: Sequence[Sequence[int]]) -> list[ReadPrompt]:
        """Read prompts.

        Args:
            prompts: Each may be empty.

        Returns:
            What stays of each in memory.
        """
        with self._lock:
            return self._read(prompts)

    def _read(self, prompts: Sequence[Sequence[int]]) -> list[ReadPrompt]:
        parts = [list(_parts(tokens, self._end_tokens)) for tokens in prompts]
        read: list[list[Stretch]] = [[] for _ in prompts]
        num_cached = [0] * len(prompts)
        for place in range(max(map(len, parts), default=0)):
            # What is in use is held here, whatever has to make room for it.
            found, missing = dict[bytes, Stretch](), dict[bytes, int]()
            for number, own in enumerate(parts):
                if place < len(own):
                    part, key = own[place]
                    if key in self._kept:
                        found[key] = self._kept[key]
                        self._kept.move_to_end(key)
                    if key in found or key in missing:
                        num_cached[number] += len(part)
                    else:
                        missing[key] = number
            for key, stretch in self._read_parts(place, parts, read, missing):
                found[key] = stretch
                self._keep(key, stretch)
            for number, own in enumerate(parts):
                if place < len(own):
                    read[number].append(found[own[place][1]])
        return [
            ReadPrompt(tuple(stretches), tuple(len(part) for part, _ in own), cached)
            for stretches, own, cached in zip(read, parts, num_cached, strict=True)
        ]

    def _read_parts(
        self,
        place: int,
        parts: Sequence[Sequence[tuple[Sequence[int], bytes]]],
        read: Sequence[Sequence[Stretch]],
        missing: Mapping[bytes, int],
    ) -> Iterator[tuple[bytes, Stretch]]:
        """Stretches that nobody has read: each is that of the prompt with its number, whose former ones are read."""
        num_past = bucket(place + 1, _FEWEST) - 1
        by_length: dict[int, list[tuple[bytes, int]]] = {}
        for key, number in missing.items():
            length = max(_SHORTEST, -(-len(parts[number][place][0]) // _ROUND) * _ROUND)
            by_length.setdefault(length, []).append((key, number))
        for length, waiting in by_length.items():
            while waiting:
                # A few are read by themselves, where that leaves the same bits.
                few = -(-STRETCH // length)
                rows = few if self._alike and len(waiting) <= _TOGETHER // 2 else _TOGETHER
                now, waiting = waiting[:rows], waiting[rows:]
                tokens, lengths = np.zeros((rows, length), np.int32), np.zeros(rows, np.int32)
                before = []
                for row, (_, number) in enumerate(now):
                    part = parts[number][place][0]
                    tokens[row, : len(part)] = part
                    sizes = tuple(len(one) for one, _ in parts[number][:place])
                    lengths[row] = sum(sizes)
                    before.append(ReadPrompt(tuple(read[number]), sizes, num_cached=0))
                past = lay_out(self._decoder, before, rows, num_past * STRETCH)
                stretches = read_stretches(self._decoder, jnp.asarray(tokens), past, jnp.asarray(lengths))
                yield from ((key, stretch) for (key, _), stretch in zip(now, stretches, strict=False))

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
    stretches = [
        [
            (one, end - length, length)
            for one, length, end in zip(
                prompt.stretches, prompt.lengths, itertools.accumulate(prompt.lengths), strict=True
            )
        ]
        for prompt in prompts
    ]
    memories = []
    for layer in range(shape.num_layers):
        keys = np.zeros((num_rows, shape.num_kv_heads, shape.head_width, capacity), dtype)
        values = np.zeros((num_rows, shape.num_kv_heads, capacity, shape.head_width), dtype)
        for row, parts in enumerate(stretches):
            for (key, value), start, length in parts:
                place = slice(start, start + length)
                keys[row, :, :, place], values[row, :, place] = key[layer, ..., :length], value[layer, :, :length]
        memories.append(Memory(jnp.asarray(keys), jnp.asarray(values)))
    return tuple(memories)


def bucket(size: int, smallest: int) -> int:
    """The least smallest · 2^k that holds so many: few sizes, few programs."""
    while smallest < size:
        smallest *= 2
    return smallest


def _parts(tokens: Sequence[int], end_tokens: frozenset[int]) -> Iterator[tuple[Sequence[int], bytes]]:
    """The stretches of a prompt: tokens, and a digest of all stretches up to it."""
    ends = [place + 1 for place, token in enumerate(tokens) if token in end_tokens]
    last_message = ends[-2] if len(ends) > 1 else 0
    key = b""
    for begin, end in ((0, last_message), (last_message, len(tokens))):
        for start in range(begin, end, STRETCH):
            part = tokens[start : min(start + STRETCH, end)]
            key = hashlib.blake2b(key + np.asarray(part, np.int32).tobytes(), digest_size=20).digest()
            yield part, key


def _num_bytes(stretch: Stretch) -> int:
    return stretch.keys.nbytes + stretch.values.nbytes
