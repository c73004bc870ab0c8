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

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

# (number of the block, queries, keys, values) -> attended values, each with the axes (token, head, head_width).
Attend = Callable[
    [int, Float[Array, "token head width"], Float[Array, "token kv_head width"], Float[Array, "token kv_head width"]],
    Float[Array, "token head width"],
]


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


class Linear(eqx.Module):
    """x ↦ x W + b."""

    weight: Float[Array, "input output"]
    bias: Float[Array, " output"] | None = None

    def __call__(self, x: Float[Array, "token input"]) -> Float[Array, "token output"]:
        """The layer's value at each token."""
        y = x @ self.weight
        return y if self.bias is None else y + self.bias[None]


class Attention(eqx.Module):
    """The linear maps of an attention layer."""

    query: Linear
    key: Linear
    value: Linear
    output: Linear


class Mlp(eqx.Module):
    """A gated perceptron."""

    gate: Linear
    up: Linear
    down: Linear

    def __call__(self, x: Float[Array, "token width"]) -> Float[Array, "token width"]:
        """The layer's value at each token."""
        return self.down(jax.nn.silu(self.gate(x)) * self.up(x))


class Block(eqx.Module):
    """One layer of the decoder."""

    attention_norm: Float[Array, " width"]
    attention: Attention
    mlp_norm: Float[Array, " width"]
    mlp: Mlp


class Decoder(eqx.Module):
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
        self,
        tokens: Int[Array, " token"],
        positions: Int[Array, " token"],
        attend: Attend,
        rematerialise: bool = False,
    ) -> Float[Array, "token width"]:
        """The stream after the last block, normalised; `logits` reads it.

        Args:
            tokens: The tokens.
            positions: The place of each in its sequence.
            attend: Who attends to whom.
            rematerialise: Whether gradients compute a block's inner values again instead of keeping them.
        """
        shape = self.architecture
        rotation = _rotation(shape, positions)

        def through(number: int, block: Block, x: Float[Array, "token width"]) -> Float[Array, "token width"]:
            h = _norm(x, block.attention_norm, shape.norm_epsilon)
            query = _rotate(_heads(block.attention.query(h), shape.num_heads), rotation)
            key = _rotate(_heads(block.attention.key(h), shape.num_kv_heads), rotation)
            value = _heads(block.attention.value(h), shape.num_kv_heads)
            attended = attend(number, query, key, value)
            x = x + block.attention.output(attended.reshape(len(x), -1))
            return x + block.mlp(_norm(x, block.mlp_norm, shape.norm_epsilon))

        x = self.embedding[tokens]
        for number, block in enumerate(self.blocks):
            layer = partial(through, number)
            x = (jax.checkpoint(layer) if rematerialise else layer)(block, x)
        return _norm(x, self.norm, shape.norm_epsilon)

    def logits(self, stream: Float[Array, "token width"]) -> Float[Array, "token vocabulary"]:
        """Logits of the next token after each token, in single precision."""
        head = Linear(self.embedding.T) if self.head is None else self.head
        y = jnp.matmul(stream, head.weight, preferred_element_type=jnp.float32)
        return y if head.bias is None else y + head.bias.astype(jnp.float32)[None]


def forward(
    decoder: Decoder,
    tokens: Int[Array, "sequence position"],
    read: Int[Array, "sequence place"] | None = None,
    rematerialise: bool = False,
) -> Float[Array, "sequence place vocabulary"]:
    """Logits after the tokens of whole sequences, each read from its first token: what training differentiates.

    Args:
        decoder: The weights, with adapters or without.
        tokens: As for `streams`.
        read: As for `streams`.
        rematerialise: As for `streams`.

    Returns:
        Logits of the next token.
    """
    stream = streams(decoder, tokens, read, rematerialise)
    return decoder.logits(stream.reshape(-1, stream.shape[2])).reshape(*stream.shape[:2], -1)


def streams(
    decoder: Decoder,
    tokens: Int[Array, "sequence position"],
    read: Int[Array, "sequence place"] | None = None,
    rematerialise: bool = False,
) -> Float[Array, "sequence place width"]:
    """What `Decoder.logits` reads, for whole sequences: a vocabulary's worth smaller than logits, where it is kept.

    With weights in bfloat16, products are computed in it; norms, softmax, adapters and logits are float32.

    Args:
        decoder: The weights, with adapters or without.
        tokens: Sequences of one length; what is padded at their ends changes nothing before it, and gets no gradient
            from logits before it.
        read: Positions whose logits are wanted, of each sequence as many; None for all. Those of a prompt need not
            be computed, and the vocabulary is what makes logits large.
        rematerialise: Whether gradients compute a block's inner values again instead of keeping them: a forward pass
            more, for a memory of the blocks' inputs only.

    Returns:
        The stream after the last block.
    """
    sequences, length = tokens.shape
    positions = jnp.tile(jnp.arange(length, dtype=jnp.int32), sequences)
    past = jnp.tril(jnp.ones((length, length), bool))

    def attend(number, query, key, value):
        query, key, value = (x.reshape(sequences, length, *x.shape[1:]) for x in (query, key, value))
        grouped = query.reshape(sequences, length, key.shape[2], -1, key.shape[3])
        scores = jnp.einsum("sqhgd,skhd->shgqk", grouped, key, preferred_element_type=jnp.float32)
        scores = jnp.where(past[None, None, None], scores * key.shape[3] ** -0.5, -jnp.inf)
        shares = jax.nn.softmax(scores, axis=-1).astype(value.dtype)
        return jnp.einsum("shgqk,skhd->sqhgd", shares, value).reshape(sequences * length, -1, key.shape[3])

    stream = decoder.stream(tokens.reshape(-1), positions, attend, rematerialise).reshape(sequences, length, -1)
    return stream if read is None else jnp.take_along_axis(stream, read[:, :, None], axis=1)


def _heads(x: Float[Array, "token features"], num_heads: int) -> Float[Array, "token head width"]:
    return x.reshape(x.shape[0], num_heads, -1)


def _norm(x: Float[Array, "token width"], scale: Float[Array, " width"], epsilon: float) -> Float[Array, "token width"]:
    y = x.astype(jnp.float32)
    y = y * jax.lax.rsqrt(jnp.mean(y * y, axis=-1, keepdims=True) + epsilon)
    return y.astype(x.dtype) * scale[None]


def _rotation(shape: Architecture, positions: Int[Array, " token"]) -> Float[Array, "2 token 1 plane"]:
    """Cosine and sine of every token's angles."""
    frequencies = jnp.asarray(shape.frequencies, jnp.float32)
    angles = positions.astype(jnp.float32)[:, None] * frequencies[None]
    return shape.rotary_magnitude * jnp.stack([jnp.cos(angles), jnp.sin(angles)])[:, :, None]


def _rotate(
    x: Float[Array, "token head width"], rotation: Float[Array, "2 token 1 plane"]
) -> Float[Array, "token head width"]:
    cosine, sine = rotation.astype(x.dtype)
    first, second = jnp.split(x, 2, axis=-1)
    return jnp.concatenate([first * cosine - second * sine, second * cosine + first * sine], axis=-1)
