"""The demonstration: a table of games, two pictures, and an exit code that tells of failures."""

import numpy as np
import pytest

import hqre_jax as hq
from hqre_jax.cli import main
from hqre_jax.cli._demo import citation

DEMONSTRATED = ("matching_pennies", "stag_hunt", "entry_deterrence")


@pytest.fixture
def few_games(monkeypatch):
    """The demonstration with three games of its thirty: all of them take a minute and have tests of their own."""
    entries = tuple(entry for entry in hq.list_games() if entry.name in DEMONSTRATED)
    monkeypatch.setattr("hqre_jax.cli._demo.list_games", lambda: entries)
    return entries


def test_demo_prints_a_table_and_draws(capsys, tmp_path, few_games):
    out = tmp_path / "made" / "here"
    code, printed, err = main(["demo", "--out", str(out)]), *capsys.readouterr()
    assert (code, err) == (0, "")
    for entry in few_games:
        (line,) = (line for line in printed.splitlines() if line.startswith(entry.title))
        assert citation(entry.source) in line
        sol = hq.solve(hq.load_game(entry.name), np.array(entry.tau), continuation=entry.continuation)
        assert f" {sol.unpadded_policy()[0][0][0]:.3f} " in line
        assert line.endswith(str(sol.selection))
    assert "3 of 3 games" in printed
    for name in ("convergence.png", "branch.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")
        assert str(out / name) in printed


def test_demo_fails_where_a_game_fails(capsys, tmp_path, few_games, monkeypatch):
    def hasty(*arguments, **options):
        return hq.solve(*arguments, max_steps=1, **options)

    monkeypatch.setattr("hqre_jax.cli._demo.solve", hasty)
    code, printed, err = main(["demo", "--out", str(tmp_path)]), *capsys.readouterr()
    assert code == 1
    assert "hqre: stag_hunt: max_steps_reached: " in err
    assert "matching_pennies:" not in err, "it needs no step at all"
    assert "1 of 3 games" in printed


def test_citations_are_short():
    short = {entry.name: citation(entry.source) for entry in hq.list_games()}
    assert short["matching_pennies_320"] == "Goeree & Holt 2001"
    assert short["oneill"] == "O'Neill 1987"
    assert short["perturbed_rock_paper_scissors"] == "Sokota et al. 2023"
    assert short["minimum_effort"] == "Van Huyck et al. 1990"
    assert short["planner_solver_critic_verifier"] == "This library"
    assert max(map(len, short.values())) <= 32
