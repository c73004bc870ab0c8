"""Literals (lists, dictionaries, sets, numbers, words) in data files and in replies: parsed, never evaluated."""

import ast
import json
import re
import warnings
from typing import Any

from hqre_jax.bridge.tasks._replies import plain_text
from hqre_jax.core._types import InputError

# Of text that is parsed as Python: reading takes a few hundred bytes a character at worst.
MAX_FILE_CHARS, MAX_REPLY_CHARS = 500_000, 25_000
MAX_LEVELS = 50
_FAILURES = (SyntaxError, ValueError, TypeError, MemoryError, RecursionError)
_FENCE = re.compile(r"```[^\n`]{0,20}\n(.*?)```", re.S)
_CLOSING = {"{": "}", "[": "]"}


def read_tree(text: str, where: str) -> ast.Module:
    """The syntax tree of a text in Python.

    Raises:
        InputError: It is too long, or no Python.
    """
    if len(text) > MAX_FILE_CHARS:
        raise InputError(where, f"has {len(text)} characters, and at most {MAX_FILE_CHARS} are read")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd escapes in strings
            return ast.parse(text)
    except SyntaxError as error:
        raise InputError(where, f"is not Python: {error.msg} (line {error.lineno})") from None
    except (ValueError, MemoryError, RecursionError) as error:
        raise InputError(where, f"is not Python that can be read: {str(error) or 'nested too deep'}") from None


def read_literal(text: str, where: str) -> Any:
    """The value of a text that is a Python literal, such as ``{'cuisine': None}``.

    Raises:
        InputError: It is none.
    """
    body = read_tree(text.strip(), where).body
    if len(body) != 1 or not isinstance(body[0], ast.Expr):
        raise InputError(where, "is not one literal")
    try:
        return ast.literal_eval(body[0].value)
    except _FAILURES:
        raise InputError(where, "is not a literal: only lists, dictionaries, words and numbers are read") from None


def find_literal(reply: str, opening: str = "{[") -> Any | None:
    """The list or dictionary that a reply ends in, in JSON or in Python.

    Args:
        reply: Anything a model may have said.
        opening: Brackets it may begin with.

    Returns:
        What is in the last fenced block (after "=", where something is assigned), else between the last pair of
        outermost brackets; None where that is no literal.
    """
    text = plain_text(reply, literal=True)
    blocks = _FENCE.findall(text)
    found = _last_bracket(blocks[-1] if blocks else text, opening)
    if found is None or len(found) > MAX_REPLY_CHARS:
        return None
    try:
        return json.loads(found)
    except (ValueError, RecursionError):
        pass
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.literal_eval(re.sub(r"\btrue\b", "True", re.sub(r"\bfalse\b", "False", found)))
    except _FAILURES:
        return None


def _last_bracket(text: str, opening: str) -> str | None:
    """The text between the last outermost brackets that are closed, brackets included."""
    start, stack, found = 0, list[str](), None
    for k, char in enumerate(text):
        if stack and char == stack[-1]:
            stack.pop()
            if not stack:
                found = text[start : k + 1]
        elif char in (_CLOSING if stack else opening):
            start = start if stack else k
            stack.append(_CLOSING[char])
            if len(stack) > MAX_LEVELS:
                return None
    return found


def canonical(value: Any) -> str:
    """A literal as text; equal ones are equal texts, whatever the order of sets and keys."""
    if isinstance(value, dict):
        return "{" + ", ".join(sorted(f"{canonical(key)}: {canonical(part)}" for key, part in value.items())) + "}"
    if isinstance(value, set | frozenset):
        return "{" + ", ".join(sorted(map(canonical, value))) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(canonical, value)) + "]"
    return repr(value)
