"""What is saved comes back: every array bit for bit, every name."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_games import ARGUMENTS, KINDS, LABELS, assert_same, labels, normal_form, trees

import hqre_jax.games as games
from hqre_jax.core._types import InputError, Labels
from hqre_jax.games._efg import format_efg, parse_efg
from hqre_jax.io import list_games, load_game, save_game
from hqre_jax.io._document import KINDS as FILE_KINDS
from hqre_jax.io._document import argument_names


def drawn_game(data, strategy):
    cls, arguments = data.draw(strategy)
    bare = cls(**arguments)
    return cls(**arguments, labels=labels(data.draw, bare)) if data.draw(st.booleans()) else bare


@pytest.mark.parametrize("extension", [".json", ".npz"])
@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_every_kind_survives_exactly(tmp_path_factory, kind, extension, data):
    game = drawn_game(data, KINDS[kind])
    path = tmp_path_factory.mktemp("games") / f"game{extension}"
    save_game(game, path)
    assert_same(game, load_game(path))


@given(data=st.data())
def test_nfg_survives_exactly(tmp_path_factory, data):
    cls, arguments = data.draw(normal_form())
    game = cls(**arguments, labels=labels(data.draw, cls(**arguments)))
    path = tmp_path_factory.mktemp("games") / "game.nfg"
    save_game(game, path)
    assert_same(game, load_game(path), without=("information_states",))


@given(data=st.data())
def test_efg_survives_exactly(tmp_path_factory, data):
    cls, arguments = data.draw(trees())
    game = cls(**arguments, labels=labels(data.draw, cls(**arguments)))
    path = tmp_path_factory.mktemp("games") / "game.efg"
    save_game(game, path)
    assert_same(game, load_game(path))
    assert_same(game, games.ExtensiveFormGame.from_efg(path), without=LABELS)


def test_nothing_that_a_tree_says_is_lost(tmp_path):
    """Names of nodes, of outcomes (two of equal payoffs), of a chance move and of its actions: through every format."""
    text = """EFG 2 R "Draw" { "A" }
c "deal" 1 "the deck" { "King" 1/2 "Queen" 1/2 } 0
p "K" 1 1 "hand" { "bet" "fold" } 3 "ante" { -1 }
t "" 1 "won" { 2 }
t "end" 2 "draw" { 0 }
p "Q" 1 1 0
t "" 4 "even" { 0 }
t "" 2
"""
    (tmp_path / "game.efg").write_text(text)
    game = load_game(tmp_path / "game.efg")
    assert game.labels.nodes == ("deal", "K", "", "end", "Q", "", "")
    assert game.labels.outcomes == ("", "ante", "won", "draw", "", "even", "draw")
    assert game.labels.chance_moves == ("the deck", *[""] * 6)
    assert game.labels.chance_actions == ("", "King", "", "", "Queen", "", "")
    for extension in (".efg", ".json", ".npz", ".efg"):
        save_game(game, tmp_path / f"again{extension}")
        again = load_game(tmp_path / f"again{extension}")
        assert_same(game, again)
        game = again


def test_names_of_parts_that_a_game_has_not(tmp_path):
    path = tmp_path / "game.json"
    save_game(games.NormalFormGame(np.ones((1, 2)), labels=Labels(outcomes=("good", "bad"))), path)
    text = path.read_text()
    assert load_game(path).labels.outcomes == ("good", "bad")
    for old, new, problem in [
        ('"good", ', "", "outcomes: has 1 names, where the game has 2"),
        ('"outcomes"', '"nodes"', "nodes: is no key of a normal_form game"),
    ]:
        path.write_text(text.replace(old, new))
        with pytest.raises(InputError, match=problem):
            load_game(path)


@given(data=st.data())
@settings(max_examples=50)
def test_efg_puts_scattered_nodes_in_prefix_order(data):
    cls, arguments = data.draw(trees())
    size = len(arguments["parent"])
    order = np.array(data.draw(st.permutations(range(size))))
    place = np.argsort(order)
    scattered = {key: value[..., order] for key, value in arguments.items()}
    scattered["parent"] = np.where(scattered["parent"] < 0, -1, place[scattered["parent"]])
    read = parse_efg(format_efg(cls(**scattered)), "game.efg")
    for key in ARGUMENTS[cls]:
        assert read[key].tobytes() == arguments[key].tobytes(), key


def test_absent_names_are_written_as_numbers(tmp_path):
    game = games.NormalFormGame(np.arange(12.0).reshape(2, 2, 3))
    save_game(game, tmp_path / "game.nfg")
    read = load_game(tmp_path / "game.nfg").labels
    assert read.players == ("1", "2")
    assert read.actions == ((("1", "2"),), (("1", "2", "3"),))


@pytest.mark.parametrize("extension", [".json", ".npz"])
def test_absent_names_stay_absent(tmp_path, extension):
    save_game(games.NormalFormGame(np.ones((2, 2, 2))), tmp_path / f"game{extension}")
    read = load_game(tmp_path / f"game{extension}").labels
    assert vars(read) == vars(Labels())


@pytest.mark.parametrize("extension", [".json", ".npz"])
def test_masks_survive(tmp_path, extension):
    mask = np.array([[[True, False, True]], [[True, True, False]]])
    game = games.NormalFormGame(np.arange(18.0).reshape(2, 3, 3), action_mask=mask)
    save_game(game, tmp_path / f"game{extension}")
    read = load_game(tmp_path / f"game{extension}")
    assert_same(game, read)
    assert np.array_equal(read.action_mask, mask)


def test_npz_keeps_single_precision(tmp_path):
    game = games.NormalFormGame(np.full((2, 2, 2), 0.1, np.float32))
    save_game(game, tmp_path / "game.npz")
    assert load_game(tmp_path / "game.npz").payoffs.dtype == np.float32
    assert_same(game, load_game(tmp_path / "game.npz"))


def test_gambit_files_refuse_masked_actions(tmp_path):
    mask = np.array([[[True, False]], [[True, True]]])
    table = games.NormalFormGame(np.ones((2, 2, 2)), action_mask=mask)
    with pytest.raises(InputError, match=r"game\.nfg: action_mask: .*save as \.json or \.npz"):
        save_game(table, tmp_path / "game.nfg")
    tree = games.ExtensiveFormGame(
        parent=[-1, 0, 0, 1, 1],
        player=[0, 1, -2, -2, -2],
        information_set=[0, 0, -1, -1, -1],
        branch=[-1, 0, 1, 0, 1],
        probability=np.ones(5),
        payoffs=np.ones((2, 5)),
        action_mask=mask,
    )
    with pytest.raises(InputError, match=r"game\.efg: action_mask: .*save as \.json or \.npz"):
        save_game(tree, tmp_path / "game.efg")
    assert list(tmp_path.iterdir()) == []
    save_game(tree, tmp_path / "game.json")
    assert_same(tree, load_game(tmp_path / "game.json"))


@pytest.mark.parametrize("entry", list_games(), ids=lambda entry: entry.name)
@pytest.mark.parametrize("extension", [".json", ".npz", "same"])
def test_built_in_games_survive(tmp_path, entry, extension):
    path = tmp_path / f"game{entry.path.suffix if extension == 'same' else extension}"
    game = load_game(entry.name)
    save_game(game, path)
    assert_same(game, load_game(path))


def test_keys_are_the_constructors_arguments():
    assert set(FILE_KINDS.values()) == set(ARGUMENTS)
    assert set(FILE_KINDS) == set(KINDS)
    for cls, wanted in ARGUMENTS.items():
        required, optional = argument_names(cls)
        assert set(required) | set(optional) == {*wanted, "action_mask"}
        assert "action_mask" in optional


def test_json_keys_on_disk(tmp_path):
    save_game(games.NormalFormGame([[[1.0, 0.1]], [[-0.0, 3.0]]]), tmp_path / "game.json")
    assert json.loads((tmp_path / "game.json").read_text()) == {
        "kind": "normal_form",
        "payoffs": [[[1.0, 0.1]], [[-0.0, 3.0]]],
        "action_mask": [[[True, False]], [[True, True]]],
    }
