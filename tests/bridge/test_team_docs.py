"""What docs/teams.md promises, tried as it stands there: its team file, its commands, an endpoint on loopback."""

import json
import re
import shlex
from pathlib import Path

import faulty_endpoint as faulty
import pytest

from hqre_jax.bridge.models import Reply, Usage
from hqre_jax.cli import main

PAGE = (Path(__file__).parents[2] / "docs" / "teams.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.S)[0]


def answer_sum(handler) -> None:
    """The endpoint adds up, when it is told to think."""
    system, asked = (handler.body["messages"][place]["content"] for place in (0, -1))
    a, b = map(int, re.findall(r"\d+", asked)[:2])
    text = f"The answer is {a + b}." if "step by step" in system else "The answer is 1."
    faulty.answer(faulty.completion(text, usage=(20, 0, 8)))(handler)


async def agent_of_a_framework(request):
    """Adds up, and says so."""
    a, b = map(int, re.findall(r"\d+", request.messages[-1].content)[:2])
    steps = "step by step" in request.messages[0].content
    return Reply(f"The answer is {a + b if steps else 1}.", "stop", Usage(20, 0, 8))


def test_ten_lines_and_three_commands(capsys, monkeypatch, tmp_path):
    pytest.importorskip("openai")
    monkeypatch.chdir(tmp_path)
    team = block("toml")
    assert len(team.strip().splitlines()) <= 10
    Path("team.toml").write_text(team.replace("questions = 40", "questions = 4").replace("samples = 6", "samples = 4"))
    rows = [f"What is {k} + {k + 3}?,{2 * k + 3}" for k in range(24)]
    Path("questions.csv").write_text("\n".join([block("csv").splitlines()[0], *rows]) + "\n")
    commands = [shlex.split(line)[1:] for line in block("sh").strip().splitlines()]
    assert len(commands) == 3
    with faulty.serving(answer_sum) as server:
        for command in commands:
            words = [server.address if word.startswith("http://") else word for word in command]
            assert main(words) == 0, capsys.readouterr().err
    policy = json.loads(Path("policy.json").read_text())
    assert policy["states"][0]["class"] == "questions/all"
    # Guessing is never right, and thinking always: nobody guesses.
    controls = policy["agents"][0]["controls"]
    first = [row[0][controls.index("direct")] for row in policy["probabilities"]]
    assert max(first) < 0.1
    program = {"my_async_agent": agent_of_a_framework}
    exec(block("python"), program)
    assert program["solution"].successful
    assert program["solution"].policy[0, 0, controls.index("step_by_step")] > 0.4
    shown = capsys.readouterr().out
    assert "right answer" in shown
    assert "score" in shown
