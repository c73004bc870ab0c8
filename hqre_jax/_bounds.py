"""The constants of theory.md §3–4: interactions, margin, Lipschitz constant, largest step, contraction.

Every number is a bound that survives rounding: margins are rounded down, everything else up. The one tool behind
all of them is `spectral_radius` of a non-negative matrix, whose powers are sums of non-negative terms and so
have small *relative* errors.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from hqre_jax._games import BayesianGame, NormalFormGame, PolymatrixGame
from hqre_jax._games._world import AbstractWorldGame, legal_actions
from hqre_jax._problem import Problem
from hqre_jax._types import Scalar, StateValues

# Comparisons that one exact double difference may cost; beyond it the doubly centred bound is taken.
_EXACT_LIMIT = 2**24
# Comparisons that the search for weights may cost in all, and its largest number of steps.
_SEARCH_LIMIT, _SEARCH_STEPS = 2**24, 40
# Exponents k of ‖A^(2^k)‖^(1/2^k): small matrices afford the limit itself, large ones lean on the quotient bound.
_MANY_SQUARINGS, _FEW_SQUARINGS, _SMALL_MATRIX = 40, 14, 64

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


@eqx.filter_jit
def bounds(problem: Problem) -> Bounds:
    """Constants of T1, T2 and T4 for the game at hand, at the best weights of a short search.

    Normal forms, polymatrix and Bayesian games have a margin and a contraction factor; games that go on with
    policy-independent beliefs a contraction factor; trees, γ = 1 and policy-dependent beliefs nothing.

    Args:
        problem: The problem; its continuation and entropy matter only where play goes on.

    Returns:
        `Bounds`, traceable under ``jit`` and ``vmap``. Any positive weights give a valid margin; the search takes
        the best of w = 1, of ``y/x`` with ``x = (T−Λ)⁻¹1, y = (T−Λ)⁻ᵀ1``, of the weights that make
        ``w_x Λ_xy`` symmetric (which cancel zero-sum interactions of any scale), and of a subgradient descent
        from the best of these.

    Source: theory.md §3, T1, T2, T4.
    """
    problem = problem.centered()
    game = problem.game
    if isinstance(game, PolymatrixGame):
        groups, law = [_joined_edges(game, problem.scale)], jnp.ones(game.edges.shape[0], game.dtype)
        return _one_shot(problem, groups, law[None], jnp.ones((1, *problem.tau.shape), game.dtype))
    if isinstance(game, NormalFormGame | BayesianGame):
        groups = _world_pairs(game, problem.scale)
        # Under the prior, and under the uniform law that types of probability zero believe in.
        prior = game.world_initial()[None]
        laws = jnp.concatenate([prior, jnp.full_like(prior, 1 / prior.size)]) if prior.size > 1 else prior
        reach = jax.vmap(lambda law: game.aggregate(jnp.tile(law, (game.num_players, 1))))(laws)
        return _one_shot(problem, groups, laws, reach)
    goes_on = isinstance(game, AbstractWorldGame) and game.policy_independent_beliefs
    if goes_on and not getattr(game, "undiscounted", False):
        factor = _continuing_contraction(problem, game)
        return _nothing(problem)._replace(contraction=factor, unique=factor < 1)
    return _nothing(problem)


def _nothing(problem: Problem) -> Bounds:
    nan = jnp.full((), jnp.nan, problem.game.dtype)
    return Bounds(nan, jnp.full_like(problem.tau, jnp.nan), nan, nan, nan, jnp.zeros((), bool))


def double_difference(
    matrix: Float[Array, "*b r c"], rows: Bool[Array, "*b r"], cols: Bool[Array, "*b c"]
) -> Float[Array, "*b"]:
    """Largest interaction ``max C[a,b] − C[a',b] − C[a,b'] + C[a',b']``; terms of a or b alone cancel.

    Exact while ``(*b)·A²·B`` comparisons (A the smaller side) stay below 2²⁴. Beyond that the bound
    ``4 max |C~|`` with C~ the doubly centred C, at most 4 and for coordination ``c·I`` nearly 2 times too large.

    Args:
        matrix: C, any axes before the last two.
        rows: Valid rows.
        cols: Valid columns.

    Returns:
        ``dd(C) ≥ 0`` in the units of C (0 where there is no valid row or column).

    Source: theory.md §3.
    """
    if matrix.shape[-2] > matrix.shape[-1]:
        return double_difference(jnp.swapaxes(matrix, -1, -2), cols, rows)
    if matrix.size * matrix.shape[-2] > _EXACT_LIMIT:
        valid = rows[..., :, None] & cols[..., None, :]
        for axis in (-1, -2):
            count = jnp.maximum(jnp.sum(valid, axis=axis, keepdims=True), 1)
            matrix = jnp.where(valid, matrix - jnp.sum(matrix, axis=axis, keepdims=True, where=valid) / count, 0.0)
        return 4.0 * jnp.max(jnp.abs(matrix), axis=(-1, -2))
    gap = matrix[..., :, None, :] - matrix[..., None, :, :]
    above = jnp.max(jnp.where(cols[..., None, None, :], gap, -jnp.inf), axis=-1)
    # The least of C[a] − C[a'] is minus the largest of C[a'] − C[a].
    width = above + jnp.swapaxes(above, -1, -2)
    valid = rows[..., :, None] & rows[..., None, :]
    return jnp.max(jnp.where(valid, width, 0.0), axis=(-1, -2), initial=0.0)


def spectral_radius(matrix: Matrix) -> Scalar:
    """Upper bound, tight to rounding, on the spectral radius of a non-negative matrix.

    The smaller of two bounds that hold for any such A: ``‖A^m‖^{1/m}`` with m = 2^k by repeated squaring, and the
    Collatz–Wielandt quotient ``max_x (A v)_x / v_x`` at the positive ``v = A^m 1 + A^{m+1} 1/ρ`` (the second
    term serves bipartite A, whose powers alternate). All terms are non-negative, so a product has relative error
    n·eps at most; the 2^k-th root turns the sum of the errors of all squarings into less than 2 n·eps.

    Args:
        matrix: Non-negative A.

    Returns:
        ``spr(A)``, rounded up.
    """
    n = matrix.shape[0]
    eps, tiny = jnp.finfo(matrix.dtype).eps, jnp.finfo(matrix.dtype).tiny
    scale = jnp.max(matrix, initial=0.0)
    unit = matrix / jnp.where(scale > 0, scale, 1.0)

    def square(state, half):
        power, log_norm = state
        power = jnp.matmul(power, power, precision="highest")
        top = jnp.max(power, initial=0.0)
        return (power / jnp.where(top > 0, top, 1.0), log_norm + jnp.log(top) * half), None

    halves = 0.5 ** jnp.arange(1, (_MANY_SQUARINGS if n <= _SMALL_MATRIX else _FEW_SQUARINGS) + 1, dtype=matrix.dtype)
    (power, log_norm), _ = jax.lax.scan(square, (unit, jnp.zeros((), matrix.dtype)), halves)
    rows = jnp.sum(power, axis=1)
    norm = jnp.exp(log_norm + jnp.log(jnp.max(rows, initial=0.0)) * halves[-1])

    def apply(v):
        return jnp.matmul(unit, v, precision="highest")

    v = rows + apply(rows) / jnp.where(norm > 0, norm, 1.0)
    v = v + jnp.sqrt(tiny)
    quotient = jnp.max(apply(v) / v, initial=0.0)
    return scale * jnp.minimum(norm, quotient) * (1 + 8 * (n + 8) * eps)


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


def _one_shot(
    problem: Problem,
    groups: Sequence[_Pairs],
    laws: Float[Array, "law m"],
    reach: Float[Array, "law player state"],
) -> Bounds:
    """Margin and contraction under the prior; types of probability zero under the second, uniform, law."""
    used = jnp.any(problem.mask, axis=-1)
    reached = used & (reach[0] > 0)
    kept = jnp.stack([reached, used & ~reached])[: len(laws)].reshape(len(laws), -1)
    tau = problem.tau.reshape(-1)
    constants = jax.vmap(lambda law, p, keep: _constants(groups, law, p, keep, tau))
    margin, weights, lipschitz, contraction = constants(laws, reach.reshape(len(laws), -1), kept)
    full = jnp.max(contraction)
    kappa, reached_lipschitz = margin[0], lipschitz[0]
    step = kappa / jnp.where(reached_lipschitz > 0, reached_lipschitz, 1.0) ** 2
    step = jnp.where(reached_lipschitz > 0, step, jnp.inf)
    total = jnp.sum(weights[0])
    share = weights[0] * (problem.game.num_players / jnp.where(total > 0, total, 1.0))
    return Bounds(
        margin=kappa,
        weights=share.reshape(problem.tau.shape),
        lipschitz=reached_lipschitz,
        max_step=jnp.where(kappa > 0, step, jnp.nan),
        contraction=full,
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

    def summed(row_then_col: Callable[[_Pairs], tuple[Array, Array]]) -> Matrix:
        total = jnp.zeros((n, n), dtype)
        for g in groups:
            upper, lower = row_then_col(g)
            p_meet = jnp.tile(law, g.rows.size // law.size)
            total = total.at[g.rows, g.cols].add(0.25 * p_meet * upper).at[g.cols, g.rows].add(0.25 * p_meet * lower)
        return jnp.where(both, total * up, 0.0)

    def iteration_matrix(log_v: Vector) -> Matrix:
        v = jnp.exp(log_v)
        common = summed(lambda g: (g.interaction(v[g.rows], v[g.cols]),) * 2)
        root = jnp.sqrt(v * p)
        return jnp.diag(jnp.where(keep, highest - tau, 0.0)) + 0.5 * common / (root[:, None] * root[None, :])

    def candidate(log_v: Vector) -> tuple[Scalar, Vector, Scalar]:
        weights = jnp.where(keep, jnp.exp(log_v) * p, 0.0)
        root = jnp.sqrt(jnp.where(keep, weights, 1.0))
        weighted = lam * (root[:, None] / root[None, :])
        gram = jnp.matmul(weighted.T, weighted, precision="highest")
        radius, square = jax.vmap(spectral_radius)(jnp.stack([iteration_matrix(log_v), gram]))
        return highest - radius - 4 * eps * highest, weights, jnp.sqrt(square) * (1 + (n + 8) * eps)

    units = jnp.eye(2, dtype=dtype)
    joint = summed(lambda g: jax.vmap(lambda e: g.interaction(*jnp.broadcast_to(e[:, None], (2, g.rows.size))))(units))
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


def _scalings(joint: Matrix, lam: Matrix, tau: Vector, contraction: Scalar, p: Vector) -> Float[Array, "2 n"]:
    """Two choices of ``log v`` that matter.

    ``w = y/x`` with ``x = (sT−Λ)⁻¹1, y = (sT−Λ)⁻ᵀ1``: at s = 1 it turns a contraction into κ > 0 (where the logit
    map does not contract, s is raised until it would). And the least-squares solution of ``v_x J_xy = v_y J_yx``,
    exact on trees and for zero-sum games of any scale: it cancels their interactions.
    """
    n, eps = tau.size, jnp.finfo(tau.dtype).eps
    raised = jnp.diag(jnp.where(contraction < 1, 1.0, 2 * contraction) * tau) - lam
    meet = (joint > 0) & (joint.T > 0)
    ratio = jnp.where(meet, jnp.log(jnp.where(meet, joint, 1.0)) - jnp.log(jnp.where(meet, joint.T, 1.0)), 0.0)
    # The right side is orthogonal to the kernel of the Laplacian; the small diagonal only picks a representative.
    laplacian = jnp.diag(jnp.sum(meet, axis=1) + 64 * n * eps) - meet
    ones = jnp.ones_like(tau)
    systems, sides = (
        jnp.stack([raised, raised.T, laplacian]),
        jnp.stack([ones, ones, -jnp.sum(ratio, axis=1)]),
    )
    x, y, log_v = jnp.linalg.solve(systems, sides[..., None])[..., 0]
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


def _continuing_contraction(problem: Problem, game: AbstractWorldGame) -> Scalar:
    """Factor q of T4: two HQRE would be two fixed points of a contraction.

    ``zero_sum``: γ, the factor of the regularised Shapley operator. ``soft``: ``spr(γI + B diag(1/τ))``. ``plain``:
    ``spr(γ diag(c) + B diag(1/τ))``, where ``c_i`` is the sup-norm Lipschitz constant of the on-policy backup
    ``Q ↦ ⟨softmax(Q/τ + log ρ), Q⟩``.

    *Proof of the plain factor.* The backup's derivative has entries ``p_a (1 + y_a)``, ``y_a = (Q_a − ⟨p,Q⟩)/τ``, of sum
    1 and ℓ₁ norm ``1 + 2 E_p(−1−y)⁺``. Under p, y has mean 0 and lies in an interval of length
    ``R = span(Q)/τ``; the convex ``(−1−y)⁺`` is largest for two-point laws at its ends, ``(R−s)(s−1)/R`` with
    lower end −s, that is ``(R−1)²/(4R)`` at most (0 if R ≤ 1). Hence ``c = 1 + max(R−1, 0)²/(2R)`` over the
    convex set of Q with that span, which Q-iteration maps into itself together with the box of T4; the rest is T4's
    own estimate of the others' part. ∎

    Everywhere ``τ_j`` is its least over j's states and worlds include those of probability zero.
    """
    gamma = game.discount_factor()
    inside = gamma < 1
    if problem.continuation == "zero_sum":
        return jnp.where(inside, gamma, jnp.nan)
    swing, tau = _swings(problem, game), jnp.min(problem.tau, axis=1)
    eye = jnp.eye(game.num_players, dtype=tau.dtype)
    stretch = jnp.ones_like(tau)
    if problem.continuation == "plain":
        ratio = jnp.diag(swing) / tau
        excess = jnp.maximum(ratio - 1, 0.0)
        stretch = 1 + excess**2 / (2 * jnp.maximum(ratio, 1.0))
    matrix = gamma * jnp.diag(stretch) + 0.5 * swing * (1 - eye) / tau[None, :]
    return jnp.where(inside, spectral_radius(jnp.where(inside, matrix, 0.0)), jnp.nan)


def _swings(problem: Problem, game: AbstractWorldGame) -> Matrix:
    """``max_{w,a,a_j'} [|Δr_i| + γ width(V_i) TV]`` when j alone changes its action (i = j included), rounded up.

    ``width(V_i)`` is that of the box ``[min r_i, max r_i]/(1−γ)``, Shannon's ``τ log A`` added under ``soft``.
    """
    payoffs, kernel = game.world_payoffs() * problem.scale, game.world_transitions()
    gamma, players = game.discount_factor(), game.num_players
    legal = legal_actions(game.action_mask, game.information_map(), payoffs.shape[2:])
    axes = tuple(range(1, payoffs.ndim))
    high = jnp.max(jnp.where(legal[None], payoffs, -jnp.inf), axis=axes)
    low = jnp.min(jnp.where(legal[None], payoffs, jnp.inf), axis=axes)
    width = high - low
    if problem.continuation == "soft":
        used, rent = jnp.any(problem.mask, axis=-1), problem.scale * problem.rent
        rents = jnp.where(used, rent, -jnp.inf), jnp.where(used, rent, jnp.inf)
        width = width + jnp.max(rents[0], axis=1) - jnp.min(rents[1], axis=1)
    width = width / (1 - gamma)

    def of_mover(j: int) -> Float[Array, " player"]:
        pays = jnp.moveaxis(payoffs, j + 2, -1)
        change = jnp.abs(pays[..., :, None] - pays[..., None, :])
        if kernel is not None:
            rows = jnp.moveaxis(kernel, j + 1, -2)
            distance = 0.5 * jnp.sum(jnp.abs(rows[..., :, None, :] - rows[..., None, :, :]), axis=-1)
            change = change + gamma * width.reshape(-1, *(1,) * distance.ndim) * distance[None]
        may = jnp.moveaxis(legal, j + 1, -1)
        may = may[..., :, None] & may[..., None, :]
        return jnp.max(jnp.where(may[None], change, 0.0), axis=tuple(range(1, change.ndim)))

    swing = jnp.stack([of_mover(j) for j in range(players)], axis=1)
    eps, top = jnp.finfo(payoffs.dtype).eps, jnp.maximum(jnp.abs(high), jnp.abs(low))
    count = kernel.shape[-1] if kernel is not None else 0
    return swing * (1 + 4 * (count + 8) * eps) + 8 * eps * top[:, None]
