"""A team of specialists: its tables computed again, its adapters those of recorded runs, its recording theirs."""

import json

import pytest
from published import check_published

from benchmarks.adapters.__main__ import RECORD
from benchmarks.adapters._record import evaluations, read_record
from benchmarks.llm._protocol import read_protocol
from benchmarks.llm._stages import pool, questions, recorded
from benchmarks.specialists import __main__ as command
from benchmarks.specialists import _adapters
from benchmarks.specialists._table import FOLDER, PROTOCOL, TEAMS, build_table, markdown
from hqre_jax.bridge.coordination import Ask
from hqre_jax.bridge.models._adapter_files import WEIGHTS, _digest
from hqre_jax.bridge.store import read_recorded

PROTOCOLS = [FOLDER / team / PROTOCOL for team in TEAMS]


def test_every_published_number_is_that_of_recording_and_results(tmp_path):
    check_published(tmp_path, *PROTOCOLS)


@pytest.fixture(scope="module")
def table():
    return build_table()


def test_both_teams_side_by_side(table):
    published = json.loads(command.TABLE.read_text(encoding="utf-8"))
    assert table == published
    assert command.MARKDOWN.read_text(encoding="utf-8") == markdown(published)


def test_the_page_quotes_the_table(table):
    page = " ".join((FOLDER.parents[1] / "docs" / "finetuning.md").read_text(encoding="utf-8").split())
    answers = {"sum": "adder", "product": "multiplier", "what_is_below": "multiplier"}
    for row in table["policies"]["trained"]:
        most = max(row["probabilities"], key=row["probabilities"].__getitem__)
        speaks = answers[row["class"].split("/")[1]] == row["agent"]
        assert most == ("step_by_step" if speaks else "abstain")
    ours, theirs = ({row["method"]: row for row in table["methods"][team] if not row["budget"]} for team in TEAMS)
    for score in (ours["dice_pc"]["score"], theirs["dice_pc"]["score"], ours["single"]["score"]):
        assert "{value:.3f} [{low:.3f}, {high:.3f}]".format(**score).replace("0.", ".") in page
    (worth,) = (row for row in table["worth"] if (row["method"], row["budget"]) == ("dice_pc", 0))
    for gain in (worth, ours["single"]["behind"], theirs["single"]["behind"]):
        low, high = (f"{100 * gain[end]:.1f}".replace("-", "−") for end in ("low", "high"))
        assert f"{100 * abs(gain['value']):.1f} [{low}, {high}]" in page


def test_both_teams_play_the_same_game():
    """But for the models: same questions, budgets, methods, menu and prices."""
    ours, theirs = map(read_protocol, PROTOCOLS)
    for name in ("questions", "token_budgets", "seeds", "seed", "plays", "temperatures", "retrain_prices", "baselines"):
        assert getattr(ours, name) == getattr(theirs, name)
    for name in ("rounds", "examples", "sees", "stops", "questions", "samples", "tasks"):
        assert getattr(ours.team, name) == getattr(theirs.team, name)
    assert [(agent.choices, agent.price) for agent in ours.team.agents] == [
        (agent.choices, agent.price) for agent in theirs.team.agents
    ]


def test_what_was_recorded_is_of_the_adapters_that_ship():
    """Their digests are in the recording, and greedy replies to test questions score as in the recorded runs."""
    protocol = read_protocol(PROTOCOLS[0])
    identities = dict(read_recorded(protocol.recording).models())
    samples, states = pool(protocol, recorded(protocol, protocol.recording))
    asked, record = questions(protocol, samples, states, "test"), read_record(RECORD)
    for agent, cell in zip(protocol.team.agents, _adapters.cells(), strict=True):
        folder = _adapters.SHIPPED / cell.task_class
        assert identities[agent.model].endswith(f"+lora@{_digest(folder)}")
        assert (folder / WEIGHTS).stat().st_size <= 5_000_000
        items = asked[states.classes.index((cell.task, cell.task_class))]
        replies = samples.get([(item, Ask(agent.name, "step_by_step"), 0) for item in items])
        scores = evaluations(record[cell.name], "test")[-1]["scores"]
        there = [k for k, sample in enumerate(replies) if sample.score is not None]
        assert len(there) == len(items)
        assert [replies[k].score for k in there] == [scores[k] for k in there]


def test_adapters_are_taken_over_from_the_recorded_runs_alone(capsys, monkeypatch, tmp_path):
    assert command.main(["--adapters", str(tmp_path)]) == 2
    assert "sum-dice-2-0: holds no run that has ended" in capsys.readouterr().err
    for cell in _adapters.cells():
        folder = tmp_path / cell.name / "adapters" / "solver"
        folder.mkdir(parents=True)
        for file in (_adapters.SHIPPED / cell.task_class).iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
    assert command.main(["--adapters", str(tmp_path)]) == 2
    assert "is another run than the recorded one, which has other tokens" in capsys.readouterr().err
    record = read_record(RECORD)
    monkeypatch.setattr(_adapters, "line_of", lambda cell, folder: record[cell.name])
    _adapters.take_over(tmp_path, tmp_path / "shipped")
    for file in _adapters.SHIPPED.rglob("adapter_*"):
        assert (tmp_path / "shipped" / file.parent.name / file.name).read_bytes() == file.read_bytes()


@pytest.mark.thorough
def test_every_published_number_follows_from_the_recordings(tmp_path):
    """Policies are trained and plays are played again, without a model."""
    from benchmarks.llm import __main__ as llm

    for team, protocol in zip(TEAMS, PROTOCOLS, strict=True):
        words = ["--protocol", str(protocol), "--seconds", "0", "--anew", "--out", str(tmp_path / team)]
        assert llm.main(words) in (0, 1)  # 1: a part is missing, and the table says so
        for name in ("table.json", "table.md"):
            made = (tmp_path / team / name).read_text(encoding="utf-8")
            assert made == protocol.with_name(name).read_text(encoding="utf-8")
