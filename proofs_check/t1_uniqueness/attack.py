"""The adversary of T1: a game and a pair of policies whose interaction exhausts what the margin leaves to it."""

from typing import Any

import jax.numpy as jnp

from hqre_jax.core._simplex import log_softmax
from hqre_jax.core._types import LogPolicy, Scalar
from proofs_check.adversary.positions import Position, ahead, cases, draw, nothing, posed
from proofs_check.comparison import Sides
from proofs_check.experiment import each_game
from proofs_check.games.certified import Certified
from proofs_check.statement import Target
from proofs_check.t1_uniqueness.claims import MONOTONE, interaction


def _ends(position: Position, mask: Any) -> tuple[LogPolicy, LogPolicy]:
    first, second = (log_softmax(z, mask) for z in (position.first, position.first + ahead(position.second)))
    return first, second


def score(position: Position, memory: Any) -> tuple[Scalar, Any]:
    """Observed/bound of (a)."""
    problem, known = posed(position)
    observed, bound, *_ = interaction(problem, known, *_ends(position, problem.mask))
    return observed / jnp.maximum(bound, jnp.finfo(bound.dtype).tiny), memory


@each_game
def _interactions(case: Certified, position: Position) -> Sides:
    return interaction(case.problem, case.known, *_ends(position, case.problem.mask))


def sides(cases: Certified, positions: Position, key: Any) -> Sides:
    """(a) at the positions."""
    del key
    return _interactions(cases, positions)


TARGET = Target(MONOTONE, draw, nothing, score, cases, sides)
