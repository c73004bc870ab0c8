"""The published table of DICE-PC and its baselines: its stages, what keeps test closed, its numbers recomputed."""

import json
import random
import re
import shutil
import subprocess
from functools import partial

import pytest
from published import check_published
from scripted import Scripted

import hqre_jax.bridge.evaluation._run as evaluation_run
import hqre_jax.bridge.report as report
from benchmarks.llm import __main__ as command
from benchmarks.llm import _cost, _protocol, _stages
from benchmarks.llm._two_digits import TwoDigits
from hqre_jax.bridge import models
from hqre_jax.bridge.baselines import _interface, find_methods
from hqre_jax.bridge.coordination import Samples, needed
from hqre_jax.bridge.models import Reply, Usage
from hqre_jax.bridge.tasks import all_tasks
from hqre_jax.core._types import InputError

PUBLISHED = _protocol.SHIPPED.parent
MOST_BYTES = 10_000_000
TEAM = """
version = 1
title = "two of them"
model = "scripted"
questions = 4
samples = 5
[price]
prompt = 0.1
completion = 1.0
[[tasks]]
name = "arithmetic"
classes = ["sum"]
[[menu]]
control = "abstain"
[[menu]]
control = "direct"
temperature = 0.7
[[agents]]
name = "one"
[[agents]]
name = "two"
"""
SMALL = """
version = 1
team = "team.toml"
questions = 3
token_budgets = [30, 90, 400]
seeds = 2
seed = 0
plays = 32
temperatures = "least"
retrain_prices = []
baselines = ["single", "self_consistency_3", "best_of_n_log_probability", "joint_ucb_small"]
hours = 1
"""


def says(request) -> Reply:
    """A digit, right or wrong by chance, and a log-probability with many digits."""
    rng = random.Random(repr(request))
    return Reply(f"The answer is {rng.randrange(4, 7)}.", "stop", Usage(20, 0, 3), (-rng.random(), -0.12345))


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A tiny protocol, its model and the words of a run."""
    folder = tmp_path / "llm"
    folder.mkdir()
    shipped = _protocol.SHIPPED.read_text(encoding="utf-8")
    (folder / "team.toml").write_text(TEAM, encoding="utf-8")
    (folder / "protocol.toml").write_text(SMALL + shipped[shipped.index("\n[grids") :], encoding="utf-8")
    model = Scripted(says)
    load = models.load
    monkeypatch.setattr(models, "load", lambda name, **more: model if name == "scripted" else load(name, **more))
    return folder, model, ("--protocol", str(folder / "protocol.toml"), "--out", str(tmp_path / "out"))


@pytest.fixture
def without_pages(monkeypatch):
    """Pictures take long; a rehearsal has them."""
    monkeypatch.setattr(report, "page", lambda *shown: "")


@pytest.fixture
def briefly(small, monkeypatch):
    """One seed and one baseline, and no margins: the test of all stages has more, and few resampled games."""
    path = small[0] / "protocol.toml"
    text = path.read_text(encoding="utf-8").replace("seeds = 2", "seeds = 1")
    path.write_text(re.sub("baselines = .*", 'baselines = ["single"]', text, count=1), encoding="utf-8")
    monkeypatch.setattr(evaluation_run, "margins", lambda *arguments: None)


def run(capsys, words, *more):
    capsys.readouterr()
    code = command.main([*words, *more])
    seen = capsys.readouterr()
    return code, seen.out, seen.err


def test_the_protocol_is_what_was_promised():
    protocol = _protocol.read_protocol()
    tasks, team = all_tasks(), protocol.team
    classes = [(task.name, name) for task in team.tasks for name in task.classes or ()]
    assert len(classes) >= 6
    assert len({tasks[name].domain for name, _ in classes}) == 4
    assert {("cooking", "order"), ("negotiation", "package")} <= set(classes)
    assert len(team.agents) == 3
    assert min(tasks[name].num_items["test"] for name, _ in classes) >= protocol.questions >= 200
    assert (protocol.seeds, len(protocol.token_budgets)) == (5, 3)
    assert set(protocol.baselines) == {method.name for method in find_methods(["all"])}
    assert needed(Samples(team, {})) <= team.samples


def test_all_of_it_fits_into_a_night(capsys, small):
    assert command.main(["--plan"]) == 0
    told = capsys.readouterr().out
    assert "within the 8 of the protocol. Nothing was asked." in told
    protocol = _protocol.read_protocol()
    assert sum(one.hours for one in _cost.costs(protocol)) <= protocol.hours
    folder, model, words = small
    assert run(capsys, words, "--plan")[0] == 0
    assert not model.asked
    # 4 questions of dev and 3 of test, 5 samples, one control that asks something; no method with prompts of its own.
    assert [(one.split, one.calls) for one in _cost.costs(_protocol.read_protocol(folder / "protocol.toml"))] == [
        ("dev", 20), ("test", 15)
    ]  # fmt: skip


def test_every_stage_and_the_table_from_the_recording_alone(capsys, small, without_pages, monkeypatch, tmp_path):
    folder, model, words = small
    monkeypatch.setattr(evaluation_run, "margins", partial(evaluation_run.margins, resampled=2))
    tests = {item.question for item in all_tasks()["arithmetic"].items("sum", "test", 3)}
    code, out, err = run(capsys, words)
    assert (code, "the protocol is not frozen: test questions stay closed" in err) == (1, True)
    assert "| dev | `arithmetic` / `sum` | direct | 20 of 20 |" in out
    assert "Missing: all samples of test: the protocol is not frozen; the evaluation." in out
    assert len(model.asked) == 20
    assert not tests & {request.messages[-1].content for request in model.asked}
    assert run(capsys, words, "--freeze")[0] == 0
    assert len(model.asked) == 20

    code, out, err = run(capsys, words)
    assert (code, "Missing" in out) == (0, False), err
    assert tests <= {request.messages[-1].content for request in model.asked}
    table = json.loads((tmp_path / "out" / "table.json").read_text(encoding="utf-8"))
    assert [(row["split"], row["there"], row["questions"]) for row in table["samples"]] == [
        ("dev", 20, 4),
        ("test", 15, 3),
    ]
    found = table["evaluation"]["tables"]
    assert {row["method"] for row in found["accuracy"]} == {
        "dice_pc", "dice_pc_online_small", "single", "self_consistency_3", "best_of_n_log_probability",
        "joint_ucb_small",
    }  # fmt: skip
    assert {row["budget"] for row in found["accuracy"]} == {30, 90, 400}
    assert {row["against"] for row in found["gains"]} >= {"best published", "joint_ucb_small"}
    assert all(row["gain_low"] <= row["gain"] <= row["gain_high"] for row in found["gains"])
    assert "6 questions" not in out
    assert "3 questions of the test split in 1 classes, 2 seeds" in out

    asked = len(model.asked)
    assert run(capsys, words)[:2] == (0, out)
    assert len(model.asked) == asked
    shutil.copy(tmp_path / "out" / "calls.jsonl.xz", folder)
    model._says = None  # there is no model any more
    elsewhere = (*words[:3], str(tmp_path / "elsewhere"))
    assert run(capsys, elsewhere, "--seconds", "0")[:2] == (0, out)
    again = json.loads((tmp_path / "elsewhere" / "table.json").read_text(encoding="utf-8"))
    assert again == table

    # With the results, too, there is nothing left to train or to play.
    shutil.copy(tmp_path / "out" / "results.tar.xz", folder)
    monkeypatch.setattr(_stages, "hqre", None)
    for module in (evaluation_run, _interface):
        monkeypatch.setattr(module, "play_all", None)
    third = (*words[:3], str(tmp_path / "third"))
    assert run(capsys, third, "--seconds", "0")[:2] == (0, out)
    packed = (tmp_path / "third" / "results.tar.xz").read_bytes()
    assert packed == (folder / "results.tar.xz").read_bytes()
    fourth = (*words[:3], str(tmp_path / "fourth"))
    with pytest.raises(TypeError):
        run(capsys, fourth, "--seconds", "0", "--anew")
    (folder / "results.tar.xz").write_bytes(packed[:-40])
    code, out, err = run(capsys, (*words[:3], str(tmp_path / "fifth")), "--seconds", "0")
    assert (code, out) == (2, "")
    assert "results.tar.xz: is damaged" in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("protocol.toml", "questions = 3", "questions = 2"),
        ("protocol.toml", "30, 90", "30, 91"),
        ("team.toml", "prompt = 0.1", "prompt = 0.2"),
        ("team.toml", "temperature = 0.7", "temperature = 0.6"),
    ],
)
def test_a_changed_protocol_opens_no_test_question(small, file, old, new):
    folder, _, _ = small
    before = _protocol.read_protocol(folder / "protocol.toml")
    samples, states = _stages.pool(before, {})
    with pytest.raises(_stages.Unfinished, match="not frozen"):
        _stages.questions(before, samples, states, "test")
    _protocol.freeze(before)
    assert len(_stages.questions(before, samples, states, "test")[0]) == 3
    text = (folder / file).read_text(encoding="utf-8")
    (folder / file).write_text(f"# A comment changes nothing.\n{text}", encoding="utf-8")
    assert _protocol.closed(_protocol.read_protocol(folder / "protocol.toml")) is None
    (folder / file).write_text(text.replace(old, new), encoding="utf-8")
    after = _protocol.read_protocol(folder / "protocol.toml")
    with pytest.raises(InputError, match=r"changed after frozen\.json was written"):
        _stages.questions(after, samples, states, "test")
    assert len(_stages.questions(after, samples, states, "dev")[0]) == 4


def test_a_changed_protocol_is_one_line_and_asks_dev_alone(capsys, small):
    folder, model, words = small
    (folder / "frozen.json").write_text('{"protocol": "of another one"}', encoding="utf-8")
    code, out, err = run(capsys, words)
    assert (code, out) == (2, "")
    assert "was changed after frozen.json was written" in err.splitlines()[-1]
    assert len(model.asked) == 20


def test_hyper_parameters_of_the_code_are_those_of_the_protocol(small):
    folder, _, _ = small
    path = folder / "protocol.toml"
    text = path.read_text(encoding="utf-8")
    for old, new, place in (("SMALL = 128", "SMALL = 64", "_learned.SMALL, "), ("SMALL = 128\n", "", "_learned.SMALL"),
                            ("SMALL = 128", "SMALL = 128\nHUGE = 1", "_learned.HUGE")):  # fmt: skip
        path.write_text(text.replace(old, new), encoding="utf-8")
        with pytest.raises(InputError, match=f"grids.{place.strip(', ')}.*make them agree"):
            _protocol.read_protocol(path)


def test_a_protocol_may_name_another_one_for_its_hyper_parameters(small):
    folder, _, _ = small
    whole, other = _protocol.read_protocol(folder / "protocol.toml"), folder / "other.toml"
    for named, said in (("protocol.toml", None), ("team.toml", "grids"), ("no.toml", "cannot be read")):
        other.write_text(f'{SMALL}grids = "{named}"', encoding="utf-8")
        if said is None:
            assert _protocol.read_protocol(other).digest == whole.digest
            continue
        with pytest.raises(InputError, match=f"{named}.*{said}"):
            _protocol.read_protocol(other)


def test_a_frozen_protocol_must_be_committed(small):
    folder, _, _ = small
    git = shutil.which("git")
    if git is None:
        pytest.skip("git is not installed")

    def told(*words):
        subprocess.run(
            [git, "-c", "user.name=x", "-c", "user.email=x@y", *words], cwd=folder, check=True, capture_output=True
        )

    told("init")
    protocol = _protocol.read_protocol(folder / "protocol.toml")
    _protocol.freeze(protocol)
    assert _protocol.closed(protocol) == "the frozen protocol is not committed"
    told("add", ".")
    assert _protocol.closed(protocol) == "the frozen protocol is not committed"
    told("commit", "-m", "frozen")
    assert _protocol.closed(protocol) is None


def test_whatever_stops_it_the_same_command_goes_on(capsys, small, briefly, without_pages):
    folder, model, words = small
    code, out, err = run(capsys, words, "--seconds", "0")
    assert (code, model.asked) == (1, [])
    assert "nothing of scripted is recorded" in err
    assert "Missing: 20 of 20 samples of dev; all samples of test: the protocol is not frozen; the evaluation." in out
    assert "| dev | `arithmetic` / `sum` | direct | 0 of 20 | – | – | – |" in out
    code, out, err = run(capsys, words, "--seconds", "1e-9")
    assert (code, model.asked) == (1, [])
    assert "the budget of 1e-09 seconds allows no more calls" in err

    def impatient(request):
        if len(model.asked) > 20:
            raise KeyboardInterrupt
        return says(request)

    _protocol.freeze(_protocol.read_protocol(folder / "protocol.toml"))
    model._says = impatient
    code, out, err = run(capsys, words)
    assert code == 130
    assert "15 of 15 samples of test; the evaluation" in out
    assert "interrupted: what was bought is kept" in err
    model._says = says
    assert run(capsys, words)[0] == 0
    assert len(model.asked) == len(set(model.asked)) + 3  # the batch that was interrupted: a sample of each question


def test_a_rehearsal_leaves_test_closed(capsys, small, tmp_path, briefly):
    _, _, words = small
    code, out, err = run(capsys, words, "--rehearse")
    assert code == 1
    assert "rehearsed: 4 questions of the dev split" in err
    assert (tmp_path / "out" / "rehearsal" / "report.html").exists()
    assert "the evaluation" in out


def test_log_probabilities_are_kept_to_two_digits():
    asked = [models.Request((models.Message("user", "2 + 2?"),))]
    (reply,) = TwoDigits(Scripted(lambda request: Reply("4", "stop", Usage(1, 0, 1), (-0.123, -0.001)))).generate(asked)
    assert isinstance(reply, Reply)
    assert repr(reply.log_probs) == "(-0.12, 0.0)"
    failure = models.Failure("server", "down")
    assert TwoDigits(Scripted(lambda request: failure)).generate(asked) == [failure]


def test_every_published_number_is_that_of_recording_and_results(tmp_path):
    """Rows of samples from the recording, and all tables from the plays; what they do not have is listed as missing."""
    assert _protocol.read_protocol().recording.stat().st_size <= MOST_BYTES
    check_published(tmp_path, _protocol.SHIPPED)
    published = json.loads((PUBLISHED / "table.json").read_text(encoding="utf-8"))
    complete = published["evaluation"] is not None and published["evaluation"]["whole"]
    assert published["missing"] or complete


@pytest.mark.thorough
def test_every_published_number_follows_from_the_recording(tmp_path):
    """The command itself, without a model: policies are trained and plays are played again."""
    assert command.main(["--seconds", "0", "--anew", "--out", str(tmp_path)]) in (0, 1)
    for name in ("table.json", "table.md"):
        assert (tmp_path / name).read_text(encoding="utf-8") == (PUBLISHED / name).read_text(encoding="utf-8")
