"""This library on game trees built beforehand: ``solve`` as a user calls it, and compiled with ``jax.jit``."""

import time

import equinox as eqx
import jax
import numpy as np

import hqre_jax as hq
from benchmarks._case import Entrant, Prepared, prepared_by_calling
from benchmarks._machine import package_version
from benchmarks._tree_case import TreeCase


def _prepare(case: TreeCase) -> Prepared:
    from hqre_jax.bridge import open_spiel_tree

    game = open_spiel_tree(case.name)

    def run() -> np.ndarray:
        sol = hq.solve(game, case.tau, continuation="plain", tol=case.residual_tol, throw=False)
        return np.asarray(sol.policy)[None]

    return prepared_by_calling(run, case.num_games)


def _compile(case: TreeCase) -> Prepared:
    from hqre_jax.bridge import open_spiel_tree

    numbers, shape = eqx.partition(open_spiel_tree(case.name), eqx.is_array)

    def policy(numbers):
        game = eqx.combine(numbers, shape)
        return hq.solve(game, case.tau, continuation="plain", tol=case.residual_tol, throw=False).policy[None]

    began = time.perf_counter()
    compiled = jax.jit(policy).lower(numbers).compile()
    seconds = time.perf_counter() - began
    return Prepared(lambda: np.asarray(compiled(numbers)), case.num_games, seconds)


def entrants() -> tuple[Entrant, ...]:
    """Both follow the principal branch: densely in Kuhn poker, without a Jacobian in Leduc poker."""
    version = package_version("hqre-jax")
    trees = {"follows_branch": True, "accepts": lambda case: isinstance(case, TreeCase)}
    return (
        Entrant("hqre solve", version, _prepare, **trees),
        Entrant("hqre solve, compiled", version, _compile, **trees),
    )
