"""Hugging Face folders: config.json, safetensors, tokenizer.json and a chat template."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hqre_jax.bridge.models._chat import ChatTemplate
from hqre_jax.bridge.models._decoder import Architecture
from hqre_jax.bridge.models._rotary import rotary_frequencies
from hqre_jax.bridge.models._tokenizer import Tokenizer, read_description
from hqre_jax.core._types import InputError
from hqre_jax.io._files import reason

_FAMILIES = ("llama", "qwen2")
# Names in the folder, and here.
_OUTSIDE = {"model.embed_tokens.weight": "embedding", "model.norm.weight": "norm", "lm_head.weight": "head.weight"}
# Of the parts of a block, after "model.layers.N." and "blocks.N.".
BLOCK_NAMES = {
    "input_layernorm": "attention_norm",
    "self_attn.q_proj": "attention.query",
    "self_attn.k_proj": "attention.key",
    "self_attn.v_proj": "attention.value",
    "self_attn.o_proj": "attention.output",
    "post_attention_layernorm": "mlp_norm",
    "mlp.gate_proj": "mlp.gate",
    "mlp.up_proj": "mlp.up",
    "mlp.down_proj": "mlp.down",
}


class ModelFolder:
    """A folder as `save_pretrained` of Hugging Face's transformers writes it.

    Args:
        path: The folder.

    Raises:
        InputError: For a folder without a configuration, or of another architecture.
    """

    def __init__(self, path: Path):
        self.path = path
        self._config = self._json("config.json")
        family = self._config.get("model_type")
        if family not in _FAMILIES:
            raise InputError("model", f"{path}: the architecture {family!r} is none of {', '.join(_FAMILIES)}")
        if self._config.get("use_sliding_window"):
            raise InputError("model", f"{path}: attention through a sliding window is not supported")
        if self._config.get("hidden_act", "silu") != "silu":
            raise InputError("model", f"{path}: the activation {self._config['hidden_act']!r} is not supported")

    def architecture(self) -> Architecture:
        """The decoder's shape."""
        config = self._config
        width, num_heads = self._number("hidden_size"), self._number("num_attention_heads")
        head_width = config.get("head_dim") or width // num_heads
        # Newer folders keep all that concerns positions together.
        rotary = config.get("rope_parameters") or config.get("rope_scaling")
        base = (rotary or {}).get("rope_theta") or config.get("rope_theta", 10000.0)
        context_length = self._number("max_position_embeddings")
        frequencies, magnitude = rotary_frequencies(head_width, float(base), rotary, context_length)
        return Architecture(
            vocabulary=self._number("vocab_size"),
            width=width,
            num_layers=self._number("num_hidden_layers"),
            num_heads=num_heads,
            num_kv_heads=config.get("num_key_value_heads") or num_heads,
            head_width=head_width,
            hidden_width=self._number("intermediate_size"),
            context_length=context_length,
            norm_epsilon=float(config.get("rms_norm_eps", 1e-6)),
            frequencies=frequencies,
            rotary_magnitude=magnitude,
        )

    def weight_files(self) -> list[Path]:
        """The files of the weights."""
        files = sorted(self.path.glob("*.safetensors"))
        if not files:
            raise InputError("model", f"{self.path} has no *.safetensors file")
        return files

    def arrays(self, _: Architecture) -> dict[str, np.ndarray]:
        """The weights as float32, by their names in the decoder; matrices map from the left, as (input, output)."""
        from safetensors import SafetensorError, safe_open

        arrays = {}
        for file in self.weight_files():
            try:
                # JAX has bfloat16, which numpy lacks.
                with safe_open(file, framework="flax") as tensors:
                    for theirs in tensors.keys():  # noqa: SIM118 - this is no dictionary
                        name = _decoder_name(theirs)
                        if name is None:
                            raise InputError("model", f"{file}: the tensor {theirs!r} is not known")
                        array = np.asarray(tensors.get_tensor(theirs)).astype(np.float32)
                        arrays[name] = array.T if array.ndim == 2 and name != "embedding" else array
            except (SafetensorError, OSError) as error:
                raise InputError("model", f"{file} cannot be read: {error}") from error
        if self._config.get("tie_word_embeddings", False):
            arrays.pop("head.weight", None)  # a copy that some files keep
        elif "head.weight" not in arrays:
            raise InputError("model", f"{self.path}: its weights lack 'lm_head.weight'")
        return arrays

    def tokenizer(self) -> Tokenizer:
        """The folder's own tokenizer."""
        return read_description(self._json("tokenizer.json"))

    def template(self) -> ChatTemplate:
        """The folder's own chat template."""
        config = self._json("tokenizer_config.json", {})
        file = self.path / "chat_template.jinja"
        source = file.read_text(encoding="utf-8") if file.is_file() else config.get("chat_template")
        if isinstance(source, list):  # several, by name
            source = {entry["name"]: entry["template"] for entry in source}.get("default")
        if not isinstance(source, str):
            raise InputError(
                "model", f"{self.path} has no chat template: use a model that was trained on conversations"
            )
        special = {}
        for name in ("bos_token", "eos_token", "pad_token", "unk_token"):
            token = config.get(name)
            text = token.get("content") if isinstance(token, dict) else token
            if isinstance(text, str):
                special[name] = text
        return ChatTemplate(source, special)

    def end_tokens(self, tokenizer: Tokenizer) -> frozenset[int]:
        """Tokens that end a reply."""
        named = [self._json("generation_config.json", {}).get("eos_token_id"), self._config.get("eos_token_id")]
        ends = {end for entry in named if entry is not None for end in (entry if isinstance(entry, list) else [entry])}
        return tokenizer.usual_ends | ends

    def _number(self, key: str) -> int:
        value = self._config.get(key)
        if not isinstance(value, int) or value < 1:
            raise InputError("model", f"{self.path / 'config.json'}: {key} should be a number from 1 upwards")
        return value

    def _json(self, name: str, default: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        file = self.path / name
        if default is not None and not file.is_file():
            return default
        try:
            value = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise InputError("model", f"there is no Hugging Face model in {self.path}: {name} is missing") from None
        except (OSError, ValueError) as error:
            raise InputError("model", f"{file} cannot be read: {reason(error)}") from error
        if not isinstance(value, dict):
            raise InputError("model", f"{file} should hold an object")
        return value


def _decoder_name(name: str) -> str | None:
    if name in _OUTSIDE:
        return _OUTSIDE[name]
    prefix = "model.layers."
    number, _, rest = name.removeprefix(prefix).partition(".")
    part, _, kind = rest.rpartition(".")
    if not name.startswith(prefix) or part not in BLOCK_NAMES or kind not in ("weight", "bias"):
        return None
    inside = BLOCK_NAMES[part]
    return f"blocks.{number}.{inside}" if inside.endswith("norm") else f"blocks.{number}.{inside}.{kind}"
