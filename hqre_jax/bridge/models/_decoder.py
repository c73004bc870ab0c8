r"""The decoder of the Llama and Qwen2 families: weights as a pytree, and pure functions of them.

A block maps the stream x of each token to x + attention(norm(x)) and then to x + mlp(norm(x)), where

    norm(x) = x / sqrt(mean(x²) + ε) · scale,    mlp(h) = (silu(h W_gate) ∘ h W_up) W_down,

and attention is grouped-query attention with rotary positions: queries and keys of position t are turned by the angles
t · frequency, in the planes of their coordinates (j, j + half).

Tokens of all sequences lie along one axis, `token`; only attention knows which sequence each belongs to, so a block is
told how to attend. Every linear layer of a block is a `Linear`, so adapters replace any of them (see `_adapters`).

Source: Touvron et al. 2023 (arXiv 2302.13971), Qwen team 2024 (arXiv 2412.15115), Su et al. 2021 (arXiv 2104.09864).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from hqre_jax.core._module import AbstractModule

# (queries, keys, values) -> attended values, each with the axes (token, head, head_width).
Attend = Callable[
    [Float[Array, "token head width"], Float[Array, "token kv_head width"], Float[Array, "token kv_head width"]],
    Float[Array, "token head width"],
]
Rotation = Float[Array, "2 token 1 plane"]  # cosine and sine of every token's angles


@dataclass(frozen=True)
class Architecture:
    """The shape of a decoder, and what is constant in it.

    Attributes:
        vocabulary: Number of tokens.
        width: Of the stream.
        num_layers: Number of blocks.
        num_heads: Query heads of a block.
        num_kv_heads: Key and value heads, each shared by num_heads / num_kv_heads query heads.
        head_width: Coordinates of a head.
        hidden_width: Of the mlp.
        context_length: Most tokens of a sequence.
        norm_epsilon: ε of the norms.
        frequencies: Angle per position of each plane of a head, in radians, after scaling.
        rotary_magnitude: Factor on rotated queries and keys; 1 unless the positions are scaled the YaRN way.
    """

    vocabulary: int
    width: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_width: int
    hidden_width: int
    context_length: int
    norm_epsilon: float
    frequencies: tuple[float, ...]
    rotary_magnitude: float = 1.0

    @property
    def layer_sizes(self) -> dict[str, tuple[int, int]]:
        """Inputs and outputs of the linear layers of a block, by their paths in it."""
        query, kv = self.num_heads * self.head_width, self.num_kv_heads * self.head_width
        return {
            "attention.query": (self.width, query),
            "attention.key": (self.width, kv),
            "attention.value": (self.width, kv),
            "attention.output": (query, self.width),
            "mlp.gate": (self.width, self.hidden_width),
            "mlp.up": (self.width, self.hidden_width),
            "mlp.down": (self.hidden_width, self.width),
        }


def rotation(shape: Architecture, positions: Int[Array, " token"]) -> Rotation:
    """Cosine and sine of every token's angles.

    Args:
        shape: The decoder's.
        positions: The place of each token in its sequence.
    """
    frequencies = jnp.asarray(shape.frequencies, jnp.float32)
    angles = positions.astype(jnp.float32)[:, None] * frequencies[None]
    return shape.rotary_magnitude * jnp.stack([jnp.cos(angles), jnp.sin(angles)])[:, :, None]


class Linear(AbstractModule):
    """x ↦ x W + b."""

    weight: Float[Array, "input output"]
    bias: Float[Array, " output"] | None = None

    def __call__(self, x: Float[Array, "token input"]) -> Float[Array, "token output"]:
        """The layer's value at each token."""
        y = x @ self.weight
        return y if self.bias is None else y + self.bias[None]


class Attention(AbstractModule):
    """The linear maps of an attention layer."""

    query: Linear
    key: Linear
    value: Linear
    output: Linear


class Mlp(AbstractModule):
    """A gated perceptron."""

    gate: Linear
    up: Linear
    down: Linear

    def __call__(self, x: Float[Array, "token width"]) -> Float[Array, "token width"]:
        """The layer's value at each token."""
        return self.down(jax.nn.silu(self.gate(x)) * self.up(x))


class Block(AbstractModule):
    """One layer of the decoder."""

    attention_norm: Float[Array, " width"]
    attention: Attention
    mlp_norm: Float[Array, " width"]
    mlp: Mlp

    def __call__(
        self, shape: Architecture, x: Float[Array, "token width"], turns: Rotation, attend: Attend
    ) -> Float[Array, "token width"]:
        """The stream after the block.

        Args:
            shape: The decoder's.
            x: The stream before it.
            turns: The `rotation` of the tokens' positions.
            attend: Who attends to whom.
        """
        h = _norm(x, self.attention_norm, shape.norm_epsilon)
        query = _rotate(_heads(self.attention.query(h), shape.num_heads), turns)
        key = _rotate(_heads(self.attention.key(h), shape.num_kv_heads), turns)
        value = _heads(self.attention.value(h), shape.num_kv_heads)
        x = x + self.attention.output(attend(query, key, value).reshape(len(x), -1))
        return x + self.mlp(_norm(x, self.mlp_norm, shape.norm_epsilon))


class Decoder(AbstractModule):
    """A decoder: token embedding, blocks, final norm, and the map to logits.

    Attributes:
        embedding: One row per token.
        blocks: The layers.
        norm: Scale of the final norm.
        head: To the logits; None where it is the embedding, transposed (tied).
        architecture: Shapes and constants.
    """

    embedding: Float[Array, "vocabulary width"]
    blocks: tuple[Block, ...]
    norm: Float[Array, " width"]
    head: Linear | None
    architecture: Architecture = eqx.field(static=True)

    def stream(
        self, tokens: Int[Array, " token"], positions: Int[Array, " token"], attend: Callable[[int], Attend]
    ) -> Float[Array, "token width"]:
        """The stream after the last block, normalised; `logits` reads it.

        Args:
            tokens: The tokens.
            positions: The place of each in its sequence.
            attend: Who attends to whom, by the number of the block.
        """
        return self.normalised(self.through(self.embedding[tokens], positions, attend))

    def through(
        self,
        x: Float[Array, "token width"],
        positions: Int[Array, " token"],
        attend: Callable[[int], Attend],
        start: int = 0,
        stop: int | None = None,
        rematerialise: bool = False,
    ) -> Float[Array, "token width"]:
        """The stream after some of the blocks.

        Args:
            x: The stream before them; before the first block it is the tokens' embedding.
            positions: The place of each token in its sequence.
            attend: Who attends to whom, by the number of the block.
            start: The first block.
            stop: The block before which to stop; None for none.
            rematerialise: Whether gradients compute a block's inner values again instead of keeping them.
        """
        turns = rotation(self.architecture, positions)

        def one(number: int, block: Block, x: Float[Array, "token width"]) -> Float[Array, "token width"]:
            return block(self.architecture, x, turns, attend(number))

        for number, block in list(enumerate(self.blocks))[start:stop]:
            layer = partial(one, number)
            x = (jax.checkpoint(layer) if rematerialise else layer)(block, x)
        return x

    def normalised(self, x: Float[Array, "token width"]) -> Float[Array, "token width"]:
        """The final norm of the stream after the last block."""
        return _norm(x, self.norm, self.architecture.norm_epsilon)

    def logits(self, stream: Float[Array, "token width"]) -> Float[Array, "token vocabulary"]:
        """Logits of the next token after each token, in single precision."""
        head = Linear(self.embedding.T) if self.head is None else self.head
        y = jnp.matmul(stream, head.weight, preferred_element_type=jnp.float32)
        return y if head.bias is None else y + head.bias.astype(jnp.float32)[None]


class TokenTrees(NamedTuple):
    """Sequences that share their beginnings, every shared token once: a tree of tokens a row.

    A node comes after its parent, and its descendants right behind it, so the sequence of node i is made of itself and
    the nodes j < i < ends[j].

    Attributes:
        tokens: Of each node.
        depths: Its place in its sequence.
        ends: The node behind its last descendant; 0 for nodes that a row is filled up with.
    """

    tokens: Int[Array, "row node"]
    depths: Int[Array, "row node"]
    ends: Int[Array, "row node"]


def chains(tokens: Int[Array, "sequence position"]) -> TokenTrees:
    """Sequences of one length, each a row that nothing branches off from.

    What is padded at their ends changes nothing before it, and gets no gradient from what is read before it.
    """
    length = tokens.shape[1]
    depths = jnp.broadcast_to(jnp.arange(length, dtype=jnp.int32), tokens.shape)
    return TokenTrees(tokens, depths, jnp.full_like(depths, length))


def forward(
    decoder: Decoder,
    tokens: Int[Array, "sequence position"],
    read: Int[Array, "sequence place"] | None = None,
    rematerialise: bool = False,
) -> Float[Array, "sequence place vocabulary"]:
    """Logits after the tokens of whole sequences, each read from its first token: what training differentiates.

    Args:
        decoder: The weights, with adapters or without.
        tokens: As for `chains`.
        read: Positions whose logits are wanted, of each sequence as many; None for all. Those of a prompt need not
            be computed, and the vocabulary is what makes logits large.
        rematerialise: As for `streams`.

    Returns:
        Logits of the next token.
    """
    trees = chains(tokens)
    stream = streams(decoder, trees, lower_streams(decoder, trees, 0), 0, rematerialise)
    if read is not None:
        stream = jnp.take_along_axis(stream, read[:, :, None], axis=1)
    return decoder.logits(stream.reshape(-1, stream.shape[2])).reshape(*stream.shape[:2], -1)


def lower_streams(decoder: Decoder, trees: TokenTrees, stop: int) -> Float[Array, "row node width"]:
    """The stream before a block, at every node: all that blocks from there on need to know of those before.

    Args:
        decoder: The weights.
        trees: The tokens.
        stop: The block.
    """
    x = decoder.embedding[trees.tokens.reshape(-1)]
    x = decoder.through(x, trees.depths.reshape(-1), _attend_within(trees), 0, stop)
    return x.reshape(*trees.tokens.shape, -1)


def streams(
    decoder: Decoder,
    trees: TokenTrees,
    below: Float[Array, "row node width"],
    start: int,
    rematerialise: bool = False,
) -> Float[Array, "row node width"]:
    """What `Decoder.logits` reads, at every node: a vocabulary's worth smaller than logits, where it is kept.

    With weights in bfloat16, products are computed in it; norms, softmax, adapters and logits are float32.

    Args:
        decoder: The weights, with adapters or without.
        trees: The tokens.
        below: Their `lower_streams` before block `start`.
        start: The first block to go through.
        rematerialise: Whether gradients compute a block's inner values again instead of keeping them: a forward pass
            more, for a memory of the blocks' inputs only.

    Returns:
        The stream after the last block.
    """
    x = below.reshape(-1, below.shape[2])
    x = decoder.through(x, trees.depths.reshape(-1), _attend_within(trees), start, None, rematerialise)
    return decoder.normalised(x).reshape(below.shape)


def _attend_within(trees: TokenTrees) -> Callable[[int], Attend]:
    """Every node attends to those of its sequence so far, in every block."""
    rows, nodes = trees.tokens.shape
    here = jnp.arange(nodes, dtype=jnp.int32)
    reader, read = here[None, :, None], here[None, None]
    past = (read == reader) | (read < reader) & (reader < trees.ends[:, None])

    def attend(query, key, value):
        query, key, value = (x.reshape(rows, nodes, *x.shape[1:]) for x in (query, key, value))
        grouped = query.reshape(rows, nodes, key.shape[2], -1, key.shape[3])
        scores = jnp.einsum("sqhgd,skhd->shgqk", grouped, key, preferred_element_type=jnp.float32)
        scores = jnp.where(past[:, None, None], scores * key.shape[3] ** -0.5, -jnp.inf)
        shares = jax.nn.softmax(scores, axis=-1).astype(value.dtype)
        return jnp.einsum("shgqk,skhd->sqhgd", shares, value).reshape(rows * nodes, -1, key.shape[3])

    return lambda number: attend


def _heads(x: Float[Array, "token features"], num_heads: int) -> Float[Array, "token head width"]:
    return x.reshape(x.shape[0], num_heads, -1)


def _norm(x: Float[Array, "token width"], scale: Float[Array, " width"], epsilon: float) -> Float[Array, "token width"]:
    y = x.astype(jnp.float32)
    y = y * jax.lax.rsqrt(jnp.mean(y * y, axis=-1, keepdims=True) + epsilon)
    return y.astype(x.dtype) * scale[None]


def _rotate(x: Float[Array, "token head width"], turns: Rotation) -> Float[Array, "token head width"]:
    cosine, sine = turns.astype(x.dtype)
    first, second = jnp.split(x, 2, axis=-1)
    return jnp.concatenate([first * cosine - second * sine, second * cosine + first * sine], axis=-1)
