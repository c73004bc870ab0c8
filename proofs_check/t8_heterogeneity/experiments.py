"""The random games of T8, and those in which its constants are attained."""

from typing import Any, NamedTuple

import equinox as eqx
import numpy as np
from scipy.special import log_softmax

import hqre_jax as hq
from proofs_check.comparison import Sides
from proofs_check.experiment import Drawing, Experiment, Mistaken, each_game
from proofs_check.games.certified import Family, known_bounds
from proofs_check.statement import Example
from proofs_check.t8_heterogeneity.claims import (
    BIAS,
    CERTIFIED,
    CLOSED,
    GAIN,
    LEAST,
    MARGIN,
    Interactions,
    bias,
    certified_margin,
    closed_forms,
    costs,
    interactions,
    margins,
)
from proofs_check.t8_heterogeneity.graphs import FAMILIES, HUBS, NUM_PLAYERS, REGULAR, STARS

# Other temperatures to compare with: some far from the least ones, some next to them.
_SPREADS = (1.0, 0.3, 0.03)
# Of the control: κ, and the size of the logits of a reference far from uniform.
_LITTLE, _FAR = 1e-3, 6.0


class GraphGames(NamedTuple):
    """Games on graphs, with one of their least temperatures each.

    Attributes:
        family: Where they come from.
        problem: The games at these temperatures.
        known: S, costs and κ.
        even: Whether the weights are 1.
        margins: Both sides of (a).
    """

    family: Family
    problem: hq.Problem
    known: Interactions
    even: np.ndarray
    margins: Sides


@each_game
def _pose(edges: Any, payoffs: Any, mask: Any, tau: Any) -> hq.Problem:
    return hq.Problem(hq.PolymatrixGame(edges, payoffs, action_mask=mask), tau)


def _best_weights(arrays: tuple[np.ndarray, ...]) -> np.ndarray:
    """The library's best weights for a common temperature (whichever: it shifts the margin), axes (game, player)."""
    return known_bounds(_pose(*arrays, np.ones(arrays[2].shape[:2]))).weights[..., 0]


def _draw(drawing: Drawing) -> GraphGames:
    """At w = 1 or, in half of the general games, at the weights that serve the common temperature best."""
    family, rng, num = drawing.family, drawing.rng, drawing.num
    arrays = family.draw(rng, num)
    even = (np.arange(num) % 2 == 0) | (family in (STARS, REGULAR))
    weights = np.where(even[:, None], 1.0, _best_weights(arrays))
    known = interactions(arrays, 10.0 ** rng.uniform(-3, 0, num), weights)
    tau, both = margins(known)
    # The library is asked about one of the three of each game.
    choice = rng.integers(0, tau.shape[1], (len(tau), 1))
    chosen = np.take_along_axis(tau, choice[..., None], axis=1)[:, 0]
    problem = _pose(*arrays, chosen)
    return GraphGames(family, problem, known, even, both)


def _draw_noise(games: GraphGames, drawing: Drawing) -> np.ndarray:
    """By which factors other v differ from √c."""
    shape = games.known.costs.shape
    return np.stack([np.exp(spread * drawing.rng.standard_normal(shape)) for spread in _SPREADS], axis=1)


def sides(games: GraphGames, noise: np.ndarray) -> dict[str, Sides]:
    """All claims, for unit costs and for costs log A."""
    problem, known = games.problem, games.known
    found, tau = known_bounds(problem).margin, problem.tau[..., 0]
    claims = {
        MARGIN: games.margins,
        CERTIFIED: certified_margin(known, tau, found, games.even),
        BIAS: bias(problem),
        **costs(known, noise),
    }
    return claims | ({CLOSED: closed_forms(known, games.family is STARS)} if games.family in (STARS, REGULAR) else {})


# Names of the negative controls.
HALVED, COUNTED, UNWEIGHTED = "half of S", "n for n + 1", "v = 1"
FORGOTTEN, CHEAPER = "reference forgotten", "one per cent cheaper"


def _draw_mistaken(drawing: Drawing) -> GraphGames:
    """At w = 1; the temperatures are those of half of S."""
    arrays = drawing.family.draw(drawing.rng, drawing.num)
    known = interactions(arrays, np.full(drawing.num, _LITTLE), np.ones((drawing.num, NUM_PLAYERS)))
    tau, both = margins(known, known._replace(matrix=0.5 * known.matrix))
    return GraphGames(drawing.family, _pose(*arrays, tau[:, 0]), known, np.ones(drawing.num, bool), both)


def _variants(games: GraphGames, noise: np.ndarray, drawing: Drawing) -> dict[str, tuple[GraphGames, Mistaken]]:
    """The mistakes that can be made of each family.

    Temperatures made from half of S; a star's hub that is not counted; v = 1 taken for the best where costs are log A,
    too; regular graphs as if heterogeneity gained one per cent; ``Σ τ log A``, the uniform reference's bound on what is
    lost, at a reference far from it.
    """
    mistakes = {STARS.name: (HALVED, COUNTED), HUBS.name: (HALVED, UNWEIGHTED), REGULAR.name: (CHEAPER,)}
    variants = {mistake: (games, Mistaken(noise, mistake)) for mistake in mistakes[drawing.family.name]}
    if drawing.family is HUBS:
        problem, mask = games.problem, np.asarray(games.problem.game.action_mask)
        logits = np.where(mask, _FAR * drawing.rng.standard_normal(mask.shape), -np.inf)
        far = np.where(mask, log_softmax(logits, axis=-1), 0.0)
        skewed = eqx.tree_at(lambda problem: problem.log_reference, problem, far)
        variants[FORGOTTEN] = games._replace(problem=skewed), Mistaken(noise, FORGOTTEN)
    return variants


def _judged_wrongly(games: GraphGames, drawn: Mistaken) -> dict[str, Sides]:
    """The claims about which a mistake is made."""
    known, (noise, mistake) = games.known, drawn
    if mistake == CHEAPER:
        gain = costs(known, noise)[GAIN]
        return {GAIN: gain._replace(observed=1.01 * gain.observed)}
    if mistake == COUNTED:
        return {CLOSED: closed_forms(known, star=True, missing=1)}
    if mistake == UNWEIGHTED:
        return {LEAST: costs(known, noise, np.ones_like(known.costs))[LEAST]}
    if mistake == FORGOTTEN:
        return {BIAS: bias(games.problem)}
    found, tau = known_bounds(games.problem).margin, games.problem.tau[..., 0]
    return {MARGIN: games.margins, CERTIFIED: certified_margin(known, tau, found, games.even)}


EXPERIMENT = Experiment(FAMILIES, sides, _draw_noise, draw=_draw)
CONTROL = Experiment((STARS, HUBS, REGULAR), _judged_wrongly, _draw_noise, draw=_draw_mistaken, variants=_variants)


def examples() -> tuple[Example, ...]:
    """Stars at κ = 0, far larger than the random ones: totals from the matrices against ``2√n/(n+1)``."""
    found = []
    for leaves in (3, 10, 100):
        matrix = np.zeros((1, leaves + 1, leaves + 1))
        matrix[0, 0, 1:] = matrix[0, 1:, 0] = 1.0
        known = Interactions(matrix, np.ones((1, 1, leaves + 1)), np.zeros(1), np.zeros(1))
        ratio = known.cost(known.least())[0, 0] / (known.common()[0] * (leaves + 1))
        found.append(
            Example(
                f"star with {leaves} leaves, common/least = {1 / ratio:.4f}",
                "(least/common) / (2√n/(n+1))",
                float(ratio),
                2 * leaves**0.5 / (leaves + 1),
            )
        )
    return tuple(found)
