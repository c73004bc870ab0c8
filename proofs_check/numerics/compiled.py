"""How the ledger compiles: its programs run once or twice, so that compiling fast is worth more than running fast."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from hqre_jax.core._programs import known_options

# Options that optimise less: a program of the ledger runs for about as long as it takes to compile, and under
# tests, which have switched optimisation off, for a moment only. Without the newer emitters of fused loops a program
# runs as fast and compiles in two thirds of the time; with nothing optimised they are needed (T4 would see nan).
_QUICKLY = {"xla_backend_optimization_level": 1, "xla_cpu_use_fusion_emitters": False}
_UNOPTIMISED = {"xla_backend_optimization_level": 0}


def quick_jit(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """``jax.jit`` for programs that run once or twice."""

    @functools.cache
    def program() -> Callable[..., Any]:
        unoptimised = jax.config.values["jax_disable_most_optimizations"]
        return jax.jit(function, compiler_options=known_options(_UNOPTIMISED if unoptimised else _QUICKLY), **options)

    return functools.wraps(function)(lambda *args, **kwargs: program()(*args, **kwargs))


def in_chunks(program: Callable[..., Any], size: int, *batched: Any) -> Any:
    """A program's results for any number of games: it is compiled for one number only.

    Args:
        program: Maps pytrees of arrays with leading axis (game) to others.
        size: That number.
        batched: The program's arguments.

    Returns:
        What it would return for all games at once, on the host.
    """
    num = len(jax.tree.leaves(batched)[0])
    parts = []
    for first in range(0, num, size):
        # The last chunk is filled up, and what fills it forgotten.
        rows = np.minimum(np.arange(first, first + size), num - 1)
        parts.append(program(*jax.tree.map(lambda x, rows=rows: x[rows], batched)))
    return jax.tree.map(lambda *part: np.concatenate(part)[:num], *parts)
