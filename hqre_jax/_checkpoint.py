"""Checkpoints: the state of a run in one file, which is either the old one or the new one, never half of one."""

import hashlib
import os
import warnings
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hqre_jax._types import InputError

_FINGERPRINT = "question"


def fingerprint(*question: Any) -> str:
    """Digest of everything that decides how a run goes on: two runs of one question can share a checkpoint.

    Args:
        *question: Pytrees of arrays, typed keys and plain values.

    Returns:
        Hexadecimal digits.
    """
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(question):
        array = _plain(leaf)
        digest.update(f"{array.shape}{array.dtype}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


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
        why = " ".join(str(error).split())[:80] or type(error).__name__
        raise InputError("checkpoint", f"{path} cannot be read ({why}); remove it to begin anew") from None
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
