"""Team files are read strictly, and the default one is the documented example."""

import tomllib

import pytest

from hqre_jax.bridge.controls import CONTROLS
from hqre_jax.bridge.tasks import all_tasks
from hqre_jax.bridge.team import default_team, read_team
from hqre_jax.core._types import InputError

SMALL = """
version = 1
model = "m"
[price]
prompt = 1
completion = 10.0
[[tasks]]
name = "arithmetic"
[[menu]]
control = "abstain"
[[menu]]
name = "think"
control = "step_by_step"
temperature = 1
max_tokens = 9
[[agents]]
name = "one"
[[agents]]
name = "two"
model = "n"
instructions = "Be brief."
controls = ["think"]
price = {prompt = 0, completion = 1, cached = 0}
"""


def team(text: str, **options):
    return read_team(tomllib.loads(text), **options)


def test_the_default_team_is_what_its_comments_say():
    text = default_team()
    found = team(text)
    assert (len(found.agents), found.rounds, found.examples) == (3, 2, "private")
    assert found.sees == ("class", "round", "agreement")
    assert {agent.model for agent in found.agents} == {"smollm2-135m"}
    for task in found.tasks:
        assert set(task.classes or ()) <= set(all_tasks()[task.name].classes)
    names = [choice.control for choice in found.agents[0].choices]
    assert "abstain" in names
    for control in CONTROLS:  # the comment lists every way of answering there is
        assert control in text


def test_a_team():
    found = team(SMALL)
    one, two = found.agents
    assert (found.title, found.rounds, found.examples) == ("team", 1, "private")
    assert (one.name, one.role, one.model, one.instructions) == ("one", "solver", "m", "")
    assert [choice.name for choice in one.choices] == ["abstain", "think"]
    assert one.choice("think").temperature == 1.0
    assert one.choice("think").max_tokens == 9
    assert two.model == "n"
    assert [choice.name for choice in two.choices] == ["think"]
    assert one.price.of(prompt=300, cached=100, completion=20) == pytest.approx(0.3 + 0.2)
    assert two.price.of(prompt=300, cached=100, completion=20) == pytest.approx(0.02)
    assert {agent.model for agent in team(SMALL, model="other").agents} == {"other"}
    with pytest.raises(InputError, match="agent: is 'nobody'; the team has one, two"):
        found.agent("nobody")
    with pytest.raises(InputError, match="control: is 'abstain'; two has think"):
        two.choice("abstain")


def test_seeds_are_private_or_shared():
    found = team(SMALL)
    own = {found.seed_of(agent, seed) for agent in found.agents for seed in range(3)}
    assert len(own) == 6
    shared = team(SMALL.replace('model = "m"', 'model = "m"\nexamples = "shared"', 1))
    assert {shared.seed_of(agent, 7) for agent in shared.agents} == {7}


def test_the_digest_is_of_what_is_said_not_of_how():
    assert team(SMALL).digest == team(SMALL.replace("prompt = 1\n", "prompt = 1.0  # dear\n")).digest
    assert team(SMALL).digest != team(SMALL.replace("prompt = 1\n", "prompt = 2\n")).digest


WRONG = [
    ("version = 1", "version = 2", "version: is 2, this one reads 1: upgrade"),
    ("version = 1", "", "version: is missing"),
    ("version = 1", "version = true", "version: is True"),
    ('model = "m"', "", r"agents\[0\]: model: is missing, and so is the team's"),
    ('model = "m"', 'model = "m"\nrounds = 0', "rounds: is 0; a whole number"),
    ('model = "m"', 'model = "m"\nexamples = "none"', "examples: is 'none'"),
    ('model = "m"', 'model = "m"\nmood = "good"', "mood: is not known; here are version, title"),
    ('model = "m"', 'model = "m"\nstate = {sees = ["all"]}', "state: sees: is .* a list of class, round, agreement"),
    ("prompt = 1\n", "", "price: prompt: is missing"),
    ("prompt = 1\n", "prompt = -1\n", "price: prompt: is -1"),
    ("prompt = 1\n", "prompt = nan\n", "price: prompt: is nan"),
    ("prompt = 1\n", "prompt = '1'\n", "price: prompt: is '1'"),
    ("[price]\nprompt = 1\ncompletion = 10.0\n", "", "price: is missing"),
    ('[[tasks]]\nname = "arithmetic"\n', "", "tasks: is missing"),
    ('name = "arithmetic"', 'name = "arithmetic"\nclasses = []', r"tasks\[0\]: classes: is \[\]"),
    ('control = "abstain"', 'control = "shout"', r"menu\[0\]: control: is 'shout'; one of direct"),
    ('control = "abstain"', 'control = "abstain"\nname = "think"', "menu: has several that are called 'think'"),
    ("temperature = 1", "temperature = inf", r"menu\[1\]: temperature: is inf"),
    ("max_tokens = 9", "max_tokens = 0", r"menu\[1\]: max_tokens: is 0"),
    ("max_tokens = 9", "max_token = 9", r"menu\[1\]: max_token: is not known"),
    ('name = "two"', 'name = "one"', "agents: has several that are called 'one'"),
    ('name = "two"', 'name = " "', r"agents\[1\]: name: is ' '"),
    ('controls = ["think"]', 'controls = ["fly"]', r"agents\[1\]: controls: is .*entries of the menu .abstain, think."),
    ("cached = 0}", "cash = 0}", r"agents\[1\]: price: cash: is not known; here are prompt"),
]


@pytest.mark.parametrize(("old", "new", "complaint"), WRONG)
def test_a_wrong_team_is_refused_in_one_line(old, new, complaint):
    assert old in SMALL
    with pytest.raises(InputError, match=complaint) as caught:
        team(SMALL.replace(old, new, 1))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_none(tmp_path):
    with pytest.raises(InputError, match="`hqre llm init` writes one"):
        read_team(tmp_path / "none.toml")
    with pytest.raises(InputError, match="cannot be read"):
        read_team(tmp_path)
    file = tmp_path / "team.toml"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="is not TOML"):
        read_team(file)
