"""T8: heterogeneous temperatures buy the same margin for less."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

import hqre_jax as hq
from hqre_jax.bounds import double_difference
from hqre_jax.core._types import StateValues
from hqre_jax.learning import mirror_dynamics
from proofs_check.comparison import Sides
from proofs_check.experiment import each_game
from proofs_check.numerics import accuracy
from proofs_check.play.losses import losses_of
from proofs_check.t8_heterogeneity.graphs import EDGES, NUM_ACTIONS, NUM_PLAYERS

MARGIN = "(a) κ = λ_min(diag τ − ½S)"
CERTIFIED = "(a) κ ≤ certified margin"
LEAST = "(b) least ≤ any other cost"
GAIN = "(c) least + gain ≤ common cost"
CLOSED = "(d) stars: totals; regular: no gain"
BIAS = "(e) Σ gaps ≤ Σ τ log A + Σ g"

_ROUNDS = 20


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


def _edge_interactions(payoffs: Float[np.ndarray, "game edge 2 a b"], mask: np.ndarray) -> np.ndarray:
    """``¼ dd(w_i u_i + w_j u_j)`` of every edge, from payoffs times weights; axes (game, edge)."""
    first, second = (mask[:, EDGES[:, end], 0] for end in (0, 1))
    return 0.25 * np.asarray(double_difference(payoffs[:, :, 0] + payoffs[:, :, 1], first, second))


def interactions(arrays: tuple[np.ndarray, ...], margin: np.ndarray, weights: np.ndarray) -> Interactions:
    """S and costs of drawn games, for the wanted margins, at weights ``(game, player)``."""
    _, payoffs, mask = arrays
    ends = weights[:, EDGES]
    values = _edge_interactions(payoffs * ends[..., None, None], mask) / np.sqrt(ends.prod(axis=-1))
    matrix = np.zeros((len(payoffs), NUM_PLAYERS, NUM_PLAYERS))
    matrix[:, EDGES[:, 0], EDGES[:, 1]] = matrix[:, EDGES[:, 1], EDGES[:, 0]] = values
    counts = mask[:, :, 0].sum(axis=-1)
    costs = np.stack([1.0 * (counts > 1), np.log(counts)], axis=1)
    # LAPACK's eigenvalues err by a few n eps of the norm; sums of n terms by n eps of their size.
    size = margin + np.linalg.norm(matrix, axis=(1, 2))
    return Interactions(matrix, costs, margin, 16 * NUM_PLAYERS * accuracy.EPS * size)


def _equal(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``first = second`` as observed and bound of inequalities one after the other."""
    return np.concatenate([first, second], axis=-1), np.concatenate([second, first], axis=-1)


def margins(known: Interactions, told: Interactions | None = None) -> tuple[np.ndarray, Sides]:
    """(a): ``λ_min(diag τ − ½S) = κ`` at the least temperatures and at the common one.

    Args:
        known: S, costs and κ.
        told: What the temperatures are made from, if not from this: a negative control.

    Returns:
        The temperatures, axes (game, kind, player), least ones for either cost and common ones; and both sides.
    """
    told = known if told is None else told
    common = told.common()[:, None, None]
    # Who meets nobody may have any temperature from κ on: the common one, lest it decide the margin.
    tau = np.where(known.costs > 0, told.least(), common)
    tau = np.concatenate([tau, common * np.ones_like(tau[:, :1])], axis=1)
    matrices = np.eye(NUM_PLAYERS) * tau[:, :, None] - 0.5 * known.matrix[:, None]
    exact = np.linalg.eigvalsh(matrices)[..., 0]
    wanted = np.broadcast_to(known.margin[:, None], exact.shape)
    size = tau.max(axis=-1)
    slack = known.rounding[:, None] + 16 * NUM_PLAYERS * accuracy.EPS * size
    observed, bound = _equal(exact, wanted)
    return tau, Sides(observed, bound, np.tile(slack, (1, 2)))


def certified_margin(known: Interactions, tau: np.ndarray, found: np.ndarray, even: np.ndarray) -> Sides:
    """(a): the margin that the library proves at temperatures ``tau`` is κ at least.

    The library's search for weights starts at w = 1 (``even``); that it finds others which the theorem may be told of
    is no part of the claim.
    """
    # The library's margin is rounded down: sums over edges, squarings, and 16 eps per interaction.
    down = 16 * (NUM_PLAYERS + len(EDGES) + 16) * accuracy.EPS
    down = down * (tau.max(axis=-1) + known.matrix.sum(axis=(1, 2)))
    return Sides(known.margin[:, None], found[:, None], down[:, None], even)


def costs(known: Interactions, noise: np.ndarray, cheapest: np.ndarray | None = None) -> dict[str, Sides]:
    """(b), (c): what temperatures cost.

    Args:
        known: S, costs and κ.
        noise: By which factors other v differ from √c, axes (game, other, cost, player).
        cheapest: The v that is taken for the best, if not √c: a negative control.

    Returns:
        Both sides.
    """
    least = known.cost(known.least() if cheapest is None else known.scaled(cheapest))
    common, y = known.common()[:, None], np.sqrt(known.costs)
    total = known.costs.sum(axis=-1)
    slack = (known.rounding[:, None] * (1 + total) + 0 * least) * 2
    v = np.where(known.costs > 0, y, 1.0)[:, None] * noise
    others = [known.cost(known.scaled(v[:, k])) for k in range(noise.shape[1])]
    pulled = np.einsum("gij,gcj->gci", known.matrix, y)
    gain = 0.5 * (np.linalg.norm(y, axis=-1) * np.linalg.norm(pulled, axis=-1) - np.sum(y * pulled, axis=-1))
    repeated = (1, len(others))
    return {
        LEAST: Sides(np.tile(least, repeated), np.concatenate(others, axis=1), np.tile(slack, repeated)),
        GAIN: Sides(least + gain, common * total, slack),
    }


def closed_forms(known: Interactions, star: bool, missing: int = 0) -> Sides:
    """(d) for stars, or for regular graphs, at unit costs.

    Args:
        known: S, costs and κ.
        star: Whether these are stars.
        missing: How many players of a star are not counted: a negative control.

    Returns:
        Both sides, one equality after the other.
    """
    least, common = known.cost(known.least())[:, :1], (known.common()[:, None] * known.costs.sum(axis=-1))[:, :1]
    players, stake = known.costs[:, 0].sum(axis=-1)[:, None] - missing, known.matrix.max(axis=(1, 2))[:, None]
    kappa = known.margin[:, None]
    slack = 4 * (known.rounding[:, None] * (1 + players))
    if star:
        hub = (players - 1) * stake + players * kappa, players * (np.sqrt(players - 1) * stake / 2 + kappa)
        observed, bound = _equal(np.concatenate([least, common], axis=1), np.concatenate(hub, axis=1))
    else:
        observed, bound = _equal(least, common)
    return Sides(observed, bound, slack * np.ones(observed.shape))


@each_game
def bias(problem: hq.Problem) -> Sides:
    """(e): ``Σ gap_i ≤ Σ τ_i log A_i + Σ g_i`` near the HQRE, everybody having one information state."""
    mask = problem.mask
    uniform = mask / jnp.sum(mask, axis=-1, keepdims=True)
    policy = mirror_dynamics(problem, uniform, _ROUNDS, jax.random.key(0), step=1 / jnp.max(problem.tau))[-1]
    losses = losses_of(problem, policy[None])
    heat = jnp.sum(problem.tau[:, 0] * jnp.log(jnp.sum(mask, axis=(1, 2))))
    error = jnp.sum(4 * accuracy.value_rounding(problem) + 8 * problem.tau * accuracy.EPS * _largest_log(problem))
    slack = error + 64 * accuracy.EPS * heat
    return Sides(jnp.sum(losses.gap), heat + jnp.sum(losses.regularised), slack)


def _largest_log(problem: hq.Problem) -> StateValues:
    """Largest ``|log π|`` of a policy between the uniform one and logit responses."""
    return problem.game.payoff_range()[:, None] / problem.tau + np.log(NUM_ACTIONS)
