"""The adversary of T3: what all rounds cost against the majorant, through 48 rounds of play."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hqre_jax.core._simplex import log_softmax
from hqre_jax.core._types import LogPolicy, Scalar
from proofs_check.adversary.ascent import equilibrium
from proofs_check.adversary.positions import PLAYERS, Position, cases, draw, eta, factor, first_equilibria, posed
from proofs_check.comparison import Sides
from proofs_check.games.certified import Certified
from proofs_check.numerics.compiled import largest, split_keys
from proofs_check.statement import Target
from proofs_check.t3_bounded_regret.claims import TOTAL, Sample
from proofs_check.t3_bounded_regret.claims import sides as claims
from proofs_check.t3_bounded_regret.rounds import Start, at_equilibrium, play


def score(position: Position, memory: LogPolicy) -> tuple[Scalar, LogPolicy]:
    """The largest observed/bound of (c) over players."""
    problem, known = posed(position)
    z = equilibrium(problem, memory)
    point = at_equilibrium(problem, known.weights, known.margin, log_softmax(z, problem.mask))
    begin = Start(position.first, jnp.zeros(PLAYERS, bool))
    observed, bound, *_ = play(point, known.margin, eta(position, known), begin)[TOTAL]
    return largest(observed / bound), jax.lax.stop_gradient(z)


def sides(cases: Certified, positions: Position, key: Any) -> Sides:
    """(c) at the positions."""
    del key
    num = len(positions.level)
    start = Start(positions.first, np.zeros((num, PLAYERS), bool))
    return claims(cases, Sample(factor(positions), start, split_keys(jax.random.key(0), num)))[TOTAL]


TARGET = Target(TOTAL, draw, first_equilibria, score, cases, sides)
