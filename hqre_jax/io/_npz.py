"""NPZ files: the keys of the JSON form as numpy arrays, names as JSON under the key ``labels``.

Names are JSON because they are ragged, and because numpy's strings drop trailing NULs. Files written
by hand may also give them as arrays of strings under their own keys.
"""

import io
import json
import sys
from typing import Any

import numpy as np

from hqre_jax.core._types import InputError
from hqre_jax.io._document import NAME_KEYS
from hqre_jax.io._json import parse_json

# Characters of a member's name that a message shows.
_LONGEST_NAME = 60


def parse_npz(data: bytes, name: str) -> dict[str, Any]:
    """Reads an archive of arrays; never runs pickled code.

    Args:
        data: The contents of the file.
        name: What the file is called in error messages.

    Returns:
        The document, as `arguments_from_document` takes it.

    Raises:
        InputError: The data is no such archive, is damaged, or holds Python objects.
    """
    if not data.startswith(b"PK"):
        raise InputError(name, "is no .npz archive")
    # What numpy and zipfile raise on damaged archives is open-ended (BadZipFile, KeyError, EOFError,
    # NotImplementedError, MemoryError, struct and zlib errors, ...): here every exception means bad data.
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            document = {key: archive[key] for key in archive.files}
    except Exception as error:
        reason = " ".join(str(error).split())[:80] or type(error).__name__
        raise InputError(name, f"is a damaged .npz archive, or holds Python objects ({reason})") from None
    for key, value in document.items():
        written = ascii(key)[1:-1]
        member = f"{name}: {written if len(written) <= _LONGEST_NAME else f'{written[:_LONGEST_NAME]}...'}"
        if not isinstance(value, np.ndarray):
            raise InputError(member, "is no array")
        if value.dtype.kind == "U" and _beyond_unicode(value):
            raise InputError(member, "holds what is no text")
        if value.dtype.kind == "U" and (value.ndim == 0 or key in NAME_KEYS):
            document[key] = value.tolist()
    labels = document.pop("labels", None)
    if labels is not None:
        if not isinstance(labels, str):
            raise InputError(f"{name}: labels", "is no text; it must hold a JSON object of names")
        names = parse_json(labels, f"{name}: labels")
        for key in names:
            if key not in NAME_KEYS or key in document:
                problem = "is given twice" if key in NAME_KEYS else f"is not one of {', '.join(NAME_KEYS)}"
                raise InputError(f"{name}: labels: {ascii(key)[1:-1]}", problem)
        document.update(names)
    return document


def _beyond_unicode(text: np.ndarray) -> bool:
    """Whether numbers stand in the array that are no characters; Python fails over them only later on."""
    numbers = np.frombuffer(text.astype(text.dtype.newbyteorder("=")).tobytes(), np.uint32)
    return bool((numbers > sys.maxunicode).any())


def format_npz(document: dict[str, Any]) -> bytes:
    """Writes a document as a compressed archive.

    Args:
        document: As `document_from_game` returns it.

    Returns:
        The contents of the file.
    """
    arrays: dict[str, Any] = {key: np.asarray(value) for key, value in document.items() if key not in NAME_KEYS}
    names = {key: document[key] for key in NAME_KEYS if key in document}
    if names:
        arrays["labels"] = np.array(json.dumps(names))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()
