"""Many games at once: lanes laid out, advanced together, compacted, and their answers put in order."""

from hqre_jax._batch._arrays import FIELDS, Arrays
from hqre_jax._batch._general import traced_group
from hqre_jax._batch._lanes import Group, Lanes, lay_out
from hqre_jax._batch._options import Options
from hqre_jax._batch._solution import BatchSolution, BatchSolveError
from hqre_jax._batch._solve_lanes import solve_lanes

__all__ = [
    "FIELDS",
    "Arrays",
    "BatchSolution",
    "BatchSolveError",
    "Group",
    "Lanes",
    "Options",
    "lay_out",
    "solve_lanes",
    "traced_group",
]
