"""An HQRE of mean payoffs, and how well the plays behind them say where it is."""

from typing import Any

from hqre_jax.core._module import AbstractModule
from hqre_jax.empirical._allocation import RolloutPlan, plan_rollouts
from hqre_jax.empirical._bootstrap import Bootstrap, bootstrap
from hqre_jax.empirical._confidence import Confidence, confidence_region
from hqre_jax.empirical._moments import AbstractEmpiricalGame
from hqre_jax.rollouts._rollout_log import RolloutLog
from hqre_jax.solving._solution import Solution


class EmpiricalSolution(AbstractModule):
    """The HQRE of an empirical game's mean payoffs, together with the game; `EmpiricalGame.solve` gives one.

    Attributes:
        empirical: The empirical game.
        solution: The `Solution` of ``empirical.game``.

    Example:
        >>> import numpy as np
        >>> import hqre_jax as hq
        >>> spread = np.broadcast_to(np.eye(2)[:, :, None, None], (2, 2, 2, 2))
        >>> counts, means = np.full((2, 2), 100), hq.load_game("stag_hunt").payoffs
        >>> stag_hunt = hq.EmpiricalGame.from_moments(counts, means, spread, third=np.zeros((2, 2, 2)))
        >>> known = stag_hunt.solve(8.0)
        >>> print(known.solution.policy[0].round(3), known.confidence().half_width.round(3))
        [[0.462 0.538]] 0.006
        >>> bool(known.plan(eps=0.001).num_rollouts > 0)
        True
    """

    empirical: AbstractEmpiricalGame
    solution: Solution

    def confidence(self, level: Any = 0.95) -> Confidence:
        """Intervals of the probabilities, and a joint region; see `confidence_region`."""
        return confidence_region(self.empirical, self.solution, level)

    def plan(self, eps: Any, *, level: Any = 0.95) -> RolloutPlan:
        """The fewest further plays until every probability is known to ±eps; see `plan_rollouts`."""
        return plan_rollouts(self.empirical, self.solution, eps, level=level)

    def bootstrap(self, log: RolloutLog, *, level: float = 0.95, num_resamples: int = 1000, seed: int = 0) -> Bootstrap:
        """Equilibria of resampled plays; see `bootstrap`. A game has the moments of its log, not the log."""
        options = {"level": level, "num_resamples": num_resamples, "seed": seed}
        return bootstrap(log, self.empirical, self.solution, **options)
