"""Finding a game by name or path, and writing one whole or not at all."""

import os
import stat
from pathlib import Path

import numpy as np
import pytest
from random_games import assert_same

import hqre_jax.games as games
from hqre_jax.core._types import InputError
from hqre_jax.games.named._catalogue import read_catalogue
from hqre_jax.io import CatalogueEntry, list_games, load_game, named_game, save_game

GAME = games.NormalFormGame(np.arange(8.0).reshape(2, 2, 2))


@pytest.mark.parametrize("entry", list_games(), ids=lambda entry: entry.name)
def test_built_in_games(entry):
    game = load_game(entry.name)
    assert game.labels.title
    assert game.labels.source
    assert isinstance(entry.tau, float) or len(entry.tau) == game.num_players
    assert named_game(entry.name) == entry
    assert_same(game, load_game(entry.path), without=("title", "source"))


def test_catalogue_speaks_where_the_file_is_silent():
    for entry in list_games():
        own, named = load_game(entry.path).labels, load_game(entry.name).labels
        assert named.title == (own.title or entry.title)
        assert named.source == (own.source or entry.source)


def test_built_in_names_are_unique_and_their_files_are_all_listed():
    names = [entry.name for entry in list_games()]
    assert len(set(names)) == len(names) > 10
    folder = list_games()[0].path.parent
    data = {file for file in folder.iterdir() if file.suffix in (".nfg", ".efg", ".json", ".npz")}
    assert {entry.path for entry in list_games()} == data


@pytest.mark.parametrize("wrong", ["stagg_hunt", "stag-hunt", "Stag Hunt", "staghunt"])
def test_misspelt_names(wrong):
    with pytest.raises(InputError, match=r"is neither a file nor a built-in game; did you mean stag_hunt\?"):
        load_game(wrong)


@pytest.mark.parametrize("wrong", ["qqqqqq", "a\0b", "x" * 10_000, "no/such/folder"])
def test_unknown_names(wrong):
    with pytest.raises(InputError, match="is neither a file nor a built-in game; `hqre games` lists") as caught:
        load_game(wrong)
    assert "\n" not in str(caught.value)


def test_a_built_in_name_wins_over_a_folder_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stag_hunt").mkdir()
    assert load_game("stag_hunt").labels.title == "Stag hunt"


def test_what_is_no_game_file(tmp_path):
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / "folder.json").mkdir()
    for path, problem in [
        (tmp_path, r"is a directory; a game's file ends in \.nfg, \.efg, \.json, \.npz"),
        (tmp_path / "notes.txt", "has no known extension; "),
        (tmp_path / "folder.json", "cannot be read: is a directory"),
        (tmp_path / "absent.efg", "cannot be read: no such file or directory"),
        (tmp_path / ("x" * 300 + ".nfg"), "cannot be read: file name too long"),
        ("a\0b.json", "cannot be read: embedded null byte"),
    ]:
        with pytest.raises(InputError, match=problem) as caught:
            load_game(path)
        assert "\n" not in str(caught.value)


def test_what_is_no_tree_file(tmp_path):
    (tmp_path / "bytes.efg").write_bytes(b"\xff")
    for name, problem in (
        ("absent.efg", "cannot be read: no such file or directory"),
        ("bytes.efg", "is not UTF-8 text"),
    ):
        with pytest.raises(InputError) as caught:
            games.ExtensiveFormGame.from_efg(tmp_path / name)
        assert str(caught.value) == f"{tmp_path / name}: {problem}"


def test_unreadable_file(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    save_game(GAME, tmp_path / "game.json")
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(InputError, match=r"game\.json: cannot be read: permission denied$"):
        load_game(tmp_path / "game.json")


def test_saving_replaces_the_file_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "game.JSON"
    path.write_text("old")
    save_game(GAME, str(path))
    assert list(tmp_path.iterdir()) == [path]
    assert_same(load_game(path), GAME)


def test_failing_to_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "game.json"
    path.write_text("old")

    def broken_disk(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", broken_disk)
    with pytest.raises(InputError, match=r"game\.json: cannot be written: no space left on device"):
        save_game(GAME, path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_saving_through_a_link_keeps_the_link(tmp_path):
    (tmp_path / "real.json").write_text("old")
    (tmp_path / "link.json").symlink_to(tmp_path / "real.json")
    save_game(GAME, tmp_path / "link.json")
    assert (tmp_path / "link.json").is_symlink()
    assert_same(load_game(tmp_path / "real.json"), GAME)


def test_saved_files_have_the_usual_permissions(tmp_path):
    (tmp_path / "usual").write_text("")
    save_game(GAME, tmp_path / "game.json")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("usual", "game.json")]
    assert modes[0] == modes[1]


def test_what_cannot_be_saved(tmp_path):
    tree = load_game("selten_horse")
    surrogate = games.NormalFormGame(np.ones((2, 2, 2)), labels=games.NormalFormGame(np.ones((1, 1))).labels)
    object.__setattr__(surrogate, "labels", type(surrogate.labels)(title="\ud800"))
    for game, name, problem in [
        (GAME, "game.txt", "extension: is '.txt'; it must be one of"),
        (GAME, "game", "extension: is ''; it must be one of"),
        (GAME, "game.efg", "game: an .efg file holds no normal_form game; save as .json or .npz"),
        (tree, "game.nfg", "game: an .nfg file holds no extensive_form game; save as .json or .npz"),
        (object(), "game.json", "game: a object cannot be saved"),
        (surrogate, "game.json", "a name of the game cannot be written as UTF-8"),
        (GAME, "absent/game.json", "cannot be written: no such file or directory"),
        (GAME, "a\0b.json", "cannot be written: embedded null byte"),
    ]:
        with pytest.raises(InputError) as caught:
            save_game(game, tmp_path / name)
        assert problem in str(caught.value)
        assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


ENTRY = {"file": '"a.nfg"', "title": '"T"', "source": '"S"', "tau": "[1, 0.5]", "continuation": '"plain"'}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"tau": "0.0"}, r"catalogue\.toml: a\.tau: must be a positive number"),
        ({"tau": "[]"}, r"catalogue\.toml: a\.tau: must be a positive number"),
        ({"tau": "inf"}, r"catalogue\.toml: a\.tau: must be a positive number"),
        ({"tau": "true"}, r"catalogue\.toml: a\.tau: must be a positive number"),
        ({"continuation": '"hard"'}, r"a\.continuation: must be one of plain, soft, zero_sum"),
        ({"file": '"b.nfg"'}, r"a\.file: there is no b\.nfg beside the catalogue"),
        ({"title": "3"}, r"a\.title: must be a text"),
        ({"colour": "3"}, r"a: must be a table with exactly the keys file, title"),
        ({"source": '"'}, r"catalogue\.toml: cannot be read: "),
    ],
)
def test_damaged_catalogue(tmp_path, changes, problem):
    (tmp_path / "a.nfg").write_text("")
    lines = [f"{key} = {value}" for key, value in (ENTRY | changes).items()]
    (tmp_path / "catalogue.toml").write_text("\n".join(["[a]", *lines]))
    with pytest.raises(InputError, match=problem):
        read_catalogue(tmp_path / "catalogue.toml")


def test_catalogue_entries(tmp_path):
    (tmp_path / "a.nfg").write_text("")
    lines = [f"{key} = {value}" for key, value in ENTRY.items()]
    (tmp_path / "catalogue.toml").write_text("\n".join(["[a]", *lines]))
    wanted = CatalogueEntry("a", "T", "S", tmp_path / "a.nfg", (1.0, 0.5), "plain")
    assert read_catalogue(tmp_path / "catalogue.toml") == (wanted,)
    with pytest.raises(InputError, match=r"absent\.toml: cannot be read"):
        read_catalogue(tmp_path / "absent.toml")
