"""What the adversary of T9 attacks: positions, scores and the judgement of where it ends."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import hqre_jax as hq
from hqre_jax.core._simplex import log_softmax, probabilities
from hqre_jax.core._types import LogPolicy, Scalar
from hqre_jax.learning import mirror_dynamics
from proofs_check import _accuracy as accuracy
from proofs_check import _markov_cases as markov
from proofs_check import _markov_pairs as pairs
from proofs_check import t1_uniqueness as t1
from proofs_check import t2_linear_convergence as t2
from proofs_check import t3_bounded_regret as t3
from proofs_check import t4_markov as t4
from proofs_check import t8_heterogeneity as t8
from proofs_check._ascent import Constants, constants, equilibrium, first_equilibrium
from proofs_check._cases import Cases, known_bounds, quick_jit
from proofs_check._losses import losses_of, mirror_losses
from proofs_check._play import mirror_update
from proofs_check._regret import Start, at_equilibrium, play
from proofs_check._selection import SELECTION, distances, majorant, selection
from proofs_check._statement import Comparison

# Players and actions of the games attacked: the constants of more players are attained by these.
_PLAYERS, _ACTIONS = 2, 3
# Logits of a pair of policies or of a start, apart; mirror updates whose progress is attacked; rounds of T7.
_REACH, _NUM_UPDATES, _ROUNDS = 0.05, 8, 40


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


class Target(NamedTuple):
    """A claim under attack.

    Attributes:
        statement: "T1", "T2", …
        claim: The claim.
        draw: ``(rng, num) -> positions``: random ones, not chosen with regard to the claim.
        remember: What the score wants to remember of each position at the start.
        score: ``(position, memory) -> (ratio, memory)``, for `ascend`.
        judge: The claim at given positions, measured with the constants that the library proves.
    """

    statement: str
    claim: str
    draw: Callable[[np.random.Generator, int], Any]
    remember: Callable[[Any], Any]
    score: Callable[[Any, Any], tuple[Scalar, Any]]
    judge: Callable[[Any, Any], Comparison]


def draw(rng: np.random.Generator, num: int) -> Position:
    """Random general-sum games: normal payoffs, and everything else normal too.

    Args:
        rng: Source of randomness.
        num: Number of positions.

    Returns:
        Positions, leading axis (run).
    """
    policy = (num, _PLAYERS, 1, _ACTIONS)
    shapes = (num, _PLAYERS, _ACTIONS, _ACTIONS), (num, _PLAYERS, 1), (num,), (num,), policy, policy
    return Position(*(jnp.asarray(rng.standard_normal(shape)) for shape in shapes))


def posed(position: Position) -> tuple[hq.Problem, Constants]:
    """The problem of a position, its game centred, at temperatures at which ``κ = L·sigmoid(level)``."""
    payoffs = position.payoffs / jnp.sqrt(jnp.mean(position.payoffs**2))
    problem = hq.Problem(hq.NormalFormGame(payoffs), jnp.exp(position.pattern)).centered()
    known = constants(problem)
    shift = jax.nn.sigmoid(position.level) * known.lipschitz - known.margin
    problem = eqx.tree_at(lambda p: p.tau, problem, problem.tau + shift)
    return problem, known._replace(margin=known.margin + shift)


@quick_jit
def _problems(positions: Position) -> hq.Problem:
    return jax.vmap(lambda position: posed(position)[0])(positions)


@quick_jit
def _first_equilibria(positions: Position) -> LogPolicy:
    return jax.vmap(lambda position: first_equilibrium(posed(position)[0]))(positions)


def _nothing(positions: Position) -> Array:
    return jnp.zeros(len(positions.level))


def _cases(positions: Position, times: float) -> Cases:
    """The problems, and what the library proves of them; the margin ``times`` as large in a negative control."""
    problem = _problems(positions)
    known = known_bounds(problem)
    return Cases(problem, known._replace(margin=times * known.margin))


def _ahead(direction: LogPolicy) -> LogPolicy:
    """The direction at its full length."""
    return _REACH * direction / jnp.maximum(jnp.max(jnp.abs(direction)), 1e-3)


def _eta(position: Position, known: Constants) -> Scalar:
    return jax.nn.sigmoid(position.step) * known.margin / known.lipschitz**2


def _factors(positions: Position) -> np.ndarray:
    return np.asarray(jax.nn.sigmoid(positions.step))


# T1 (a): the interaction of a pair of policies against what the margin leaves to it.


def _interaction(position: Position, memory: Any) -> tuple[Scalar, Any]:
    problem, known = posed(position)
    first, second = (log_softmax(z, problem.mask) for z in (position.first, position.first + _ahead(position.second)))
    observed, bound, _ = t1.interaction(problem, known.weights, known.margin, first, second)
    return observed / jnp.maximum(bound, jnp.finfo(bound.dtype).tiny), memory


@quick_jit
def _interactions(cases: Cases, positions: Position):
    def one(problem, known, position):
        ends = position.first, position.first + _ahead(position.second)
        return t1.interaction(problem, known.weights, known.margin, *(log_softmax(z, problem.mask) for z in ends))

    return jax.vmap(one)(cases.problem, cases.known, positions)


def _judge_interaction(positions: Position, key: Any, times: float = 1.0) -> Comparison:
    cases = _cases(positions, times)
    sides = _interactions(cases, positions)
    return Comparison(t1.MONOTONE, "T1", *(np.asarray(part) for part in sides), problems=cases.problem)


# T2 (b): progress promised over progress made.


def _progress(position: Position, memory: LogPolicy) -> tuple[Scalar, LogPolicy]:
    problem, known = posed(position)
    z = equilibrium(problem, memory)
    star, eta = log_softmax(z, problem.mask), _eta(position, known)
    first = log_softmax(z + _ahead(position.second), problem.mask)
    last = jax.lax.fori_loop(0, _NUM_UPDATES, lambda _, p: mirror_update(problem, p, eta), first)
    apart = [accuracy.divergence(star, p, problem, known.weights) for p in (first, last)]
    return _NUM_UPDATES * jnp.log1p(eta * known.margin) / jnp.log(apart[0] / apart[1]), jax.lax.stop_gradient(z)


def _judge_progress(positions: Position, key: Any, times: float = 1.0) -> Comparison:
    cases = _cases(positions, times)
    claims = t2.comparisons_under("T2", cases.problem, t2.proved(cases, _factors(positions)), key)
    return next(c for c in claims if c.claim == t2.RATE)


# T3 (c): what all rounds cost against the majorant.


def _regret(position: Position, memory: LogPolicy) -> tuple[Scalar, LogPolicy]:
    problem, known = posed(position)
    z = equilibrium(problem, memory)
    point = at_equilibrium(problem, known.weights, known.margin, log_softmax(z, problem.mask))
    begin = Start(position.first, jnp.zeros(_PLAYERS, bool))
    observed, bound, _ = play(point, known.margin, _eta(position, known), begin).total
    return jnp.max(observed / bound), jax.lax.stop_gradient(z)


def _judge_regret(positions: Position, key: Any) -> Comparison:
    starts = Start(positions.first, jnp.zeros((len(positions.level), _PLAYERS), bool))
    claims = t3.comparisons_under("T3", _cases(positions, 1.0), _factors(positions), starts)
    return next(c for c in claims if c.claim == t3.TOTAL)


# T7 (d): regularised regret of mirror play against its constant.


def _selected(position: Position, memory: Any) -> tuple[Scalar, Any]:
    problem, known = posed(position)
    start, eta = log_softmax(position.first, problem.mask), known.margin / known.lipschitz**2
    policies = mirror_dynamics(problem, probabilities(start, problem.mask), _ROUNDS, jax.random.key(0), step=eta)
    lost = jnp.sum(losses_of(problem, policies).regularised * known.weights[:, 0])
    spread, distance = distances(problem, known.weights, start)
    return lost / majorant(known, eta, spread, distance, jnp.min(problem.tau), jnp.max(problem.tau), 0)[0], memory


def _judge_selected(positions: Position, key: Any) -> Comparison:
    cases = _cases(positions, 1.0)
    starts = jax.nn.softmax(positions.first, axis=-1)
    keys = jax.random.split(key, len(positions.level))
    losses, _ = mirror_losses(cases.problem, starts, cases.known.max_step, keys)
    return selection("T7", cases, starts, jax.tree.map(np.asarray, losses))


# T8 (e): what temperatures cost at the HQRE against τ log A.


def _bias(position: Position, memory: LogPolicy) -> tuple[Scalar, LogPolicy]:
    problem, _ = posed(position)
    z = equilibrium(problem, memory)
    losses = losses_of(problem, problem.policy(z)[None])
    bound = jnp.sum(problem.tau) * jnp.log(_ACTIONS) + jnp.sum(losses.regularised)
    return jnp.sum(losses.gap) / bound, jax.lax.stop_gradient(z)


def _judge_bias(positions: Position, key: Any) -> Comparison:
    problem = _problems(positions)
    gap, bias, rest, error = (np.asarray(part) for part in t8.biases(problem, problem.tau[..., 0]))
    return Comparison(t8.BIAS, "T8", gap, bias + rest, error, problems=problem)


# T4 (a): soft Q-iteration at two points of the box, close to each other.


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


def _draw_markov(rng: np.random.Generator, num: int) -> MarkovPosition:
    q = (num, 2, 2, 2)
    shapes = (num, 2, 2, 2, 2), (num, 2, 2, 2, 2), (num,), (num, 2, 2), (num,), q, q
    return MarkovPosition(*(jnp.asarray(rng.standard_normal(shape)) for shape in shapes))


def _posed_markov(position: MarkovPosition) -> hq.Problem:
    payoffs = position.payoffs / jnp.sqrt(jnp.mean(position.payoffs**2))
    gamma = jax.nn.sigmoid(position.discount)
    game = hq.MarkovGame(payoffs, jax.nn.softmax(position.kernel, axis=-1), gamma)
    problem = hq.Problem(game, jnp.exp(position.pattern)).centered()
    # Two players: spr(B diag(1/τ)) is the root of the product of its two entries.
    replies = markov.influence(game)[0] / jnp.min(problem.tau, axis=1)[None, :]
    radius = jnp.sqrt(replies[0, 1] * replies[1, 0])
    factor = radius / ((1 - gamma) * jax.nn.sigmoid(position.level))
    return eqx.tree_at(lambda p: p.tau, problem, problem.tau * factor)


def _close_pair(problem: hq.Problem, width: Array, position: MarkovPosition) -> tuple[Array]:
    half = 0.5 * width[:, None, None]
    reach = 1e-3 * jnp.min(jnp.minimum(width, jnp.min(problem.tau)))
    direction = position.direction / jnp.maximum(jnp.max(jnp.abs(position.direction)), 1e-3)
    point = (half - reach) * jnp.tanh(position.point)
    return (jnp.stack([point + reach * direction, point - reach * direction]),)


def _stretch(position: MarkovPosition, memory: Any) -> tuple[Scalar, Any]:
    problem = _posed_markov(position)
    influence, width = markov.influence(problem.game)
    matrix = influence / jnp.min(problem.tau, axis=1)[None, :]
    # The Perron vector of a matrix with zero diagonal; any other positive vector gives a true bound as well.
    v = jax.lax.stop_gradient(jnp.sqrt(jnp.stack([matrix[0, 1], matrix[1, 0]])))
    factor = problem.game.discount + jnp.max(matrix @ v / v)
    pair = _close_pair(problem, width, position)
    observed, bound, _ = pairs.compare(
        problem, lambda q: pairs.soft_iteration(problem, q), v, factor, jnp.zeros(()), pair
    )
    return observed / bound, memory


@quick_jit
def _stretches(cases: markov.MarkovCases, positions: MarkovPosition):
    def one(problem, width, v, factor, excess, position):
        pair = _close_pair(problem, width, position)
        return pairs.compare(problem, lambda q: pairs.soft_iteration(problem, q), v, factor, excess, pair)

    known = cases.width, cases.weights, cases.factor, cases.excess
    return jax.vmap(one)(cases.problem, *known, positions)


@quick_jit
def _markov_problems(positions: MarkovPosition) -> hq.Problem:
    return jax.vmap(_posed_markov)(positions)


def _judge_stretch(positions: MarkovPosition, key: Any) -> Comparison:
    cases = markov.known_cases(_markov_problems(positions))
    sides = _stretches(cases, positions)
    return Comparison(t4.SOFT, "T4", *(np.asarray(part) for part in sides), problems=cases.problem)


TARGETS = {
    target.statement: target
    for target in (
        Target("T1", t1.MONOTONE, draw, _nothing, _interaction, _judge_interaction),
        Target("T2", t2.RATE, draw, _first_equilibria, _progress, _judge_progress),
        Target("T3", t3.TOTAL, draw, _first_equilibria, _regret, _judge_regret),
        Target("T4", t4.SOFT, _draw_markov, _nothing, _stretch, _judge_stretch),
        Target("T7", SELECTION, draw, _nothing, _selected, _judge_selected),
        Target("T8", t8.BIAS, draw, _first_equilibria, _bias, _judge_bias),
    )
}


def judge_as_if(target: Target, positions: Any, key: Any, times: float) -> Comparison:
    """The claim judged as if the margin were ``times`` as large; for T1 and T2."""
    judges = {"T1": _judge_interaction, "T2": _judge_progress}
    return judges[target.statement](positions, key, times)
