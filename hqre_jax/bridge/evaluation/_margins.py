"""The referee's question: does the theory's condition hold in the empirical game, and what restores it where not?"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from hqre_jax.bridge.baselines.ablations import team_game
from hqre_jax.bridge.coordination import (
    Samples,
    TeamGame,
    TeamPolicy,
    bootstrap_team,
    certify_stages,
    find_equilibria,
    solve_stages,
    stage_games,
    uniform_law,
)
from hqre_jax.bridge.tasks import Item
from hqre_jax.core._types import InputError
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
    whole = team_game(samples, [item for own in dev.values() for item in own])
    law = (1 - _TREMBLE) * policy.probabilities + _TREMBLE * uniform_law(whole.states)
    game = whole.under(law)
    least = solve_stages(game.game)
    known = np.isfinite(policy.tau)
    tau = np.where(known, policy.tau, LOW if least is None else least.tau)
    solved = solve_stages(game.game, tau)
    values = np.asarray(solve(game.game, tau, throw=False).values) if solved is None else solved.values
    certificate = certify_stages(game.game, tau, values)
    say("margins of resampled games", 0, 1)
    shifted = _resampled(game, policy, tau, resampled, samples.seed)
    rows = list[dict[str, Any]]()
    for x, (state, stage, found) in enumerate(
        zip(game.states.states, stage_games(game.game, values), certificate.stages, strict=True)
    ):
        say("numbers of equilibria", x, len(certificate.stages))
        own = shifted[np.isfinite(shifted[:, x]), x]
        low, high = np.quantile(own, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) if own.size else (math.nan, math.nan)
        rows.append(
            {
                "class": state.task_class, "round": state.round, "agreement": state.agreement,
                "margin": found.margin, "low": _known(low), "high": _known(high),
                "positive": float((own > 0).mean()) if own.size else None,
                "tau": tau[:, x].tolist(),
                "least_tau": None if least is None else least.tau[:, x].tolist(),
                "verdict": str(found.verdict),
                "equilibria": len(find_equilibria(stage, tau[:, x : x + 1])),
                "equilibria_low": len(find_equilibria(stage, LOW)),
            }
        )  # fmt: skip
    return {
        "verdict": str(certificate.verdict), "reason": certificate.reason, "low_tau": LOW, "resampled": len(shifted),
        "level": LEVEL, "states": rows,
    }  # fmt: skip


def _resampled(
    game: TeamGame, policy: TeamPolicy, tau: Float[np.ndarray, "agent state"], draws: int, seed: int
) -> Float[np.ndarray, "draw state"]:
    """Margins of games of other questions and samples; none where there are too few for that."""
    try:
        return bootstrap_team(game, policy.probabilities, tau, draws=draws, level=LEVEL, seed=seed).margins
    except InputError:
        return np.zeros((0, tau.shape[1]))


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
