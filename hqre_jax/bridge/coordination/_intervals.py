"""How sure it all is: the game of other questions and other samples, again and again."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from hqre_jax._types import InputError
from hqre_jax.bridge.coordination._game import TeamGame
from hqre_jax.bridge.coordination._stages import solve_stages, stage_margins

DRAWS, LEVEL = 40, 0.95


@dataclass(frozen=True)
class Bootstrapped:
    """What the policy and its game might have been.

    Attributes:
        scores: What the policy scores, ``(draw,)``.
        teams: Score less what all agents pay, ``(draw,)``.
        margins: Margin of each state's game at the policy's temperatures, ``(draw, state)``; not a number where a draw
            has no such state.
        policies: The HQRE of each draw's game at the policy's temperatures, ``(draw, agent, state, choice)``; empty
            where play may come back to a state.
        level: Of the intervals.
    """

    scores: Float[np.ndarray, " draw"]
    teams: Float[np.ndarray, " draw"]
    margins: Float[np.ndarray, "draw state"]
    policies: Float[np.ndarray, "draws agent state choice"]
    level: float

    def interval(self, values: Float[np.ndarray, "draw *rest"]) -> Float[np.ndarray, "2 *rest"]:
        """Lower and upper end of the percentile interval of what differs from draw to draw."""
        tail = (1 - self.level) / 2
        known = np.isfinite(values).any(0)  # of a state that no draw has, nothing is known
        ends = np.nanquantile(np.where(known, values, 0.0), [tail, 1 - tail], axis=0)
        return np.where(known, ends, np.nan)


def bootstrap_team(
    game: TeamGame,
    policy: Float[np.ndarray, "agent state choice"],
    tau: Float[np.ndarray, "agent state"],
    *,
    draws: int = DRAWS,
    level: float = LEVEL,
    seed: int = 0,
) -> Bootstrapped:
    """Resample questions and samples, and see what a policy is worth and whether its game has a margin.

    Questions of each class are drawn with replacement: plays that share a question are not independent. The samples'
    worked examples are shared by all questions: each sample's weight is drawn, too (`TeamGame.perturbed`). What differs
    within a question by chance alone is in both, so intervals are rather too wide than too narrow.

    Args:
        game: The game, for the policy's law of play.
        policy: The policy.
        tau: Its temperatures.
        draws: How often.
        level: Of the intervals.
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    scores, teams, margins, policies = [], [], [], []
    for _ in range(draws):
        other = game.perturbed(rng)
        times = [
            np.bincount(rng.integers(len(replies.answers), size=len(replies.answers)), minlength=len(replies.answers))
            for replies in game.replies
        ]
        try:
            drawn = other.resampled([often.astype(float) for often in times])
        except InputError:  # by chance a profile has no observation: such a game is not known
            continue
        worth = drawn.worth(policy)
        solved = solve_stages(drawn.game, tau)
        scores.append(worth.score)
        teams.append(worth.team)
        if solved is not None:
            margins.append(np.where(drawn.reached, stage_margins(drawn.game, tau, solved.values), np.nan))
            policies.append(solved.policy)
    if not scores:
        raise InputError("samples", "are too few for intervals: collect more")
    shape = policy.shape
    return Bootstrapped(
        np.array(scores), np.array(teams), np.array(margins).reshape(len(margins), shape[1]),
        np.array(policies).reshape(len(policies), *shape), level,
    )  # fmt: skip
