"""The games: each a way of writing down the same thing, all with the one evaluation of `AbstractGame`."""

from hqre_jax.games.bayesian import BayesianGame
from hqre_jax.games.extensive import ExtensiveFormGame
from hqre_jax.games.incomplete_information import IncompleteInformationMarkovGame
from hqre_jax.games.markov import MarkovGame
from hqre_jax.games.normal_form import NormalFormGame
from hqre_jax.games.polymatrix import PolymatrixGame
from hqre_jax.games.public_private import PublicPrivateGame

__all__ = [
    "BayesianGame",
    "ExtensiveFormGame",
    "IncompleteInformationMarkovGame",
    "MarkovGame",
    "NormalFormGame",
    "PolymatrixGame",
    "PublicPrivateGame",
]
