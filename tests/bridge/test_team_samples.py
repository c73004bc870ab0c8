"""Samples: whose they are, what differs between them, and that none is generated twice."""

import argparse

import pytest
from scripted import Scripted
from teams import game_items, samples_of, team_file

from benchmarks.divided import entrance
from hqre_jax._types import InputError
from hqre_jax.bridge.coordination import Ask, Samples, load_tasks
from hqre_jax.bridge.models import Message, Reply, Usage
from hqre_jax.bridge.store import Store, StoredModel
from hqre_jax.bridge.team import read_team

MENU = [
    {"name": "hot", "control": "direct", "temperature": 1.0},
    {"name": "cold", "control": "direct"},
    {"name": "shown", "control": "two_examples"},
]


def requests(**more):
    samples, _ = samples_of(team_file(MENU, **more), lambda asked: "A")
    item = game_items(samples)[1][0][0]

    def ask(choice, index, agent="agent 1"):
        return samples.request(item, Ask(agent, choice), index)

    return ask


def test_what_differs_between_samples():
    private, shared = requests(), requests(examples="shared")
    for ask in (private, shared):
        assert ask("hot", 0).messages == ask("hot", 1).messages
        assert ask("hot", 0) != ask("hot", 1)
        assert ask("cold", 0) == ask("cold", 1), "at temperature 0 there is one sample"
        assert ask("hot", 0) == ask("hot", 0, "agent 2"), "agents of one voice share samples"
    assert private("shown", 0).messages != private("shown", 1).messages, "worked examples are drawn anew"
    assert shared("shown", 0) == shared("shown", 1)
    assert requests(agents=2)("hot", 0) == private("hot", 0)


def test_a_sample_is_generated_once(tmp_path):
    """Across agents, calls and processes; failed ones are asked again."""
    team = read_team(team_file(MENU))
    model = Scripted(lambda asked: Reply("A", "stop", Usage(1, 0, 1)))
    for _ in range(2):
        with Store(tmp_path / "s.sqlite") as store:
            samples = Samples(team, {"scripted": StoredModel(model, store)}, samples_of(team_file(MENU), str)[0].tasks)
            items = game_items(samples)[1][0]
            wanted = [(item, Ask(agent, "hot"), 0) for item in items for agent in ("agent 1", "agent 2")]
            found = samples.get(wanted) + samples.get(wanted)
            assert [one.said.agent for one in found[:2]] == ["agent 1", "agent 2"]
            assert {one.score for one in found} == {1.0}
    assert len(model.asked) == len(items)


def test_prompts_of_a_players_own_are_no_answers():
    samples, model = samples_of(team_file(MENU), lambda asked: "A")
    item = game_items(samples)[1][0][0]
    own = (Message("user", "Is it A?"),)
    (found,) = samples.get([(item, Ask("agent 1", "cold", messages=own), 3)])
    assert (found.said.text, found.said.answer, found.score) == ("A", None, None)
    assert (model.asked[0].messages, model.asked[0].sample) == (own, 3)


def test_tasks_of_a_team():
    team = read_team(team_file(MENU, task="juggling"))
    with pytest.raises(InputError, match="'juggling' is not known; there are word_problems"):
        load_tasks(team)
    with pytest.raises(InputError, match="has sum, "):
        load_tasks(read_team(team_file(MENU, task="arithmetic")))


def test_the_entrance_test_tells_conventions_from_the_rest():
    """Who does both parts right meets a convention; who does neither meets nothing."""

    def does(asked):
        said = asked.messages[-1].content
        first, second = ([int(word) for word in said.split() if word.isdigit()][k::2] for k in (1, 2))
        return f"The answer is {sum(first[:2]) if 'onions are wanted' in said else sum(second[:2])}."

    options = argparse.Namespace(control="direct", temperature=0.0, questions=4)
    with Store(None) as store:
        able = entrance(StoredModel(Scripted(does, "able", "able"), store), options, "cooking", "order")
        idle = entrance(StoredModel(Scripted(lambda asked: "?", "idle", "idle"), store), options, "cooking", "order")
    assert able["match"] == able["cost"] == 1.0, able
    assert (able["passes"], able["equilibria"]) == (True, 3)
    assert (idle["passes"], idle["cost"]) == (False, 0.0)
