"""Local models by path: Hugging Face folders and GGUF files."""

import hashlib
from pathlib import Path

from hqre_jax.bridge.models._assemble import assemble
from hqre_jax.bridge.models._folder import ModelFolder
from hqre_jax.bridge.models._gguf import GgufFile
from hqre_jax.bridge.models._local import LocalModel, to_dtype
from hqre_jax.core._types import InputError


def load(path: str, dtype: str = "float32", max_batch: int = 32) -> LocalModel:
    """Load a model from a folder or a GGUF file.

    Args:
        path: The folder, or the file.
        dtype: Number type of weights and products: "float32", or "bfloat16" where the processor has it.
        max_batch: Most texts generated at once.

    Returns:
        The model.

    Raises:
        InputError: For what is missing, damaged or of another architecture.
    """
    number_type = to_dtype(dtype)
    place = Path(path).expanduser()
    if place.is_dir():
        source = ModelFolder(place)
        files = [*source.weight_files(), *(place / name for name in ("config.json", "tokenizer.json"))]
    elif place.is_file():
        source, files = GgufFile(place), [place]
    else:
        raise InputError("model", f"there is neither a folder nor a file {path}")
    tokenizer, template, shape = source.tokenizer(), source.template(), source.architecture()
    return LocalModel(
        f"hf:{path}",
        f"hf@{_digest([file for file in files if file.is_file()], template.source)}/{dtype}",
        assemble(shape, source.arrays(shape), number_type),
        tokenizer,
        template,
        source.end_tokens(tokenizer),
        max_batch=max_batch,
    )


def _digest(files: list[Path], template: str) -> str:
    """Of all that texts depend on, wherever it lies."""
    whole = hashlib.sha256(template.encode())
    for path in files:
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()[:16]
