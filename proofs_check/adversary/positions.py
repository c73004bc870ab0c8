"""Where the adversary of T9 stands: games in which everybody moves once, as unbounded numbers."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import hqre_jax as hq
from hqre_jax.core._types import LogPolicy, Scalar
from proofs_check.adversary.ascent import Constants, constants, first_equilibrium
from proofs_check.experiment import each_game
from proofs_check.games.certified import Certified, as_certified

# Players and actions of the games attacked: the constants of more players are attained by these.
PLAYERS, ACTIONS = 2, 3
# Logits of a pair of policies or of a start, apart.
_REACH = 0.05


class Position(NamedTuple):
    """A game in which everybody moves once, and where play begins, as unbounded numbers.

    Attributes:
        payoffs: Brought to mean square 1.
        pattern: Logarithms of the temperatures, up to a shift that decides the margin.
        level: Logit of κ/L: margins above L would make every step nearly a best reply, and every bound sharp.
        step: Logit of the step, as a part of the largest, κ/L².
        first: Logits of a policy.
        second: Direction from it, or from π*, in logits.
    """

    payoffs: Float[Array, "player a b"]
    pattern: Float[Array, "player state"]
    level: Scalar
    step: Scalar
    first: LogPolicy
    second: LogPolicy


def draw(rng: np.random.Generator, num: int) -> Position:
    """Random general-sum games: normal payoffs, and everything else normal too.

    Args:
        rng: Source of randomness.
        num: Number of positions.

    Returns:
        Positions, leading axis (run).
    """
    policy = (num, PLAYERS, 1, ACTIONS)
    shapes = (num, PLAYERS, ACTIONS, ACTIONS), (num, PLAYERS, 1), (num,), (num,), policy, policy
    return Position(*(rng.standard_normal(shape) for shape in shapes))


def posed(position: Position) -> tuple[hq.Problem, Constants]:
    """The problem of a position, its game centred, at temperatures at which ``κ = L·sigmoid(level)``."""
    payoffs = position.payoffs / jnp.sqrt(jnp.mean(position.payoffs**2))
    problem = hq.Problem(hq.NormalFormGame(payoffs), jnp.exp(position.pattern)).centered()
    known = constants(problem)
    shift = jax.nn.sigmoid(position.level) * known.lipschitz - known.margin
    problem = eqx.tree_at(lambda p: p.tau, problem, problem.tau + shift)
    return problem, known._replace(margin=known.margin + shift)


@each_game
def problems(position: Position) -> hq.Problem:
    """The problems of positions, leading axis (run)."""
    return posed(position)[0]


@each_game
def first_equilibria(position: Position) -> LogPolicy:
    """Logits close to an HQRE of each position."""
    return first_equilibrium(posed(position)[0])


def nothing(positions: Any) -> np.ndarray:
    """What a score remembers that starts afresh at every position."""
    return np.zeros(len(positions.level))


def cases(positions: Position) -> Certified:
    """The problems, and what the library proves of them."""
    return as_certified(problems(positions))


def ahead(direction: LogPolicy) -> LogPolicy:
    """The direction at its full length."""
    return _REACH * direction / jnp.maximum(jnp.max(jnp.abs(direction)), 1e-3)


def eta(position: Position, known: Constants) -> Scalar:
    """The step, a part of κ/L²."""
    return factor(position) * known.margin / known.lipschitz**2


def factor(position: Position) -> Any:
    """That part; of one position or of many."""
    return jax.nn.sigmoid(position.step)
