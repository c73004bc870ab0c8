"""What the import hook of jaxtyping puts on every function, at a fraction of the cost of jaxtyping's own.

Signatures are not bound a second time, parameters are looked at once a call, and checkers are generated once for each
signature that is called: a function inside of another one is new whenever that is called, and its signature is not.
Whether arrays fit is a question of types and sizes: what did fit is not looked at a second time. Where no array is
annotated, looking is faster than remembering.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import is_dataclass
from functools import cache, wraps
from inspect import Parameter, isclass, signature
from types import CodeType
from typing import Any, NamedTuple, get_args, get_type_hints

import jax
import numpy as np
from beartype import beartype
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import TypeCheckError
from jaxtyping._storage import pop_shape_memo, push_shape_memo

_Checker = Callable[..., object]
# Types, sizes, and words, of all arguments of a call or of its result.
_Kinds = tuple[Any, ...]


class _Signature(NamedTuple):
    """Functions of the arguments and of the result that do nothing but refuse; of arrays, what did fit already."""

    arguments: _Checker
    result: _Checker
    fitting: dict[_Kinds, set[_Kinds]] | None


_SIGNATURES: dict[tuple[CodeType, str], _Signature] = {}
# Whatever is longer is looked at each time.
_LONG = 32


def jaxtyped(*, typechecker: object) -> Callable[[Any], Any]:
    """Called as jaxtyping's function of this name; it is always beartype that checks."""
    del typechecker
    return checked


def checked(function: Any) -> Any:
    """The function, or the dataclass, with what is annotated checked at each call; sizes hold within the call.

    Raises:
        TypeCheckError: At a call where an argument or the result is not what it is annotated as.
    """
    if isclass(function):
        if is_dataclass(function):
            function.__init__ = checked(function.__init__)
        return function
    if not function.__annotations__ or hasattr(function, "__no_type_check__"):
        return function
    known_signature: _Signature | None = None

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        nonlocal known_signature
        if known_signature is None:
            known_signature = _signature_of(function)
        arguments, result, fitting = known_signature
        if fitting is None:
            try:
                arguments(*args, **kwargs)
                value = function(*args, **kwargs)
                result(value)
            except BeartypeCallHintViolation as error:
                raise TypeCheckError(str(error)) from None
            return value
        given = _kinds((*args, *kwargs, *kwargs.values()))
        known = fitting.get(given)
        if known is not None:
            value = function(*args, **kwargs)
            kind = _kinds((value,))
            if kind in known:
                return value
        push_shape_memo({})
        try:
            arguments(*args, **kwargs)
            if known is None:
                value = function(*args, **kwargs)
                kind = _kinds((value,))
            result(value)
        except BeartypeCallHintViolation as error:
            raise TypeCheckError(str(error)) from None
        finally:
            pop_shape_memo()
        if given is not None and kind is not None:
            fitting.setdefault(given, set()).add(kind)
        return value

    return call


def _kinds(values: Iterable[Any]) -> _Kinds | None:
    """All that annotations ask of values; None where that is not in a few words."""
    kinds: list[Any] = []
    return tuple(kinds) if _noted(values, kinds) else None


def _noted(values: Iterable[Any], kinds: list[Any]) -> bool:
    for value in values:
        kind = type(value)
        about = _about(kind)
        if about is None:
            return False
        kinds.append(kind)
        if about == "sizes":
            kinds += value.dtype, value.shape
        elif about:
            if len(value) > _LONG:
                return False
            if about == "word":
                kinds.append(value)
            else:
                kinds.append(len(value))
                if not _noted(value, kinds):
                    return False
    return True


@cache
def _about(kind: type) -> str | None:
    """What matters of a value beside its type; None where it may be anything that is in it.

    Of numbers nothing does: the library's annotations name words, and no numbers.
    """
    if issubclass(kind, np.ndarray | np.generic | jax.Array | jax.core.Tracer):
        return "sizes"
    if issubclass(kind, str):
        return "word"
    if issubclass(kind, tuple):
        return "parts"
    return None if issubclass(kind, Collection | type) or hasattr(kind, "shape") else ""


def _signature_of(function: Any) -> _Signature:
    # Types of arrays are made anew wherever they are named, and are not equal: what they say is.
    key = function.__code__, str(function.__annotations__)
    if key not in _SIGNATURES:
        _SIGNATURES[key] = _new_signature(function)
    return _SIGNATURES[key]


def _new_signature(function: Any) -> _Signature:
    hints = {name: _resolved(hint, function) for name, hint in function.__annotations__.items()}
    returned = {"return": hints.pop("return", Any)}
    # What stands for an argument that is not given is not looked at.
    bare = signature(function).replace(return_annotation=Parameter.empty)
    parameters = [
        each.replace(annotation=Parameter.empty, default=each.default if each.default is Parameter.empty else None)
        for each in bare.parameters.values()
    ]
    return _Signature(
        _checker(function, str(bare.replace(parameters=parameters)), "None", hints),
        _checker(function, "(value)", "value", returned),
        {} if any(map(_is_sized, (*hints.values(), *returned.values()))) else None,
    )


def _is_sized(hint: object) -> bool:
    """Whether an annotation says something of the sizes of arrays, or of trees of them."""
    if isinstance(hint, list):  # the arguments of a callable
        return any(map(_is_sized, hint))
    return type(hint).__module__.partition(".")[0] == "jaxtyping" or any(map(_is_sized, get_args(hint)))


def _checker(function: Any, parameters: str, value: str, hints: dict[str, object]) -> _Checker:
    made: dict[str, Any] = {}
    exec(f"def checker{parameters}: return {value}", made)
    checker = made["checker"]
    checker.__module__, checker.__qualname__ = function.__module__, function.__qualname__
    checker.__annotations__ = hints
    return beartype(checker)


def _resolved(hint: object, function: Any) -> object:
    """The annotation, or anything where it is a name that is not known yet."""

    def one(value: Any) -> None: ...

    one.__annotations__ = {"value": hint}
    try:
        return get_type_hints(one, function.__globals__, include_extras=True)["value"]
    except (NameError, AttributeError):
        return Any
