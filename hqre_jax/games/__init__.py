"""The games: each a way of writing down the same thing, all with the one evaluation of `AbstractGame`.

They are loaded when they are asked for, and so are the smaller rooms: `random` (games from dice), `named` (from books),
`manufactured` (with an equilibrium planted in them), `conversions` (one kind written as another).
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

# Where each class is at home.
_HOMES = {
    "AbstractGame": "_game",
    "BayesianGame": "bayesian",
    "Evaluation": "_game",
    "ExtensiveFormGame": "extensive",
    "IncompleteInformationMarkovGame": "incomplete_information",
    "MarkovGame": "markov",
    "NormalFormGame": "normal_form",
    "PolymatrixGame": "polymatrix",
    "PublicPrivateGame": "public_private",
}


def __getattr__(name: str) -> Any:
    """A game or a smaller room, loaded now (PEP 562); rooms stand on the problem, which this one must not know."""
    if name in ("conversions", "manufactured", "named", "random"):
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value
