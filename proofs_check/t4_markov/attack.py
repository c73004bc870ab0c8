"""The adversary of T4: the stretch of soft Q-iteration at two points of the box, close to each other."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import hqre_jax as hq
from hqre_jax.core._types import Scalar
from proofs_check.adversary.positions import nothing
from proofs_check.comparison import Sides
from proofs_check.experiment import each_game
from proofs_check.numerics.compiled import largest
from proofs_check.statement import Target
from proofs_check.t4_markov import games, pairs
from proofs_check.t4_markov.claims import SOFT


class MarkovPosition(NamedTuple):
    """A Markov game and two points of its box, as unbounded numbers.

    Attributes:
        payoffs: Brought to mean square 1.
        kernel: Logits of the transitions.
        discount: Logit of γ.
        pattern: Logarithms of the temperatures, up to a factor that decides q.
        level: Logit of ``(q − γ)/(1 − γ)``.
        point: Where in the box; ±∞ are its ends.
        direction: From there.
    """

    payoffs: Float[Array, "player state a b"]
    kernel: Float[Array, "state a b target"]
    discount: Scalar
    pattern: Float[Array, "player state"]
    level: Scalar
    point: Float[Array, "player state action"]
    direction: Float[Array, "player state action"]


def draw(rng: np.random.Generator, num: int) -> MarkovPosition:
    """Random games and points, everything normal."""
    q = (num, 2, 2, 2)
    shapes = (num, 2, 2, 2, 2), (num, 2, 2, 2, 2), (num,), (num, 2, 2), (num,), q, q
    return MarkovPosition(*(rng.standard_normal(shape) for shape in shapes))


def posed(position: MarkovPosition) -> hq.Problem:
    """The problem of a position, its game centred, at temperatures at which q is where ``level`` wants it."""
    payoffs = position.payoffs / jnp.sqrt(jnp.mean(position.payoffs**2))
    gamma = jax.nn.sigmoid(position.discount)
    game = hq.MarkovGame(payoffs, jax.nn.softmax(position.kernel, axis=-1), gamma)
    problem = hq.Problem(game, jnp.exp(position.pattern)).centered()
    # Two players: spr(B diag(1/τ)) is the root of the product of its two entries.
    replies = games.influence(game)[0] / jnp.min(problem.tau, axis=1)[None, :]
    radius = jnp.sqrt(replies[0, 1] * replies[1, 0])
    factor = radius / ((1 - gamma) * jax.nn.sigmoid(position.level))
    return eqx.tree_at(lambda p: p.tau, problem, problem.tau * factor)


def _close_pair(problem: hq.Problem, width: Array, position: MarkovPosition) -> tuple[Array]:
    half = 0.5 * width[:, None, None]
    reach = 1e-3 * jnp.min(jnp.minimum(width, jnp.min(problem.tau)))
    direction = position.direction / jnp.maximum(jnp.max(jnp.abs(position.direction)), 1e-3)
    point = (half - reach) * jnp.tanh(position.point)
    return (jnp.stack([point + reach * direction, point - reach * direction]),)


def score(position: MarkovPosition, memory: Any) -> tuple[Scalar, Any]:
    """Observed/bound of (a)."""
    problem = posed(position)
    influence, width = games.influence(problem.game)
    matrix = influence / jnp.min(problem.tau, axis=1)[None, :]
    # The Perron vector of a matrix with zero diagonal; any other positive vector gives a true bound as well.
    v = jax.lax.stop_gradient(jnp.sqrt(jnp.stack([matrix[0, 1], matrix[1, 0]])))
    factor = problem.game.discount + largest(matrix @ v / v)
    pair = _close_pair(problem, width, position)
    observed, bound, *_ = pairs.compare(
        problem, lambda q: pairs.soft_iteration(problem, q), v, factor, jnp.zeros(()), pair
    )
    return observed / bound, memory


@each_game
def _stretches(case: games.CertifiedMarkov, position: MarkovPosition) -> Sides:
    pair = _close_pair(case.problem, case.width, position)
    return pairs.compare(
        case.problem, lambda q: pairs.soft_iteration(case.problem, q), case.weights, case.factor, case.excess, pair
    )


def sides(cases: games.CertifiedMarkov, positions: MarkovPosition, key: Any) -> Sides:
    """(a) at the positions."""
    del key
    return _stretches(cases, positions)


def cases(positions: MarkovPosition) -> games.CertifiedMarkov:
    """The problems, and what the library proves of them."""
    return games.known_cases(_problems(positions))


@each_game
def _problems(position: MarkovPosition) -> hq.Problem:
    return posed(position)


TARGET = Target(SOFT, draw, nothing, score, cases, sides)
