"""This library on game trees: ``solve``, as called by a user, on a tree that was built beforehand."""

import time

import numpy as np

import hqre_jax as hq
from benchmarks._case import Entrant, Prepared
from benchmarks._machine import package_version
from benchmarks._tree_case import TreeCase


def _prepare(case: TreeCase) -> Prepared:
    from hqre_jax.bridge import open_spiel_tree

    game = open_spiel_tree(case.name)

    def run() -> np.ndarray:
        sol = hq.solve(game, case.tau, continuation="plain", tol=case.residual_tol, throw=False)
        return np.asarray(sol.policy)[None]

    began = time.perf_counter()
    run()
    first = time.perf_counter() - began
    began = time.perf_counter()
    run()
    # The first call compiles and solves; a second one only solves.
    return Prepared(run, case.num_games, max(0.0, first - (time.perf_counter() - began)))


def entrants() -> tuple[Entrant, ...]:
    """One, which follows the principal branch: densely in Kuhn poker, without a Jacobian in Leduc poker."""
    return (
        Entrant(
            "hqre solve",
            package_version("hqre-jax"),
            _prepare,
            follows_branch=True,
            accepts=lambda case: isinstance(case, TreeCase),
        ),
    )
