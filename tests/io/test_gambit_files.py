"""Gambit's two forms, read as Gambit reads them."""

import io
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pygambit
import pytest
from gambit_samples import EFG, NFG
from hypothesis import given
from hypothesis import strategies as st
from random_games import normal_form, trees

from hqre_jax._games._efg import format_efg, parse_efg
from hqre_jax._types import Labels
from hqre_jax.io import list_games, load_game
from hqre_jax.io._nfg import format_nfg, parse_nfg

GAMBITS_OWN = sorted((Path(pygambit.__file__).parent / "catalog_data").rglob("*.[en]fg"))
BUILT_IN = [entry.path for entry in list_games() if entry.path.suffix in (".nfg", ".efg")]


def texts(suffix):
    return [file.read_text(encoding="utf-8") for file in (*GAMBITS_OWN, *BUILT_IN) if file.suffix == suffix]


def assert_gambit_reads_this_table(text):
    ours, theirs = parse_nfg(text, "game.nfg"), pygambit.read_nfg(io.StringIO(text))
    for profile in np.ndindex(ours["payoffs"].shape[1:]):
        outcome = theirs[profile]  # None: the null outcome
        paid = [float(outcome[player]) if outcome else 0.0 for player in theirs.players]
        assert ours["payoffs"][(slice(None), *profile)].tolist() == paid
    labels = ours["labels"]
    assert labels.title == theirs.title
    assert labels.source == theirs.description
    assert labels.players == tuple(player.label for player in theirs.players)
    for i, player in enumerate(theirs.players):
        strategies = [strategy.label for strategy in player.strategies]
        assert [labels.action(i, 0, a) for a in range(len(strategies))] == strategies


def assert_gambit_reads_this_tree(text):
    ours, theirs = parse_efg(text, "game.efg"), pygambit.read_efg(io.StringIO(text))
    nodes, players = list(theirs.nodes), list(theirs.players)
    place = {node: n for n, node in enumerate(nodes)}
    assert len(nodes) == len(ours["parent"])
    labels, known = ours["labels"], {}
    for n, node in enumerate(nodes):
        mover = -2 if node.is_terminal else -1 if node.player.is_chance else players.index(node.player)
        assert ours["player"][n] == mover
        assert ours["parent"][n] == (-1 if node.parent is None else place[node.parent])
        paid = [float(node.outcome[player]) if node.outcome else 0.0 for player in players]
        assert ours["payoffs"][:, n].tolist() == paid
        if node.parent is not None:
            actions = list(node.parent.infoset.actions)
            branch = actions.index(node.prior_action)
            assert ours["branch"][n] == branch
            chance = float(actions[branch].prob) if node.parent.player.is_chance else 1.0
            assert ours["probability"][n] == chance
        if mover < 0:
            assert ours["information_set"][n] == -1
            continue
        # The same nodes share an information set, and each player's are counted in order of appearance.
        fresh = sum(player is mover for player, _ in known)
        x = known.setdefault((mover, node.infoset), fresh)
        assert ours["information_set"][n] == x
        assert labels.actions[mover][x] == tuple(action.label for action in node.infoset.actions)
        assert not node.infoset.label or labels.information_states[mover][x] == node.infoset.label
    assert labels.title == theirs.title
    assert labels.source == theirs.description
    assert labels.players == tuple(player.label for player in players)


@pytest.mark.parametrize("sample", NFG)
def test_gambit_agrees_on_tables(sample):
    assert_gambit_reads_this_table(NFG[sample])


@pytest.mark.parametrize("sample", sorted(set(EFG) - {"one node a line is no rule"}))
def test_gambit_agrees_on_trees(sample):
    assert_gambit_reads_this_tree(EFG[sample])


@pytest.mark.parametrize("text", texts(".nfg"), ids=lambda text: text[6:40])
def test_gambit_agrees_on_its_own_and_our_tables(text):
    assert_gambit_reads_this_table(text)
    written = format_nfg(SimpleNamespace(**parse_nfg(text, ""), action_mask=np.ones(99)))
    assert_gambit_reads_this_table(written)


@pytest.mark.parametrize("text", texts(".efg"), ids=lambda text: text[6:40])
def test_gambit_agrees_on_its_own_and_our_trees(text):
    assert_gambit_reads_this_tree(text)
    written = format_efg(SimpleNamespace(**parse_efg(text, ""), action_mask=np.ones(999)))
    assert_gambit_reads_this_tree(written)


def test_there_are_files_to_agree_on():
    assert sum(file.suffix == ".nfg" for file in BUILT_IN) >= 10
    assert sum(file.suffix == ".efg" for file in BUILT_IN) >= 4


@given(data=st.data())
def test_gambit_reads_what_we_write(data):
    cls, arguments = data.draw(normal_form())
    assert_gambit_reads_this_table(format_nfg(cls(**arguments)))


@given(data=st.data())
def test_gambit_reads_the_trees_we_write(data):
    """Payoffs of any size, inner outcomes, chance in ratios (Gambit adds them up exactly)."""
    cls, arguments = data.draw(trees())
    width = np.bincount(arguments["parent"][1:], minlength=len(arguments["parent"]))[arguments["parent"]]
    by_chance = (arguments["parent"] >= 0) & (arguments["player"][arguments["parent"]] == -1)
    arguments["probability"] = np.where(by_chance, 1 / np.maximum(width, 1), 1.0)
    assert_gambit_reads_this_tree(format_efg(cls(**arguments)))


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
    text = format_nfg(
        SimpleNamespace(payoffs=np.ones((2, 1, 1)), labels=labels, action_mask=np.ones((2, 1, 1)))
    )
    read = parse_nfg(text, "")["labels"]
    assert (read.title, read.players[0], read.actions[0][0][0]) == (name, name, name)


def test_byte_order_mark():
    assert parse_nfg("\ufeff" + NFG["one player"], "")["payoffs"].tolist() == [[1, 2, 3]]


def test_trees_deeper_than_pythons_stack(tmp_path):
    depth = 5_000
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
