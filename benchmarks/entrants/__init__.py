"""The entrants: one file each, with a function that lists what it enters."""

from collections.abc import Callable
from dataclasses import replace

from benchmarks._case import Case, Entrant
from benchmarks._normal_form_case import NormalFormCase
from benchmarks.entrants import (
    gambit,
    hqre,
    large_game,
    lite_efg,
    markov_solve,
    numba_loops,
    numpy_markov,
    numpy_mirror,
    numpy_tree,
    open_spiel_mmd,
    sgamesolver_qre,
    strataq_map,
    tree_solve,
)


def all_entrants() -> tuple[Entrant, ...]:
    """Everybody, those that cannot run here included (their ``missing`` says why)."""
    many = (
        *hqre.entrants(),
        *gambit.entrants(),
        *numpy_mirror.entrants(),
        *numba_loops.entrants(),
        *strataq_map.entrants(),
    )
    trees = (*tree_solve.entrants(), *numpy_tree.entrants(), *lite_efg.entrants(), *open_spiel_mmd.entrants())
    states = (*markov_solve.entrants(), *sgamesolver_qre.entrants(), *numpy_markov.entrants())
    return (*(replace(e, accepts=_small(e)) for e in many), *large_game.entrants(), *trees, *states)


def _small(entrant: Entrant) -> Callable[[Case], bool]:
    return lambda case: isinstance(case, NormalFormCase) and not case.large and entrant.accepts(case)
