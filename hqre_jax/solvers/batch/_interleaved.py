"""Normal forms laid out with the lane axis last, so that one instruction serves neighbouring games.

Logits are kept as log-odds to each player's first action, ``z_i(a) = log π_i(a) − log π_i(0)`` for a ≥ 1: no gauge is
left, and there is one unknown fewer per player. Arrays end in the axis of lanes throughout.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

# Log-odds of an action that does not exist: no finite number added to them shows.
_NEVER = -1e30
# `drift` times a first move, up to which the ends of the move are believed to speak for what lies between.
MOST_DRIFT = 1.0
# Eliminations of up to this many rows are spelt out: programs must stay short.
_SPELT = 4

LogOdds = tuple[Float[Array, "_ lane"], ...]
Policies = tuple[Float[Array, "_ lane"], ...]
Rows = Float[Array, "_ _ lane"]


class Interleaved(NamedTuple):
    """Games, temperatures and references of some lanes.

    Attributes:
        advantage: Of each player, ``(u_i(a, ·) − u_i(0, ·))/τ_i`` for a ≥ 1: ``(own, others' actions in order, lane)``.
        floor: Of each player, ``u_i(0, ·)``: ``(others' actions in order, lane)``.
        tau: Temperatures, ``(player, lane)``.
        reference: Log-odds of ρ, ``_NEVER`` where there is no such action.
    """

    advantage: tuple[Float[Array, "... lane"], ...]
    floor: tuple[Float[Array, "... lane"], ...]
    tau: Float[Array, "player lane"]
    reference: LogOdds


def interleave(
    payoffs: Float[Array, "lane player *actions"],
    mask: Bool[Array, "lane player action"] | None,
    tau: Float[Array, "lane player"],
    reference: Float[Array, "lane player action"] | None,
) -> Interleaved:
    """Lay games out with lanes last.

    Args:
        payoffs: ``payoffs[b, i, a_1, …, a_N]``.
        mask: Valid actions, every player's first among them; None where all are.
        tau: Temperatures.
        reference: Reference policies, or None for uniform ones.
    """
    players, actions = payoffs.shape[1], payoffs.shape[2:]
    advantage, floor, log_odds = [], [], []
    for i in range(players):
        others = [j for j in range(players) if j != i]
        # Own actions first, lanes last, at once: each transposition is a copy.
        own = payoffs[:, i].transpose(*(1 + j for j in (i, *others)), 0)
        for axis, j in enumerate(others, 1):
            if mask is not None:
                # What others cannot do counts as their first action, which changes no interaction.
                valid = _along(mask[:, j, : actions[j]].T, axis, players)
                own = jnp.where(valid, own, jax.lax.slice_in_dim(own, 0, 1, axis=axis))
        gain = (own[1:] - own[:1]) * (1 / tau[:, i])
        log_odds_i = jnp.zeros((actions[i] - 1, len(payoffs)), payoffs.dtype)
        if reference is not None:
            weight = reference[:, i, : actions[i]].T
            weight = weight if mask is None else jnp.where(mask[:, i, : actions[i]].T, weight, 1.0)
            log_odds_i = jnp.log(weight[1:]) - jnp.log(weight[:1])
        if mask is not None:
            valid = mask[:, i, 1 : actions[i]].T
            gain = jnp.where(_along(valid, 0, players), gain, 0.0)
            log_odds_i = jnp.where(valid, log_odds_i, _NEVER)
        advantage.append(gain)
        floor.append(own[0])
        log_odds.append(log_odds_i)
    return Interleaved(tuple(advantage), tuple(floor), tau.T, tuple(log_odds))


def _along(valid: Bool[Array, "_ lane"], axis: int, players: int) -> Bool[Array, "... lane"]:
    """A mask of one player's actions as a mask of joint actions."""
    shape = [1] * players
    shape[axis] = valid.shape[0]
    return valid.reshape(*shape, valid.shape[1])


def policies(log_odds: LogOdds) -> Policies:
    """Probabilities of all actions, the first included."""
    return tuple(softmax(z) for z in log_odds)


def gains(games: Interleaved, pi: Policies) -> LogOdds:
    """``(Q_i(a) − Q_i(0))/τ_i``: what the logit response adds to the reference's log-odds."""
    return tuple(average(tensor, [p for j, p in enumerate(pi) if j != i]) for i, tensor in enumerate(games.advantage))


class Linear(NamedTuple):
    """The logit response at a policy, to first order.

    Attributes:
        gain: `gains` at the policy.
        coupling: ``∂ gain_i / ∂ z_j``, ``(own_i, own_j, lane)``, for j ≠ i; None on the diagonal.
    """

    gain: LogOdds
    coupling: tuple[tuple[Rows | None, ...], ...]


def linearise(games: Interleaved, pi: Policies) -> Linear:
    """Gains and derivatives: with j's action b known, ``∂ gain_i(a)/∂ z_j(b) = π_j(b) (gain_i(a|b) − gain_i(a))``."""
    players = range(len(pi))
    gain, coupling = [], []
    for i in players:
        others = [j for j in players if j != i]
        given = _leave_each(games.advantage[i], [pi[j] for j in others])
        gain.append(average(given[-1], [pi[others[-1]]]) if others else games.advantage[i])
        row: list[Rows | None] = [None] * len(pi)
        for j, block in zip(others, given, strict=True):
            row[j] = (block[:, 1:] - gain[i][:, None]) * pi[j][None, 1:]
        coupling.append(tuple(row))
    return Linear(tuple(gain), tuple(coupling))


def unfused(go: Bool[Array, ""], function: Callable[..., Any], *arguments: Any) -> Any:
    """``function(*arguments)``, computed once and stored; zeros unless ``go``.

    XLA merges element-wise code into each of its users and computes it again there, ten times over in a chain of small
    matrix operations. A branch is a border that it respects.
    """
    shapes = jax.eval_shape(function, *arguments)

    def nothing(*_: Any) -> Any:
        return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)

    return jax.lax.cond(go, function, nothing, *arguments)


class Solved(NamedTuple):
    """What the linear systems of a round say.

    Attributes:
        answers: Solutions for each right side, all players' unknowns in a row.
        determinant: Of the matrix.
        matrix: The matrix as eliminated to: with two players the smaller one's block, beyond the whole.
        reduced: Its inverse times all right sides as eliminated to and, after these, ``matrix − before``.
    """

    answers: list[Float[Array, "unknown lane"]]
    determinant: Float[Array, " lane"]
    matrix: Rows
    reduced: Rows


def solve_linear(
    scale: Float[Array, " lane"], linear: Linear, sides: list[LogOdds], before: Rows, go: Bool[Array, ""]
) -> Solved:
    """Solutions x of ``(I − scale · coupling) x = side``, and how the matrix differs from another one.

    With two players the smaller one's block is eliminated to; beyond, all unknowns are one dense system. There is no
    pivoting: a pivot that is nearly 0 spoils the solution, and whoever uses it must look at what it does.
    """
    if len(linear.gain) == 2:
        return _solve_pair(scale, linear, sides, before, go)

    def dense(scale: Array, linear: Linear, sides: list[LogOdds]) -> tuple[Rows, Rows]:
        rows = []
        for i, gain in enumerate(linear.gain):
            row = [_identity(len(gain), scale) if b is None else -scale * b for b in linear.coupling[i]]
            rows.append(jnp.concatenate(row, axis=1))
        return jnp.concatenate(rows), jnp.stack([jnp.concatenate(side) for side in sides], axis=1)

    matrix, right = unfused(go, dense, scale, linear, sides)
    found, determinant = unfused(
        go, lambda m, r, b: _eliminate(m, jnp.concatenate([r, m - b], 1), go), matrix, right, before
    )
    return Solved([found[:, k] for k in range(len(sides))], determinant, matrix, found)


def reduced_unknowns(sizes: list[int]) -> slice:
    """Which of all players' unknowns the eliminated matrix is about."""
    if len(sizes) != 2:
        return slice(0, sum(sizes))
    return slice(0, sizes[0]) if sizes[0] <= sizes[1] else slice(sizes[0], sum(sizes))


def _solve_pair(scale, linear: Linear, sides: list[LogOdds], before: Rows, go) -> Solved:
    first, second = (0, 1) if linear.gain[0].shape[0] <= linear.gain[1].shape[0] else (1, 0)
    there, back = linear.coupling[first][second], linear.coupling[second][first]
    assert there is not None and back is not None

    def reduced(scale: Array, there: Rows, back: Rows, sides: list[LogOdds], before: Rows) -> tuple[Rows, Rows]:
        matrix = _identity(there.shape[0], scale) - scale * scale * _product(there, back)
        right = jnp.stack([side[first] + scale * apply(there, side[second]) for side in sides], axis=1)
        return matrix, jnp.concatenate([right, matrix - before], axis=1)

    def completed(scale: Array, back: Rows, sides: list[LogOdds], found: Rows) -> list[Float[Array, "unknown lane"]]:
        answers = []
        for k, side in enumerate(sides):
            x = found[:, k]
            y = side[second] + scale * apply(back, x)
            answers.append(jnp.concatenate((x, y) if first == 0 else (y, x)))
        return answers

    matrix, right = unfused(go, reduced, scale, there, back, sides, before)
    found, determinant = unfused(go, lambda m, r: _eliminate(m, r, go), matrix, right)
    return Solved(unfused(go, completed, scale, back, sides, found), determinant, matrix, found)


def _eliminate(matrix: Rows, right: Rows, go: Bool[Array, ""]) -> tuple[Rows, Float[Array, " lane"]]:
    """Elimination without pivoting, and the product of the pivots."""
    size = matrix.shape[0]
    if size > _SPELT:
        return _eliminate_by_columns(matrix, right, go)
    if size == 2:
        return _solve_two(matrix, right)
    rows, sides, inverse = list(matrix), list(right), []
    determinant = matrix[0, 0]
    for k in range(size):
        inverse.append(1 / rows[k][k])
        determinant = determinant * rows[k][k] if k else determinant
        for j in range(k + 1, size):
            factor = rows[j][k] * inverse[k]
            rows[j], sides[j] = rows[j] - factor * rows[k], sides[j] - factor * sides[k]
    for k in reversed(range(size)):
        known = sum((rows[k][j] * sides[j] for j in range(k + 1, size)), jnp.zeros_like(sides[k]))
        sides[k] = (sides[k] - known) * inverse[k]
    return jnp.stack(sides), determinant


def _solve_two(matrix: Rows, right: Rows) -> tuple[Rows, Float[Array, " lane"]]:
    """`_eliminate` of two rows by Cramer's rule: a division, which costs as much as ten products, less."""
    (a, b), (c, d) = matrix
    determinant = a * d - b * c
    inverse = 1 / determinant
    first, second = right
    return jnp.stack([(d * first - b * second) * inverse, (a * second - c * first) * inverse]), determinant


def _eliminate_by_columns(matrix: Rows, right: Rows, go: Bool[Array, ""]) -> tuple[Rows, Float[Array, " lane"]]:
    """`_eliminate` in Gauss and Jordan's way: few operations, each on all rows and the columns that are left."""
    size = matrix.shape[0]

    def step(k: int, work: Rows, determinant: Array) -> tuple[Rows, Array]:
        pivot = work[k, 0]
        row = work[k, 1:] * (1 / pivot)
        own = (jnp.arange(size) == k)[:, None, None]
        return jnp.where(own, row[None], work[:, 1:] - work[:, :1] * row[None]), determinant * pivot

    work, determinant = jnp.concatenate([matrix, right], axis=1), jnp.ones_like(matrix[0, 0])
    for k in range(size):
        work, determinant = unfused(go, functools.partial(step, k), work, determinant)
    return work, determinant


def _identity(size: int, like: Float[Array, " lane"]) -> Rows:
    return jnp.broadcast_to(jnp.eye(size, dtype=like.dtype)[:, :, None], (size, size, like.shape[-1]))


def _product(a: Rows, b: Rows) -> Rows:
    return sum((a[:, k, None] * b[None, k] for k in range(1, a.shape[1])), a[:, 0, None] * b[None, 0])


def apply(a: Rows, x: Float[Array, "_ lane"]) -> Float[Array, "_ lane"]:
    return sum((a[:, k] * x[k] for k in range(1, a.shape[1])), a[:, 0] * x[0])


def average(tensor: Float[Array, "... lane"], weights: Policies | list) -> Float[Array, "_ lane"]:
    """The tensor averaged over all axes but the first and the last."""
    for weight in reversed(weights):
        tensor = _average_axis(tensor, weight, tensor.ndim - 2)
    return tensor


def _average_axis(tensor: Array, weight: Float[Array, "_ lane"], axis: int) -> Array:
    # Spelt out, sums take several lanes at once; by slices, for a transposed tensor would be copied.
    slices = [jax.lax.index_in_dim(tensor, k, axis, keepdims=False) for k in range(len(weight))]
    return sum((x * w for x, w in zip(slices[1:], weight[1:], strict=True)), slices[0] * weight[0])


def _leave_each(tensor: Float[Array, "... lane"], weights: list) -> list[Float[Array, "_ _ lane"]]:
    """For each other player the tensor averaged over all others but that one; halves share their averages."""
    if len(weights) <= 1:
        return [tensor] * len(weights)
    half = len(weights) // 2
    left, right = tensor, tensor
    for k in reversed(range(half, len(weights))):
        left = _average_axis(left, weights[k], k + 1)
    for k in reversed(range(half)):
        right = _average_axis(right, weights[k], k + 1)
    return _leave_each(left, weights[:half]) + _leave_each(right, weights[half:])


def drift(games: Interleaved) -> Float[Array, " lane"]:
    """About how much influence between two players changes per change of the others' probabilities; 0 without others.

    Influence is at most a quarter of a double difference of payoffs over τ, averaged over the others; between two of
    their profiles it differs by at most half the largest double difference, and that is at most twice the spread of
    advantages, 0 of the first action included. The largest change of a probability stands for all of a policy's, so
    this is a measure and no bound.
    """
    spread = jnp.zeros(games.tau.shape[1:], games.tau.dtype)
    for tensor in games.advantage:
        flat = tensor.reshape(-1, tensor.shape[-1])
        spread = jnp.maximum(spread, jnp.maximum(jnp.max(flat, 0), 0.0) - jnp.minimum(jnp.min(flat, 0), 0.0))
    return (len(games.advantage) - 1) * spread if len(games.advantage) > 2 else jnp.zeros_like(spread)


def largest(x: Float[Array, "_ lane"], least: float | Float[Array, " lane"]) -> Float[Array, " lane"]:
    """The largest entry of each lane, at least ``least``."""
    return functools.reduce(jnp.maximum, x, jnp.broadcast_to(jnp.asarray(least, x.dtype), x.shape[1:]))


def total(x: Float[Array, "_ ..."]) -> Float[Array, "..."]:
    """The sum of each lane."""
    return sum((x[k] for k in range(1, x.shape[0])), x[0]) if x.shape[0] else jnp.zeros(x.shape[1:], x.dtype)


def softmax(z: Float[Array, "_ lane"]) -> Float[Array, "_ lane"]:
    """Probabilities of all actions, the first included, from log-odds to it.

    Log-odds are cut off where they are nothing beside 1, or 1 beside them: that saves one exponential and the maximum.
    """
    far = 0.25 * math.log(float(jnp.finfo(z.dtype).max))
    weight = jnp.exp(jnp.clip(z, -far, far))
    share = 1 / (1 + total(weight))
    return jnp.concatenate([share[None], weight * share])


def softmax_and_logarithm(z: Float[Array, "_ lane"]) -> tuple[Float[Array, "_ lane"], Float[Array, "_ lane"]]:
    """`softmax` and its logarithm."""
    below = _below_top(z)
    weight = jnp.exp(below)
    sums = total(weight)
    return weight * (1 / sums), below - jnp.log(sums)


def _below_top(z: Float[Array, "_ lane"]) -> Float[Array, "_ lane"]:
    """Log-odds of all actions to the likeliest one."""
    top = largest(z, 0.0)
    return jnp.concatenate([-top[None], z - top])
