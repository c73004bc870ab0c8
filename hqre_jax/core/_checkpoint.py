"""Checkpoints: the state of a run in one file, which is either the old one or the new one, never half of one."""

import dataclasses
import functools
import hashlib
import os
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hqre_jax.core._types import InputError, Labels

_FINGERPRINT = "question"


def fingerprint(*question: Any) -> str:
    """Digest of everything that decides how a run goes on: two runs of one question can share a checkpoint.

    Static fields count as arrays do, functions by their code and what they enclose, other objects by their class and
    their public attributes. Names for people do not count, nor do fields whose metadata say ``decides=False``.

    Args:
        *question: Pytrees of arrays, typed keys and plain values.

    Returns:
        Hexadecimal digits.
    """
    digest = hashlib.sha256()
    for word in _words(question, ()):
        # Each word with its length: no two questions are spelt alike.
        digest.update(len(word).to_bytes(8, "big") + word)
    return digest.hexdigest()


def _words(value: Any, above: tuple[int, ...]) -> Iterator[bytes]:
    """What there is to say of a value, piece by piece; ``above`` are the objects that it is part of."""
    if id(value) in above:
        return
    kind = type(value)
    # The library's own classes by name alone: where one of them is written down decides nothing.
    package, _, _ = kind.__module__.partition(".")
    own = package == __name__.partition(".")[0]
    yield f"{package if own else kind.__module__}.{kind.__qualname__}".encode()
    if isinstance(value, jax.Array | np.ndarray | np.generic):
        array = _plain(value)
        yield f"{array.shape}{array.dtype}".encode()
        yield array.tobytes()
    elif value is None or isinstance(value, bool | int | float | complex | str | bytes | type):
        yield repr(value).encode()
    else:
        parts = _parts(value)
        yield str(len(parts)).encode()
        for part in parts:
            yield from _words(part, (*above, id(value)))


def _parts(value: Any) -> list[Any]:
    """The parts of a value that is made of others, in a fixed order."""
    if isinstance(value, Labels):
        return []
    if isinstance(value, tuple | list):
        return list(value)
    if isinstance(value, dict):
        return sorted(value.items(), key=lambda pair: repr(pair[0]))
    if isinstance(value, types.FunctionType):
        enclosed = [cell.cell_contents for cell in value.__closure__ or ()]
        return [value.__code__, value.__defaults__, value.__kwdefaults__, enclosed]
    if isinstance(value, types.CodeType):
        return [value.co_code, value.co_names, value.co_consts]
    if isinstance(value, types.MethodType):
        return [value.__func__, value.__self__]
    if isinstance(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if dataclasses.is_dataclass(value):
        fields = dataclasses.fields(value)
        return [(f.name, getattr(value, f.name)) for f in fields if f.metadata.get("decides", True)]
    seen = getattr(value, "__dict__", {})
    return [(name, seen[name]) for name in sorted(seen) if not name.startswith("_")]


def save_checkpoint(path: str | Path, state: Any, steps: Any, question: str) -> None:
    """Write a state: first beside the old file, then, once it is on the disk, in its place.

    Args:
        path: The file.
        state: Pytree of arrays and typed keys.
        steps: Steps taken.
        question: See `fingerprint`.
    """
    path = Path(path)
    arrays = {f"leaf_{k}": _plain(leaf) for k, leaf in enumerate(jax.tree.leaves((state, steps)))}
    draft = path.with_name(path.name + ".draft")
    with open(draft, "wb") as file:
        np.savez(file, allow_pickle=False, **{_FINGERPRINT: np.array(question)}, **arrays)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)


def load_checkpoint(path: str | Path, like: Any, question: str) -> Any:
    """Read a state back, bit for bit.

    Args:
        path: The file.
        like: A pair (state, steps) of the same structure.
        question: See `fingerprint`.

    Returns:
        The pair (state, steps).

    Raises:
        InputError: If the file is no checkpoint, or of another question.
    """
    leaves, structure = jax.tree.flatten(like)
    # What numpy and zipfile raise on damaged archives is open-ended: here every exception means a damaged file.
    try:
        with warnings.catch_warnings(action="error"), open(path, "rb") as file:
            with np.load(file, allow_pickle=False) as archive:
                stored = {name: archive[name] for name in archive.files}
            asked = str(stored.pop(_FINGERPRINT, ""))
    except Exception as error:
        said = getattr(error, "strerror", None)
        why = said.lower() if said else "it is damaged, or no checkpoint; remove it to begin anew"
        raise InputError("checkpoint", f"{path} cannot be read: {why}") from None
    wanted = {f"leaf_{k}": _plain(leaf) for k, leaf in enumerate(leaves)}
    if asked != question or {name: _form(array) for name, array in stored.items()} != {
        name: _form(array) for name, array in wanted.items()
    }:
        raise InputError("checkpoint", f"{path} belongs to another question; choose another file, or remove it")
    return jax.tree.unflatten(structure, [_as(stored[f"leaf_{k}"], leaf) for k, leaf in enumerate(leaves)])


def _form(array: Any) -> Any:
    return getattr(array, "shape", None), getattr(array, "dtype", None)


def _plain(leaf: Any) -> np.ndarray:
    """The numbers of a leaf; a typed key's words."""
    is_key = isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(leaf) if is_key else leaf)


def _as(array: np.ndarray, leaf: Any) -> Any:
    """Stored numbers as a leaf of the kind of ``leaf``."""
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(jnp.asarray(array), impl=jax.random.key_impl(leaf))
    return jnp.asarray(array)
