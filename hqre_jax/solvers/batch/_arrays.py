"""The arrays of a batch, each with a leading axis of lanes."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Float, Int


class Arrays(NamedTuple):
    """Questions and answers of a batch, of numpy where they were put together there.

    Attributes:
        policy: See `BatchSolution`, also for all others but these:
        unsought: Where the selection may yet be "unique": beyond a first bound nothing was looked into, because that
            costs more than solving a small game.

    Example:
        >>> from hqre_jax.solvers.batch import FIELDS, Arrays
        >>> [name for name in Arrays._fields if name not in FIELDS]  # the question's own, which no solver says
        ['action_mask', 'tau', 'unsought']
        >>> FIELDS[:3]
        ('policy', 'log_policy', 'values')
    """

    policy: Float[Array, "batch player state action"]
    log_policy: Float[Array, "batch player state action"]
    values: Float[Array, "batch player state"]
    initial_values: Float[Array, "batch player"]
    residual: Float[Array, " batch"]
    num_steps: Int[Array, " batch"]
    result_code: Int[Array, " batch"]
    selection_code: Int[Array, " batch"]
    action_mask: Bool[Array, "batch player state action"]
    tau: Float[Array, "batch player state"]
    unsought: Bool[Array | np.ndarray, " batch"]


# What a solver says of each lane.
FIELDS = tuple(name for name in Arrays._fields if name not in ("action_mask", "tau", "unsought"))
