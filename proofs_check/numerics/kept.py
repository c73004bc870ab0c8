"""Programs of the ledger that outlive their process: the next one neither traces nor compiles them.

A file's name is a digest of all that decides a program: the function with what it closes over, the sources of what it
calls, shapes, options, versions and settings. What cannot be described exactly is not kept.
"""

import contextlib
import hashlib
import io
import marshal
import os
import pickle
import secrets
import sys
import zlib
from collections.abc import Callable
from contextvars import ContextVar
from importlib.metadata import version
from pathlib import Path
from types import FunctionType
from typing import Any

import jax
from jax.experimental.compilation_cache.compilation_cache import reset_cache
from jax.experimental.serialize_executable import deserialize_and_load, serialize

# Where programs are kept, and the hash of the sources.
_PLACE: ContextVar[tuple[Path, str] | None] = ContextVar("place", default=None)
_LIBRARIES = tuple(version(name) for name in ("jax", "jaxlib", "numpy", "equinox"))


def keep_programs(folder: Path, sources: str) -> None:
    """Have the programs of this process kept, and JAX keep none: what it has loaded cannot be kept again.

    Args:
        folder: Where. What it holds is run: it is the user's own.
        sources: Hash of all sources but those of other libraries.
    """
    jax.config.update("jax_enable_compilation_cache", False)
    reset_cache()
    # Programs that are loaded find the routines of linear algebra where some has been lowered before; where none has,
    # the process dies (jax issue 28908).
    jax.jit(jax.lax.linalg.lu).lower(jax.ShapeDtypeStruct((1, 1), "float32"))
    _PLACE.set((folder, sources))


def program(function: Callable[..., Any], shapes: tuple[Any, ...], options: dict[str, Any]) -> Callable[..., Any]:
    """The compiled program of a function, as it was kept if it was.

    Args:
        function: Of arrays.
        shapes: Their shapes and types.
        options: The compiler's.
    """
    jitted = jax.jit(function, compiler_options=options)
    file = _file(function, shapes, options)
    if file is None:
        return jitted
    kept = _loaded(file, shapes)
    if kept is None:
        kept = jitted.lower(*shapes).compile()
        _save(file, kept)
    return kept


def _file(*decisive: Any) -> Path | None:
    """Where a program is kept, or None where it is not."""
    place, written = _PLACE.get(), io.BytesIO()
    if place is None:
        return None
    folder, sources = place
    try:
        _Description(written).dump((sources, _surroundings(), decisive))
    # Whatever a closure holds that cannot be described says so in its own way.
    except Exception:
        return None
    return folder / f"kept_{hashlib.sha256(written.getvalue()).hexdigest()}"


def _surroundings() -> tuple[Any, ...]:
    """Versions and settings."""
    # Where programs are kept decides nothing.
    settings = {name: repr(value) for name, value in jax.config.values.items() if "cache" not in name}
    return sys.version, _LIBRARIES, settings, os.environ.get("XLA_FLAGS")


class _Description(pickle.Pickler):
    """Bytes that differ where programs may: functions are code and what it closes over, the rest is as in a pickle."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, jax.tree_util.PyTreeDef):
            return tuple, (jax.tree.unflatten(obj, range(obj.num_leaves)),)
        if not isinstance(obj, FunctionType):
            return NotImplemented
        enclosed = [cell.cell_contents for cell in obj.__closure__ or ()]
        # Version 2 of the format does not depend on who else holds the parts of the code.
        code = marshal.dumps(obj.__code__, 2)
        return tuple, ((obj.__module__, code, enclosed, obj.__defaults__, obj.__kwdefaults__),)


def _loaded(file: Path, shapes: tuple[Any, ...]) -> Any:
    """A program, or None: whatever is wrong with a file costs no more than compiling."""
    try:
        executable, numbered = pickle.loads(zlib.decompress(file.read_bytes()))
        return deserialize_and_load(executable, jax.tree.structure((shapes, {})), jax.tree.structure(numbered))
    except Exception:
        return None


def _save(file: Path, kept: Any) -> None:
    """Whole or not at all; what cannot be written is compiled again."""
    temporary = file.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        executable, _, result = serialize(kept)
        numbered = jax.tree.unflatten(result, range(result.num_leaves))
        temporary.write_bytes(zlib.compress(pickle.dumps((executable, numbered)), 1))
        os.replace(temporary, file)
    except Exception:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
