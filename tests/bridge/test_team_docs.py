"""What docs/teams.md promises, tried as it stands there: its team file, its commands, an endpoint on loopback."""

import json
import re
import shlex
from pathlib import Path

import faulty_endpoint as faulty
import pytest

import hqre_jax.bridge.evaluation._run as evaluation_run
from hqre_jax.cli import main

PAGE = (Path(__file__).parents[2] / "docs" / "teams.md").read_text(encoding="utf-8")


# What the sizes of an evaluation are made smaller by.
SMALL = ["--retrain-prices", "none", "--plays", "32", "--seeds", "1"]


def block(language: str, number: int = 0) -> str:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.S)[number]


def commands(number: int) -> list[list[str]]:
    return [shlex.split(line)[1:] for line in block("sh", number).strip().splitlines()]


def answer_sum(handler) -> None:
    """The endpoint adds up, when it is told to think."""
    system, asked = (handler.body["messages"][place]["content"] for place in (0, -1))
    a, b = map(int, re.findall(r"\d+", asked)[:2])
    text = f"The answer is {a + b}." if "step by step" in system else "The answer is 1."
    faulty.answer(faulty.completion(text, usage=(20, 0, 8)))(handler)


def test_ten_lines_and_three_commands(capsys, monkeypatch, tmp_path):
    pytest.importorskip("openai")
    monkeypatch.chdir(tmp_path)
    team = block("toml")
    assert len(team.strip().splitlines()) <= 10
    Path("team.toml").write_text(team)
    Path("questions.csv").write_text(block("csv"))
    assert [command[1] for command in commands(0)] == ["collect", "train", "eval"]
    monkeypatch.setattr(evaluation_run, "margins", lambda *arguments: None)  # these have tests of their own
    with faulty.serving(answer_sum) as server:
        for command in commands(0) + commands(1):
            words = [server.address if word.startswith("http://") else word for word in command]
            assert main(words + SMALL * (command[1] == "eval")) == 0, capsys.readouterr().err
    policy = json.loads(Path("policy.json").read_text())
    assert policy["states"][0]["class"] == "questions/all"
    # Guessing is never right, and thinking always: who has the word where two answers differ does not guess.
    controls = policy["agents"][0]["controls"]
    assert policy["probabilities"][0][0][controls.index("direct")] < 0.1
    shown = capsys.readouterr().out
    assert "right answer" in shown
    assert "self_consistency_3" in shown
    assert Path("results", "report.html").is_file()
