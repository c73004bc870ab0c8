"""The random games of T4, and what is claimed of each kind."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float

import hqre_jax as hq
from hqre_jax.games._world_states import AbstractWorldStateGame
from proofs_check.comparison import Sides, select
from proofs_check.experiment import Drawing, Experiment, Mistaken, each_game, named, share_of_key
from proofs_check.games.certified import known_bounds
from proofs_check.t4_markov import games, stages
from proofs_check.t4_markov.claims import (
    COUPLED,
    FIXED_POINT,
    PLAIN,
    SOFT,
    coupled_pairs,
    exact_residuals,
    plain_pairs,
    soft_pairs,
)
from proofs_check.t4_markov.games import CertifiedMarkov, CertifiedNested
from proofs_check.t4_markov.pairs import Noise, draw_noise


class Sample(NamedTuple):
    """What is drawn besides the game: α of each information state, and where pairs begin."""

    alpha: Float[Array, "game player state"]
    noise: Noise


@each_game
def contraction(case: CertifiedMarkov, sample: Sample) -> dict[str, Sides]:
    """(a), (b) at two stretched pairs and two far ones, (c) after few and more iterations.

    Args:
        case: The game.
        sample: What was drawn besides.

    Returns:
        Both sides.
    """
    return {
        SOFT: soft_pairs(case, sample.noise),
        COUPLED: coupled_pairs(case, sample.alpha, sample.noise),
        FIXED_POINT: exact_residuals(case, sample.noise.first),
    }


@each_game
def on_policy(case: CertifiedMarkov, sample: Sample) -> Sides:
    """(b) for the on-policy backup, a negative control."""
    return coupled_pairs(case, sample.alpha, sample.noise, on_policy=True)


_plain = each_game(plain_pairs)


def plain(cases: CertifiedMarkov, noise: Noise) -> dict[str, Sides]:
    """(f) at two stretched pairs and two far ones, by the factor that the library certifies."""
    return {PLAIN: _plain(cases, noise)}


def sample_noise(cases: CertifiedMarkov, drawing: Drawing) -> Noise:
    """Where pairs begin."""
    return draw_noise(drawing.rng, *cases.problem.log_reference.shape)


def sample_pairs(cases: CertifiedMarkov, drawing: Drawing) -> Sample:
    """One α for everybody in half of the games, one for each information state in the others."""
    rng, shape = drawing.rng, cases.problem.tau.shape
    one = (drawing.num, 1, 1)
    alpha = 10.0 ** np.where(rng.random(one) < 0.5, rng.uniform(-1.5, 0, one), rng.uniform(-1.5, 0, shape))
    return Sample(alpha, sample_noise(cases, drawing))


def _going_on(problem: hq.Problem, continuation: str) -> hq.Problem | None:
    """Those problems that go on with a discount below 1 and policy-independent beliefs; None of other kinds."""
    game = problem.game
    goes_on = isinstance(game, AbstractWorldStateGame) and hasattr(game, "transitions")
    if not (goes_on and game.policy_independent_beliefs and problem.continuation == continuation):
        return None
    return select(problem, np.asarray(game.discount) < 1)


def _everybody_matters(problem: hq.Problem, continuation: str) -> hq.Problem | None:
    """Those on centred games in which everybody affects everybody: elsewhere v is no positive vector."""
    going_on = _going_on(problem, continuation)
    if going_on is None:
        return None
    problem = select(games.centred(going_on), slice(None))
    influence, width, swing = (np.asarray(part) for part in games.influences(problem))
    apart = ~np.eye(influence.shape[-1], dtype=bool)
    matters = (influence[:, apart] > 0).all(axis=1) & (width > 0).all(axis=1)
    return select(problem, matters & (swing > 0).all(axis=1) if continuation == "plain" else matters)


def _given_soft(problem: hq.Problem) -> CertifiedMarkov | None:
    kept = _everybody_matters(problem, "soft")
    return None if kept is None else games.known_cases(select(kept, np.asarray(known_bounds(kept).contraction) < 1))


def _given_plain(problem: hq.Problem) -> CertifiedMarkov | None:
    kept = _everybody_matters(problem, "plain")
    return None if kept is None else games.known_cases(kept)


def _given_zero_sum(problem: hq.Problem) -> stages.ZeroSum | None:
    kept = _going_on(problem, "zero_sum")
    return None if kept is None else stages.ZeroSum(kept)


def _given_nested(problem: hq.Problem) -> CertifiedNested | None:
    """At w = 1, where worlds are observed and all stage games have a margin."""
    kept = _everybody_matters(problem, "soft") if isinstance(problem.game, hq.MarkovGame) else None
    if kept is None:
        return None
    ones = np.ones((len(kept.tau), kept.game.action_mask.shape[1]))
    positive = np.asarray(games.known_nested(kept, ones).known.margin) > 0
    return games.known_nested(select(kept, positive), ones[positive])


def _drawn(draw: Callable[..., Any], *options: Any) -> Callable[[Drawing], Any]:
    return lambda drawing: draw(drawing.family, drawing.rng, drawing.num, *options)


def _drawn_zero_sum(drawing: Drawing) -> stages.ZeroSum:
    return stages.ZeroSum(games.zero_sum(drawing.family, drawing.rng, drawing.num))


EXPERIMENTS = (
    Experiment(
        (games.THREE, games.LONG, games.PUBLIC),
        contraction,
        sample_pairs,
        draw=_drawn(games.contracting),
        given=_given_soft,
        stream=share_of_key(0, 4),
    ),
    Experiment(
        (games.ZERO_SUM, games.ZERO_SUM_PUBLIC),
        stages.saddle_values,
        stages.sample_values,
        draw=_drawn_zero_sum,
        given=_given_zero_sum,
        stream=share_of_key(1, 4),
    ),
    Experiment(
        (games.THREE,),
        stages.nested_iteration,
        stages.sample_nested,
        draw=_drawn(games.nested),
        given=_given_nested,
        stream=share_of_key(2, 4),
    ),
    Experiment(
        (games.LONG,),
        plain,
        sample_noise,
        draw=_drawn(games.contracting, "plain"),
        given=_given_plain,
        stream=share_of_key(3, 4),
    ),
)


# Names of the negative controls.
HALVED, ON_POLICY, LATER = "half of B", "on-policy backup", "e of a later iterate"
TWICE, FORGETFUL = "γ counted twice", "replies forgotten"


def _wrong_contraction(cases: CertifiedMarkov, drawn: Mistaken) -> dict[str, Sides]:
    """(a) by a factor that need not be q; (b) for the on-policy backup; (c) for early policies by the last defect."""
    sample, mistake = drawn
    if mistake == ON_POLICY:
        return {COUPLED: on_policy(cases, sample)}
    claims = contraction(cases, sample)
    if mistake == HALVED:
        return {SOFT: claims[SOFT]}
    observed, bound, slack = claims[FIXED_POINT][:3]
    return {FIXED_POINT: Sides(observed[:, :1], bound[:, 1:], slack[:, :1] + slack[:, 1:])}


def _wrong_contractions(cases: CertifiedMarkov, sample: Sample, drawing: Drawing) -> dict[str, tuple[Any, Mistaken]]:
    """Half of B, which makes the factor ``(γ + q)/2``; the other two at q."""
    halved = cases._replace(factor=0.5 * (cases.problem.game.discount + cases.factor))
    second = sample_pairs(cases, drawing)
    return {
        HALVED: (halved, Mistaken(sample, HALVED)),
        ON_POLICY: (cases, Mistaken(second, ON_POLICY)),
        LATER: (cases, Mistaken(sample, LATER)),
    }


def _twice_discounted(cases: stages.ZeroSum, sample: stages.Values) -> dict[str, Sides]:
    """(d) with γ²."""
    saddle = stages.shapley(cases, sample)
    return {stages.SHAPLEY: saddle._replace(bound=np.asarray(cases.problem.game.discount)[:, None] * saddle.bound)}


def _forgetful(cases: CertifiedNested, sample: Any) -> dict[str, Sides]:
    """(e) with γ alone."""
    known = cases.known._replace(factor=cases.problem.game.discount)
    return stages.nested_iteration(cases._replace(known=known), sample)


def _half_plain(cases: CertifiedMarkov, noise: Noise) -> dict[str, Sides]:
    """(f) with half of B."""
    factor, weights = games.perron(games.growth(cases.problem, 0.5 * np.asarray(cases.influence), cases.swing))
    return plain(cases._replace(factor=factor, weights=weights), noise)


CONTROLS = (
    Experiment(
        (games.THREE,),
        _wrong_contraction,
        sample_pairs,
        draw=_drawn(games.contracting),
        variants=_wrong_contractions,
        stream=share_of_key(0, 4),
    ),
    Experiment(
        (games.ZERO_SUM,),
        _twice_discounted,
        stages.sample_values,
        draw=_drawn_zero_sum,
        variants=named(TWICE),
        stream=share_of_key(1, 4),
    ),
    Experiment(
        (games.THREE,),
        _forgetful,
        stages.sample_nested,
        draw=_drawn(games.nested),
        variants=named(FORGETFUL),
        stream=share_of_key(2, 4),
    ),
    Experiment(
        (games.LONG,),
        _half_plain,
        sample_noise,
        draw=_drawn(games.contracting, "plain"),
        variants=named(HALVED),
        stream=share_of_key(3, 4),
    ),
)
