"""Many games at once: lanes laid out, advanced together, compacted."""

from hqre_jax.solvers.batch._arrays import FIELDS, Arrays
from hqre_jax.solvers.batch._lanes import Group, Lanes, lay_out
from hqre_jax.solvers.batch._options import Options

__all__ = ["FIELDS", "Arrays", "Group", "Lanes", "Options", "lay_out"]
