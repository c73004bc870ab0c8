"""This library on game trees built beforehand: ``solve``, compiled with ``jax.jit``."""

from benchmarks._case import Entrant, Prepared
from benchmarks._machine import package_version
from benchmarks._tree_case import TreeCase
from benchmarks.entrants._compiled import compiled_solve


def _compile(case: TreeCase) -> Prepared:
    from hqre_jax.bridge import open_spiel_tree

    game = open_spiel_tree(case.name)
    compiled, seconds = compiled_solve(game, case.tau, case.residual_tol)
    return Prepared(lambda: compiled(game)[None], case.num_games, seconds)


def entrants() -> tuple[Entrant, ...]:
    """It follows the principal branch: densely in Kuhn poker, without a Jacobian in Leduc poker."""
    return (
        Entrant(
            "hqre solve, compiled", package_version("hqre-jax"), _compile, follows_branch=True,
            accepts=lambda case: isinstance(case, TreeCase),
        ),
    )  # fmt: skip
