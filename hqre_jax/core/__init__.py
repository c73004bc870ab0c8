"""What everything speaks of: axes, arrays, input errors, results, simplices, temperatures, programs, checkpoints."""

from hqre_jax.core._results import RESULTS, SELECTIONS
from hqre_jax.core._types import InputError, Labels

__all__ = ["RESULTS", "SELECTIONS", "InputError", "Labels"]
