"""What everything speaks of: axes, arrays, input errors, results, simplices, temperatures, programs, checkpoints."""

from hqre_jax.core._input import InputError, Labels
from hqre_jax.core._results import RESULTS, SELECTIONS

__all__ = ["RESULTS", "SELECTIONS", "InputError", "Labels"]
