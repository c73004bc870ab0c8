"""T8: heterogeneous temperatures buy the same margin for less.

Problem
    Temperatures keep play stable and pull it away from the payoffs: an agent at τ_i may forgo ``τ_i log A_i`` in every
    round. So let temperature cost c_i ≥ 0 per unit (1, or log A_i), and ask for the cheapest temperatures with a
    margin κ (T1, at given weights w). What is lost if all agents must share one temperature?

Statement
    Let ``S_ij = C_ij / √(w_i w_j)`` with the interactions C of T1, so that ``κ = λ_min(diag(τ) − ½S)``. Write
    ``y_i = √c_i`` and let c_i > 0 for all agents that meet somebody (the others need κ and no more). The temperatures
    ``τ_i = κ + ½ Σ_j S_ij y_j / y_i`` and the common temperature ``κ + ½ λ_max(S)`` have

        (a)  λ_min(diag(τ) − ½S) = κ exactly, so that the margin at the best weights is κ at least;

    the former are the cheapest of all temperatures with that margin, in particular of ``κ + ½ (Sv)_i/v_i``, v > 0:

        (b)  Σ c_i τ_i = κ Σ c_i + ½ yᵀSy ≤ Σ c_i τ'_i       whenever  diag(τ') − ½S ⪰ κ;

    against the common temperature they gain at least

        (c)  ½ (‖y‖ ‖Sy‖ − yᵀSy) ≥ 0,

    also where w are the weights that serve the common temperature best. (d) On a star with n leaves, w = 1 and
    ``C_ij = c`` on its edges, unit costs: ``n c + (n+1)κ`` against ``(n+1)(√n c/2 + κ)``. Where all rows of S have
    equal sums (regular graphs) and unit costs, nothing is gained.

    (e) The bias this measures: at any policy, ρ uniform, with regularised gaps g_i (0 at the HQRE),

            Σ_i gap_i ≤ Σ_i τ_i log A_i + Σ_i g_i.

Proof
    (a) If S is symmetric, S_ij ≥ 0 and v > 0, ``Σ x_i² (Sv)_i/v_i − xᵀSx = ½ Σ_ij S_ij v_i v_j (x_i/v_i − x_j/v_j)²``.
    So ``diag((Sv)/v) − S ⪰ 0``, and it is singular (x = v). Take v = y. For the common temperature use the definition
    of λ_max. Other weights can only raise the margin.

    (b) Multiply ``diag(τ' − κ) ⪰ ½S`` by y from both sides: ``Σ c_i (τ'_i − κ) ≥ ½ yᵀSy``, an equality for τ itself.

    (c) λ_max is the norm of S: ``λ_max ‖y‖ ≥ ‖Sy‖``, so the common temperature costs ``κ‖y‖² + ½ λ_max ‖y‖²``, at
    least ``κ‖y‖² + ½ ‖y‖‖Sy‖``. Cauchy & Schwarz: ``yᵀSy ≤ ‖y‖‖Sy‖``, with equality iff y is an eigenvector of S: for
    unit costs, iff all rows have equal sums (and then λ_max is that sum).

    (d) ``λ_max = c√n`` and ``1ᵀC1 = 2nc``.

    (e) BR maximises ``⟨Q, p⟩ − τ KL(p‖ρ)``, with surplus g over π; compare it with the pure best response, whose
    KL(·‖ρ) is log A: ``max Q − τ log A ≤ ⟨Q, π⟩ − τ KL(π‖ρ) + g ≤ ⟨Q, π⟩ + g``. ∎

Tightness
    (a), (b), (d) are equalities. (c) is one on stars: ``‖1‖ ‖S1‖ = √(n+1) · c√(n² + n) = c√n (n+1)``. The gain has
    no limit: with n = 100 leaves the common temperature costs 5.05 times as much (`sharpness`).

Reference
    theory.md §3 (least temperatures), T8. For v the diagonal scaling of M-matrices see Berman & Plemmons (1994), ch. 6.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import hqre_jax as hq
from hqre_jax.bounds import double_difference
from hqre_jax.learning import mirror_dynamics
from proofs_check import _accuracy as accuracy
from proofs_check._cases import Family, batches, known_bounds, quick_jit
from proofs_check._losses import losses_of
from proofs_check._statement import Comparison, Example, Outcome, Statement

MARGIN = "(a) κ = λ_min(diag τ − ½S)"
CERTIFIED = "(a) κ ≤ certified margin"
LEAST = "(b) least ≤ any other cost"
GAIN = "(c) least + gain ≤ common cost"
CLOSED = "(d) stars: totals; regular: no gain"
BIAS = "(e) Σ gaps ≤ Σ τ log A + Σ g"

_NUM_PLAYERS, _NUM_ACTIONS = 8, 3
_EDGES = np.stack(np.triu_indices(_NUM_PLAYERS, 1), axis=1)
# Other temperatures to compare with: some far from the least ones, some next to them.
_SPREADS = (1.0, 0.3, 0.03)
_ROUNDS = 20


def _edge_payoffs(rng: np.random.Generator, graph: np.ndarray) -> np.ndarray:
    """General payoffs on the edges of each graph, stakes of different size; 0 elsewhere."""
    scales = 5.0 ** rng.uniform(-1, 1, (*graph.shape, 1, 1, 1))
    shape = (*graph.shape, 2, _NUM_ACTIONS, _NUM_ACTIONS)
    return graph[..., None, None, None] * scales * rng.uniform(-1, 1, shape)


def _arrays(payoffs: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges, payoffs and valid actions; players who meet nobody have one action."""
    edges = np.tile(_EDGES, (len(payoffs), 1, 1))
    return edges, payoffs, (np.arange(_NUM_ACTIONS) < counts[..., None])[:, :, None]


def _met(graph: np.ndarray) -> np.ndarray:
    """Whether a player has an edge, axes (game, player)."""
    ends = np.eye(_NUM_PLAYERS, dtype=bool)[_EDGES].any(axis=1)
    return (graph[:, :, None] & ends).any(axis=1)


def _general(rng: np.random.Generator, graph: np.ndarray) -> tuple[np.ndarray, ...]:
    """General payoffs; two or three actions."""
    counts = np.where(_met(graph), rng.integers(2, _NUM_ACTIONS + 1, (len(graph), _NUM_PLAYERS)), 1)
    return _arrays(_edge_payoffs(rng, graph), counts)


def _equal(rng: np.random.Generator, graph: np.ndarray) -> tuple[np.ndarray, ...]:
    """The same c·I on every edge, for both ends; the same number of actions for everybody."""
    scales = 5.0 ** rng.uniform(-1, 1, (len(graph), 1, 1, 1, 1))
    counts = np.where(_met(graph), rng.integers(2, _NUM_ACTIONS + 1, (len(graph), 1)), 1)
    shape = (*graph.shape, 2, 1, 1)
    return _arrays(np.broadcast_to(scales * graph[..., None, None, None], shape) * np.eye(_NUM_ACTIONS), counts)


def _star(rng: np.random.Generator, num: int) -> np.ndarray:
    """Two to seven leaves around player 0."""
    leaves = rng.integers(2, _NUM_PLAYERS, (num, 1))
    return (_EDGES[:, 0] == 0) & (_EDGES[:, 1] <= leaves)


def _hubs(rng: np.random.Generator, num: int) -> np.ndarray:
    """One to three hubs that all meet; every other player meets one hub."""
    hubs = rng.integers(1, 4, (num, 1))
    chosen = rng.integers(0, hubs, (num, _NUM_PLAYERS))
    low, high = _EDGES.T
    return np.where(high < hubs, True, (low < hubs) & (low == chosen[:, high]))


def _planner(rng: np.random.Generator, num: int) -> np.ndarray:
    """A planner (0) and a critic (1) who meet each other and every one of two to six solvers."""
    solvers = rng.integers(2, _NUM_PLAYERS - 1, (num, 1))
    return (_EDGES[:, 0] <= 1) & (_EDGES[:, 1] < solvers + 2)


def _random(rng: np.random.Generator, num: int) -> np.ndarray:
    """Any pair meets with a probability drawn for each graph; players 0 and 1 always do."""
    edges = rng.random((num, len(_EDGES))) < rng.uniform(0.2, 0.9, (num, 1))
    return edges | (_EDGES.sum(axis=1) == 1)


def _regular(rng: np.random.Generator, num: int) -> np.ndarray:
    """Circulant graphs on three to eight players: cycles, complete graphs and what lies between."""
    size, reach = rng.integers(3, _NUM_PLAYERS + 1, (num, 1)), rng.integers(1, _NUM_PLAYERS // 2 + 1, (num, 1))
    low, high = _EDGES.T
    distance = np.minimum(high - low, size - (high - low))
    return (high < size) & (distance <= reach)


def _family(name: str, payoffs: Any, graph: Any) -> Family:
    return Family(
        name,
        lambda rng, num: payoffs(rng, graph(rng, num)),
        lambda e, u, mask: hq.PolymatrixGame(e, u, action_mask=mask),
    )


STARS = _family("star, equal stakes", _equal, _star)
REGULAR = _family("regular graph, equal stakes", _equal, _regular)
FAMILIES = (
    STARS,
    _family("hubs and spokes", _general, _hubs),
    _family("planner, solvers, critic", _general, _planner),
    _family("random graph", _general, _random),
    REGULAR,
)


class Interactions(NamedTuple):
    """What the theorem speaks of: S, both kinds of cost, κ; and bounds on their rounding.

    Attributes:
        matrix: S, axes (game, player, player).
        costs: c for unit costs and for log A, axes (game, cost, player); 0 for players who meet nobody.
        margin: κ wanted.
        rounding: Bound on the error of an entry of any matrix made of S and κ, or of an eigenvalue.
    """

    matrix: np.ndarray
    costs: np.ndarray
    margin: np.ndarray
    rounding: np.ndarray

    def least(self) -> np.ndarray:
        """Temperatures of (b), axes (game, cost, player)."""
        return self.scaled(np.sqrt(np.where(self.costs > 0, self.costs, 1.0)))

    def scaled(self, v: np.ndarray) -> np.ndarray:
        """``κ + ½ (Sv)/v``, axes (game, cost, player)."""
        return self.margin[:, None, None] + 0.5 * np.einsum("gij,gcj->gci", self.matrix, v) / v

    def common(self) -> np.ndarray:
        """``κ + ½ λ_max(S)``, one number a game."""
        return self.margin + 0.5 * np.linalg.eigvalsh(self.matrix)[:, -1]

    def cost(self, tau: np.ndarray) -> np.ndarray:
        """``Σ c τ``, axes (game, cost)."""
        return np.sum(self.costs * tau, axis=-1)


@quick_jit
def _edge_interactions(payoffs: Float[Array, "game edge 2 a b"], mask: Any) -> Float[Array, "game edge"]:
    """``¼ dd(w_i u_i + w_j u_j)`` of every edge, from payoffs times weights."""
    first, second = (mask[:, _EDGES[:, end], 0] for end in (0, 1))
    return 0.25 * double_difference(payoffs[:, :, 0] + payoffs[:, :, 1], first, second)


def interactions(arrays: tuple[np.ndarray, ...], margin: np.ndarray, weights: np.ndarray) -> Interactions:
    """S and costs of drawn games, for the wanted margins, at weights ``(game, player)``."""
    _, payoffs, mask = arrays
    ends = weights[:, _EDGES]
    values = np.asarray(_edge_interactions(jnp.asarray(payoffs * ends[..., None, None]), jnp.asarray(mask)))
    values = values / np.sqrt(ends.prod(axis=-1))
    matrix = np.zeros((len(payoffs), _NUM_PLAYERS, _NUM_PLAYERS))
    matrix[:, _EDGES[:, 0], _EDGES[:, 1]] = matrix[:, _EDGES[:, 1], _EDGES[:, 0]] = values
    counts = mask[:, :, 0].sum(axis=-1)
    costs = np.stack([1.0 * (counts > 1), np.log(counts)], axis=1)
    # LAPACK's eigenvalues err by a few n eps of the norm; sums of n terms by n eps of their size.
    size = margin + np.linalg.norm(matrix, axis=(1, 2))
    return Interactions(matrix, costs, margin, 16 * _NUM_PLAYERS * accuracy.EPS * size)


@quick_jit
def _pose(edges: Any, payoffs: Any, mask: Any, tau: Any) -> hq.Problem:
    def one(edges, payoffs, mask, tau):
        return hq.Problem(hq.PolymatrixGame(edges, payoffs, action_mask=mask), tau)

    return jax.vmap(one)(edges, payoffs, mask, tau)


@quick_jit
def biases(problem: hq.Problem, tau: Float[Array, "game player"]):
    """Sums over players of gaps, of ``τ log A`` and of regularised gaps, near the HQRE."""

    def one(problem, tau):
        mask = problem.mask
        uniform = mask / jnp.sum(mask, axis=-1, keepdims=True)
        policy = mirror_dynamics(problem, uniform, _ROUNDS, jax.random.key(0), step=1 / jnp.max(tau))[-1]
        losses = losses_of(problem, policy[None])
        return (
            jnp.sum(losses.gap),
            jnp.sum(problem.tau[:, 0] * jnp.log(jnp.sum(mask, axis=(1, 2)))),
            jnp.sum(losses.regularised),
            jnp.sum(4 * accuracy.value_rounding(problem) + 8 * problem.tau * accuracy.EPS * _largest_log(problem)),
        )

    return jax.vmap(one)(problem, tau)


def _largest_log(problem: hq.Problem) -> Float[Array, "player state"]:
    """Largest ``|log π|`` of a policy between the uniform one and logit responses."""
    return problem.game.payoff_range()[:, None] / problem.tau + np.log(_NUM_ACTIONS)


def _best_weights(arrays: tuple[np.ndarray, ...]) -> np.ndarray:
    """The library's best weights for a common temperature (whichever: it shifts the margin), axes (game, player)."""
    problem = _pose(*(jnp.asarray(part) for part in arrays), jnp.ones(arrays[2].shape[:2]))
    return np.asarray(known_bounds(problem).weights)[..., 0]


def _both_ways(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``first = second`` as observed and bound of two inequalities."""
    return np.concatenate([first, second], axis=-1), np.concatenate([second, first], axis=-1)


def _costs(family: Family, known: Interactions, rng: np.random.Generator) -> tuple[Comparison, ...]:
    """Claims (b), (c): what temperatures cost."""
    least, common, y = known.cost(known.least()), known.common()[:, None], np.sqrt(known.costs)
    total = known.costs.sum(axis=-1)
    slack = (known.rounding[:, None] * (1 + total) + 0 * least) * 2
    others = []
    for spread in _SPREADS:
        v = np.where(known.costs > 0, y, 1.0) * np.exp(spread * rng.standard_normal(y.shape))
        others.append(known.cost(known.scaled(v)))
    pulled = np.einsum("gij,gcj->gci", known.matrix, y)
    gain = 0.5 * (np.linalg.norm(y, axis=-1) * np.linalg.norm(pulled, axis=-1) - np.sum(y * pulled, axis=-1))
    repeated = np.tile(least, (1, len(_SPREADS)))
    return (
        Comparison(LEAST, family.name, repeated, np.concatenate(others, axis=1), np.tile(slack, (1, len(_SPREADS)))),
        Comparison(GAIN, family.name, least + gain, common * total, slack),
    )


def _closed_forms(family: Family, known: Interactions) -> Comparison:
    """Claim (d) for stars and regular graphs, at unit costs."""
    least, common = known.cost(known.least())[:, :1], (known.common()[:, None] * known.costs.sum(axis=-1))[:, :1]
    players, stake = known.costs[:, 0].sum(axis=-1)[:, None], known.matrix.max(axis=(1, 2))[:, None]
    kappa = known.margin[:, None]
    slack = 4 * (known.rounding[:, None] * (1 + players))
    if family is STARS:
        hub = (players - 1) * stake + players * kappa, players * (np.sqrt(players - 1) * stake / 2 + kappa)
        observed, bound = _both_ways(np.concatenate([least, common], axis=1), np.concatenate(hub, axis=1))
    else:
        observed, bound = _both_ways(least, common)
    return Comparison(CLOSED, family.name, observed, bound, slack * np.ones(observed.shape))


def _margins(
    family: Family, arrays: tuple[np.ndarray, ...], known: Interactions, even: np.ndarray, rng: np.random.Generator
) -> tuple[Comparison, ...]:
    """Claims (a), (e): what temperatures give.

    The library is asked about one of the three of each game. Its search for weights starts at w = 1 (``even``); that
    it finds others which the theorem may be told of is no part of the claim.
    """
    common = known.common()[:, None, None]
    # Who meets nobody may have any temperature from κ on: the common one, lest it decide the margin.
    tau = np.where(known.costs > 0, known.least(), common)
    tau = np.concatenate([tau, common * np.ones_like(tau[:, :1])], axis=1)
    matrices = np.eye(_NUM_PLAYERS) * tau[:, :, None] - 0.5 * known.matrix[:, None]
    exact = np.linalg.eigvalsh(matrices)[..., 0]
    wanted = np.broadcast_to(known.margin[:, None], exact.shape)
    size = tau.max(axis=-1)
    slack = known.rounding[:, None] + 16 * _NUM_PLAYERS * accuracy.EPS * size
    choice = rng.integers(0, tau.shape[1], (len(tau), 1))
    chosen = np.take_along_axis(tau, choice[..., None], axis=1)[:, 0]
    problem = _pose(*(jnp.asarray(part) for part in arrays), jnp.asarray(chosen))
    certified = np.asarray(known_bounds(problem).margin)[:, None]
    gap, bias, rest, error = (np.asarray(part)[:, None] for part in biases(problem, jnp.asarray(chosen)))
    observed, bound = _both_ways(exact, wanted)
    # The library's margin is rounded down: sums over edges, squarings, and 16 eps per interaction.
    down = 16 * (_NUM_PLAYERS + len(_EDGES) + 16) * accuracy.EPS
    down = down * (chosen.max(axis=-1) + known.matrix.sum(axis=(1, 2)))[:, None]
    return (
        Comparison(MARGIN, family.name, observed, bound, np.tile(slack, (1, 2))),
        Comparison(CERTIFIED, family.name, wanted[even, :1], certified[even], down[even]),
        Comparison(BIAS, family.name, gap, bias + rest, error + 64 * accuracy.EPS * bias),
    )


def check(key: Any, num_games: int) -> Outcome:
    """T8 on random games on graphs.

    Args:
        key: Typed key.
        num_games: Number of games, over all families.

    Returns:
        All claims, for unit costs and for costs log A, at w = 1 or, in half of the general games, at the weights that
        serve the common temperature best.
    """
    comparisons, drawn = [], 0
    for family, rng, num in batches(key, num_games, FAMILIES):
        arrays = family.draw(rng, num)
        even = (np.arange(num) % 2 == 0) | (family in (STARS, REGULAR))
        weights = np.where(even[:, None], 1.0, _best_weights(arrays))
        known = interactions(arrays, 10.0 ** rng.uniform(-3, 0, num), weights)
        comparisons += [*_margins(family, arrays, known, even, rng), *_costs(family, known, rng)]
        if family in (STARS, REGULAR):
            comparisons.append(_closed_forms(family, known))
        drawn += num
    return Outcome(tuple(sorted(comparisons, key=lambda c: c.claim)), drawn)


def negative_control(key: Any, num_games: int) -> Outcome:
    """Regular graphs, judged as if their least heterogeneous temperatures were one per cent cheaper."""
    comparisons, drawn = [], 0
    for family, rng, num in batches(key, num_games, (REGULAR,)):
        known = interactions(family.draw(rng, num), np.full(num, 1e-3), np.ones((num, _NUM_PLAYERS)))
        least, common = known.cost(known.least()), known.common()[:, None] * known.costs.sum(axis=-1)
        slack = known.rounding[:, None] * (1 + known.costs.sum(axis=-1)) * 2
        comparisons.append(Comparison(GAIN, family.name, 1.01 * least, common, slack))
        drawn += num
    return Outcome(tuple(comparisons), drawn)


def sharpness() -> tuple[Example, ...]:
    """Stars at κ = 0, far larger than the random ones: totals from the matrices against ``2√n/(n+1)``."""
    examples = []
    for leaves in (3, 10, 100):
        matrix = np.zeros((1, leaves + 1, leaves + 1))
        matrix[0, 0, 1:] = matrix[0, 1:, 0] = 1.0
        known = Interactions(matrix, np.ones((1, 1, leaves + 1)), np.zeros(1), np.zeros(1))
        ratio = known.cost(known.least())[0, 0] / (known.common()[0] * (leaves + 1))
        examples.append(
            Example(
                f"star with {leaves} leaves, common/least = {1 / ratio:.4f}",
                "(least/common) / (2√n/(n+1))",
                float(ratio),
                2 * leaves**0.5 / (leaves + 1),
            )
        )
    return tuple(examples)


T8 = Statement(
    name="T8",
    title="heterogeneity pays",
    check=check,
    control="regular graphs are judged as if heterogeneity gained one per cent",
    negative_control=negative_control,
    sharpness=sharpness,
)
