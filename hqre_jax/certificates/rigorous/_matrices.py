"""The matrices of the theorems (theory.md §3, T1, T4), over balls: upper bounds that no rounding can lower."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from hqre_jax.certificates.rigorous._arithmetic import flint
from hqre_jax.certificates.rigorous._data import Data
from hqre_jax.certificates.rigorous._proof import Kind
from hqre_jax.certificates.rigorous._worlds import Worlds, worlds

Rows = list[list[Any]]
Point = tuple[int, int]
ONE_SHOT = ("NormalFormGame", "PolymatrixGame", "BayesianGame")


def global_test(data: Data, kind: Kind, weights: list[float], bound: Any) -> tuple[Rows, list[Any]] | None:
    """A and D such that ``A z < D z`` for some positive vector z proves the claim.

    ``margin``: ``A = ½ C``, ``D = w (τ − κ)`` with ``C_xy = ¼ Σ_θ P(θ) max dd(v_x u_i + v_y u_j)``. Then
    ``diag(wτ) − ½C − κW`` is a symmetric matrix without positive entries off its diagonal that takes a positive vector
    to a positive vector: a nonsingular M-matrix, hence positive definite, which is ``margin > κ``.

    ``contraction``, everybody moving once: ``A = Λ``, ``D = q τ``; then ``spr(T⁻¹Λ) < q`` (Collatz, Wielandt).

    ``contraction`` where play goes on: ``A = γ diag(c) + B diag(1/τ)``, ``D = q`` (T4; ``c = 1`` for ``soft``), and
    ``A = γ``, ``D = q`` for ``zero_sum``.

    Types of probability zero hold uniform beliefs and nobody believes in them: they make up a second game, and
    A has a second diagonal block.

    Args:
        data: See `problem_data`.
        kind: ``margin`` or ``contraction``.
        weights: Multipliers v, for ``margin``.
        bound: κ or q, a ball or number.

    Returns:
        Rows of A and diagonal D, or None where the theorem says nothing.
    """
    if data["game"] in ONE_SHOT:
        return _one_shot(data, kind, weights, bound)
    if data["game"] == "ExtensiveFormGame" or kind == "margin":
        return None
    game = worlds(data)
    if game.occupied or game.gamma >= 1:
        return None
    return _continuing(data, game, bound)


def decision_points(data: Data) -> list[Point]:
    """Decision points with two actions or more, in the order of all vectors."""
    mask = data["action_mask"]
    return [(i, x) for i, x in np.ndindex(*mask.shape[:2]) if mask[i, x].sum() > 1]


def _one_shot(data: Data, kind: Kind, weights: list[float], bound: Any) -> tuple[Rows, list[Any]]:
    arb, points = flint().arb, decision_points(data)
    index = {point: k for k, point in enumerate(points)}
    reach = reach_probabilities(data)
    rows = [[arb(0)] * len(points) for _ in points]
    for x, y, chance, to_x, to_y in _interacting_pairs(data):
        if x not in index or y not in index:
            continue
        k, j = index[x], index[y]
        reached = reach[x][0] > 0
        if reached != (reach[y][0] > 0):
            continue
        law = arb(chance) if reached else arb(1)
        if kind == "margin":
            both = law * _interaction(to_x * arb(weights[k]) + to_y * arb(weights[j])) / 8
            rows[k][j], rows[j][k] = rows[k][j] + both, rows[j][k] + both
        else:
            rows[k][j] = rows[k][j] + law * _interaction(to_x) / 4 / _mass(reach[x])
            rows[j][k] = rows[j][k] + law * _interaction(to_y) / 4 / _mass(reach[y])
    tau = [arb(float(data["tau"][point])) for point in points]
    if kind == "contraction":
        return rows, [bound * t for t in tau]
    return rows, [arb(v) * _mass(reach[p]) * (t - bound) for v, p, t in zip(weights, points, tau, strict=True)]


def reach_probabilities(data: Data) -> dict[Point, tuple[Any, int]]:
    """``P(x)``, and the number of worlds in which x is the information state."""
    arb = flint().arb
    if data["game"] == "PolymatrixGame":
        return {point: (arb(1), 1) for point in np.ndindex(*data["tau"].shape)}
    game, out = worlds(data), {}
    for i, x in np.ndindex(*data["tau"].shape):
        seen = np.flatnonzero(game.observed[i] == x)
        out[i, x] = (sum((arb(float(p)) for p in game.law[seen]), arb(0)), len(seen))
    return out


def _mass(reach: tuple[Any, int]) -> Any:
    """The weight of a decision point under the law of its block: the prior, or the uniform one."""
    return reach[0] if reach[0] > 0 else reach[1]


def _interacting_pairs(data: Data) -> Iterator[tuple[Point, Point, float, np.ndarray, np.ndarray]]:
    """Pairs of decision points with the probability that they meet and both payoffs ``[others' actions, a, b]``."""
    lift, mask = np.vectorize(flint().arb, otypes=[object]), data["action_mask"]
    if data["game"] == "PolymatrixGame":
        pairs: dict = {}
        for (i, j), payoffs in zip(data["edges"].tolist(), data["payoffs"], strict=True):
            both = lift(payoffs if i < j else np.swapaxes(payoffs[::-1], 1, 2))
            pair = min(i, j), max(i, j)
            pairs[pair] = pairs[pair] + both if pair in pairs else both
        for (i, j), (to_i, to_j) in pairs.items():
            legal = np.ix_(np.zeros(1, int), np.flatnonzero(mask[i, 0]), np.flatnonzero(mask[j, 0]))
            yield (i, 0), (j, 0), 1.0, to_i[None][legal], to_j[None][legal]
        return
    game = worlds(data)
    for w in range(game.payoffs.shape[1]):
        states = [int(x) for x in game.observed[:, w]]
        legal = np.ix_(*(np.flatnonzero(mask[i, x]) for i, x in enumerate(states)))
        paid = [lift(u[w][legal]) for u in game.payoffs]
        for i, j in itertools.combinations(range(len(paid)), 2):
            sides = (np.moveaxis(paid[owner], (i, j), (-2, -1)) for owner in (i, j))
            to_i, to_j = (side.reshape(-1, *side.shape[-2:]) for side in sides)
            yield (i, states[i]), (j, states[j]), float(game.law[w]), to_i, to_j


def _interaction(payoffs: np.ndarray) -> Any:
    """``max_k dd``: the largest ``C[a,b] − C[a',b] − C[a,b'] + C[a',b']``."""
    widest = flint().arb(0)
    for matrix in payoffs:
        for row, other in itertools.combinations(matrix, 2):
            gap = row - other
            widest = widest.max(_largest(gap) + _largest(-gap))
    return widest


def _largest(balls: Any) -> Any:
    return max(ball.upper() for ball in np.asarray(balls, object).ravel())


def _continuing(data: Data, game: Worlds, bound: Any) -> tuple[Rows, list[Any]] | None:
    """T4, for kernels whose rows sum to 1 only up to rounding: ``growth`` bounds γ times any such sum."""
    arb = flint().arb
    mask, rule, players = data["action_mask"], data["continuation"], len(game.payoffs)
    lift = np.vectorize(arb, otypes=[object])
    worlds_legal = [
        np.ix_(*(np.flatnonzero(mask[i, x]) for i, x in enumerate(game.observed[:, w])))
        for w in range(game.payoffs.shape[1])
    ]
    least, growth, share = arb(0), arb(0), (arb(1), arb(1))
    kernels: list = [None] * len(worlds_legal)
    if game.kernel is not None:
        kernels = [lift(game.kernel[w][legal]) for w, legal in enumerate(worlds_legal)]
        sums = [s for kernel in kernels for s in kernel.sum(axis=-1).ravel()]
        shares = lift(game.gather).sum(axis=1)
        share = (-_largest(-shares), _largest(shares))
        gamma = arb(game.gamma)
        least, growth = gamma * -_largest(-np.array(sums, object)) * share[0], gamma * _largest(sums) * share[1]
    if rule == "zero_sum":
        opposed = bool((game.payoffs[1] == -game.payoffs[0]).all())
        return ([[growth] * 1], [arb(1) * bound]) if opposed else None
    if not growth < 1:
        return None
    tau = [min(arb(float(t)) for t in data["tau"][i][mask[i].any(-1)]) for i in range(players)]
    table: Rows = [[arb(0)] * players for _ in range(players)]
    for i in range(players):
        paid = [lift(game.payoffs[i, w][legal]) for w, legal in enumerate(worlds_legal)]
        rewards = np.concatenate([p.ravel() for p in paid])
        high, low = _largest(rewards), -_largest(-rewards)
        if data["shannon"] and rule == "soft":
            used = np.flatnonzero(mask[i].any(-1))
            offsets = np.array([arb(float(data["tau"][i, x])) * arb(int(mask[i, x].sum())).log() for x in used])
            high, low = high + _largest(offsets), low - _largest(-offsets)
        # Values solve V = reward + (between least and growth) V.
        high = high / (1 - (growth if high >= 0 else least))
        low = low / (1 - (least if low >= 0 else growth))
        at_targets = [s * v for s in share for v in (low, high)]
        top, bottom = _largest(at_targets), -_largest([-v for v in at_targets])
        middle, half = abs((top + bottom) / 2), (top - bottom) / 2
        for j in range(players):
            swing = arb(0)
            for pays, kernel in zip(paid, kernels, strict=True):
                rows = np.moveaxis(pays, j, 0)
                jumps = None if kernel is None else np.moveaxis(kernel, j, 0)
                for a, b in itertools.combinations(range(len(rows)), 2):
                    change = np.abs(rows[a] - rows[b])
                    if jumps is not None:
                        drift = jumps[a] - jumps[b]
                        moved = np.abs(drift).sum(axis=-1) * half + np.abs(drift.sum(axis=-1)) * middle
                        change = change + moved * arb(game.gamma)
                    swing = swing.max(_largest(change))
            table[i][j] = swing
    stretch = [_stretch(table[i][i] / tau[i]) if rule == "plain" else arb(1) for i in range(players)]
    matrix = [
        [growth * stretch[i] if i == j else table[i][j] / tau[j] / 2 for j in range(players)] for i in range(players)
    ]
    return matrix, [arb(1) * bound for _ in range(players)]


def _stretch(span: Any) -> Any:
    """Lipschitz constant ``1 + (R−1)²/(2R)`` (1 if R ≤ 1) of the on-policy backup at span R, increasing in R."""
    arb = flint().arb
    top = arb(_largest([span])).max(arb(1))
    return 1 + (top - 1) ** 2 / (2 * top)
