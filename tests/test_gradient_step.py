"""The benchmark of gradient steps beside PEFT and TRL: what it says of what it measured."""

import json

from benchmarks import gradient_step
from benchmarks.gradient_step import COUNTS, _is_behind, _summary, main


def run(seconds, losses=(0.0, 0.5), norms=(1.0, 2.0), added=1e9):
    return {"seconds": seconds, "cpu": 2 * seconds, "added": added, "peak": 3e9, "losses": losses, "norms": norms}


def row(engine, seconds, **changed):
    one, two = COUNTS
    steps = {
        one: [run(9.0), run(seconds / 2), run(seconds / 2)],
        two: [run(9.0), run(seconds, **changed), run(seconds)],
    }
    return {"engine": engine, "case": "all", **_summary(steps)}


def test_the_first_step_is_not_timed():
    found = row("hqre_jax", 3.0)
    assert (found["first"], found["step"], found["gradient"], found["cpu_step"]) == (9.0, 3.0, 1.5, 6.0)


def test_who_is_slower_or_computes_something_else_is_behind(capsys):
    own = row("hqre_jax", 3.0)
    assert not _is_behind([own, row("PEFT + TRL", 6.0)])
    assert "PEFT + TRL takes 2.00 times as long, 1.00 times the memory" in capsys.readouterr().out
    assert _is_behind([own, row("PEFT + TRL", 2.0)])
    for other in ({"losses": (0.0, 0.6)}, {"norms": (1.1, 2.0)}):
        assert _is_behind([own, row("PEFT + TRL", 6.0, **other)])
        assert "computes something else" in capsys.readouterr().out


def test_without_peers_this_library_is_measured_alone(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("benchmarks._machine.package_version", lambda name: "")
    monkeypatch.setattr(gradient_step, "compare", lambda case, repeats, names: [row(name, 3.0) for name in names])
    assert main(["--out", str(tmp_path / "out.json"), "--cases", "all"]) == 0
    assert "take no part: pip install torch transformers peft trl" in capsys.readouterr().out
    (found,) = json.loads((tmp_path / "out.json").read_text())["rows"]
    assert found["engine"] == "hqre_jax"
