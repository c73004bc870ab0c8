"""The compiled programs of generation: reading a stretch of some prompts, and one step of a batch.

What a row of a batch computes must not depend on what else is computed: the programs' shapes are few and are chosen by
the row's own length wherever that is possible (see `_generation`), and rows meet in matrix products alone, whose
rows are computed alike for the batch sizes that are used.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from hqre_jax.bridge.models._decoder import Architecture, Block, Decoder, rotation

STRETCH = 64  # positions of a prompt that are read at once, and kept together
_FEW = -1e30  # a score that no softmax sees; finite, so that a row without any is no NaN


class Stretch(NamedTuple):
    """Keys and values of up to `STRETCH` positions of one prompt, in all blocks.

    Attributes:
        keys: Rotated keys.
        values: Values.
    """

    keys: Float[np.ndarray, "layer kv_head width position"]
    values: Float[np.ndarray, "layer kv_head position width"]


class Memory(NamedTuple):
    """Keys and values of one block, of every row of a batch.

    Attributes:
        keys: Rotated keys.
        values: Values.
    """

    keys: Float[Array, "row kv_head width position"]
    values: Float[Array, "row kv_head position width"]


class Sampling(NamedTuple):
    """How each row takes its next token.

    Attributes:
        temperature: 0 takes the likeliest token.
        top_p: Mass to sample from.
        uniform: The row's random number of this step, in [0, 1).
        forced: A token to take in any case; −1 for none.
    """

    temperature: Float[Array, " row"]
    top_p: Float[Array, " row"]
    uniform: Float[Array, " row"]
    forced: Int[Array, " row"]


def rows_are_alike(decoder: Decoder) -> bool:
    """Whether matrix products compute a row alike, to the last bit, whatever the number of rows.

    On a processor they do in single precision, from 8 rows on in `take_step` and from 64 on in `read_stretches`, where
    all sums are over multiples of 64 numbers, as they are in models of use; a test checks it. Elsewhere their number
    is fixed.
    """
    shape = decoder.architecture
    sizes = (shape.width, shape.hidden_width, shape.head_width, shape.vocabulary)
    single = decoder.embedding.dtype == jnp.float32
    return jax.default_backend() == "cpu" and single and not any(size % 64 for size in sizes)


def read_stretches(
    decoder: Decoder,
    tokens: Int[Array, "row token"],
    past: Sequence[Memory],
    lengths: Int[Array, " row"],
) -> tuple[Stretch, ...]:
    """Read one stretch of several prompts.

    Block by block, all by one program: it is compiled once for a size, in a second, where a program of all blocks
    takes as many times longer as there are blocks.

    Args:
        decoder: The weights.
        tokens: The stretches, padded at their ends.
        past: What was read before of each prompt, per block.
        lengths: How many positions of it are each row's own.

    Returns:
        The keys and values of each, padded to `STRETCH` positions.
    """
    (rows, width), shape = tokens.shape, decoder.architecture
    x, positions = _begin_stretches(decoder.embedding, tokens, lengths)
    read: list[Memory] = []
    for block, before in zip(decoder.blocks, past, strict=True):
        x, memory = _read_block(shape, block, x, positions, before, lengths)
        read.append(memory)
    size = shape.num_layers, shape.num_kv_heads
    keys = np.zeros((rows, *size, shape.head_width, STRETCH), x.dtype)
    values = np.zeros((rows, *size, STRETCH, shape.head_width), x.dtype)
    for number, memory in enumerate(read):
        keys[:, number, ..., :width], values[:, number, :, :width] = memory
    return tuple(Stretch(key.copy(), value.copy()) for key, value in zip(keys, values, strict=True))


@jax.jit
def _begin_stretches(
    embedding: Float[Array, "vocabulary width"], tokens: Int[Array, "row token"], lengths: Int[Array, " row"]
) -> tuple[Float[Array, "row_token width"], Int[Array, " row_token"]]:
    """The stream before the first block, and the places of its tokens."""
    positions = lengths[:, None] + jnp.arange(tokens.shape[1], dtype=jnp.int32)[None]
    return embedding[tokens.reshape(-1)], positions.reshape(-1)


@partial(jax.jit, static_argnames="shape")
def _read_block(
    shape: Architecture,
    block: Block,
    x: Float[Array, "row_token width"],
    positions: Int[Array, " row_token"],
    past: Memory,
    lengths: Int[Array, " row"],
) -> tuple[Float[Array, "row_token width"], Memory]:
    """The stream of all stretches after a block, and what the block keeps of them."""
    rows, width = len(lengths), len(positions) // len(lengths)
    here = jnp.arange(width, dtype=jnp.int32)
    before = jnp.arange(past.keys.shape[-1], dtype=jnp.int32)[None] < lengths[:, None]
    # Of each query head that shares a key, the tokens.
    own = jnp.tile(here[:, None] >= here[None], (shape.num_heads // shape.num_kv_heads, 1))
    kept: list[Memory] = []

    def attend(query, key, value):
        key, value = (x.reshape(rows, width, *x.shape[1:]) for x in (key, value))
        kept.append(Memory(key.transpose(0, 2, 3, 1), value.transpose(0, 2, 1, 3)))
        grouped = query.reshape(rows, width, shape.num_kv_heads, -1, shape.head_width).transpose(0, 2, 3, 1, 4)
        flat = grouped.reshape(rows, shape.num_kv_heads, -1, shape.head_width)
        attended = _attend_twice(flat, past, before[:, None, None], kept[0], own[None, None])
        return attended.reshape(grouped.shape).transpose(0, 3, 1, 2, 4).reshape(query.shape)

    return block(shape, x, rotation(shape, positions), attend), kept[0]


@partial(jax.jit, donate_argnames="written")
def take_step(
    decoder: Decoder,
    tokens: Int[Array, " row"],
    prompts: tuple[Memory, ...],
    lengths: Int[Array, " row"],
    written: tuple[Memory, ...],
    step: Int[Array, ""],
    sampling: Sampling,
) -> tuple[Int[Array, " row"], Float[Array, " row"], tuple[Memory, ...]]:
    """Read one token of every row and take the next.

    Args:
        decoder: The weights.
        tokens: The last token of each row, read here.
        prompts: What was read before, per block.
        lengths: How many positions of it are each row's own.
        written: What was read in the steps before, per block; updated in place.
        step: How many steps that were.
        sampling: How the next tokens are taken.

    Returns:
        The next tokens, their log-probabilities at temperature 1, and `written` with this step.
    """
    prompt_seen = jnp.arange(prompts[0].keys.shape[-1], dtype=jnp.int32)[None] < lengths[:, None]
    step_seen = jnp.arange(written[0].keys.shape[-1], dtype=jnp.int32) <= step
    updated: list[Memory] = []

    def attend(number, query, key, value):
        keys = jax.lax.dynamic_update_slice_in_dim(written[number].keys, key[..., None], step, axis=3)
        values = jax.lax.dynamic_update_slice_in_dim(written[number].values, value[:, :, None], step, axis=2)
        updated.append(Memory(keys, values))
        grouped = query.reshape(*key.shape[:2], -1, key.shape[2])
        attended = _attend_twice(
            grouped, prompts[number], prompt_seen[:, None, None], updated[-1], step_seen[None, None, None]
        )
        return attended.reshape(query.shape)

    logits = decoder.logits(decoder.stream(tokens, lengths + step, lambda number: partial(attend, number)))
    chosen = _choose(logits, sampling)
    log_probs = jnp.take_along_axis(logits, chosen[:, None], axis=1)[:, 0] - jax.nn.logsumexp(logits, axis=1)
    return chosen, log_probs, tuple(updated)


def _attend_twice(
    query: Float[Array, "row kv_head group width"],
    prompt: Memory,
    prompt_seen: Bool[Array, "row 1 1 position"],
    written: Memory,
    written_seen: Bool[Array, "1 1 _ step"],
) -> Float[Array, "row kv_head group width"]:
    """Attention to what was read and what is new together: softmax over both without putting them side by side."""
    scale = query.shape[-1] ** -0.5

    def scores(memory: Memory, seen: Bool[Array, "_ 1 _ position"]) -> Array:
        return jnp.where(seen, jnp.einsum("rhgd,rhdk->rhgk", query, memory.keys).astype(jnp.float32) * scale, _FEW)

    first, second = scores(prompt, prompt_seen), scores(written, written_seen)
    most = jnp.maximum(first.max(-1, keepdims=True), second.max(-1, keepdims=True))
    first, second = jnp.exp(first - most), jnp.exp(second - most)
    total = first.sum(-1, keepdims=True) + second.sum(-1, keepdims=True)

    def mean(weights: Array, memory: Memory) -> Array:
        return jnp.einsum("rhgk,rhkd->rhgd", weights.astype(memory.values.dtype), memory.values)

    return (mean(first, prompt) + mean(second, written)) / total.astype(query.dtype)


def _choose(logits: Float[Array, "row token"], sampling: Sampling) -> Int[Array, " row"]:
    likeliest = jnp.argmax(logits, axis=1).astype(jnp.int32)
    drawn = jax.lax.cond(
        jnp.any(sampling.temperature > 0), lambda: _draw(logits, sampling), lambda: jnp.zeros_like(likeliest)
    )
    chosen = jnp.where(sampling.temperature > 0, drawn, likeliest)
    return jnp.where(sampling.forced >= 0, sampling.forced, chosen)


def _draw(logits: Float[Array, "row token"], sampling: Sampling) -> Int[Array, " row"]:
    """Draw from softmax(logits / temperature), cut to its top_p, by inverting the distribution function."""
    temperature = jnp.where(sampling.temperature > 0, sampling.temperature, 1.0)
    shares = jax.nn.softmax(logits / temperature[:, None], axis=1)
    cut = jax.lax.cond(
        jnp.any(sampling.top_p < 1),
        lambda: _least_share(shares, sampling.top_p),
        lambda: jnp.zeros_like(sampling.top_p),
    )
    shares = jnp.where(shares >= cut[:, None], shares, 0)
    # In two levels, first a block of the vocabulary and then a token of it: sums over blocks are cheap and exact.
    rows, vocabulary = shares.shape
    width = 256
    blocks = jnp.pad(shares, [(0, 0), (0, -vocabulary % width)]).reshape(rows, -1, width)
    sums = jnp.cumsum(blocks.sum(-1), axis=1)
    target = _below(sampling.uniform * sums[:, -1], sums[:, -1])
    block = jnp.argmax(sums > target[:, None], axis=1)
    before = jnp.where(block > 0, jnp.take_along_axis(sums, jnp.maximum(block - 1, 0)[:, None], axis=1)[:, 0], 0)
    inner = jnp.cumsum(jnp.take_along_axis(blocks, block[:, None, None], axis=1)[:, 0], axis=1)
    rest = _below(target - before, inner[:, -1])
    return (block * width + jnp.argmax(inner > rest[:, None], axis=1)).astype(jnp.int32)


def _below(x: Float[Array, " row"], bound: Float[Array, " row"]) -> Float[Array, " row"]:
    """X, rounded to what lies below the bound, so that a sum that reaches the bound exceeds it."""
    return jnp.minimum(x, jnp.nextafter(bound, jnp.zeros_like(bound)))


def _least_share(shares: Float[Array, "row token"], top_p: Float[Array, " row"]) -> Float[Array, " row"]:
    """The largest bound such that the tokens at or above it have mass top_p: exact, by bisecting the numbers' bits."""

    def halve(_, bounds):
        low, high = bounds
        middle = low + (high - low) // 2
        bound = jax.lax.bitcast_convert_type(middle, jnp.float32)
        enough = jnp.where(shares >= bound[:, None], shares, 0).sum(1) >= top_p * shares.sum(1)
        return jnp.where(enough, middle, low), jnp.where(enough, high, middle)

    ends = jnp.zeros(len(top_p), jnp.int32), jnp.full(len(top_p), 0x3F800001, jnp.int32)  # 0 and just above 1
    low, _ = jax.lax.fori_loop(0, 31, halve, ends)
    return jax.lax.bitcast_convert_type(low, jnp.float32)
