"""What the import hook of jaxtyping puts on every function, at a fraction of the cost of jaxtyping's own.

Signatures are not bound a second time, parameters are looked at once a call, and checkers are generated once for each
signature: a function inside of another one is new whenever that is called, and its signature is not.
"""

from collections.abc import Callable
from dataclasses import is_dataclass
from functools import wraps
from inspect import Parameter, isclass, signature
from types import CodeType
from typing import Any, get_type_hints

from beartype import beartype
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import TypeCheckError
from jaxtyping._storage import pop_shape_memo, push_shape_memo

_Checker = Callable[..., object]
_CHECKERS: dict[tuple[CodeType, str], tuple[_Checker, _Checker]] = {}


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
    # Types of arrays are made anew wherever they are named, and are not equal: what they say is.
    key = function.__code__, str(function.__annotations__)
    if key not in _CHECKERS:
        _CHECKERS[key] = _checkers(function)
    arguments, result = _CHECKERS[key]

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        push_shape_memo({})
        try:
            try:
                arguments(*args, **kwargs)
            except BeartypeCallHintViolation as error:
                raise TypeCheckError(str(error)) from None
            value = function(*args, **kwargs)
            try:
                return result(value)
            except BeartypeCallHintViolation as error:
                raise TypeCheckError(str(error)) from None
        finally:
            pop_shape_memo()

    return call


def _checkers(function: Any) -> tuple[_Checker, _Checker]:
    """Functions of the arguments and of the result that do nothing but refuse."""
    hints = {name: _resolved(hint, function) for name, hint in function.__annotations__.items()}
    returned = {"return": hints.pop("return", Any)}
    # What stands for an argument that is not given is not looked at.
    bare = signature(function).replace(return_annotation=Parameter.empty)
    parameters = [
        each.replace(annotation=Parameter.empty, default=each.default if each.default is Parameter.empty else None)
        for each in bare.parameters.values()
    ]
    return (
        _checker(function, str(bare.replace(parameters=parameters)), "None", hints),
        _checker(function, "(value)", "value", returned),
    )


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
