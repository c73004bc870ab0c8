"""Games that live in other programs, brought to the solver."""

from hqre_jax.bridge._gambit import from_gambit, to_gambit
from hqre_jax.bridge._jaxmarl import JaxMARLSimulator
from hqre_jax.bridge._open_spiel import OpenSpielSimulator, open_spiel_tree
from hqre_jax.bridge._petting_zoo import PettingZooSimulator

__all__ = [
    "JaxMARLSimulator",
    "OpenSpielSimulator",
    "PettingZooSimulator",
    "from_gambit",
    "open_spiel_tree",
    "to_gambit",
]
