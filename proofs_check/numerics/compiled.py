"""How the ledger compiles: its programs run once or twice, so that compiling fast is worth more than running fast."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hqre_jax.core._programs import known_options

# Games of one run of a program: it is compiled for this number, however many there are.
CHUNK = 50
# Runs in a row that make up for the time which a better compiled program takes to compile.
_MANY = 8
# On processors the older emitters of loops compile in two thirds of the time of the newer ones, and run as fast.
# With nothing optimised they compute twice what is used twice, and may round it differently: of ``x == max(x)`` nothing
# need be left, which is how JAX differentiates a maximum. `largest` can be differentiated.
_QUICKLY = {
    "xla_backend_optimization_level": 0,
    "xla_cpu_use_fusion_emitters": False,
    "xla_cpu_parallel_codegen_split_count": 1,
}
_BETTER = {"xla_backend_optimization_level": 1, "xla_cpu_use_fusion_emitters": False}


def quick_jit(function: Callable[..., Any], *, better: bool = False) -> Callable[..., Any]:
    """``jax.jit`` for programs that run once or twice.

    Args:
        function: The function; whatever it differentiates has no maxima but those of `largest`.
        better: Whether it runs for long enough to be optimised a little.
    """

    @functools.cache
    def program() -> Callable[..., Any]:
        return jax.jit(function, compiler_options=known_options(_BETTER if better else _QUICKLY))

    return functools.wraps(function)(lambda *args: program()(*args))


def each_game(function: Callable[..., Any], *, size: int = CHUNK, better: bool = False) -> Callable[..., Any]:
    """A pure function of one game for batches of any number of them: it is compiled for one number only.

    Args:
        function: Of pytrees of arrays; as `quick_jit` demands it.
        size: That number.
        better: As of `quick_jit`; large batches are worth it anyway.

    Returns:
        The function of pytrees all of whose arrays have a leading axis (game), keys among them; what it returns is
        on the host.
    """
    mapped = jax.vmap(function)
    quick, careful = quick_jit(mapped), quick_jit(mapped, better=True)

    @functools.wraps(function)
    def of_batch(*batched: Any) -> Any:
        leaves, structure = jax.tree.flatten(batched)
        keyed = [jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) for leaf in leaves]
        data = [np.asarray(jax.random.key_data(x) if key else x) for x, key in zip(leaves, keyed, strict=True)]
        num = len(data[0])

        def run(first: int, run_by: Callable[..., Any]) -> Any:
            # The last run is filled up, and what fills it forgotten.
            rows = np.minimum(np.arange(first, first + size), max(num - 1, 0))
            chosen = [x[rows] if num else np.ones((size, *x.shape[1:]), x.dtype) for x in data]
            typed = [jax.random.wrap_key_data(x) if key else x for x, key in zip(chosen, keyed, strict=True)]
            return run_by(*jax.tree.unflatten(structure, typed))

        if num == 0:
            return jax.tree.map(lambda x: np.zeros((0, *x.shape[1:]), x.dtype), jax.eval_shape(lambda: run(0, mapped)))
        program = careful if better or num >= _MANY * size else quick
        parts = [jax.tree.map(np.asarray, run(first, program)) for first in range(0, num, size)]
        return jax.tree.map(lambda *part: np.concatenate(part)[:num], *parts)

    return of_batch


def split_keys(key: Any, num: int) -> Any:
    """``jax.random.split(key, num)``, by programs for powers of two.

    Args:
        key: Typed key.
        num: Number of keys.
    """
    # The first keys of many are those of few.
    many = jax.random.split(key, max(512, 1 << (num - 1).bit_length()))
    return jax.random.wrap_key_data(np.asarray(jax.random.key_data(many))[:num])


def largest(values: Any) -> Any:
    """The maximum of a vector, whose derivative is that of one of the entries that attain it."""
    return values[jnp.argmax(values)]
