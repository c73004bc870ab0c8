"""JSON files: one object with the constructor's arguments as keys, arrays as nested lists."""

import json
import re
from typing import Any

import numpy as np

from hqre_jax.core._types import InputError


def parse_json(text: str, name: str) -> dict[str, Any]:
    """Reads one JSON object.

    Args:
        text: The contents of the file.
        name: What the file is called in error messages.

    Returns:
        The document, as `arguments_from_document` takes it. NaN and Infinity are left for it to reject: it
        knows the place.

    Raises:
        InputError: The text is no JSON object, or a key is given twice.
    """

    def unique(pairs: list) -> dict:
        document = dict(pairs)
        if len(document) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise InputError(f"{name}: {twice if twice.isprintable() else ascii(twice)}", "is given twice")
        return document

    try:
        document = json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        comma = re.search(r"\d,\d", text[max(0, error.pos - 3) : error.pos + 2])
        hint = "; numbers take a decimal point and no group marks" if comma else ""
        raise InputError(f"{name}:{error.lineno}:{error.colno}", f"is not JSON: {error.msg}{hint}") from None
    except RecursionError:
        raise InputError(name, "is nested too deeply") from None
    except InputError:
        raise
    except ValueError:  # Python converts no more than some thousand digits to a whole number
        raise InputError(name, "holds a whole number with thousands of digits") from None
    if not isinstance(document, dict):
        raise InputError(f"{name}:1:1", 'must hold one object, {"kind": .., ..}')
    return document


def format_json(document: dict[str, Any]) -> str:
    """Writes a document with one key a line; doubles read back exactly.

    Args:
        document: As `document_from_game` returns it.

    Returns:
        The contents of the file.
    """
    entries = (
        f"  {json.dumps(key)}: {json.dumps(_plain(value), ensure_ascii=False, allow_nan=False)}"
        for key, value in document.items()
    )
    return "{\n" + ",\n".join(entries) + "\n}\n"


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value
