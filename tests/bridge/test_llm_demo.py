"""``make llm-demo`` and ``make llm-finetune-demo``, rehearsed: their own commands, with scripted or tiny models."""

import random
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from finetuning import TINY
from scripted import Scripted

from hqre_jax.bridge import models
from hqre_jax.bridge.baselines import find_methods
from hqre_jax.bridge.coordination import Samples, needed
from hqre_jax.bridge.evaluation import read_plan
from hqre_jax.bridge.finetuning import read_config
from hqre_jax.bridge.models import Reply, Usage
from hqre_jax.bridge.tasks import all_tasks
from hqre_jax.bridge.team import read_team
from hqre_jax.cli import main

ROOT = Path(__file__).parents[2]
TEAM = ROOT / "benchmarks" / "llm_demo.toml"


def commands(folder: Path, team: Path = TEAM) -> list[list[str]]:
    """The words after ``hqre`` of every command of the first one, in order."""
    return told("llm-demo", f"LLM_DEMO={folder}", f"LLM_TEAM={team}")


def told(*goal: str) -> list[list[str]]:
    """The words after ``hqre`` of every command that make would give, in order."""
    make = ["make", "--dry-run", *goal]
    said = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    lines = said.replace("\\\n", " ").splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith(".venv/bin/hqre ")]


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_the_demo_asks_for_what_there_is(tmp_path):
    words = commands(tmp_path / "out")
    assert [command[:2] for command in words] == [
        ["llm", step] for step in ("models", "collect", "train", "eval", "report")
    ]
    team = read_team(TEAM)
    assert needed(Samples(team, {})) <= team.samples
    tasks = all_tasks()
    assert sum(len(task.classes or ()) for task in team.tasks) == 3
    assert len({tasks[task.name].domain for task in team.tasks}) >= 2
    evaluating = words[3]
    assert len(find_methods(evaluating[evaluating.index("--baselines") + 1].split(","))) == 13


def says(request) -> Reply:
    """Right or wrong by chance, examples being better; words cost."""
    rng = random.Random(repr(request))
    shown = len(request.messages) > 2
    text = "The answer is 4." if rng.random() < (0.6 if shown else 0.3) else f"The answer is {rng.randrange(9)}."
    return Reply(text, "stop", Usage(30 * len(request.messages), 0, 8 if shown else 20))


@pytest.mark.thorough
@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_the_demo_comes_to_its_end_and_goes_on_where_it_stopped(capsys, monkeypatch, tmp_path):
    """Interrupted in the middle of collecting and of judging, it asks nothing twice."""
    few = tmp_path / "team.toml"
    few.write_text(TEAM.read_text(encoding="utf-8").replace("questions = 60", "questions = 8"), encoding="utf-8")
    model = Scripted(says, "smollm2-135m")
    monkeypatch.setattr(models, "load", lambda name, **options: model)
    out = tmp_path / "out"
    out.mkdir()
    words = commands(out, few)
    _, collect, train, evaluate, report = words
    for command in (collect, evaluate):
        enough = len(model.asked) + 50

        def impatient(request, enough=enough):
            if len(model.asked) > enough:
                raise KeyboardInterrupt
            return says(request)

        model._says = impatient
        assert main(command) == 130
        model._says = says
        assert main(command) == 0
        if command is collect:
            assert main(train) == 0
    kept = (out / "results" / "records.jsonl").read_bytes()
    asked = len(model.asked)
    assert main(evaluate) == 0
    assert main(report) == 0
    assert (out / "results" / "records.jsonl").read_bytes() == kept
    assert len(model.asked) == asked
    plan = read_plan(out / "results")
    assert plan is not None
    assert plan.split == "test"
    capsys.readouterr()
    page = (out / "results" / "report.html").read_text(encoding="utf-8")
    assert "UNFINISHED" not in page
    assert all(name in page for name in plan.methods)


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_the_demo_of_fine_tuning_takes_its_steps(capsys, tmp_path):
    """Its commands and its configuration, two steps of it, with a tiny model."""
    words = told("llm-finetune-demo", f"FINETUNING_DEMO={tmp_path}")
    assert [command[:2] for command in words] == [["llm", step] for step in ("models", "finetune", "report")]
    _, finetune, report = words
    config = read_config(finetune[2])
    assert (config.method, config.evaluation.split) == ("dice", "test")
    text = (ROOT / finetune[2]).read_text(encoding="utf-8")
    few = tmp_path / "few.toml"
    for long, short in (
        (f'"{config.model}"', f'"hf:{TINY}"'),
        (f"steps = {config.steps}", "steps = 2"),
        (f"max_tokens = {config.roles[0].max_tokens}", "max_tokens = 4"),
        (f"last_layers = {config.adapter.last_layers}", "last_layers = 1"),
        (f"questions = {config.evaluation.questions}", "questions = 2"),
    ):
        assert long in text
        text = text.replace(long, short)
    few.write_text(text, encoding="utf-8")
    assert main(["llm", "finetune", str(few), *finetune[3:]]) == 0
    assert main(report) == 0
    capsys.readouterr()
    assert "<svg" in (tmp_path / "report.html").read_text(encoding="utf-8")
