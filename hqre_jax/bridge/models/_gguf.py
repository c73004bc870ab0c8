"""GGUF files: weights, tokenizer and chat template in one file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hqre_jax.bridge.models._chat import ChatTemplate
from hqre_jax.bridge.models._decoder import Architecture
from hqre_jax.bridge.models._rotary import rotary_frequencies
from hqre_jax.bridge.models._tokenizer import PRE_TOKENIZERS, ControlToken, Tokenizer, byte_level_description
from hqre_jax.core._types import InputError

_CONTROL, _USER_DEFINED = 3, 4  # kinds of tokens
# Names in the file, and here; those of blocks stand after "blk.N.".
_OUTSIDE = {"token_embd.weight": "embedding", "output_norm.weight": "norm", "output.weight": "head.weight"}
_INSIDE = {
    "attn_norm": "attention_norm",
    "attn_q": "attention.query",
    "attn_k": "attention.key",
    "attn_v": "attention.value",
    "attn_output": "attention.output",
    "ffn_norm": "mlp_norm",
    "ffn_gate": "mlp.gate",
    "ffn_up": "mlp.up",
    "ffn_down": "mlp.down",
}


class GgufFile:
    """An open GGUF file of a Llama or Qwen2 model.

    Args:
        path: The file.

    Raises:
        InputError: For a file that is damaged or of another architecture.
    """

    def __init__(self, path: Path):
        from gguf import GGUFReader

        self.path = path
        try:
            self._reader = GGUFReader(path)
        except (OSError, ValueError, IndexError, KeyError) as error:
            raise InputError("model", f"{path} cannot be read as a GGUF file: {error}") from error
        self._family = self._get("general.architecture")
        if self._family not in ("llama", "qwen2"):
            raise InputError("model", f"{path}: the architecture {self._family!r} is none of llama, qwen2")

    def architecture(self) -> Architecture:
        """The decoder's shape."""
        names = {tensor.name: tensor for tensor in self._reader.tensors}
        width, num_heads = self._number("embedding_length"), self._number("attention.head_count")
        head_width = int(self._number("attention.key_length", width // num_heads))
        rotated = int(self._number("rope.dimension_count", head_width))
        if rotated != head_width or self._number("expert_count", 0):
            raise InputError("model", f"{self.path}: partly rotated heads and mixtures of experts are not supported")
        context_length = int(self._number("context_length"))
        frequencies, magnitude = rotary_frequencies(
            head_width, float(self._number("rope.freq_base", 10000.0)), self._scaling(), context_length
        )
        if "rope_freqs.weight" in names:  # the stretching of Llama 3, as a divisor of each
            divisors = np.asarray(names["rope_freqs.weight"].data, np.float64).reshape(-1)
            frequencies = tuple(float(np.float32(f / d)) for f, d in zip(frequencies, divisors, strict=True))
        return Architecture(
            vocabulary=int(names["token_embd.weight"].shape[1]),
            width=int(width),
            num_layers=int(self._number("block_count")),
            num_heads=int(num_heads),
            num_kv_heads=int(self._number("attention.head_count_kv", num_heads)),
            head_width=head_width,
            hidden_width=int(self._number("feed_forward_length")),
            context_length=context_length,
            norm_epsilon=float(self._number("attention.layer_norm_rms_epsilon")),
            frequencies=frequencies,
            rotary_magnitude=magnitude,
        )

    def arrays(self, shape: Architecture) -> dict[str, np.ndarray]:
        """The weights as float32, by their names in the decoder; matrices map from the left, as (input, output)."""
        from gguf import dequantize

        arrays = {}
        for tensor in self._reader.tensors:
            if tensor.name == "rope_freqs.weight":
                continue
            name = _decoder_name(tensor.name)
            if name is None:
                raise InputError("model", f"{self.path}: the tensor {tensor.name!r} is not known")
            array = np.asarray(dequantize(tensor.data, tensor.tensor_type), np.float32)
            if self._family == "llama" and ".query." in name:
                array = _side_by_side(array, shape.num_heads)
            elif self._family == "llama" and ".key." in name:
                array = _side_by_side(array, shape.num_kv_heads)
            arrays[name] = array.T if array.ndim == 2 and name != "embedding" else array
        return arrays

    def tokenizer(self) -> Tokenizer:
        """The tokenizer, rebuilt from the file."""
        model, way = self._get("tokenizer.ggml.model"), self._get("tokenizer.ggml.pre", "gpt-2")
        if model != "gpt2" or way not in PRE_TOKENIZERS:
            raise InputError(
                "model",
                f"{self.path}: its tokenizer ({model}, {way}) is not supported; use the model's folder with its"
                " tokenizer.json instead",
            )
        words = self._get("tokenizer.ggml.tokens")
        kinds = self._get("tokenizer.ggml.token_type")
        control = [
            ControlToken(word, number)
            for number, (word, kind) in enumerate(zip(words, kinds, strict=True))
            if kind in (_CONTROL, _USER_DEFINED)
        ]
        return Tokenizer(byte_level_description(words, self._get("tokenizer.ggml.merges"), way), control)

    def template(self) -> ChatTemplate:
        """The chat template."""
        source = self._get("tokenizer.chat_template", None)
        if source is None:
            raise InputError(
                "model", f"{self.path} has no chat template: use a model that was trained on conversations"
            )
        words = self._get("tokenizer.ggml.tokens")
        special = {
            name: words[self._get(f"tokenizer.ggml.{key}_token_id")]
            for name, key in (("bos_token", "bos"), ("eos_token", "eos"), ("pad_token", "padding"))
            if self._get(f"tokenizer.ggml.{key}_token_id", None) is not None
        }
        return ChatTemplate(source, special)

    def end_tokens(self, tokenizer: Tokenizer) -> frozenset[int]:
        """Tokens that end a reply."""
        end = self._get("tokenizer.ggml.eos_token_id", None)
        return tokenizer.usual_ends | ({int(end)} if end is not None else set())

    def _scaling(self) -> Mapping[str, Any] | None:
        kind = self._get(f"{self._family}.rope.scaling.type", "none")
        if kind == "none":
            return None
        scaling: dict[str, Any] = {"rope_type": kind, "factor": float(self._number("rope.scaling.factor"))}
        original = self._number("rope.scaling.original_context_length", 0)
        return {**scaling, "original_max_position_embeddings": int(original)} if original else scaling

    def _number(self, key: str, *default: Any) -> Any:
        return self._get(f"{self._family}.{key}", *default)

    def _get(self, key: str, *default: Any) -> Any:
        field = self._reader.get_field(key)
        if field is not None:
            return field.contents()
        if default:
            return default[0]
        raise InputError("model", f"{self.path} lacks {key!r}")


def _decoder_name(name: str) -> str | None:
    if name in _OUTSIDE:
        return _OUTSIDE[name]
    head, _, rest = name.partition(".")
    number, _, rest = rest.partition(".")
    part, _, kind = rest.partition(".")
    if head != "blk" or part not in _INSIDE or kind not in ("weight", "bias"):
        return None
    inside = _INSIDE[part]
    return f"blocks.{number}.{inside}" if inside.endswith("norm") else f"blocks.{number}.{inside}.{kind}"


def _side_by_side(array: np.ndarray, num_heads: int) -> np.ndarray:
    """Rows of each head from pairs (1, 1', 2, 2', …), which llama.cpp rotates, to halves (1, 2, …, 1', 2', …)."""
    return array.reshape(num_heads, -1, 2, *array.shape[1:]).swapaxes(1, 2).reshape(array.shape)
