"""How the ledger compiles: its programs run once or twice, so that compiling fast is worth more than running fast."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hqre_jax.core._programs import known_options
from proofs_check.numerics.kept import program

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


def each_game(function: Callable[..., Any], *, size: int = CHUNK, better: bool = False) -> Callable[..., Any]:
    """A pure function of one game for batches of any number of them: it is compiled for one number only.

    Args:
        function: Of pytrees of arrays; whatever it differentiates has no maxima but those of `largest`.
        size: That number.
        better: Whether it runs for long enough to be optimised a little; large batches are worth it anyway.

    Returns:
        The function of pytrees all of whose arrays have a leading axis (game), keys among them; what it returns is
        on the host.
    """
    programs: dict[Any, Callable[..., Any]] = {}

    def of_leaves(structure: Any, keyed: tuple[bool, ...]) -> Callable[..., Any]:
        """The function of arrays alone: in place of keys that of which they are made."""

        def mapped(*leaves: Any) -> Any:
            typed = [jax.random.wrap_key_data(x) if key else x for x, key in zip(leaves, keyed, strict=True)]
            return jax.vmap(function)(*jax.tree.unflatten(structure, typed))

        return mapped

    @functools.wraps(function)
    def of_batch(*batched: Any) -> Any:
        leaves, structure = jax.tree.flatten(batched)
        keyed = tuple(bool(jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)) for leaf in leaves)
        data = [np.asarray(jax.random.key_data(x) if key else x) for x, key in zip(leaves, keyed, strict=True)]
        shapes = tuple(jax.ShapeDtypeStruct((size, *x.shape[1:]), x.dtype) for x in data)
        mapped, num = of_leaves(structure, keyed), len(data[0])
        if num == 0:
            return jax.tree.map(lambda x: np.zeros((0, *x.shape[1:]), x.dtype), jax.eval_shape(mapped, *shapes))
        careful = better or num >= _MANY * size
        kind = structure, keyed, shapes, careful
        if kind not in programs:
            programs[kind] = program(mapped, shapes, known_options(_BETTER if careful else _QUICKLY))

        def run(first: int) -> Any:
            # The last run is filled up, and what fills it forgotten.
            rows = np.minimum(np.arange(first, first + size), num - 1)
            return jax.tree.map(np.asarray, programs[kind](*(x[rows] for x in data)))

        parts = [run(first) for first in range(0, num, size)]
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
