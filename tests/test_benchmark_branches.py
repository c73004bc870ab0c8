"""The benchmark of branches notices a wrong answer, and goes on where it was stopped."""

import json

import numpy as np
import pytest

from benchmarks.branches import __main__ as branches
from benchmarks.branches._families import FAMILIES

SMALL = ["--games", "400", "--sample", "8", "--single", "0", "--gambit", "4", "--only", "integers 2"]


def test_right_answers_and_going_on(tmp_path, capsys, monkeypatch):
    out = tmp_path / "branches.json"
    assert branches.main([*SMALL, "--out", str(out)]) == 0
    (row,) = json.loads(out.read_text())["rows"].values()
    assert row["games"] == round(400 * FAMILIES["integers 2×2"][1])
    assert row["checks"]["tracer"]["judged"] >= 7
    monkeypatch.setattr(branches, "run_family", lambda *_: pytest.fail("run again"))
    assert branches.main([*SMALL, "--out", str(out)]) == 0
    assert "integers 2×2" in capsys.readouterr().out


def test_a_wrong_answer_is_noticed(tmp_path, monkeypatch):
    """The judge's answers with places of actions changed are other answers."""
    judged = branches.judged

    def other(sample, places):
        reference, certain = judged(sample, places)
        return np.roll(reference, 1, axis=-1), certain

    monkeypatch.setattr(branches, "judged", other)
    out = tmp_path / "branches.json"
    assert branches.main([*SMALL, "--out", str(out)]) == 1
    (row,) = json.loads(out.read_text())["rows"].values()
    assert row["wrong"]
