"""How sure it all is: the game of other questions and other samples, again and again."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from hqre_jax.bridge.coordination._game import TeamGame
from hqre_jax.bridge.coordination._stages import solve_stages, stage_margins
from hqre_jax.core._types import InputError

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

    Example:
        >>> import numpy as np
        >>> from hqre_jax.bridge.coordination import Bootstrapped
        >>> scores = np.array([0.5, 0.6, 0.7])
        >>> found = Bootstrapped(scores, scores - 0.1, np.ones((3, 1)), np.ones((3, 1, 1, 1)), level=0.5)
        >>> found.interval(found.scores)
        array([0.55, 0.65])
    """

    scores: Float[np.ndarray, " draw"]
    teams: Float[np.ndarray, " draw"]
    margins: Float[np.ndarray, "draw state"]
    policies: Float[np.ndarray, "draws agent state choice"]
    level: float

    def interval(self, values: Float[np.ndarray, "draw *rest"]) -> Float[np.ndarray, "2 *rest"]:
        """Lower and upper end of the percentile interval of what differs from draw to draw.

        Args:
            values: One of the arrays above, or what was computed from them, draw by draw.

        Returns:
            Both ends; not a number where no draw is one.
        """
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

    Returns:
        What every draw makes of the policy: scores, margins, and HQRE at its temperatures.

    Example:
        >>> import tomllib
        >>> import numpy as np
        >>> from hqre_jax.bridge.coordination import PublicStates, Samples, TeamGame, bootstrap_team, uniform_law
        >>> from hqre_jax.bridge.models import Reply, Usage, from_python
        >>> from hqre_jax.bridge.team import default_team, read_team
        >>> team = read_team(tomllib.loads(default_team()))
        >>> parrot = from_python(lambda request: Reply("The answer is 10.", "stop", Usage(100, 0, 8)), "parrot")
        >>> samples = Samples(team, {"smollm2-135m": parrot})
        >>> states = PublicStates.of(team, samples.tasks)
        >>> game = TeamGame.from_samples(samples, states.items("dev", samples.tasks, count=1))
        >>> law = uniform_law(states)
        >>> found = bootstrap_team(game, law, np.full(law.shape[:2], 0.25), draws=2)
        >>> found.scores.tolist(), found.margins.shape
        ([0.0, 0.0], (2, 20))
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
