"""How many HQRE a game has, by Newton's method from many starts."""

from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Float

import hqre_jax as hq
from hqre_jax.core._simplex import probabilities
from proofs_check.numerics.compiled import each_game, split_keys
from proofs_check.numerics.equilibria import find_equilibria

_NUM_STARTS = 24
# The largest defect of what counts as an HQRE, and how far apart two must be to count as two: where the Jacobian is
# nearly singular, one HQRE has approximations that are further apart than their defects.
RESIDUAL, _APART = 1e-10, 1e-4


@each_game
def find_all(problem: hq.Problem, key: Any) -> tuple[Any, Any]:
    """Policies from many starts and their defects, for each game."""
    log_policies, sizes = find_equilibria(problem.centered(), _NUM_STARTS, key)
    return jax.vmap(lambda p: probabilities(p, problem.mask))(log_policies), sizes


def distinct(policies: Float[np.ndarray, "game start *policy"], good: Bool[np.ndarray, "game start"]) -> np.ndarray:
    """How many of the good policies of each game are apart from each other."""
    gaps = np.abs(policies[:, :, None] - policies[:, None]).max(axis=(3, 4, 5))
    kept = np.zeros_like(good)
    for k in range(good.shape[1]):
        kept[:, k] = good[:, k] & ~(kept[:, :k] & (gaps[:, k, :k] <= _APART)).any(axis=1)
    return kept.sum(axis=1)


def all_equilibria(problem: hq.Problem) -> tuple[np.ndarray, np.ndarray]:
    """Policies from many starts, axes (game, start, …), and which of them are HQRE."""
    policies, sizes = find_all(problem, split_keys(jax.random.key(0), len(problem.tau)))
    return policies, sizes <= RESIDUAL


def num_equilibria(problem: hq.Problem) -> np.ndarray:
    """How many different HQRE there are in each game of a batch, as far as the search goes."""
    return distinct(*all_equilibria(problem))
