"""The adversary of T2: progress promised over progress made, through eight mirror updates."""

from typing import Any

import jax
import jax.numpy as jnp

from hqre_jax.core._simplex import log_softmax
from hqre_jax.core._types import LogPolicy, Scalar
from proofs_check.adversary.ascent import equilibrium
from proofs_check.adversary.positions import Position, ahead, cases, draw, eta, factor, first_equilibria, posed
from proofs_check.comparison import Sides
from proofs_check.games.certified import Certified
from proofs_check.numerics import accuracy
from proofs_check.numerics.compiled import split_keys
from proofs_check.play.mirror import mirror_update
from proofs_check.statement import Target
from proofs_check.t2_linear_convergence.claims import RATE, faster
from proofs_check.t2_linear_convergence.claims import sides as claims

_NUM_UPDATES = 8


def score(position: Position, memory: LogPolicy) -> tuple[Scalar, LogPolicy]:
    """``log(1+ηκ)`` over what eight updates gain, per update."""
    problem, known = posed(position)
    z = equilibrium(problem, memory)
    star, step = log_softmax(z, problem.mask), eta(position, known)
    first = log_softmax(z + ahead(position.second), problem.mask)
    last = jax.lax.fori_loop(0, _NUM_UPDATES, lambda _, p: mirror_update(problem, p, step), first)
    apart = [accuracy.divergence(star, p, problem, known.weights) for p in (first, last)]
    return _NUM_UPDATES * jnp.log1p(step * known.margin) / jnp.log(apart[0] / apart[1]), jax.lax.stop_gradient(z)


def sides(cases: Certified, positions: Position, key: Any) -> Sides:
    """(b) at the positions, by the spectral radius at the HQRE."""
    keys = split_keys(key, len(positions.level))
    return claims(faster(cases, factor(positions)), keys)[RATE]


TARGET = Target(RATE, draw, first_equilibria, score, cases, sides)
