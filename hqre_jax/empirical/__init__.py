"""Games known from play: moments of payoffs, equilibria with confidence regions, and what to play next."""

from hqre_jax.empirical._allocation import RolloutPlan, plan_rollouts
from hqre_jax.empirical._bootstrap import Bootstrap, bootstrap
from hqre_jax.empirical._confidence import Confidence, confidence_region
from hqre_jax.empirical._game import EmpiricalGame
from hqre_jax.empirical._solution import EmpiricalSolution

__all__ = [
    "Bootstrap",
    "Confidence",
    "EmpiricalGame",
    "EmpiricalSolution",
    "RolloutPlan",
    "bootstrap",
    "confidence_region",
    "plan_rollouts",
]
