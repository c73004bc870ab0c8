"""pygambit's games, converted both ways in memory, by way of Gambit's own text formats."""

import io
from typing import Any

from hqre_jax.core._types import InputError
from hqre_jax.games import ExtensiveFormGame, NormalFormGame
from hqre_jax.games._efg import format_efg, parse_efg
from hqre_jax.games._game import AbstractGame
from hqre_jax.io._document import kind_of
from hqre_jax.io._nfg import format_nfg, parse_nfg


def from_gambit(game: Any) -> NormalFormGame | ExtensiveFormGame:
    """A pygambit game as a game of this library.

    Args:
        game: A ``pygambit.Game``: a tree, or a strategic form.

    Returns:
        The same game, payoffs as floating-point numbers, with Gambit's names as labels. Nodes are in prefix order,
        information sets are numbered by first appearance.

    Raises:
        InputError: It is no pygambit game, or one that has no equal here (such as one without players).

    Example:
        >>> import pygambit
        >>> from hqre_jax.bridge import from_gambit
        >>> stag_hunt = pygambit.Game.from_arrays([[10, 1], [8, 5]], [[10, 8], [1, 5]])
        >>> from_gambit(stag_hunt).payoffs.tolist()
        [[[10.0, 1.0], [8.0, 5.0]], [[10.0, 8.0], [1.0, 5.0]]]
    """
    foreign = game
    is_tree = getattr(foreign, "is_tree", None)
    if not isinstance(is_tree, bool) or not callable(getattr(foreign, "to_efg", None)):
        raise InputError("game", f"is {type(foreign).__name__}, but a pygambit.Game is wanted")
    name = getattr(foreign, "title", "") or "game"
    if is_tree:
        return ExtensiveFormGame(**parse_efg(foreign.to_efg(), name))
    return NormalFormGame(**parse_nfg(foreign.to_nfg(), name))


def to_gambit(game: AbstractGame) -> Any:
    """A game of this library as a pygambit game.

    Args:
        game: A normal form without masked actions, or a tree.

    Returns:
        A ``pygambit.Game``; payoffs are the exact values of the floating-point numbers.

    Raises:
        InputError: pygambit is not installed, or the game is of another kind or has masked actions.

    Example:
        >>> import pygambit
        >>> import hqre_jax as hq
        >>> from hqre_jax.bridge import to_gambit
        >>> game = to_gambit(hq.load_game("stag_hunt"))
        >>> isinstance(game, pygambit.Game), len(game.players)
        (True, 2)
    """
    try:
        from pygambit.gambit import read_efg, read_nfg
    except ImportError:
        raise InputError("pygambit", "is not installed: pip install pygambit") from None
    kind = kind_of(game)
    if kind not in ("normal_form", "extensive_form"):
        raise InputError("game", f"is {type(game).__name__}; Gambit holds normal forms and trees")
    read, text = (read_nfg, format_nfg(game)) if kind == "normal_form" else (read_efg, format_efg(game))
    return read(io.StringIO(text))
