"""Learning dynamics: what agents do, round after round, who do not compute an equilibrium."""

from hqre_jax.learning._learners import (
    BestResponse,
    FictitiousPlay,
    LogitDynamics,
    MirrorPlay,
    MultiplicativeWeights,
    PolicyGradient,
    QLearning,
)
from hqre_jax.learning._pathologies import Pathology, pathology
from hqre_jax.learning._play import AbstractDynamics, Play, play
from hqre_jax.learning._updates import best_response_dynamics, mirror_dynamics, noisy_best_response_dynamics

__all__ = [
    "AbstractDynamics",
    "BestResponse",
    "FictitiousPlay",
    "LogitDynamics",
    "MirrorPlay",
    "MultiplicativeWeights",
    "Pathology",
    "Play",
    "PolicyGradient",
    "QLearning",
    "best_response_dynamics",
    "mirror_dynamics",
    "noisy_best_response_dynamics",
    "pathology",
    "play",
]
