"""Named games as data files: ``catalogue.toml`` says what each file holds and where it comes from."""

from hqre_jax.games.named._catalogue import CatalogueEntry, list_games, named_game

__all__ = ["CatalogueEntry", "list_games", "named_game"]
