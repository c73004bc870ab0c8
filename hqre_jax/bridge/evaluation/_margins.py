"""The referee's question: does the theory's condition hold in the empirical game, and what restores it where not?"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from hqre_jax.bounds import bounds
from hqre_jax.bridge.coordination import (
    Samples,
    TeamGame,
    TeamPolicy,
    certify_stages,
    find_equilibria,
    solve_stages,
    stage_games,
    uniform_law,
)
from hqre_jax.bridge.tasks import Item
from hqre_jax.games import NormalFormGame
from hqre_jax.problem import Problem
from hqre_jax.solving._solve import solve

# Resampled games behind an interval, and its level.
RESAMPLED, LEVEL = 40, 0.95
# Where equilibria are counted, beside the policy's own temperatures, units of score.
LOW = 0.02
# Part of play that is uniform, as in training: states off the way are known, too.
_TREMBLE = 0.1


def margins(
    samples: Samples, policy: TeamPolicy, dev: Mapping[int, Sequence[Item]], say: Callable[[str, int, int], None],
    resampled: int = RESAMPLED,
) -> dict[str, Any]:  # fmt: skip
    """Margin, least temperatures and number of HQRE of every state's game.

    Args:
        samples: The sample pool.
        policy: Its temperatures are asked about.
        dev: Questions of each class; they are what is resampled.
        say: Told what is being done.
        resampled: How many games of resampled questions intervals rest on.

    Returns:
        For each state: class, round, agreement, margin with interval (units of score), share of resampled games in
        which it is positive, temperatures, least temperatures, verdict, and how many HQRE were found at these
        temperatures and at low ones.
    """
    whole = TeamGame.from_samples(samples, dev)
    law = (1 - _TREMBLE) * policy.probabilities + _TREMBLE * uniform_law(whole.states)
    game = whole.under(law)
    least = solve_stages(game.game)
    known = np.isfinite(policy.tau)
    tau = np.where(known, policy.tau, LOW if least is None else least.tau)
    values = np.asarray(solve(game.game, tau, throw=False).values)
    certificate = certify_stages(game.game, tau, values)
    rng, drawn = np.random.default_rng(0), list[np.ndarray]()
    for k in range(resampled):
        say("margins of resampled games", k, resampled)
        sizes = [len(replies.answers) for replies in game.replies]
        one = game.resampled([rng.multinomial(n, np.full(n, 1 / n)).astype(float) for n in sizes]).game
        again = np.asarray(solve(one, tau, throw=False).values)
        drawn.append(np.array([_margin(stage, tau[:, x : x + 1]) for x, stage in enumerate(stage_games(one, again))]))
    tail = 100 * (1 - LEVEL) / 2
    rows = list[dict[str, Any]]()
    for x, (state, stage, found) in enumerate(
        zip(game.states.states, stage_games(game.game, values), certificate.stages, strict=True)
    ):
        say("numbers of equilibria", x, len(certificate.stages))
        own = np.array([one[x] for one in drawn])
        low, high = np.percentile(own, [tail, 100 - tail])
        rows.append(
            {
                "class": state.task_class, "round": state.round, "agreement": state.agreement,
                "margin": found.margin, "low": float(low), "high": float(high),
                "positive": float((own > 0).mean()),
                "tau": tau[:, x].tolist(),
                "least_tau": None if least is None else least.tau[:, x].tolist(),
                "verdict": str(found.verdict),
                "equilibria": len(find_equilibria(stage, tau[:, x : x + 1])),
                "equilibria_low": len(find_equilibria(stage, LOW)),
            }
        )  # fmt: skip
    return {
        "verdict": str(certificate.verdict), "reason": certificate.reason, "low_tau": LOW, "resampled": resampled,
        "level": LEVEL, "states": rows,
    }  # fmt: skip


def _margin(stage: NormalFormGame, tau: np.ndarray) -> float:
    return float(_margin_of(Problem(stage, tau)))


@jax.jit
def _margin_of(problem: Problem):
    return bounds(problem).margin
