"""The settings of JAX that belong to the command line: the library itself never touches them."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import jax


def enable_double_precision() -> None:
    """64-bit numbers, switched on before the first array is made."""
    jax.config.update("jax_enable_x64", True)
    # That there is a better device than the one in use is no news for somebody who asked for an equilibrium.
    logging.getLogger("jax._src.xla_bridge").setLevel(logging.ERROR)


@contextmanager
def quick_compilation() -> Iterator[None]:
    """Compile with few optimisations, where every program runs once and for a moment only."""
    before = jax.config.values["jax_disable_most_optimizations"]
    jax.config.update("jax_disable_most_optimizations", True)
    try:
        yield
    finally:
        jax.config.update("jax_disable_most_optimizations", before)
