"""The adversary of T7: regularised regret of mirror play against its constant."""

from typing import Any

import jax
import jax.numpy as jnp

from hqre_jax.core._simplex import log_softmax, probabilities
from hqre_jax.core._types import Scalar
from hqre_jax.learning import mirror_dynamics
from proofs_check.adversary.positions import Position, cases, draw, nothing, posed
from proofs_check.comparison import Sides
from proofs_check.games.certified import Certified
from proofs_check.play.losses import losses_of
from proofs_check.statement import Target
from proofs_check.t7_pathologies.selection import SELECTION, distances, majorant, selection

_ROUNDS = 40


def score(position: Position, memory: Any) -> tuple[Scalar, Any]:
    """Observed/bound of (d) from round 0 on."""
    problem, known = posed(position)
    start, eta = log_softmax(position.first, problem.mask), known.margin / known.lipschitz**2
    policies = mirror_dynamics(problem, probabilities(start, problem.mask), _ROUNDS, jax.random.key(0), step=eta)
    lost = jnp.sum(losses_of(problem, policies).regularised * known.weights[:, 0])
    spread, distance = distances(problem, known.weights, start)
    return lost / majorant(known, eta, spread, distance, jnp.min(problem.tau), jnp.max(problem.tau), 0)[0], memory


def sides(cases: Certified, positions: Position, key: Any) -> Sides:
    """(d) at the positions."""
    del key
    return selection(cases, jax.nn.softmax(positions.first, axis=-1))


TARGET = Target(SELECTION, draw, nothing, score, cases, sides)
