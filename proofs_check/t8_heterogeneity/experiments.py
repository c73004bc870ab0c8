"""The random games of T8, and those in which its constants are attained."""

from typing import Any, NamedTuple

import numpy as np

import hqre_jax as hq
from proofs_check.comparison import Sides
from proofs_check.experiment import Drawing, Experiment, each_game
from proofs_check.games.certified import Family, known_bounds
from proofs_check.statement import Example
from proofs_check.t8_heterogeneity.claims import (
    BIAS,
    CERTIFIED,
    CLOSED,
    GAIN,
    MARGIN,
    Interactions,
    bias,
    certified_margin,
    closed_forms,
    costs,
    interactions,
    margins,
)
from proofs_check.t8_heterogeneity.graphs import FAMILIES, NUM_PLAYERS, REGULAR, STARS

# Other temperatures to compare with: some far from the least ones, some next to them.
_SPREADS = (1.0, 0.3, 0.03)


class GraphGames(NamedTuple):
    """Games on graphs, with one of their least temperatures each.

    Attributes:
        family: Where they come from.
        problem: The games at these temperatures; None where none was chosen.
        known: S, costs and κ.
        even: Whether the weights are 1.
        margins: Both sides of (a).
    """

    family: Family
    problem: hq.Problem | None
    known: Interactions
    even: np.ndarray
    margins: Sides | None


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
    assert problem is not None
    assert games.margins is not None
    found, tau = known_bounds(problem).margin, problem.tau[..., 0]
    claims = {
        MARGIN: games.margins,
        CERTIFIED: certified_margin(known, tau, found, games.even),
        BIAS: bias(problem),
        **costs(known, noise),
    }
    return claims | ({CLOSED: closed_forms(known, games.family is STARS)} if games.family in (STARS, REGULAR) else {})


def _draw_regular(drawing: Drawing) -> GraphGames:
    num = drawing.num
    arrays = drawing.family.draw(drawing.rng, num)
    known = interactions(arrays, np.full(num, 1e-3), np.ones((num, NUM_PLAYERS)))
    return GraphGames(drawing.family, None, known, np.ones(num, bool), None)


def _cheaper(games: GraphGames, sample: None) -> dict[str, Sides]:
    """Regular graphs, judged as if their least heterogeneous temperatures were one per cent cheaper."""
    del sample
    known = games.known
    least, common = known.cost(known.least()), known.common()[:, None] * known.costs.sum(axis=-1)
    slack = known.rounding[:, None] * (1 + known.costs.sum(axis=-1)) * 2
    return {GAIN: Sides(1.01 * least, common, slack)}


EXPERIMENT = Experiment(FAMILIES, sides, _draw_noise, draw=_draw)
CONTROL = Experiment((REGULAR,), _cheaper, lambda games, drawing: None, draw=_draw_regular)


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
