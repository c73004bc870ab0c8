"""Gambit's two forms: what each piece of syntax means."""

from types import SimpleNamespace

import numpy as np
import pytest
from gambit_samples import EFG, NFG

from hqre_jax.core._types import Labels
from hqre_jax.games._efg import format_efg, parse_efg
from hqre_jax.io import load_game
from hqre_jax.io._nfg import format_nfg, parse_nfg


def test_first_players_strategy_changes_fastest():
    payoffs = parse_nfg(NFG["payoff form, names"], "")["payoffs"]
    assert payoffs.shape == (2, 2, 3)
    assert payoffs[0].tolist() == [[1, 5, 9], [3, 7, 11]]
    assert payoffs[1].tolist() == [[2, 6, 10], [4, 8, 12]]


def test_outcome_form():
    payoffs = parse_nfg(NFG["outcome form"], "")["payoffs"]
    assert payoffs[0].tolist() == [[3, 0], [-1 / 3, 0.1]]
    assert payoffs[1].tolist() == [[3, 0], [0.5, 0.25]]


def test_numbers_are_the_nearest_doubles():
    payoffs = parse_nfg(NFG["numbers"], "")["payoffs"]
    assert payoffs.ravel(order="F").tolist() == [-1, 2, 1 / 3, -22 / 7, 0.5, -0.25, 1500, 0.02]


@pytest.mark.parametrize("text", ['NFG 1 R "" { "a" } { 2 } 1, +2', 'NFG 1 R""{"a"}{2}1 2.'])
def test_more_liberal_than_gambit(text):
    """Commas in a table of payoffs, a plus sign and words that only a quotation mark separates."""
    assert parse_nfg(text, "")["payoffs"].tolist() == [[1, 2]]


def test_tree_arrays():
    read = parse_efg(EFG["outcomes inside the tree"], "")
    assert read["parent"].tolist() == [-1, 0, 1, 0, 3, 3, 3]
    assert read["player"].tolist() == [1, 0, -2, -1, -2, -2, -2]
    assert read["information_set"].tolist() == [0, 0, -1, -1, -1, -1, -1]
    assert read["branch"].tolist() == [-1, 0, 0, 1, 0, 1, 2]
    assert read["probability"].tolist() == [1, 1, 1, 1, 0.25, 0.25, 0.5]
    assert read["payoffs"][0].tolist() == [-0.5, -0.5, 0, 0, -0.5, 1000, 0]
    assert read["payoffs"][1].tolist() == [1 / 3, 1 / 3, 0, 0, 1 / 3, 0.5, 0]


def test_nameless_information_sets_are_called_by_their_number_in_the_file():
    read = parse_efg(EFG["outcomes inside the tree"], "")["labels"]
    assert read.information_states == (("4",), ("7",))


def test_names():
    read = parse_efg(EFG["every kind of node"], "")["labels"]
    assert read.title == "Poker"
    assert read.source == "A comment\non two lines"
    assert read.players == ("Ann", "Bob")
    assert read.information_states == (("King", "Queen"), ("Bob",))
    assert read.actions == ((("bet", "fold"),) * 2, (("call", "pass"),))


@pytest.mark.parametrize("name", ["\\", '\\"', '"', '\\\\"\\', "a\\b", "\\\\", 'x"\\'])
def test_backslashes_and_quotation_marks(name):
    labels = Labels(title=name, players=(name, "b"), actions=(((name,),), ()))
    text = format_nfg(SimpleNamespace(payoffs=np.ones((2, 1, 1)), labels=labels, action_mask=np.ones((2, 1, 1))))
    read = parse_nfg(text, "")["labels"]
    assert (read.title, read.players[0], read.actions[0][0][0]) == (name, name, name)


def test_byte_order_mark():
    assert parse_nfg("\ufeff" + NFG["one player"], "")["payoffs"].tolist() == [[1, 2, 3]]


def test_trees_deeper_than_pythons_stack(tmp_path):
    depth = 2_000  # twice what recursion could reach
    lines = [f'p "" 1 {n} "" {{ "go on" "stop" }} 0' for n in range(1, depth + 1)]
    text = "\n".join(['EFG 2 R "deep" { "A" }', *lines, 't "" 1 "" { 1 }', *['t "" 0'] * depth])
    read = parse_efg(text, "deep.efg")
    assert read["parent"][: depth + 1].tolist() == list(range(-1, depth))
    assert read["parent"][depth + 1 :].tolist() == list(range(depth - 1, -1, -1))
    again = parse_efg(format_efg(SimpleNamespace(**read, action_mask=np.ones(2 * depth))), "")
    for key in ("parent", "player", "information_set", "branch", "probability", "payoffs"):
        assert again[key].tobytes() == read[key].tobytes()


def test_the_tree_is_the_game(tmp_path):
    (tmp_path / "poker.EFG").write_text(EFG["every kind of node"], encoding="utf-8")
    game = load_game(tmp_path / "poker.EFG")
    assert game.action_mask.shape == (2, 2, 2)
    assert game.labels.information_state(0, 1) == "Queen"
