"""The adversary of T8: what temperatures cost at the HQRE against τ log A."""

from typing import Any

import jax
import jax.numpy as jnp

from hqre_jax.core._types import LogPolicy, Scalar
from proofs_check.adversary.ascent import equilibrium
from proofs_check.adversary.positions import ACTIONS, Position, cases, draw, first_equilibria, posed
from proofs_check.comparison import Sides
from proofs_check.games.certified import Certified
from proofs_check.play.losses import losses_of
from proofs_check.statement import Target
from proofs_check.t8_heterogeneity.claims import BIAS, bias


def score(position: Position, memory: LogPolicy) -> tuple[Scalar, LogPolicy]:
    """Observed/bound of (e) at the HQRE."""
    problem, _ = posed(position)
    z = equilibrium(problem, memory)
    losses = losses_of(problem, problem.policy(z)[None])
    bound = jnp.sum(problem.tau) * jnp.log(ACTIONS) + jnp.sum(losses.regularised)
    return jnp.sum(losses.gap) / bound, jax.lax.stop_gradient(z)


def sides(cases: Certified, positions: Position, key: Any) -> Sides:
    """(e) at the positions, close to the HQRE."""
    del positions, key
    return bias(cases.problem)


TARGET = Target(BIAS, draw, first_equilibria, score, cases, sides)
