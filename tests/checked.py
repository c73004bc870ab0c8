"""Beartype as the import hook of jaxtyping calls it, at a fraction of the cost."""

from collections.abc import Callable
from typing import Any

from beartype import beartype

_CHECKERS: dict[object, Callable[..., Any]] = {}


def once(checker: Callable[..., Any]) -> Callable[..., Any]:
    """What checks the annotations of a function, made once for each signature.

    The hook asks for two functions, both without content: one has the annotations of the parameters and is called
    before the function; the other has that of the result, too, and is called after it, where the parameters need not
    be looked at again. A function inside of another one is new whenever that is called, and its signature is not:
    generating the code of its checks would take longer than most functions do.
    """
    hints = checker.__annotations__
    if hints.get("return", Any) is not Any:
        hints = checker.__annotations__ = {"return": hints["return"]}
    # Types of arrays are made anew wherever they are named, and are not equal: what they say is.
    signature = (checker.__module__, checker.__qualname__, checker.__code__, str(hints))
    if signature not in _CHECKERS:
        _CHECKERS[signature] = beartype(checker)
    return _CHECKERS[signature]
