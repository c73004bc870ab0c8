"""Games in files (Gambit's ``.nfg`` and ``.efg``, ``.json`` and ``.npz`` with the constructors' keys); rollout logs.

Every fault of a file is one `InputError` of one line whose field starts with the file's name and, where
the fault has a place, goes on with ``:LINE:COLUMN`` or the key.
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from hqre_jax.core._types import InputError
from hqre_jax.games._efg import format_efg, parse_efg
from hqre_jax.games.named._catalogue import CatalogueEntry, list_games, named_game
from hqre_jax.io._document import arguments_from_document, build_game, document_from_game
from hqre_jax.io._files import decode, display, read_bytes, write_whole
from hqre_jax.io._json import format_json, parse_json
from hqre_jax.io._nfg import format_nfg, parse_nfg
from hqre_jax.io._npz import format_npz, parse_npz
from hqre_jax.io._rollout_log import append_rollout_log, load_rollout_log, save_rollout_log

__all__ = [
    "CatalogueEntry",
    "append_rollout_log",
    "list_games",
    "load_game",
    "load_rollout_log",
    "named_game",
    "save_game",
    "save_rollout_log",
]

_GAMBIT_KINDS = {".nfg": "normal_form", ".efg": "extensive_form"}
_EXTENSIONS = (*_GAMBIT_KINDS, ".json", ".npz")


def load_game(path_or_name: str | os.PathLike[str]) -> Any:
    """Reads a game from a file, or takes a built-in one by name.

    Args:
        path_or_name: A file whose extension says its format (``.nfg``, ``.efg``, ``.json``, ``.npz``), or
            the name of a built-in game, which no file of one of these formats may have.

    Returns:
        The game. A built-in game without a title or source of its own has the catalogue's.

    Raises:
        InputError: There is no such file or game, it cannot be read, or it holds no game.

    Example:
        >>> import hqre_jax as hq
        >>> hq.load_game("stag_hunt").payoffs.tolist()
        [[[10.0, 1.0], [8.0, 5.0]], [[10.0, 8.0], [1.0, 5.0]]]
    """
    path = Path(path_or_name)
    if path.suffix.lower() in _EXTENSIONS:
        return _read(path)
    if os.path.exists(path) and str(path) not in {entry.name for entry in list_games()}:
        what = "is a directory" if path.is_dir() else "has no known extension"
        raise InputError(display(path), f"{what}; a game's file ends in {', '.join(_EXTENSIONS)}")
    entry = named_game(str(path))
    return _read(entry.path, entry.title, entry.source)


def save_game(game: Any, path: str | os.PathLike[str]) -> None:
    """Writes a game to a file, whole or not at all.

    ``.json`` and ``.npz`` hold every kind of game exactly. ``.nfg`` (normal form without masked actions) and
    ``.efg`` (trees) hold payoffs exactly and all names.

    Args:
        game: A game of any kind.
        path: Where to; the extension chooses the format. A file that is there already is replaced.

    Returns:
        None.

    Raises:
        InputError: The format is unknown or cannot hold this game, or the file cannot be written.

    Example:
        >>> import tempfile
        >>> import hqre_jax as hq
        >>> game = hq.load_game("stag_hunt")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     hq.save_game(game, f"{folder}/game.json")
        ...     same = hq.load_game(f"{folder}/game.json")
        >>> bool((same.payoffs == game.payoffs).all())
        True
    """
    path = Path(path)
    try:
        data = _format(game, path.suffix.lower())
    except InputError as error:
        raise InputError(f"{display(path)}: {error.field}", error.problem) from None
    except UnicodeEncodeError:
        raise InputError(display(path), "a name of the game cannot be written as UTF-8") from None
    write_whole(path, data)


def _read(path: Path, title: str = "", source: str = "") -> Any:
    """Reads a file by its extension.

    This is the one place that puts the file's name before what constructors and key checks say. ``title``
    and ``source`` stand in where the file has none.
    """
    name, extension = display(path), path.suffix.lower()
    data = read_bytes(path)
    if extension == ".npz":
        content = parse_npz(data, name)
    else:
        content = {".nfg": parse_nfg, ".efg": parse_efg, ".json": parse_json}[extension](decode(data, name), name)
    try:
        if extension in _GAMBIT_KINDS:
            kind, arguments = _GAMBIT_KINDS[extension], content
        else:
            kind, arguments = arguments_from_document(content)
        labels = arguments["labels"]
        arguments["labels"] = replace(labels, title=labels.title or title, source=labels.source or source)
        return build_game(kind, arguments)
    except InputError as error:
        raise InputError(f"{name}: {error.field}", error.problem) from None


def _format(game: Any, extension: str) -> bytes:
    document = document_from_game(game)
    if extension == ".npz":
        return format_npz(document)
    if extension == ".json":
        return format_json(document).encode()
    if extension not in _GAMBIT_KINDS:
        raise InputError("extension", f"is {extension!a}; it must be one of {', '.join(_EXTENSIONS)}")
    if document["kind"] != _GAMBIT_KINDS[extension]:
        raise InputError("game", f"an {extension} file holds no {document['kind']} game; save as .json or .npz")
    return (format_nfg if extension == ".nfg" else format_efg)(game).encode()
