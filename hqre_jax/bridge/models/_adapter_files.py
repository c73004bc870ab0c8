"""Adapters in the files of Hugging Face's PEFT: adapter_model.safetensors and adapter_config.json."""

import hashlib
import json
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from hqre_jax.bridge.models._adapters import TARGETS, Adapter, Lora, LoraConfig, merged, with_adapter
from hqre_jax.bridge.models._decoder import Decoder
from hqre_jax.bridge.models._folder import BLOCK_NAMES
from hqre_jax.bridge.models._local import LocalModel
from hqre_jax.core._types import InputError
from hqre_jax.io._files import write_whole

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
_PREFIX = "base_model.model.model.layers."
_THEIRS = {path: name for name, path in BLOCK_NAMES.items()}
# Settings of PEFT that would make another map of the same arrays, or put more of them into the file.
_PLAIN: dict[str, tuple[Any, ...]] = {
    "peft_type": ("LORA",),
    "init_lora_weights": (None, True, False, "gaussian", "orthogonal"),  # others begin with another W
    "bias": (None, "none"),
    "fan_in_fan_out": (None, False),
    "lora_bias": (None, False),
    "modules_to_save": (None, []),
    "alpha_pattern": (None, {}),
    "rank_pattern": (None, {}),
    "layer_replication": (None, []),
    "trainable_token_indices": (None, [], {}),
    "target_parameters": (None, []),
    "alora_invocation_tokens": (None, []),
}


def save_adapter(folder: str | Path, adapter: Adapter, config: LoraConfig, base_name: str) -> None:
    """Write an adapter as PEFT does, so that PEFT, vLLM and others load it.

    Each file is written whole or not at all, the configuration last.

    Args:
        folder: Where to; it is made where it is missing.
        adapter: A single adapter, or the `stacked` ones of roles taken apart (``jax.tree.map(lambda x: x[i], stack)``).
        config: What the adapter was made with.
        base_name: Name or path of the model it belongs to, for the reader's information.

    Raises:
        InputError: For stacked adapters, a configuration of another adapter, or files that cannot be written.

    Example:
        >>> import os
        >>> import tempfile
        >>> import jax.numpy as jnp
        >>> from hqre_jax.bridge.models import Adapter, Lora, LoraConfig, save_adapter
        >>> config = LoraConfig(rank=2, alpha=4, targets=("q_proj",))
        >>> adapter = Adapter({"blocks.0.attention.query": Lora(jnp.ones((4, 2)), jnp.zeros((2, 4)), scale=2.0)})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_adapter(folder, adapter, config, "parrot")
        ...     print(sorted(os.listdir(folder)))
        ['adapter_config.json', 'adapter_model.safetensors']
    """
    from safetensors.numpy import save

    if adapter.num_roles is not None:
        raise InputError("adapter", f"holds those of {adapter.num_roles} roles, and a folder holds one")
    if {(lora.down.shape[1], lora.scale) for lora in adapter.loras.values()} != {(config.rank, config.scale)} or {
        path.split(".", 2)[2] for path in adapter.loras
    } != {TARGETS[name] for name in config.targets}:
        raise InputError("config", "has another rank, scale or other targets than the adapter")
    if config.last_layers is not None and len(_blocks(adapter)) != config.last_layers:
        raise InputError("config", f"has {config.last_layers} last layers, and the adapter {len(_blocks(adapter))}")
    tensors = {}
    for path, lora in adapter.loras.items():
        for kind, array in (("A", lora.down), ("B", lora.up)):
            tensors[_tensor_name(path, kind)] = np.ascontiguousarray(np.asarray(array, np.float32).T)
    about = {
        "base_model_name_or_path": base_name,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": True,
        "lora_alpha": int(config.alpha) if float(config.alpha).is_integer() else config.alpha,
        "lora_dropout": 0.0,
        "modules_to_save": None,
        "peft_type": "LORA",
        **({} if config.last_layers is None else {"layers_to_transform": _blocks(adapter)}),
        "r": config.rank,
        "target_modules": list(config.targets),
        "task_type": "CAUSAL_LM",
        "use_dora": False,
        "use_rslora": False,
    }
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError("adapter", f"{folder} cannot be made: {error}") from None
    write_whole(Path(folder) / WEIGHTS, save(tensors, metadata={"format": "pt"}))
    write_whole(Path(folder) / CONFIG, (json.dumps(about, indent=2) + "\n").encode())


def load_adapter(folder: str | Path, decoder: Decoder) -> Adapter:
    """Read an adapter that PEFT or `save_adapter` wrote.

    Args:
        folder: Where it lies.
        decoder: The model that it belongs to.

    Returns:
        The adapter, in float32.

    Raises:
        InputError: For files that are missing or damaged, an adapter that is no plain LoRA, or one of a model of
            another shape.
    """
    from safetensors import SafetensorError, safe_open

    rank, alpha = _read_config(Path(folder))
    file = Path(folder) / WEIGHTS
    arrays: dict[str, np.ndarray] = {}
    try:
        # JAX has bfloat16, which numpy lacks.
        with safe_open(file, framework="flax") as tensors:
            for name in tensors.keys():  # noqa: SIM118 - this is no dictionary
                arrays[name] = np.asarray(tensors.get_tensor(name)).astype(np.float32)
    except (SafetensorError, OSError) as error:
        raise InputError("adapter", f"{file} cannot be read: {error}") from None
    loras = {}
    for path in (f"blocks.{number}.{inside}" for number in range(len(decoder.blocks)) for inside in TARGETS.values()):
        names = [_tensor_name(path, kind) for kind in ("A", "B")]
        if not arrays.keys() & set(names):
            continue
        down, up = (arrays.pop(name, np.zeros(())).T for name in names)
        if down.ndim != 2 or up.ndim != 2 or not down.shape[1] == len(up) == rank:
            raise InputError("adapter", f"{file}: {' and '.join(names)} should be matrices of rank {rank}")
        loras[path] = Lora(jnp.asarray(down), jnp.asarray(up), alpha / rank)
    if arrays or not loras:
        unknown = ", ".join(sorted(arrays)[:2]) or "no tensors"
        raise InputError("adapter", f"{file} has what is no adapter of a layer of this model: {unknown}")
    adapter = Adapter(loras)
    with_adapter(decoder, adapter)  # its sizes are this model's
    return adapter


def adapted(model: LocalModel, folder: str | Path) -> LocalModel:
    """A model with an adapter merged into its weights, under a name and an identity that say so.

    Args:
        model: The model.
        folder: The adapter, in PEFT's files.

    Returns:
        The model; what the adapter leaves alone is shared with the one given.

    Raises:
        InputError: As for `load_adapter`.
    """
    place = Path(folder).expanduser()
    return LocalModel(
        f"{model.name}+{folder}",
        f"{model.identity}+lora@{_digest(place)}",
        merged(model.decoder, load_adapter(place, model.decoder)),
        model.tokenizer,
        model.template,
        model.end_tokens,
        max_batch=model.max_batch,
        prompt_bytes=model.prompt_bytes,
    )


def _digest(folder: Path) -> str:
    """Of all that a merged model's texts depend on: the arrays and their scale."""
    rank, alpha = _read_config(folder)
    whole = hashlib.sha256(f"{rank} {alpha!r}".encode())
    try:
        with (folder / WEIGHTS).open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    except OSError as error:
        raise InputError("adapter", f"{folder / WEIGHTS} cannot be read: {error}") from None
    return whole.hexdigest()[:16]


def _blocks(adapter: Adapter) -> list[int]:
    """The blocks that have one."""
    return sorted({int(path.split(".")[1]) for path in adapter.loras})


def _tensor_name(path: str, kind: str) -> str:
    _, number, inside = path.split(".", 2)
    return f"{_PREFIX}{number}.{_THEIRS[inside]}.lora_{kind}.weight"


def _read_config(folder: Path) -> tuple[int, float]:
    """Rank and α; which layers have an adapter is what the arrays say, since targets may be patterns."""
    file = folder / CONFIG
    try:
        about = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        inside = sorted(path.parent.name for path in folder.glob(f"*/{CONFIG}"))
        remedy = f"; name one of those in it: {', '.join(inside)}" if inside else ""
        raise InputError(
            "adapter", f"{str(folder)!a} is no folder of an adapter: {CONFIG} is not in it{remedy}"
        ) from None
    except (OSError, ValueError) as error:
        raise InputError("adapter", f"{file} cannot be read: {error}") from None
    if not isinstance(about, dict):
        raise InputError("adapter", f"{file} should hold an object")
    for key, value in about.items():
        if value not in _plain_values(key, value):
            raise InputError("adapter", f"{file}: {key} = {value!r} makes it something else than a plain LoRA")
    rank, alpha = about.get("r"), about.get("lora_alpha")
    if type(rank) is not int or not isinstance(alpha, int | float):
        raise InputError("adapter", f"{file}: r and lora_alpha should be numbers")
    config = LoraConfig(rank, float(alpha))
    return config.rank, config.alpha


def _plain_values(key: str, value: Any) -> tuple[Any, ...]:
    if key in _PLAIN:
        return _PLAIN[key]
    # What newer versions of PEFT add to LoRA has a switch or a table of its own.
    return (None, False) if key.startswith("use_") else (None, {}) if key.endswith("_config") else (value,)
