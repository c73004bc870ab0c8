"""Files: how messages name them, and writing them whole or not at all."""

import os
import secrets
from pathlib import Path

from hqre_jax.core._types import InputError


def read_bytes(path: Path) -> bytes:
    """The contents of a file, or an `InputError` that names it."""
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise InputError(display(path), f"cannot be read: {reason(error)}") from None


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file, whole or not at all; one that is there already is replaced.

    Raises:
        InputError: The file cannot be written.
    """
    # Where a link points to is replaced, not the link; the temporary file is a neighbour, so that
    # renaming it is one step.
    try:
        target = Path(os.path.realpath(path))
        temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
        try:
            with open(temporary, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise InputError(display(path), f"cannot be written: {reason(error)}") from None


def decode(data: bytes, name: str) -> str:
    """Decodes UTF-8, with or without a byte-order mark.

    Raises:
        InputError: The data is no such text; the field is ``name:LINE:COLUMN``.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise InputError(f"{name}:{line}:{column}", "is not UTF-8 text") from None


def display(path: Path) -> str:
    """The file's name as a message can show it: on one line."""
    name = str(path)
    return name if name.isprintable() else ascii(name)[1:-1]


def reason(error: OSError | ValueError) -> str:
    """What an error of the operating system says, without its number."""
    return (getattr(error, "strerror", None) or str(error)).lower()
