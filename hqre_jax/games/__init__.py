"""The games: each a way of writing down the same thing, all with the one evaluation of `AbstractGame`.

Smaller rooms are loaded when they are asked for: `random` (games from dice), `named` (from books), `manufactured`
(with an equilibrium planted in them), `conversions` (one kind written as another).
"""

import importlib
from typing import Any

from hqre_jax.games._game import AbstractGame, Evaluation
from hqre_jax.games.bayesian import BayesianGame
from hqre_jax.games.extensive import ExtensiveFormGame
from hqre_jax.games.incomplete_information import IncompleteInformationMarkovGame
from hqre_jax.games.markov import MarkovGame
from hqre_jax.games.normal_form import NormalFormGame
from hqre_jax.games.polymatrix import PolymatrixGame
from hqre_jax.games.public_private import PublicPrivateGame

__all__ = [
    "AbstractGame",
    "BayesianGame",
    "Evaluation",
    "ExtensiveFormGame",
    "IncompleteInformationMarkovGame",
    "MarkovGame",
    "NormalFormGame",
    "PolymatrixGame",
    "PublicPrivateGame",
]


def __getattr__(name: str) -> Any:
    """A smaller room, loaded now (PEP 562): it stands on the problem, as do others that this one must not know."""
    if name in ("conversions", "manufactured", "named", "random"):
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
