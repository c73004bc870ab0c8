"""T2: mirror descent converges linearly where the margin is positive, and how fast."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from hqre_jax.core._simplex import log_softmax
from hqre_jax.core._types import LogPolicy
from proofs_check.comparison import Sides, select
from proofs_check.experiment import Drawing, Experiment, Mistaken, each_game, share_of_key
from proofs_check.games.certified import (
    FAMILIES,
    NEAR_ZERO_SUM,
    ZERO_SUM,
    ZERO_SUM_FAMILIES,
    Certified,
    given_certified,
)
from proofs_check.numerics import accuracy
from proofs_check.numerics.equilibria import best_equilibrium
from proofs_check.play.mirror import Known, Steps, extragradient_run, mirror_run, remaining_interaction
from proofs_check.t2_linear_convergence.asymptotics import Local, Spectrum, around, spectrum, stability_boundary

STEP = "(a) D⁺ ≤ D/(1+ηκ)"
RATE = "(b) log(1+ηκ) ≤ 2 log 1/r"
PREDICTED = "(c) measured rate = r"
AHEAD = "(d) extragradient: D⁺ ≤ D/(1+κ/L)"
# Names of the negative controls.
FOURFOLD, DOUBLED, UNSTABLE, UNWEIGHTED = "steps too large", "κ doubled", "beyond stability", "w = 1"
FROM_MARGIN, BLIND = "r taken from κ", "no extrapolation"

_NUM_STEPS = 40
# Standard deviation of the logits of starts far away, and the size of the error that (c) begins with.
_SPREAD, _NEARBY = 3.0, 1e-4
# Interactions that weights leave, as a part of the temperatures, and are taken to cancel.
_CANCELLED = 1e-10
# How far beyond the measured boundary the control goes.
_BEYOND = 1.1


class Run(NamedTuple):
    """What one game gives.

    Attributes:
        far: D along a run from far away.
        ahead: D along an extragradient run with the step 1/L from the same start.
        cancelled: Whether the weights cancel every interaction, the hypothesis of (d).
        local: The update next to π*.
    """

    far: Steps
    ahead: Steps
    cancelled: Bool[Array, ""]
    local: Local


@each_game
def _play(case: Certified, star: LogPolicy, key: Any) -> Run:
    """Play of one game at its largest step: 40 steps from far away, 8 next to π*, and 40 extragradient steps."""
    problem, known = case.problem.centered(), case.known
    kappa, steepness, eta = known.margin, known.lipschitz, known.max_step
    mask, dtype = problem.mask, problem.tau.dtype
    _, far_key, near_key = jax.random.split(key, 3)  # the first has been taken to find π*
    off = accuracy.distance_to_equilibrium(problem, star, known.weights, kappa)
    here = Known(problem, known.weights, star, off)
    start = log_softmax(_SPREAD * jax.random.normal(far_key, mask.shape, dtype), mask)
    return Run(
        far=mirror_run(here, start, eta, 1 / (1 + eta * kappa), _NUM_STEPS),
        ahead=extragradient_run(here, start, 1 / steepness, 1 / (1 + kappa / steepness), _NUM_STEPS),
        cancelled=remaining_interaction(problem, known.weights) <= _CANCELLED * jnp.max(problem.tau),
        local=around(here, eta, _NEARBY * jax.random.normal(near_key, mask.shape, dtype)),
    )


def observe(cases: Certified, keys: Any) -> Run:
    """What games give, each near the HQRE that was found."""
    return _play(cases, best_equilibrium(cases.problem, keys), keys)


def contraction(q: np.ndarray, steps: Steps) -> Sides:
    """(a), and (d) with its own q: ``D⁺ ≤ q D``."""
    return Sides(steps.after, q[..., None] * steps.before, steps.slack)


def progress(q: np.ndarray, near: Spectrum) -> Sides:
    """(b): ``log(1 + ηκ) ≤ 2 log 1/r``; an error of r by ε moves log r by ``−log(1 − ε/r)`` at most."""
    part = np.minimum(near.error / near.radius, 1.0)
    with np.errstate(divide="ignore"):
        promised, made = -np.log(q), -2 * np.log(near.radius)
        return Sides(promised, made, -2 * np.log1p(-part))


def prediction(local: Local, near: Spectrum, rate: np.ndarray) -> Sides:
    """(c): ``| |c_{k+1}|/|c_k| − r | ≤ ½K‖u‖₁‖e_k‖²/|c_k|``, c_k from the real iterates.

    What u lacks of being an eigenvector is put into the slack.

    Args:
        local: The update next to π*.
        near: Its spectrum.
        rate: r, as it is predicted.

    Returns:
        Both sides in every round.
    """
    coordinate = np.abs(np.einsum("gi,gki->gk", near.left, local.errors))
    now, then = coordinate[:, :-1], coordinate[:, 1:]
    size = np.abs(local.errors[:, :-1]).max(axis=-1)
    pulled = np.einsum("gi,gij->gj", near.left, local.jacobian)
    quotient = np.einsum("gi,gi->g", pulled, near.left.conj()) / np.sum(np.abs(near.left) ** 2, axis=-1)
    lacking = np.abs(pulled - quotient[:, None] * near.left).sum(-1) + np.abs(np.abs(quotient) - near.radius)
    length = np.abs(near.left).sum(-1)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        bound = 0.5 * local.curvature[:, None] * length * size**2 / now
        slack = (length * local.step_error[:, None] + lacking[:, None] * size) / now
        observed = np.abs(then / now - rate[:, None])
    # Where the bound is as large as the rate itself (a start that hardly has this component), it says nothing.
    usable = (now > 0) & (bound <= 0.1 * near.radius[:, None])
    return Sides(observed, bound, slack, usable=usable)


def sides(cases: Certified, keys: Any, from_margin: bool = False) -> dict[str, Sides]:
    """The four claims for every game with a margin and an interaction; (d) where its hypothesis holds.

    Args:
        cases: The games.
        keys: One for each.
        from_margin: Predict ``(1+ηκ)^{-1/2}``, which is but a bound on r: a negative control.

    Returns:
        Both sides.
    """
    holds = (cases.known.margin > 0) & np.isfinite(cases.known.max_step)
    run, problem, known = select((observe(cases, keys), cases.problem, cases.known), holds)
    q, near = 1 / (1 + known.max_step * known.margin), spectrum(run.local)
    claims = {
        STEP: contraction(q, run.far),
        RATE: progress(q, near),
        PREDICTED: prediction(run.local, near, np.sqrt(q) if from_margin else near.radius),
        AHEAD: contraction(1 / (1 + known.margin / known.lipschitz), run.ahead)._replace(holds=run.cancelled),
    }
    return {claim: both._replace(problem=problem) for claim, both in claims.items()}


def faster(cases: Certified, factor: Any) -> Certified:
    """The games as if steps ``factor`` times as large were allowed."""
    return cases._replace(known=cases.known._replace(max_step=factor * cases.known.max_step))


def _judged_wrongly(cases: Certified, drawn: Mistaken) -> dict[str, Sides]:
    """The claims of the games of a control; of one claim if the mistake is about no other.

    Without extrapolation the extragradient update is that of (a), at the step 1/L.
    """
    claims = sides(cases, drawn.sample, from_margin=drawn.mistake == FROM_MARGIN)
    if drawn.mistake == FROM_MARGIN:
        return {PREDICTED: claims[PREDICTED]}
    return {AHEAD: claims[STEP]._replace(holds=claims[AHEAD].holds)} if drawn.mistake == BLIND else claims


def _controls(cases: Certified, keys: Any, drawing: Drawing) -> dict[str, tuple[Certified, Mistaken]]:
    """Six wrong hypotheses, in games close to zero-sum and in zero-sum ones, of which (d) speaks."""
    known, sample = cases.known, Mistaken(keys)
    if drawing.family.name == ZERO_SUM.name:
        return {
            UNWEIGHTED: (cases._replace(known=known._replace(weights=np.sign(known.weights))), sample),
            BLIND: (cases._replace(known=known._replace(max_step=1 / known.lipschitz)), Mistaken(keys, BLIND)),
        }
    boundary = stability_boundary(observe(cases, keys).local, cases.problem.tau, known.max_step)
    return {
        FOURFOLD: (faster(cases, 4.0), sample),
        DOUBLED: (cases._replace(known=known._replace(margin=2 * known.margin)), sample),
        UNSTABLE: (cases._replace(known=known._replace(max_step=_BEYOND * boundary)), sample),
        FROM_MARGIN: (cases, Mistaken(keys, FROM_MARGIN)),
    }


# As many zero-sum games more, of which (d) speaks.
EXPERIMENTS = (
    Experiment(FAMILIES, sides, given=given_certified, stream=share_of_key(0, 2)),
    Experiment(ZERO_SUM_FAMILIES, sides, stream=share_of_key(1, 2)),
)
CONTROL = Experiment((NEAR_ZERO_SUM, ZERO_SUM), _judged_wrongly, variants=_controls)
