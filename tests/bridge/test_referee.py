"""The referee's question, put to a game that is known in full."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scripted import Scripted

import hqre_jax as hq
from benchmarks import referee
from benchmarks.language_models import _cells
from hqre_jax.bridge.coordination._stages import LEAST_MARGIN
from hqre_jax.bridge.models import Reply, Usage
from hqre_jax.bridge.store import Store, StoredModel
from hqre_jax.bridge.tasks import all_tasks

PUBLISHED = referee.RECORDING.with_name("referee.json")
COST = (10 * 0.2 + 5 * 2.0) / 1000


def test_a_game_that_is_known_and_a_class_that_is_not_recorded(capsys, monkeypatch, tmp_path):
    """Without examples the model is right, with examples it says nothing but 999."""
    for module in (_cells, referee):
        monkeypatch.setattr(module, "NUM_ITEMS", 4)
    tasks = all_tasks()
    answers = {item.question: item.answer for item in tasks["arithmetic"].items("sum", "dev", 4)}

    def says(request) -> Reply:
        right = len(request.messages) == 2
        return Reply(answers[request.messages[-1].content] if right else "999", "stop", Usage(10, 0, 5))

    sums = [_cells.Cell(tasks["arithmetic"], "sum", control) for control in ("direct", "answers_only", "two_examples")]
    hanabi = _cells.Cell(tasks["hanabi"], "next_rank", "direct")
    monkeypatch.setattr(referee, "all_cells", lambda: [*sums, hanabi])
    recording = tmp_path / "calls.sqlite"
    with Store(recording) as store:
        for cell in sums[:2]:  # the third control is missing
            StoredModel(Scripted(says, "m"), store).generate(cell.requests())
    out = tmp_path / "new" / "referee.json"
    assert referee.main(["--recording", str(recording), "--tau", "0.3", "--out", str(out)]) == 1
    document = json.loads(out.read_text())
    assert document["missing"] == ["hanabi/next_rank"]
    (row,) = document["rows"]
    assert (row["task"], row["class"], row["controls"]) == ("arithmetic", "sum", ["direct", "answers_only"])
    assert "arithmetic / sum" in capsys.readouterr().out

    # Abstain, right, wrong; of two different answers the first agent's counts.
    score = np.array([[0.0, 1, 0], [1, 1, 1], [0, 0, 0]])
    paid = COST * np.array([0, 1, 1])
    game = hq.NormalFormGame(np.stack([score - paid[:, None], score - paid]))
    assert row["least_tau"] == pytest.approx(
        np.asarray(hq.least_temperatures(game, margin=LEAST_MARGIN).tau)[:, 0], rel=1e-6
    )
    margin = hq.certify(hq.Problem(game, 0.3)).margin
    assert [row["margin"], row["low"], row["high"]] == pytest.approx([margin] * 3, rel=1e-6)
    assert row["equilibria"] == 1
    assert referee.main(["--recording", str(tmp_path / "none.sqlite")]) == 2
    assert referee.main(["--recording", str(recording), "--only", "arithmetics"]) == 2
    assert "only: names 'arithmetics'" in capsys.readouterr().err


ALL = pytest.param(sorted(all_tasks()), marks=pytest.mark.thorough, id="all")


@pytest.mark.parametrize("names", [pytest.param(["arithmetic", "blocksworld"], id="two"), ALL])
def test_every_published_number_follows_from_the_recording(tmp_path, names):
    """Of two tasks, and of all eleven when asked."""
    out, root = tmp_path / "referee.json", Path(__file__).parents[2]
    # As users run it: with every annotation checked it would take three times as long.
    command = [sys.executable, "-m", "benchmarks.referee", "--out", str(out), "--only", *names]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "not recorded yet" not in run.stdout
    rows, published = (json.loads(path.read_text())["rows"] for path in (out, PUBLISHED))
    known = [row for row in published if row["task"] in names]
    assert len(known) == len(names)
    for row, there in zip(rows, known, strict=True):
        assert row == {
            name: pytest.approx(value, abs=1e-9) if _is_numbers(value) else value for name, value in there.items()
        }


def test_the_documentation_says_the_same():
    published = json.loads(PUBLISHED.read_text())["rows"]
    assert len(published) == len(all_tasks()) == 11
    page = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text(encoding="utf-8")
    for known in published:
        interval = f"[{known['low']:+.3f}, {known['high']:+.3f}] | {max(known['least_tau']):.3f}"
        counts = f"{known['equilibria']} | {known['equilibria_low']} |"
        assert f"| {known['task']} / {known['class']} | {known['margin']:+.3f} | {interval} | {counts}" in page


def _is_numbers(value) -> bool:
    return isinstance(value, float) or (isinstance(value, list) and all(isinstance(one, float) for one in value))
