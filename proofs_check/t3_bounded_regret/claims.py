"""T3: regret against the regularised best response stays bounded; against the plain one it grows, at a known rate."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.special import log_softmax

from hqre_jax.core._types import LogPolicy
from proofs_check.comparison import Sides
from proofs_check.experiment import Drawing, Experiment, Mistaken, each_game
from proofs_check.games.certified import FAMILIES, NEAR_ZERO_SUM, Certified, given_certified
from proofs_check.numerics.compiled import split_keys
from proofs_check.numerics.equilibria import best_equilibrium
from proofs_check.t3_bounded_regret.rounds import (
    IDENTITY,
    LINEAR,
    LOSS,
    ROUND,
    SLOPE,
    TOTAL,
    Start,
    at_equilibrium,
    play,
)

__all__ = [
    "CONTROL",
    "EXPERIMENT",
    "IDENTITY",
    "LINEAR",
    "LOSS",
    "ROUND",
    "SLOPE",
    "TOTAL",
    "Sample",
    "sides",
    "starts",
]

# Names of the negative controls.
OUTRIGHT, LATE, FORGOTTEN = "best replies", "gap a round late", "reference forgotten"

# Logits of starts: largest standard deviation, the least as a part of it.
_SPREAD, _NEAREST = 3.0, 0.02
# Of the controls: how much too large steps are, and the size of the logits of a reference far from uniform.
_TIMES, _FAR = 1e4, 6.0


class Sample(NamedTuple):
    """What is chosen besides the game.

    Attributes:
        factor: Of the step, 1 being the largest that T2 allows.
        start: Where play begins.
        key: For the search for π*.
    """

    factor: Float[Array, "*game"]
    start: Start
    key: Any


@each_game
def _observe(case: Certified, star: LogPolicy, sample: Sample) -> dict[str, Sides]:
    """48 rounds from a start; every claim supposes a margin and a finite step."""
    plain, known = case.problem, case.known
    point = at_equilibrium(plain, known.weights, known.margin, star)
    claims = play(point, known.margin, sample.factor * known.max_step, sample.start)
    holds = (known.margin > 0) & jnp.isfinite(known.max_step)
    return {claim: both._replace(holds=holds) for claim, both in claims.items()}


def sides(cases: Certified, sample: Sample) -> dict[str, Sides]:
    """The six claims; (a), (b) in every round."""
    return _observe(cases, best_equilibrium(cases.problem, sample.key), sample)


def starts(cases: Certified, rng: np.random.Generator) -> Start:
    """Near and far; in half of the games some players, but never all, may begin at π*."""
    num, players, states, actions = cases.problem.log_reference.shape
    spread = _SPREAD * _NEAREST ** rng.random((num, 1, 1, 1))
    logits = spread * rng.standard_normal((num, players, states, actions))
    held = rng.random((num, players)) < 0.5 * rng.integers(0, 2, (num, 1))
    held[np.arange(num), rng.integers(players, size=num)] = False
    return Start(logits, held)


def draw_sample(cases: Certified, drawing: Drawing) -> Sample:
    """Starts, and the largest steps that T2 allows."""
    keys = split_keys(jax.random.key(0), drawing.num)
    return Sample(np.ones(drawing.num), starts(cases, drawing.rng), keys)


def _judged_wrongly(cases: Certified, drawn: Mistaken) -> dict[str, Sides]:
    """The claims of the games of a control; of one claim if the mistake is about no other."""
    claims = sides(cases, drawn.sample)
    if drawn.mistake == LATE:
        observed, bound, slack, *rest = claims[IDENTITY]
        return {IDENTITY: Sides(observed[:, :-1], bound[:, 1:], slack[:, :-1] + slack[:, 1:], *rest)}
    if drawn.mistake == FORGOTTEN:
        # Everybody has one information state there.
        heat = cases.problem.tau[..., 0] * np.log(np.asarray(cases.problem.game.action_mask).sum(axis=-1)[..., 0])
        return {SLOPE: claims[SLOPE]._replace(bound=heat)}
    return claims


def _controls(cases: Certified, sample: Sample, drawing: Drawing) -> dict[str, tuple[Certified, Mistaken]]:
    """Three mistakes, in games close to zero-sum.

    Steps so large that every update is a best reply, with which play circles and the gap returns in every round;
    ``KL(π⁺‖BR(π⁺))`` for the gap at π; ``τ log A``, the slope's bound at the uniform reference, at one far from it.
    """
    logits = _FAR * drawing.rng.standard_normal(cases.problem.log_reference.shape)
    skewed = eqx.tree_at(lambda problem: problem.log_reference, cases.problem, log_softmax(logits, axis=-1))
    return {
        OUTRIGHT: (cases, Mistaken(sample._replace(factor=_TIMES * sample.factor))),
        LATE: (cases, Mistaken(sample, LATE)),
        FORGOTTEN: (cases._replace(problem=skewed), Mistaken(sample, FORGOTTEN)),
    }


EXPERIMENT = Experiment(FAMILIES, sides, draw_sample, given=given_certified)
CONTROL = Experiment((NEAR_ZERO_SUM,), _judged_wrongly, draw_sample, variants=_controls)
