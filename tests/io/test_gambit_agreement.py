"""Gambit reads the same file, ours or its own, and finds the same game in it."""

import io
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from gambit_samples import EFG, NFG
from hypothesis import given
from hypothesis import strategies as st
from random_games import normal_form, trees

from hqre_jax.core._types import InputError
from hqre_jax.games._efg import format_efg, parse_efg
from hqre_jax.io import list_games
from hqre_jax.io._nfg import format_nfg, parse_nfg

pygambit = pytest.importorskip("pygambit")
GAMBITS_OWN = sorted((Path(pygambit.__file__).parent / "catalog_data").rglob("*.[en]fg"))
BUILT_IN = [entry.path for entry in list_games() if entry.path.suffix in (".nfg", ".efg")]


def texts(suffix):
    return [file.read_text(encoding="utf-8") for file in (*GAMBITS_OWN, *BUILT_IN) if file.suffix == suffix]


def called(thing, name):
    """Whether Gambit knows it by this name: outcomes or moves of one name, or of none, it counts ``name_1``, …"""
    label = thing.label if thing else ""
    return name in (label, re.sub(r"_[0-9]+$", "", label))


def assert_gambit_reads_this_table(text):
    ours, theirs = parse_nfg(text, "game.nfg"), pygambit.read_nfg(io.StringIO(text))
    for profile in np.ndindex(ours["payoffs"].shape[1:]):
        outcome = theirs[profile]  # None: the null outcome
        paid = [float(outcome[player]) if outcome else 0.0 for player in theirs.players]
        assert ours["payoffs"][(slice(None), *profile)].tolist() == paid
        named = ours["labels"].outcomes
        cell = np.ravel_multi_index(profile, ours["payoffs"].shape[1:], order="F")
        assert called(outcome, named[cell] if named else "")
    labels = ours["labels"]
    assert labels.title == theirs.title
    assert labels.source == theirs.description
    assert labels.players == tuple(player.label for player in theirs.players)
    for i, player in enumerate(theirs.players):
        strategies = [strategy.label for strategy in player.strategies]
        assert [labels.action(i, 0, a) for a in range(len(strategies))] == strategies


def assert_gambit_reads_this_tree(text):
    theirs = pygambit.read_efg(io.StringIO(text))
    ours = parse_efg(text, "game.efg")
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
            if node.parent.player.is_chance:
                named = labels.chance_actions[n] if labels.chance_actions else ""
                assert called(actions[branch], named or str(branch + 1))
        assert node.label == (labels.nodes[n] if labels.nodes else "")
        assert called(node.outcome, labels.outcomes[n] if labels.outcomes else "")
        if mover == -1:
            assert node.infoset.label == (labels.chance_moves[n] if labels.chance_moves else "")
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
    if not pygambit.read_efg(io.StringIO(text)).is_perfect_recall:
        with pytest.raises(InputError, match="imperfect recall"):
            parse_efg(text, "game.efg")
        return
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
