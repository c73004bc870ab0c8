"""``solve`` compiled with ``jax.jit``, as whoever asks about many games of one shape has it.

Called by itself it answers the first few small games of a size in numpy, and later ones by programs: nothing to time.
"""

import time
from collections.abc import Callable

import equinox as eqx
import jax
import numpy as np

import hqre_jax as hq
from hqre_jax.games import AbstractGame


def compiled_solve(game: AbstractGame, tau: float, tol: float) -> tuple[Callable[[AbstractGame], np.ndarray], float]:
    """Compile ``solve`` for games like one, values without entropy.

    Args:
        game: A game of the shape in question.
        tau: Temperature.
        tol: Residual wanted.

    Returns:
        From a game to ``(player, information state, action)``; and the seconds that it took to compile.
    """
    numbers, shape = eqx.partition(game, eqx.is_array)

    def policy(numbers: AbstractGame) -> jax.Array:
        return hq.solve(eqx.combine(numbers, shape), tau, continuation="plain", tol=tol, throw=False).policy

    began = time.perf_counter()
    compiled = jax.jit(policy).lower(numbers).compile()
    seconds = time.perf_counter() - began
    return lambda one: np.asarray(compiled(eqx.filter(one, eqx.is_array))), seconds
