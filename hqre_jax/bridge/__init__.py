"""Games that live in other programs, brought to the solver."""

from hqre_jax.bridge._open_spiel import OpenSpielSimulator, open_spiel_tree

__all__ = ["OpenSpielSimulator", "open_spiel_tree"]
