r"""How much memory a training step takes, by formula: what to expect before a run is started.

With T tokens in sequences (or rows of trees) of length L, d the width of the stream, h that of the mlp, q and k those
of queries and keys of all heads, H heads and V tokens in the vocabulary, a step keeps

    weights       their bytes
    adapters      16 bytes a number: the number, its slope, and AdamW's two moments
    activations   T (4 (6 d + 5 h + 2 q + 2 k) + 8 H L) for each block from the first one that has an adapter on; where
                  blocks are rematerialised 4 T d for each, and one block's whole at a time
    logits        8 bytes for each of V at each place that is read

and the logits are gone when the blocks' slopes are computed, so that of them and a rematerialised block's the larger
counts. The constants are what XLA keeps of the arrays of a step in single precision, within a tenth where measured. In
bfloat16 weights take half, and the rest about as much: adapters, norms and softmax are computed in single precision.
"""

from dataclasses import dataclass

import jax

from hqre_jax.bridge.models._adapters import Adapter, first_block
from hqre_jax.bridge.models._decoder import Decoder

_PER_ADAPTER_NUMBER, _PER_LOGIT = 16, 8


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes of a training step.

    Attributes:
        weights: Of the frozen decoder.
        adapters: With slopes and the optimiser's state.
        activations: Kept by the blocks for their slopes.
        passing: What is needed at a time beside these: logits, or a rematerialised block's activations.

    Example:
        >>> from hqre_jax.bridge.models import TrainingMemory
        >>> TrainingMemory(weights=500, adapters=20, activations=300, passing=80).total
        900
    """

    weights: int
    adapters: int
    activations: int
    passing: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.weights + self.adapters + self.activations + self.passing


def training_memory(
    decoder: Decoder,
    adapter: Adapter,
    sequences: int,
    length: int,
    read: int | None = None,
    rematerialise: bool = False,
) -> TrainingMemory:
    """Bytes of a training step on one device.

    Args:
        decoder: The weights, or their shapes (``jax.eval_shape``).
        adapter: The adapter, or its shapes; a stack of several roles' counts whole.
        sequences: Of a batch.
        length: Of each, in tokens.
        read: Places of each whose logits are computed; None for all.
        rematerialise: Whether blocks are computed again.

    Returns:
        What takes how much.
    """
    shape = decoder.architecture
    tokens = sequences * length
    query, kv = shape.num_heads * shape.head_width, shape.num_kv_heads * shape.head_width
    numbers = 6 * shape.width + 5 * shape.hidden_width + 2 * query + 2 * kv
    block = tokens * 4 * (numbers + 2 * shape.num_heads * length)
    logits = _PER_LOGIT * sequences * (length if read is None else read) * shape.vocabulary
    return TrainingMemory(
        weights=sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(decoder)),
        adapters=_PER_ADAPTER_NUMBER * sum(x.size for x in jax.tree.leaves(adapter)),
        activations=(shape.num_layers - first_block(adapter)) * (tokens * 4 * shape.width if rematerialise else block),
        passing=max(logits, block) if rematerialise else logits,
    )
