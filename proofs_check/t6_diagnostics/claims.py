"""T6: what rollouts under two policies say of the stability of play, how surely, and what they cannot say."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from hqre_jax.bounds import Bounds
from hqre_jax.core._simplex import span
from hqre_jax.core._types import Scalar
from hqre_jax.stability import LEAST_RATIO
from proofs_check.comparison import Sides, between
from proofs_check.experiment import each_game
from proofs_check.numerics import accuracy
from proofs_check.t6_diagnostics.rollouts import Trial

MARGIN = "(a) κ ≤ κ_d"
STEEPNESS = "(a) L_d ≤ L"
RATIO = "(a) 1 − 2/√3 ≤ r_d"
COVERAGE = "(b) 3 % ≤ misses of 95 % intervals ≤ 7 %"
MISSED = "(c) missed alarms ≤ 1 %"
FALSE = "(d) false alarms ≤ 1 %"

# Probability that chance alone breaks a rate that is what it should be.
_FALSE_ALARM = 1e-9


class Exact(NamedTuple):
    """κ_d, L_d and r_d from the game itself, with what rounding may add to each."""

    margin: Scalar
    lipschitz: Scalar
    ratio: Scalar
    error: Scalar
    ratio_error: Scalar


@each_game
def exact(trial: Trial) -> Exact:
    """The directional quantities of a trial, from the action values of the game."""
    problem, w, eta = trial.problem.centered(), trial.weights, trial.step
    logs = [jnp.log(jnp.where(problem.mask, p, 1.0)) for p in (trial.policy, trial.other)]
    values = [accuracy.action_values(problem, log_policy) for log_policy in logs]
    d, shift = trial.policy - trial.other, values[0] - values[1]
    moved = jnp.sum(jnp.abs(d), axis=-1)
    total = w * accuracy.symmetric_kl(*logs, problem)
    pull = jnp.sum(w[..., None] * shift * d)
    heat = jnp.sum(problem.tau * total)
    damped = jnp.sum(total) + eta * heat
    size = accuracy.weighted_norm(moved, w)
    # Values err by value_rounding each, probabilities and logarithms by a few eps.
    wrong = accuracy.value_rounding(problem)
    error = jnp.sum(w * moved * 2 * wrong) + 64 * accuracy.EPS * (heat + jnp.sum(w * moved * span(shift, problem.mask)))
    return Exact(
        (heat - pull) / jnp.sum(total),
        accuracy.weighted_norm(0.5 * span(shift, problem.mask), w) / size,
        (jnp.sum(total) + eta * pull) / damped,
        error / jnp.minimum(jnp.sum(total), size**2) + accuracy.weighted_norm(2 * wrong, w) / size,
        eta * error / damped + 64 * accuracy.EPS,
    )


def directional(known: Bounds, seen: Exact) -> dict[str, Sides]:
    """(a): ``κ ≤ κ_d``, ``L_d ≤ L`` and ``1 − 2/√3 ≤ r_d``; of one game or of many."""
    return {
        MARGIN: Sides(known.margin, seen.margin, seen.error),
        STEEPNESS: Sides(seen.lipschitz, known.lipschitz, seen.error),
        RATIO: Sides(-seen.ratio, np.full(np.shape(seen.ratio), -LEAST_RATIO), seen.ratio_error),
    }


def deviation(rate: float, num: np.ndarray | int) -> np.ndarray:
    """By how much a frequency in ``num`` trials may exceed its probability, by Bernstein's inequality."""
    spread = np.log(1 / _FALSE_ALARM) / np.asarray(num)
    return spread / 3 + np.sqrt((spread / 3) ** 2 + 2 * rate * (1 - rate) * spread)


def rate(flags: np.ndarray, nominal: float, low: float, high: float) -> Sides:
    """(b), (c), (d): ``low ≤ frequency ≤ high``, or as far beyond as chance may lead from the nominal rate.

    Args:
        flags: What happened in each experiment, axes (row, trial).
        nominal: How often it should.
        low: How often at least; 0 if it may as well never.
        high: How often at most.

    Returns:
        Both sides of every row.
    """
    frequency, off = flags.mean(axis=1), deviation(nominal, flags.shape[1])
    top = np.full(len(flags), max(high, nominal + off))
    if low == 0:
        return Sides(frequency, top, np.zeros(len(flags)))
    return between(np.full(len(flags), min(low, max(nominal - off, 0.0))), frequency, top, np.zeros(len(flags)))
