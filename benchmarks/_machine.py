"""Where the numbers were measured."""

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

import jax

_PACKAGES = ("jax", "jaxlib", "equinox", "numpy", "pygambit")


def describe_machine() -> dict[str, Any]:
    """Processor, cores, memory, load, software: whatever a reader needs to judge the numbers."""
    return {
        "processor": _processor(),
        "architecture": platform.machine(),
        "cores_in_machine": os.cpu_count(),
        "cores_used": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": _memory_gib(),
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "device": str(jax.devices()[0]),
        "blas_threads": os.environ.get("OMP_NUM_THREADS"),
        "packages": {name: version for name in _PACKAGES if (version := package_version(name))},
    }


def package_version(name: str) -> str:
    """Version of an installed package; "" if it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None
