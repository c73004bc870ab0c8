"""Per-game loops compiled by numba, on one thread: mirror descent for any game, continuation for two players."""

import importlib.util
import time

from benchmarks._case import Entrant, Prepared
from benchmarks._machine import package_version
from benchmarks._normal_form_case import NormalFormCase

_MOST_STEPS = 10_000


def _mirror(case: NormalFormCase) -> Prepared:
    from benchmarks.entrants import _numba_loops

    actions = case.payoffs.shape[-1]
    flat = case.payoffs.reshape(*case.payoffs.shape[:2], -1)
    began = time.perf_counter()
    _numba_loops.mirror_loop(flat[:1], case.tau, actions, _MOST_STEPS)
    seconds = time.perf_counter() - began
    return Prepared(lambda: _numba_loops.mirror_loop(flat, case.tau, actions, _MOST_STEPS), case.num_games, seconds)


def _homotopy(case: NormalFormCase) -> Prepared:
    from benchmarks.entrants import _numba_loops

    began = time.perf_counter()
    _numba_loops.homotopy_loop(case.payoffs[:1], case.tau, _MOST_STEPS)
    seconds = time.perf_counter() - began
    return Prepared(lambda: _numba_loops.homotopy_loop(case.payoffs, case.tau, _MOST_STEPS), case.num_games, seconds)


def _two_players(case: NormalFormCase) -> bool:
    return case.payoffs.shape[1] == 2


def entrants() -> tuple[Entrant, ...]:
    """Both loops; compilation (or loading) is timed apart."""
    version = package_version("numba")
    missing = "" if importlib.util.find_spec("numba") else "numba is not installed"
    return (
        Entrant("numba mirror loop", version, _mirror, missing),
        Entrant("numba continuation", version, _homotopy, missing, accepts=_two_players),
    )
