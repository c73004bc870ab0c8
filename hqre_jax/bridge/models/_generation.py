"""Batched generation: prompts in, tokens out, each as if it were alone."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from hqre_jax.bridge.models._decoder import Decoder
from hqre_jax.bridge.models._programs import STRETCH, Memory, Sampling, rows_are_alike, take_step
from hqre_jax.bridge.models._prompts import PromptReader, bucket, lay_out

_SMALLEST_BATCH = 8  # products of smaller matrices are computed in another order
_FIRST_STEPS = 64  # steps that memory is first laid out for; shorter sums are ordered by the size of the batch
_MOST_BYTES = 4 * 2**30  # of the memory of a batch
_AT_ONCE = 2  # batches


@dataclass
class Row:
    """One text in the making.

    Attributes:
        prompt: Its tokens, at least one.
        max_tokens: Most tokens to generate.
        temperature: Of sampling.
        top_p: Mass to sample from.
        forced: Tokens to take instead of sampled ones, to score them; None where all are sampled.
        seed: What its random numbers are drawn from, beside its prompt.
        ends: Whether a text of so many tokens has ended, beyond end tokens and `max_tokens`.
        tokens: The tokens taken so far.
        log_probs: Their log-probabilities at temperature 1.
        num_cached: Tokens of the prompt that were not read again.
    """

    prompt: Sequence[int]
    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    forced: Sequence[int] | None = None
    seed: tuple[int, ...] = ()
    ends: Callable[[list[int]], bool] | None = None
    tokens: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)
    num_cached: int = 0

    @property
    def capacity(self) -> int:
        """Positions laid out for the prompt but its last token, which the first step reads."""
        return bucket(len(self.prompt) - 1, 2 * STRETCH)

    def uniforms(self) -> np.ndarray:
        """The row's random numbers: a function of its prompt, its seed and nothing else."""
        text = np.asarray([len(self.prompt), *self.prompt], np.int32).tobytes() + repr(self.seed).encode()
        key = np.frombuffer(hashlib.blake2b(text, digest_size=16).digest(), np.uint64)
        drawn = np.random.Generator(np.random.Philox(key=key)).random(self.max_tokens)
        return np.minimum(drawn, 1 - 2.0**-24).astype(np.float32)


def generate(
    decoder: Decoder, reader: PromptReader, rows: Sequence[Row], end_tokens: frozenset[int], max_batch: int
) -> None:
    """Generate every row's tokens, in place.

    Rows are batched with rows whose prompts take as much memory, so that the shapes of all programs a row meets follow
    from the row itself, but for one: the number of rows, see `_smallest_batch`.

    Args:
        decoder: The weights.
        reader: Reads the prompts.
        rows: What to generate.
        end_tokens: Tokens that end a text.
        max_batch: Most rows at once.
    """
    smallest = _smallest_batch(decoder, max_batch)
    batches, given_up = list(_batches(decoder, rows, max_batch)), Event()
    if len(batches) == 1:
        _generate_batch(decoder, reader, batches[0], end_tokens, smallest, given_up)
        return
    # While one batch is written the next one is read: by itself neither keeps all cores at work.
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        how = end_tokens, smallest, given_up
        running = [threads.submit(_generate_batch, decoder, reader, one, *how) for one in batches]
        try:
            for one in running:
                one.result()
        except BaseException:  # an interrupt does not wait for the rest
            given_up.set()
            threads.shutdown(wait=False, cancel_futures=True)
            raise


def _smallest_batch(decoder: Decoder, max_batch: int) -> int:
    """Rows of the smallest batch; larger ones have 2, 4, … times as many, where these compute each row alike."""
    return _SMALLEST_BATCH if rows_are_alike(decoder) else bucket(max_batch, _SMALLEST_BATCH)


def _batches(decoder: Decoder, rows: Sequence[Row], max_batch: int) -> Iterator[list[Row]]:
    shape = decoder.architecture
    per_position = 2 * shape.num_layers * shape.num_kv_heads * shape.head_width * decoder.embedding.dtype.itemsize
    # Neighbours begin alike and end about together.
    waiting = sorted((row for row in rows if row.max_tokens > 0), key=lambda row: (row.capacity, -row.max_tokens))
    while waiting:
        positions = waiting[0].capacity + bucket(waiting[0].max_tokens, _FIRST_STEPS)
        most = max(1, min(max_batch, _MOST_BYTES // (per_position * positions)))
        batch = [row for row in waiting[:most] if row.capacity == waiting[0].capacity]
        waiting = waiting[len(batch) :]
        yield batch


def _generate_batch(
    decoder: Decoder, reader: PromptReader, rows: list[Row], end_tokens: frozenset[int], smallest: int, given_up: Event
) -> None:
    read = reader.read([row.prompt[:-1] for row in rows])
    for row, prompt in zip(rows, read, strict=True):
        row.num_cached = prompt.num_cached
    # What each row of the batch works on: None where it is idle, since it was never used or its text has ended.
    slots: list[Row | None] = [*rows, *[None] * (bucket(len(rows), smallest) - len(rows))]
    prompts = lay_out(decoder, read, len(slots), rows[0].capacity)
    written = _blank(prompts)
    uniforms = {id(row): row.uniforms() for row in rows}
    step = 0
    while any(slots) and not given_up.is_set():
        if step == written[0].keys.shape[-1]:
            written = _lengthen(written)
        current, lengths, sampling = _inputs(slots, uniforms, step)
        chosen, log_probs, written = take_step(
            decoder, current, prompts, lengths, written, jnp.asarray(step, jnp.int32), sampling
        )
        for place, (token, log_prob) in enumerate(zip(np.asarray(chosen), np.asarray(log_probs), strict=True)):
            row = slots[place]
            if row is not None:
                row.tokens.append(int(token))
                row.log_probs.append(float(log_prob))
                if _has_ended(row, end_tokens):
                    slots[place] = None
        step += 1
        going = [place for place, row in enumerate(slots) if row is not None]
        num_rows = bucket(len(going), smallest)
        if going and num_rows < len(slots):
            places = jnp.asarray(going + [0] * (num_rows - len(going)), jnp.int32)
            prompts, written = _take_rows(prompts, places), _take_rows(written, places)
            slots = [*(slots[place] for place in going), *[None] * (num_rows - len(going))]


def has_said_all(row: Row, end_tokens: frozenset[int]) -> bool:
    """Whether a text ended by itself, with an end token or as its row has it, and was not cut off."""
    return row.tokens[-1] in end_tokens or (row.ends is not None and row.ends(row.tokens))


def _has_ended(row: Row, end_tokens: frozenset[int]) -> bool:
    return len(row.tokens) >= row.max_tokens or (row.forced is None and has_said_all(row, end_tokens))


def _inputs(
    slots: Sequence[Row | None], uniforms: dict[int, np.ndarray], step: int
) -> tuple[Int[Array, " row"], Int[Array, " row"], Sampling]:
    """Last tokens, lengths of prompts but the last token, and sampling of every row of a batch."""
    current, lengths, forced = (np.full(len(slots), value, np.int32) for value in (0, 0, -1))
    temperature, top_p, uniform = (np.full(len(slots), value, np.float32) for value in (0, 1, 0))
    for place, row in enumerate(slots):
        if row is not None:
            current[place] = row.tokens[-1] if row.tokens else row.prompt[-1]
            lengths[place] = len(row.prompt) - 1
            temperature[place], top_p[place] = row.temperature, row.top_p
            uniform[place] = uniforms[id(row)][step]
            if row.forced is not None:
                forced[place] = row.forced[step]
    sampling = Sampling(*(jnp.asarray(x) for x in (temperature, top_p, uniform, forced)))
    return jnp.asarray(current), jnp.asarray(lengths), sampling


def _blank(prompts: tuple[Memory, ...]) -> tuple[Memory, ...]:
    """Memory for the first steps."""
    rows, heads, width, _ = prompts[0].keys.shape
    dtype = prompts[0].keys.dtype
    return tuple(
        Memory(
            jnp.zeros((rows, heads, width, _FIRST_STEPS), dtype), jnp.zeros((rows, heads, _FIRST_STEPS, width), dtype)
        )
        for _ in prompts
    )


@jax.jit
def _lengthen(written: tuple[Memory, ...]) -> tuple[Memory, ...]:
    """Room for as many steps again."""
    return tuple(
        Memory(
            jnp.pad(memory.keys, [(0, 0), (0, 0), (0, 0), (0, memory.keys.shape[3])]),
            jnp.pad(memory.values, [(0, 0), (0, 0), (0, memory.values.shape[2]), (0, 0)]),
        )
        for memory in written
    )


@jax.jit
def _take_rows(memories: tuple[Memory, ...], places: Int[Array, " row"]) -> tuple[Memory, ...]:
    return tuple(Memory(memory.keys[places], memory.values[places]) for memory in memories)
