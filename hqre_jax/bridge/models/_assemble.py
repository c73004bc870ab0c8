"""From named arrays to a decoder."""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from hqre_jax.bridge.models._decoder import Architecture, Attention, Block, Decoder, Linear, Mlp
from hqre_jax.core._types import InputError


def assemble(shape: Architecture, arrays: Mapping[str, np.ndarray], dtype: jnp.dtype) -> Decoder:
    """Put weights where they belong.

    Args:
        shape: The decoder's shape.
        arrays: The weights, by their paths in the decoder ("blocks.0.mlp.up.weight"); matrices as (input, output).
            Biases may be absent, and the head, which then is the embedding.
        dtype: Number type to hold them in.

    Returns:
        The decoder.

    Raises:
        InputError: For an array that is missing, has the wrong shape, or is not used.
    """
    left = dict(arrays)

    def take(name: str, *dimensions: int) -> Array:
        array = left.pop(name, None)
        if array is None:
            raise InputError("model", f"its weights lack {name!r}")
        if array.shape != dimensions:
            raise InputError("model", f"its {name!r} has the shape {array.shape} instead of {dimensions}")
        return jnp.asarray(array, dtype)

    def linear(name: str, size: int, out: int) -> Linear:
        bias = take(f"{name}.bias", out) if f"{name}.bias" in left else None
        return Linear(take(f"{name}.weight", size, out), bias)

    def block(name: str) -> Block:
        layers = {path: linear(f"{name}.{path}", *sizes) for path, sizes in shape.layer_sizes.items()}
        return Block(
            attention_norm=take(f"{name}.attention_norm", shape.width),
            attention=Attention(*(layers[f"attention.{part}"] for part in ("query", "key", "value", "output"))),
            mlp_norm=take(f"{name}.mlp_norm", shape.width),
            mlp=Mlp(*(layers[f"mlp.{part}"] for part in ("gate", "up", "down"))),
        )

    decoder = Decoder(
        embedding=take("embedding", shape.vocabulary, shape.width),
        blocks=tuple(block(f"blocks.{number}") for number in range(shape.num_layers)),
        norm=take("norm", shape.width),
        head=linear("head", shape.width, shape.vocabulary) if "head.weight" in left else None,
        architecture=shape,
    )
    if left:
        raise InputError("model", f"its weights have parts that are not known: {', '.join(sorted(left)[:3])}")
    return decoder
