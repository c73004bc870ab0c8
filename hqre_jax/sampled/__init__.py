"""Games that are known only by playing them: simulators, rollouts, and estimates of action values with their errors."""

from hqre_jax.games._simulator import AbstractHostSimulator, AbstractSimulator
from hqre_jax.sampled._episodes import Episodes
from hqre_jax.sampled._estimate import Estimate, Moments, estimate, half_widths
from hqre_jax.sampled._estimators import action_values_from_log, estimate_action_values
from hqre_jax.sampled._game import SampledGame, sampled_game

__all__ = [
    "AbstractHostSimulator",
    "AbstractSimulator",
    "Episodes",
    "Estimate",
    "Moments",
    "SampledGame",
    "action_values_from_log",
    "estimate",
    "estimate_action_values",
    "half_widths",
    "sampled_game",
]
