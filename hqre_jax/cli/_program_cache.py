"""Compiled programs, kept for the next command: only the command line does this, and only where nobody else does.

JAX keeps them in files whose names depend on the program, its options and the versions, but not on the processor:
programs for another one may not run here, so that each kind of processor has a folder of its own. Whatever is wrong
with the folder or with a file in it costs no more than compiling.
"""

import hashlib
import os
import platform
import sys
import warnings
from pathlib import Path

import jax

# Bytes that are kept, the newest. The programs of a game take a megabyte or less.
_MOST_BYTES = 2**28
_CPUINFO = Path("/proc/cpuinfo")


def keep_programs() -> None:
    """Have programs kept, unless somebody has told JAX where, or not to, or there is no place to keep them."""
    if jax.config.values["jax_compilation_cache_dir"] or not jax.config.values["jax_enable_compilation_cache"]:
        return
    folder = cache_folder() / f"{jax.__version__}-{_processor()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make_room(folder, _MOST_BYTES)
    except (OSError, RuntimeError):
        return
    if not os.access(folder, os.W_OK | os.X_OK):
        return
    # A file that cannot be read or written is a program that is compiled again, and no news.
    warnings.filterwarnings("ignore", message=r"Error (reading|writing) persistent compilation cache entry")
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def programs_folder() -> Path | None:
    """Where this process keeps programs; None where it keeps none."""
    told = jax.config.values["jax_compilation_cache_dir"]
    return Path(told) if told and jax.config.values["jax_enable_compilation_cache"] else None


def cache_folder() -> Path:
    """Where the system wants to have what can be made again.

    Raises:
        RuntimeError: The user has no home.
    """
    if sys.platform == "win32":
        own = os.environ.get("LOCALAPPDATA")
        return (Path(own) if own else Path.home() / "AppData" / "Local") / "hqre" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "hqre"
    own = os.environ.get("XDG_CACHE_HOME", "")
    # Paths that are not absolute are to be ignored (XDG Base Directory Specification).
    return (Path(own) if os.path.isabs(own) else Path.home() / ".cache") / "hqre"


def _make_room(folder: Path, most_bytes: int) -> None:
    """Forget the oldest programs beyond so many bytes, and those of other versions and processors with them."""
    files = []
    for file in folder.parent.glob("*/*"):
        try:
            about = file.stat()
        except OSError:  # somebody else made room
            continue
        files.append((about.st_mtime, about.st_size, file))
    total = sum(size for _, size, _ in files)
    for _, size, file in sorted(files):
        if total <= most_bytes:
            break
        file.unlink(missing_ok=True)
        total -= size


def _processor() -> str:
    """A short name for this kind of processor: what it can do, where the system tells."""
    told = platform.machine() + platform.processor()
    if _CPUINFO.exists():
        lines = _CPUINFO.read_text(errors="replace").splitlines()
        told += "".join(dict.fromkeys(line for line in lines if line.startswith(("flags", "Features", "model name"))))
    return hashlib.sha256(told.encode()).hexdigest()[:16]
