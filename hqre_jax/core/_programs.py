"""Compiled functions that share one program among games which differ in their names alone."""

import collections
import dataclasses
import functools
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

import equinox as eqx
import jax
import numpy as np
from jax.core import eval_context
from jax.extend.core import get_opaque_trace_state

from hqre_jax.core._temperatures import as_array, concrete
from hqre_jax.core._types import Labels

Function = TypeVar("Function", bound=Callable[..., Any])
Module = TypeVar("Module", bound=eqx.Module)


# What small programs are better off with on processors, half of the time to compile: other code for loops, and all of
# it generated in one go, as to share it out among threads takes longer. Other devices do not mind.
_QUICKLY = {"xla_cpu_use_fusion_emitters": False, "xla_cpu_parallel_codegen_split_count": 1}
# Bytes of arguments beyond which programs are not small: their loops run longer than it took to compile them better.
_SMALL = 2**18
# Questions of one size after which a program is worth its compilation.
_OFTEN = 30


def compiled(function: Function) -> Function:
    """`eqx.filter_jit` of a function that does not look at names; where it is small, compiled quickly.

    Names are static: games of other names are other types to a compiler, as they must be to whoever returns a game
    from a compiled function. Here they are taken off before, so that nothing is compiled twice because of them.

    Args:
        function: The function; no game that it returns has names.

    Returns:
        The compiled function.
    """
    careful = eqx.filter_jit(function)

    # Not before the first call: whether a compiler knows its options is found out by compiling.
    @functools.cache
    def quick() -> Callable[..., Any]:
        # pyright knows no keywords of `jax.jit` here, which are passed on.
        return eqx.filter_jit(function, compiler_options=known_options(_QUICKLY))  # pyright: ignore[reportCallIssue]

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = unnamed(args), unnamed(kwargs)
        # How a program is compiled is for the outermost one to say.
        program = quick() if not _inside_another() and _is_small((args, kwargs)) and _optimizes() else careful
        return program(*args, **kwargs)

    return call  # type: ignore[return-value]


def _is_small(arguments: Any) -> bool:
    """Whether arguments make a program that runs hardly slower for being compiled quickly."""
    return sum(getattr(leaf, "nbytes", 0) for leaf in jax.tree.leaves(arguments)) <= _SMALL


def in_numpy(value: Any) -> Any:
    """The value with numpy arrays in place of JAX's; None where numbers are not known, or not few.

    Args:
        value: A module, or tuples of such.
    """
    leaves, structure = jax.tree.flatten(value)
    if not all(map(concrete, leaves)) or not _is_small(leaves):
        return None
    return jax.tree.unflatten(structure, map(np.asarray, leaves))


def compiled_later(early: Callable[..., bool]) -> Callable[[Function], Function]:
    """`compiled`, of a formula that runs on numpy arrays too: there where that is done sooner.

    Args:
        early: ``early(name, *arguments)``: whether this is one of the first few questions of a size, before a program
            of that name is worth its compilation.

    Returns:
        The decorator. Positional arguments of the formula are modules and arrays; keywords stay what they are.
    """

    def decorated(formula: Function) -> Function:
        program = compiled(formula)

        @functools.wraps(formula)
        def call(*args: Any, **options: Any) -> Any:
            plain = in_numpy(args) if early(formula.__name__, *args) else None
            if plain is None:
                return program(*args, **options)
            with np.errstate(all="ignore"):
                return jax.tree.map(as_array, formula(*plain, **options))

        return call  # type: ignore[return-value]

    return decorated


def few_so_far(name: str, *args: Any) -> bool:
    """Whether these are numbers in double precision, known, and their shapes have not often been asked about.

    Args:
        name: Of the program that would be.
        args: Arrays, or modules of arrays.
    """
    leaves = jax.tree.leaves(args)
    return (
        all(map(concrete, leaves))
        and all(leaf.dtype == np.float64 for leaf in leaves if leaf.dtype.kind == "f")
        and not is_familiar(args, _OFTEN, name)
    )


def _optimizes() -> bool:
    """Whether programs are optimised at all: XLA is quick otherwise, and both savings together have made NaN."""
    return not jax.config.values["jax_disable_most_optimizations"]


def _inside_another() -> bool:
    """Whether a program that contains this call is being traced."""
    return get_opaque_trace_state() != _outermost()


@functools.cache
def _outermost() -> Any:
    with eval_context():
        return get_opaque_trace_state()


@functools.cache
def _known(options: tuple[tuple[str, Any], ...]) -> bool:
    program = jax.jit(lambda x: x).lower(jax.ShapeDtypeStruct((), "float32"))
    try:
        program.compile(compiler_options=dict(options))
    except jax.errors.JaxRuntimeError:
        return False
    return True


def known_options(options: dict[str, Any]) -> dict[str, Any]:
    """The compiler's options, or none where this version of it knows one of them no longer.

    Args:
        options: As for ``jax.jit(compiler_options=…)``; they may change how fast a program is, but not what is right.
    """
    return options if _known(tuple(options.items())) else {}


def is_familiar(value: Any, often: int, what: str = "") -> bool:
    """Whether something of this structure and these shapes has been asked about more than so often, now included.

    Args:
        value: A module; its names do not count.
        often: From when on a program of its own is worth its compilation.
        what: Which program that would be.
    """
    kind = _kind(value, what)
    _ASKED[kind] += 1
    return _ASKED[kind] > often


def make_familiar(value: Any, often: int, what: str = "") -> None:
    """Have all of this structure and these shapes be familiar from now on, see `is_familiar`."""
    kind = _kind(value, what)
    _ASKED[kind] = max(_ASKED[kind], often)


def _kind(value: Any, what: str) -> Any:
    leaves, structure = jax.tree.flatten(unnamed(value))
    return what, structure, tuple((leaf.shape, leaf.dtype) for leaf in leaves)


# How often each was asked about.
_ASKED = collections.Counter[Any]()


def unnamed(value: Any) -> Any:
    """The value with every `Labels` in it empty; what holds none is the same object.

    Args:
        value: A module, or tuples, lists and dictionaries of such.
    """
    if isinstance(value, Labels):
        return value if value == Labels() else Labels()
    if isinstance(value, dict):
        return {key: unnamed(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        parts = [unnamed(part) for part in value]
        if all(new is old for new, old in zip(parts, value, strict=True)):
            return value
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if not isinstance(value, eqx.Module):
        return value
    parts = {f.name: value.__dict__[f.name] for f in dataclasses.fields(value) if f.name in value.__dict__}
    plain = {name: unnamed(part) for name, part in parts.items()}
    if all(plain[name] is part for name, part in parts.items()):
        return value
    return with_fields(value, **plain)


def remembered(module: eqx.Module, name: str, compute: Callable[[], Any]) -> Any:
    """``compute()``, which is about the module alone, computed once for as long as the module lives.

    It does not hang on the module: equinox counts whatever does as a part of its structure. Numbers of a program that
    is being traced are not kept: they would outlive it.

    Args:
        module: The module.
        name: Of what is computed.
        compute: Computes it; what it returns may be the module itself, but not hold it.
    """
    key = id(module), name
    kept = _KEPT.get(key)
    if kept is not None and kept[0]() is module:
        return module if kept[1] is None else kept[1]
    value = compute()
    if all(concrete(leaf) for leaf in jax.tree.leaves(value)):
        # Bound here: modules that die with the interpreter find its globals gone.
        forget = functools.partial(_KEPT.pop, key, None)
        _KEPT[key] = weakref.ref(module, lambda _: forget()), None if value is module else value
    return value


# By module and name: the module, and what was computed; None stands for the module itself.
_KEPT: dict[tuple[int, str], tuple[Any, Any]] = {}


def with_fields(module: Module, **changes: Any) -> Module:
    """The same module but for some fields, static ones too: its constructor, which has had its say, is not called.

    Args:
        module: The module.
        **changes: What its fields shall hold.

    Returns:
        A new module; what else hangs on the old one is not on it.
    """
    # As equinox puts modules together after a transformation.
    copy = object.__new__(type(module))
    for field in dataclasses.fields(module):
        if field.name in changes or field.name in module.__dict__:
            object.__setattr__(copy, field.name, changes.get(field.name, module.__dict__.get(field.name)))
    return copy
