"""Margin and contraction of games in which everybody moves once and at once (theory.md §3, T1, T2)."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from hqre_jax._bounds._matrices import double_difference, spectral_radius
from hqre_jax._games import BayesianGame, NormalFormGame, PolymatrixGame
from hqre_jax._problem import Problem
from hqre_jax._types import Scalar, StateValues

# Comparisons that the search for weights may cost in all, and its largest number of steps.
_SEARCH_LIMIT, _SEARCH_STEPS = 2**24, 40

Matrix = Float[Array, "n n"]
Vector = Float[Array, " n"]


class Bounds(NamedTuple):
    """What can be proved of a problem from its payoffs and temperatures alone; nan where nothing is.

    Attributes:
        margin: κ of theory.md §3, less rounding; units of payoff. nan unless everybody moves once and at once.
        weights: The ``w_x`` that prove it, summing to N; 0 at padding and at types of probability zero.
        lipschitz: ``L = ‖W^{1/2} Λ W^{-1/2}‖₂`` at these weights, units of payoff.
        max_step: Largest step ``κ/L²`` of T2, per unit of payoff; inf if L = 0, nan if κ ≤ 0.
        contraction: Contraction factor of the logit map (T1) or of soft Q-iteration (T4), a pure number.
        unique: Whether ``margin > 0`` or ``contraction < 1`` proves that there is exactly one HQRE. Types of
            probability zero answer each other under uniform beliefs; their replies must be unique too.
    """

    margin: Scalar
    weights: StateValues
    lipschitz: Scalar
    max_step: Scalar
    contraction: Scalar
    unique: Bool[Array, ""]


class _Pairs(NamedTuple):
    """Decision points that meet: m meetings of a row player with a column player, others' profiles k.

    ``to_row[m, k, a, b]`` and ``to_col[m, k, a, b]`` are their payoffs, a the row player's action.
    """

    rows: Int[Array, " m"]
    cols: Int[Array, " m"]
    to_row: Float[Array, "m k a b"]
    to_col: Float[Array, "m k a b"]
    row_mask: Bool[Array, "m a"]
    col_mask: Bool[Array, "m b"]

    @property
    def work(self) -> int:
        """Comparisons of one pass."""
        return self.to_row.size * min(self.to_row.shape[-2:])

    def interaction(self, p: Float[Array, " m"], q: Float[Array, " m"]) -> Float[Array, " m"]:
        """``max_k dd(p u_row + q u_col)``, rounded up.

        Rounding: each entry of the sum is wrong by at most eps·top, ``top = p max|u_row| + q max|u_col|``; four
        entries make 4 eps·top, the three subtractions another 4, the centring of the payoffs 2: 16 covers them.
        """
        total = p[:, None, None, None] * self.to_row + q[:, None, None, None] * self.to_col
        shape = total.shape
        rows = jnp.broadcast_to(self.row_mask[:, None], shape[:3])
        cols = jnp.broadcast_to(self.col_mask[:, None], (*shape[:2], shape[3]))
        widest = jnp.max(double_difference(total, rows, cols), axis=1)
        top = p * jnp.max(jnp.abs(self.to_row), axis=(1, 2, 3)) + q * jnp.max(jnp.abs(self.to_col), axis=(1, 2, 3))
        return widest + 16 * jnp.finfo(total.dtype).eps * top


def bayesian_bounds(problem: Problem, game: NormalFormGame | BayesianGame) -> Bounds:
    """Bounds under the prior, and under the uniform law that types of probability zero believe in."""
    prior = game.world_initial()[None]
    laws = jnp.concatenate([prior, jnp.full_like(prior, 1 / prior.size)]) if prior.size > 1 else prior
    reach = jax.vmap(lambda law: game.aggregate(jnp.tile(law, (game.num_players, 1))))(laws)
    return _bounds_under(problem, _world_pairs(game, problem.scale), laws, reach)


def polymatrix_bounds(problem: Problem, game: PolymatrixGame) -> Bounds:
    """Bounds from the edges alone."""
    certain = jnp.ones((1, game.edges.shape[0]), game.dtype), jnp.ones((1, *problem.tau.shape), game.dtype)
    return _bounds_under(problem, [_joined_edges(game, problem.scale)], *certain)


def _world_pairs(game: NormalFormGame | BayesianGame, scale: Scalar) -> list[_Pairs]:
    """Every pair of players in every world (the one world, or a profile of types)."""
    payoffs, seen = game.world_payoffs() * scale, game.information_map()
    num_states, num_actions = game.num_information_states, payoffs.shape[2:]

    def matrices(owner: int, i: int, j: int) -> Float[Array, "world k a b"]:
        last = jnp.moveaxis(payoffs[owner], (i + 1, j + 1), (-2, -1))
        return last.reshape(payoffs.shape[1], -1, num_actions[i], num_actions[j])

    def mask(i: int) -> Bool[Array, "world a"]:
        return game.action_mask[i, seen[i], : num_actions[i]]

    alike: dict[tuple[int, ...], list[_Pairs]] = {}
    for i, j in itertools.combinations(range(game.num_players), 2):
        points = i * num_states + seen[i], j * num_states + seen[j]
        pairs = _Pairs(*points, matrices(i, i, j), matrices(j, i, j), mask(i), mask(j))
        alike.setdefault(pairs.to_row.shape[1:], []).append(pairs)
    # Pairs of one shape are one group: the compiled program does not grow with the number of players.
    return [jax.tree.map(lambda *parts: jnp.concatenate(parts), *group) for group in alike.values()]


def _joined_edges(game: PolymatrixGame, scale: Scalar) -> _Pairs:
    """Every edge, turned so that the lower player is the row; edges that join the same pair are summed."""
    payoffs = game.payoffs * scale
    low, high = jnp.min(game.edges, axis=1), jnp.max(game.edges, axis=1)
    turned = (game.edges[:, 0] > game.edges[:, 1])[:, None, None, None]
    payoffs = jnp.where(turned, jnp.swapaxes(payoffs[:, ::-1], -1, -2), payoffs)
    pair = low * game.num_players + high
    order = jnp.argsort(pair)
    pair = pair[order]
    slot = jnp.cumsum(jnp.concatenate([jnp.zeros(1, bool), pair[1:] != pair[:-1]]))
    total = jax.ops.segment_sum(payoffs[order], slot, pair.size)
    rows = jnp.zeros_like(low).at[slot].set(low[order])
    cols = jnp.zeros_like(high).at[slot].set(high[order])
    mask = game.action_mask[:, 0]
    return _Pairs(rows, cols, total[:, :1], total[:, 1:], mask[rows], mask[cols])


def _bounds_under(
    problem: Problem,
    groups: Sequence[_Pairs],
    laws: Float[Array, "law m"],
    reach: Float[Array, "law player state"],
) -> Bounds:
    """The bounds under the first law; decision points that it never reaches must pass under the second.

    Reached points do not answer to unreached ones, so the logit map is block triangular: its contraction factor is
    the larger of the two, and one HQRE of the reached leaves a game among the unreached.
    """
    used = jnp.any(problem.mask, axis=-1)
    reached = used & (reach[0] > 0)
    kept = jnp.stack([reached, used & ~reached])[: len(laws)].reshape(len(laws), -1)
    tau = problem.tau.reshape(-1)
    constants = jax.vmap(lambda law, p, keep: _constants(groups, law, p, keep, tau))
    margin, weights, lipschitz, contraction = constants(laws, reach.reshape(len(laws), -1), kept)
    kappa, steepness = margin[0], lipschitz[0]
    step = jnp.where(steepness > 0, kappa / jnp.where(steepness > 0, steepness, 1.0) ** 2, jnp.inf)
    return Bounds(
        margin=kappa,
        weights=(weights[0] * problem.game.num_players / jnp.sum(weights[0])).reshape(problem.tau.shape),
        lipschitz=steepness,
        max_step=jnp.where(kappa > 0, step, jnp.nan),
        contraction=jnp.max(contraction),
        unique=jnp.all((margin > 0) | (contraction < 1)),
    )


def _constants(
    groups: Sequence[_Pairs], law: Float[Array, " m"], reach: Vector, keep: Bool[Array, " n"], tau: Vector
) -> tuple[Scalar, Vector, Scalar, Scalar]:
    """κ, w, L and the contraction factor among the decision points ``keep``.

    ``C_xy = ¼ Σ_w P(w) max dd(v_x u_i + v_y u_j)``, ``Λ_xy = ¼ Σ_w P(w|x) max dd(u_i)``, ``w_x = v_x P(x)``.
    With s = max τ the matrix ``A = diag(s − τ) + ½ W^{-1/2} C W^{-1/2}`` is non-negative and symmetric, so that
    ``κ = λ_min(W^{-1/2} M W^{-1/2}) = s − spr(A)``.
    """
    n, dtype = tau.size, tau.dtype
    eps = jnp.finfo(dtype).eps
    p = jnp.where(keep, reach, 1.0)
    tau = jnp.where(keep, tau, 1.0)
    both = keep[:, None] & keep[None, :]
    # Sums over meetings and the handful of products after them: non-negative terms, relative errors.
    up = 1 + 4 * (sum(g.rows.size for g in groups) + 8) * eps
    highest = jnp.max(jnp.where(keep, tau, 0.0))

    def summed(to_row: list[Array], to_col: list[Array]) -> Matrix:
        """``¼ Σ_w P(w) ·`` of interactions at every meeting, given as seen from the row and from the column."""
        total = jnp.zeros((n, n), dtype)
        for g, upper, lower in zip(groups, to_row, to_col, strict=True):
            quarter = 0.25 * jnp.tile(law, g.rows.size // law.size)
            total = total.at[g.rows, g.cols].add(quarter * upper).at[g.cols, g.rows].add(quarter * lower)
        return jnp.where(both, total * up, 0.0)

    def iteration_matrix(log_v: Vector) -> Matrix:
        v = jnp.exp(log_v)
        common = [g.interaction(v[g.rows], v[g.cols]) for g in groups]
        common = summed(common, common)
        root = jnp.sqrt(v * p)
        return jnp.diag(jnp.where(keep, highest - tau, 0.0)) + 0.5 * common / (root[:, None] * root[None, :])

    def candidate(log_v: Vector) -> tuple[Scalar, Vector, Scalar]:
        weights = jnp.where(keep, jnp.exp(log_v) * p, 0.0)
        root = jnp.sqrt(jnp.where(keep, weights, 1.0))
        weighted = lam * (root[:, None] / root[None, :])
        gram = jnp.matmul(weighted.T, weighted, precision="highest")
        radius, square = jax.vmap(spectral_radius)(jnp.stack([iteration_matrix(log_v), gram]))
        return highest - radius - 4 * eps * highest, weights, jnp.sqrt(square) * (1 + (n + 8) * eps)

    own = [jax.vmap(g.interaction)(*_units(g.rows.size, dtype)) for g in groups]
    joint = summed([pair[0] for pair in own], [pair[1] for pair in own])
    lam = joint / p[:, None]
    contraction = spectral_radius(lam / tau[:, None])
    starts = jnp.concatenate([jnp.zeros((1, n), dtype), _scalings(joint, lam, tau, contraction, p)])
    starts = jnp.where(jnp.isfinite(starts) & keep[None, :], starts, 0.0)
    steps = min(_SEARCH_STEPS, _SEARCH_LIMIT // (4 * len(starts) * sum(g.work for g in groups) + 1))
    if steps > 1 and groups:
        refined = jax.vmap(lambda log_v: _descend(iteration_matrix, log_v, keep, steps))(starts)
        starts = jnp.concatenate([starts, jnp.where(jnp.isfinite(refined), refined, 0.0)])
    margins, weights, lipschitz = jax.lax.map(candidate, starts)
    best = jnp.argmax(margins)
    return margins[best], weights[best], lipschitz[best], contraction


def _units(count: int, dtype: Any) -> tuple[Float[Array, "2 m"], Float[Array, "2 m"]]:
    """Multipliers that single out the row player's payoffs, then the column player's."""
    one, zero = jnp.ones(count, dtype), jnp.zeros(count, dtype)
    return jnp.stack([one, zero]), jnp.stack([zero, one])


def _scalings(joint: Matrix, lam: Matrix, tau: Vector, contraction: Scalar, p: Vector) -> Float[Array, "2 n"]:
    """Two choices of ``log v`` that matter.

    ``w = y/x`` with ``x = (sT−Λ)⁻¹1, y = (sT−Λ)⁻ᵀ1``: at s = 1 it turns a contraction into κ > 0 (where the logit
    map does not contract, s is raised until it would). And the least-squares solution of ``v_x J_xy = v_y J_yx``,
    exact on trees and for zero-sum games of any scale: it cancels their interactions.
    """
    n, eps = tau.size, jnp.finfo(tau.dtype).eps
    raised = jnp.diag(jnp.where(contraction < 1, 1.0, 2 * contraction) * tau) - lam
    # What rounding alone can make is no interaction to be cancelled.
    meet = jnp.minimum(joint, joint.T) > 1e3 * eps * jnp.max(joint)
    ratio = jnp.where(meet, jnp.log(jnp.where(meet, joint, 1.0)) - jnp.log(jnp.where(meet, joint.T, 1.0)), 0.0)
    # The right side is orthogonal to the kernel of the Laplacian; the small diagonal only picks a representative.
    laplacian = jnp.diag(jnp.sum(meet, axis=1) + 64 * n * eps) - meet
    ones = jnp.ones_like(tau)
    sides = jnp.stack([ones, ones, -jnp.sum(ratio, axis=1)])
    x, y, log_v = jnp.linalg.solve(jnp.stack([raised, raised.T, laplacian]), sides[..., None])[..., 0]
    return jnp.stack([jnp.log(y) - jnp.log(x) - jnp.log(p), log_v])


def _descend(
    iteration_matrix: Callable[[Vector], Matrix], start: Vector, keep: Bool[Array, " n"], steps: int
) -> Vector:
    """Normalised subgradient steps of geometric length on ``log v`` against ``spr(A)``, which is quasi-convex in v.

    The subgradient is that of ``z' A z`` at the Perron vector z, followed by a few power iterations per step.
    For two decision points this is bisection.
    """

    def step(state, length):
        log_v, z = state

        def value(candidate):
            matrix = iteration_matrix(candidate)
            return z @ matrix @ z, matrix

        gradient, matrix = jax.grad(value, has_aux=True)(log_v)
        shift = jnp.max(jnp.sum(matrix, axis=1))
        for _ in range(3):
            z = matrix @ z + shift * z
            # The floor lets a component that was harmless until now come back into sight.
            z = jnp.where(keep, jnp.maximum(z / jnp.maximum(jnp.max(z), 1e-30), 1e-3), 0.0)
        gradient = jnp.where(keep & jnp.isfinite(gradient), gradient, 0.0)
        size = jnp.max(jnp.abs(gradient))
        return (log_v - length * gradient / jnp.where(size > 0, size, 1.0), z), None

    lengths = 0.7 ** jnp.arange(steps, dtype=start.dtype)
    (log_v, _), _ = jax.lax.scan(step, (start, keep.astype(start.dtype)), lengths)
    return log_v
