"""Reading data files line by line, with errors that say where."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hqre_jax.core._types import InputError


def read_text(path: str | Path) -> str:
    """The text of a data file.

    Raises:
        InputError: It cannot be read, or is not UTF-8.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(str(path), f"cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise InputError(str(path), f"is not UTF-8 text (byte {error.start}); save it as UTF-8") from None


def json_lines(path: str | Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a JSON Lines file.

    Yields:
        (``"file:line"``, object).

    Raises:
        InputError: A line is no JSON object.
    """
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if line.strip():
            yield f"{path}:{number}", parse_object(line, f"{path}:{number}")


def json_document(path: str | Path) -> Any:
    """A file that is one JSON document.

    Raises:
        InputError: It is not.
    """
    return _parse(read_text(path), str(path))


def parse_object(text: str, where: str) -> dict[str, Any]:
    """One JSON object.

    Raises:
        InputError: It is something else.
    """
    value = _parse(text, where)
    if not isinstance(value, dict):
        raise InputError(where, f"is {type(value).__name__}, but a JSON object {{…}} is wanted")
    return value


def _parse(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(where, f"is not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None
    except (RecursionError, ValueError) as error:
        raise InputError(where, f"is not JSON that can be read: {error}") from None


def field(row: dict[str, Any], name: str, where: str, kind: type = str) -> Any:
    """One field of an object, of the kind that is wanted.

    Raises:
        InputError: It is missing or of another kind.
    """
    if name not in row:
        raise InputError(where, f"has no {name!r}; it has {', '.join(map(repr, row)) or 'nothing'}")
    if not isinstance(row[name], kind):
        raise InputError(where, f"{name!r} is {type(row[name]).__name__}, but {kind.__name__} is wanted")
    return row[name]
