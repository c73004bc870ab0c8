"""How far estimated interactions may be from the true ones: noise, rare payoffs, and payoffs that are missing."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from hqre_jax.rollouts._observations import Range
from hqre_jax.stability._intervals import student_quantile

Cells = Float[np.ndarray, "n n a a"]

# A cell's mean is taken for normal where its plays are so many times ``(largest deviation / standard deviation)²``:
# payoffs as rare and as large as that are then expected so often in it (exp(−5) < 1 % not to be seen).
_EVENTS = 5.0


class CellErrors(NamedTuple):
    """What is known of the errors of mean payoffs; cells are ``(x, y, a, b)``.

    Attributes:
        variance: Squared standard error; 0 with fewer than two payoffs.
        count: Number of payoffs.
        normal: Whether the normal law may be used.
        constant: Whether all payoffs were equal.
        missing: How much payoffs that are missing may move the mean, units of payoff.
        width: Width of the stated range of payoffs; infinite where none was stated.
    """

    variance: Cells
    count: Cells
    normal: Bool[np.ndarray, "n n a a"]
    constant: Bool[np.ndarray, "n n a a"]
    missing: Cells
    width: float

    @classmethod
    def of(
        cls,
        total: Cells,
        square: Cells,
        count: Cells,
        least: Cells,
        largest: Cells,
        lost: Cells,
        payoff_range: Range | None,
    ) -> "CellErrors":
        """From sums over plays, as in `InteractionEstimates`."""
        some, seen = np.maximum(count, 1), count > 0
        scatter = np.where(count >= 2, np.maximum(square - total**2 / some, 0), 0.0)
        constant = ~(largest > least)
        # Over all cells of two decision points: one alone may not have shown its rare payoffs.
        pooled = scatter.sum((2, 3)) / np.maximum(np.maximum(count - 1, 0).sum((2, 3)), 1)
        mean = total / some
        low, high = np.where(seen, least, mean), np.where(seen, largest, mean)
        stated = np.inf if payoff_range is None else payoff_range[1] - payoff_range[0]
        worst = np.maximum(high - mean, mean - low).max((2, 3)) if payoff_range is None else stated
        enough = count * pooled[..., None, None] >= _EVENTS * np.broadcast_to(worst, pooled.shape)[..., None, None] ** 2
        spans = np.where(seen, largest, -np.inf).max((1, 2, 3)) - np.where(seen, least, np.inf).min((1, 2, 3))
        spans = np.where(np.isfinite(spans), spans, np.inf) if payoff_range is None else np.full(len(total), stated)
        with np.errstate(invalid="ignore"):
            missing = np.where(lost > 0, spans[:, None, None, None] * lost / np.maximum(lost + count, 1), 0.0)
        variance = scatter / np.maximum(count - 1, 1) / some
        return cls(variance, count, enough & ~constant & (count >= 2), constant, missing, stated)


def interaction_error(errors: CellErrors, pairs: Bool[np.ndarray, "n n a a"], level: float) -> Float[np.ndarray, "n n"]:
    """How far the largest ``û[a,b] − û[a',b] − û[a,b'] + û[a',b']`` may be above its estimate, at all pairs at once.

    Cells whose mean is nearly normal enter by their variances, with Student's quantile at Welch and Satterthwaite's
    degrees of freedom, Bonferroni over all interactions. The others enter by a bound of their own: with range R,
    n payoffs of variance V and δ the error left to a cell, ``√(2V log(4/δ)/n) + 7R log(4/δ)/(3(n−1))`` and, if all n
    payoffs were equal, ``(1 − δ^{1/(n−1)})R``: a payoff that shows another value with a greater probability would
    have shown it. Where both kinds occur each has half of the error.

    Args:
        errors: The errors of the cells.
        pairs: Pairs of actions that count.
        level: Confidence level for all pairs together.

    Returns:
        The error, units of payoff.

    Source: Maurer & Pontil (2009), theorem 4.
    """
    normal = pairs & errors.normal
    others = pairs & ~errors.normal
    alpha = (1 - level) / (2 if others.any() else 1)
    variance = np.where(normal, errors.variance, 0.0)
    sizes = np.maximum(pairs.any(3).sum(2), 1), np.maximum(pairs.any(2).sum(2), 1)
    num = float(sum(a * (a - 1) * b * (b - 1) / 4 for a, b in zip(*(size.ravel() for size in sizes), strict=True)))
    total, squares = four(variance), four(variance**2 / np.maximum(errors.count - 1, 1))
    freedom = np.where(squares > 0, total**2 / np.where(squares > 0, squares, 1.0), 1e6)
    quantile = _quantiles(1 - alpha / max(num, 1.0), np.minimum(freedom, 1e6), total > 0)
    bound = np.where(others, _range_bounds(errors, alpha / (2 * max(int(others.sum()), 1))), 0.0)
    bound = bound + np.where(pairs, errors.missing, 0.0)
    return (quantile * np.sqrt(total) + four(bound)).max((2, 3, 4, 5), initial=0.0)


def _quantiles(level: float, freedom: Float[np.ndarray, "..."], wanted: Bool[np.ndarray, "..."]) -> np.ndarray:
    """Student's quantiles where they are wanted, else 0: of all decision points few act in the same step.

    They are computed in numbers that are powers of two, so that few programs are compiled.
    """
    found, some = np.zeros(freedom.shape), freedom[wanted]
    if some.size:
        padded = np.full(1 << (some.size - 1).bit_length(), some[0])
        padded[: some.size] = some
        found[wanted] = np.asarray(student_quantile(level, jnp.asarray(padded)))[: some.size]
    return found


def _range_bounds(errors: CellErrors, delta: float) -> Cells:
    """How far means may be from the truth, by the range of payoffs alone; at most the range, and infinite without."""
    if not np.isfinite(errors.width):
        return np.full(errors.count.shape, np.inf)
    rest = np.maximum(errors.count - 1, 1)
    bernstein = np.sqrt(2 * errors.variance * np.log(4 / delta)) + 7 * errors.width * np.log(4 / delta) / (3 * rest)
    equal = errors.width * -np.expm1(np.log(delta) / rest)
    bound = np.where(errors.constant, equal, bernstein)
    return np.where(errors.count >= 2, np.minimum(bound, errors.width), errors.width)


def four(table: Cells) -> Float[np.ndarray, "n n a a b b"]:
    """``t[a,b] + t[a',b] + t[a,b'] + t[a',b']``, axes (x, y, a, a', b, b'); 0 where a = a' or b = b'."""
    apart = [~np.eye(size, dtype=bool) for size in table.shape[2:]]
    rows = table[:, :, :, None] + table[:, :, None, :]
    return np.where(apart[0][:, :, None, None] & apart[1], rows[..., :, None] + rows[..., None, :], 0.0)
