"""The entrants: one file each, with a function that lists what it enters."""

from benchmarks._case import Entrant
from benchmarks.entrants import gambit, hqre, numba_loops, numpy_mirror, strataq_map


def all_entrants() -> tuple[Entrant, ...]:
    """Everybody, those that cannot run here included (their ``missing`` says why)."""
    return (
        *hqre.entrants(),
        *gambit.entrants(),
        *numpy_mirror.entrants(),
        *numba_loops.entrants(),
        *strataq_map.entrants(),
    )
