"""The ledger as a program: resumable to the bit, honest exit codes, small counterexamples, one's own game."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import pytest

import hqre_jax as hq
from hqre_jax.cli import _verify, main
from proofs_check import Experiment, Sides, statements
from proofs_check.runner import single_game, store, tasks
from proofs_check.runner.shrink import shrunk
from proofs_check.runner.single_game import Measured, Verdict

TESTS = Path(__file__).parent
GAMES, CHUNK = 60, 15
# The same program with small pieces of work, and statements that compile in a moment.
PROGRAM = f"""
import signal
# Whoever runs the tests may have chosen to ignore interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)
import sys
sys.path.insert(0, {str(TESTS)!r})
from hqre_jax.cli import _verify, main
from proofs_check.runner import store, tasks
_verify._PACKAGE, tasks.CHUNK = "wrong_statements", {CHUNK}
store.hash_of_sources = lambda: "sources"
if __name__ == "__main__":
    sys.argv[1:1] = ["verify", "--theorem", "true", "--theorem", "wrong", "--games", "{GAMES}", "--seed", "3"]
    sys.exit(main())
"""
ASKED = ["verify", "--theorem", "true", "--theorem", "wrong", "--games", str(GAMES), "--seed", "3"]


@pytest.fixture(autouse=True, scope="module")
def _statements_are_found():
    """Those of the tests, by workers too, which are new processes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(TESTS))
        yield


@contextmanager
def small_statements():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_verify, "_PACKAGE", "wrong_statements")
        patch.setattr(tasks, "CHUNK", CHUNK)
        patch.setattr(store, "hash_of_sources", lambda: "sources")
        yield


@pytest.fixture
def small():
    with small_statements():
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a ledger that nobody interrupted, its exit code, and what was said."""
    out = tmp_path_factory.mktemp("ledger")
    with small_statements(), redirect_stdout(io.StringIO()) as printed, redirect_stderr(io.StringIO()) as err:
        code = main([*ASKED, "--out", str(out)])
    return out, code, (printed.getvalue(), err.getvalue())


def test_wrong_statement_is_refuted(finished):
    out, code, (printed, err) = finished
    assert code == 1
    document = json.loads((out / "ledger.json").read_text())
    true, wrong = document["statements"]["true"], document["statements"]["wrong"]
    assert (true["violations"], wrong["violations"]) == (0, GAMES)
    assert true["games"] == wrong["games"] == GAMES
    assert true["control"]["caught"]
    assert 0.95 < true["worst"] < 1 < wrong["worst"]
    assert f"{true['worst']:.6f}" in printed
    assert f"{wrong['worst']:.6f}" in printed
    assert f"hqre: wrong: {GAMES} games break a claim" in err
    assert "hqre: true" not in [line[:10] for line in err.splitlines() if "break" in line]


def test_counterexample_is_small_and_solvable(finished, capsys):
    out, _, (_, err) = finished
    files = sorted(out.glob("violation-wrong*.tau.json"))
    assert files
    for tau in files:
        game = Path(str(tau).replace(".tau.json", ".json"))
        u = np.asarray(hq.load_game(game).payoffs)
        assert u.shape == (2, 2, 2), "the third action has nothing to do with it"
        np.testing.assert_array_equal(u, np.round(u))
        assert f"hqre solve {game} --tau-file {tau}" in err
    assert main(["solve", str(game), "--tau-file", str(tau), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["residual"] <= 1e-10


def test_report_holds_table_proof_and_command(finished):
    out, _, (_, _) = finished
    for name in ("report.html", "report.md"):
        text = (out / name).read_text(encoding="utf-8")
        for wanted in (
            "2 times the margin",
            "hqre verify --theorem=true",
            f"--out={out}",
            "caught: 1 of 1 claim",
            "for tests of the ledger",
            "violation-wrong",
        ):
            assert wanted in text, (name, wanted)
    assert "<img src" not in (out / "report.html").read_text(encoding="utf-8"), "one page that needs nothing else"


def finished_tasks(out):
    return {file.name: file.stat().st_mtime_ns for file in (out / "tasks").glob("*.npz")}


def begin(out):
    """The program in a process of its own, once it has done something more than before."""
    before = len(finished_tasks(out))
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "--out", str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while len(finished_tasks(out)) == before and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(finished_tasks(out)) > before, process.communicate(timeout=5)
    return process


def children(pid):
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(word) for word in listed.read_text().split()] if listed.exists() else []


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")")[-1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_interrupted_ledger_goes_on_to_the_same_bits(finished, tmp_path, small):
    whole, out = finished[0], tmp_path / "stopped"
    process = begin(out)
    workers = children(process.pid)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert f"this goes on with it: hqre verify --theorem=true --theorem=wrong --games={GAMES}" in err
    assert f"--out={out}" in err
    process = begin(out)
    workers += children(process.pid)
    process.kill()
    process.communicate(timeout=30)
    before = finished_tasks(out)
    deadline = time.monotonic() + 20
    while any(map(alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, workers)), "workers outlive the program"
    assert main([*ASKED, "--out", str(out)]) == 1
    after = finished_tasks(out)
    assert {name: after[name] for name in before} == before, "a finished task was done again"
    assert (out / "ledger.json").read_bytes() == (whole / "ledger.json").read_bytes()
    assert json.loads((out / "times.json").read_text())["resumed_tasks"] == len(before)


def test_folder_of_another_ledger_is_refused(finished, small, capsys):
    out, _, _ = finished
    assert main(["verify", "--theorem", "true", "--games", "7", "--seed", "3", "--out", str(out)]) == 2
    printed, err = capsys.readouterr()
    assert (printed, err.count("\n")) == ("", 1)
    assert "of other games: name another folder" in err


@pytest.mark.parametrize("manifest", [None, "{", "[]"])
def test_finished_work_of_nobody_knows_what_is_refused(manifest, finished, tmp_path, small, capsys):
    """And left as it is; unless it is to be forgotten."""
    out = tmp_path / "out"
    shutil.copytree(finished[0], out)
    (out / "manifest.json").unlink()
    if manifest:
        (out / "manifest.json").write_text(manifest)
    before = finished_tasks(out)
    assert main([*ASKED, "--seed", "7", "--out", str(out)]) == 2
    printed, err = capsys.readouterr()
    assert (printed, err.count("\n")) == ("", 1)
    assert "missing or cannot be read" in err
    assert finished_tasks(out) == before != {}
    store.Store(out, store.Configuration.of(7, GAMES), fresh=True)
    assert not finished_tasks(out)


def test_control_that_nothing_catches_fails(tmp_path, small, capsys):
    assert main(["verify", "--theorem", "vague", "--games", "15", "--out", str(tmp_path)]) == 1
    printed, err = capsys.readouterr()
    assert "NOT CAUGHT: 0 of 1 claim" in printed
    assert "hqre: vague: no negative control makes D⁺ ≤ D/(1+ηκ) fail" in err
    entry = json.loads((tmp_path / "ledger.json").read_text())["statements"]["vague"]["control"]
    assert (entry["caught"], entry["not_caught"]) == (False, ["D⁺ ≤ D/(1+ηκ)"])


@pytest.mark.parametrize(
    ("words", "blamed", "remedy"),
    [
        (["--theorem", "T0"], "theorem", "there are T1, T2"),
        (["--games", "0"], "games", "from 1 to 2^31"),
        (["--games", "1" + "0" * 399], "games", "from 1 to 2^31"),
        (["--games", "many"], "games", "whole number"),
        (["--seed", "-1"], "seed", "from 0"),
        (["--tau", "1"], "tau", "--game GAME"),
        (["--game", "stag_hunt", "--tau", "1", "--out", "x"], "out", "nothing is written"),
        (["--game", "stag_hunt", "--tau", "1", "--fresh"], "fresh", "nothing is written"),
        (["--game", "no_such.nfg", "--tau", "1"], "no_such.nfg", "cannot be read"),
    ],
)
def test_bad_words_end_in_one_line(words, blamed, remedy, capsys):
    assert main(["verify", *words]) == 2
    printed, err = capsys.readouterr()
    assert printed == ""
    assert err.startswith(f"hqre: {blamed}: ")
    assert remedy in err
    assert err.count("\n") == 1


def test_own_game_without_temperatures_is_bad_input(tmp_path, capsys):
    hq.save_game(hq.load_game("stag_hunt"), tmp_path / "mine.json")
    assert main(["verify", "--game", str(tmp_path / "mine.json")]) == 2
    assert "--tau T" in capsys.readouterr().err


def test_own_game_where_the_hypothesis_fails(capsys):
    assert main(["verify", "--game", "stag_hunt", "--tau", "0.5", "--theorem", "T1", "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert not document["statements"]["T1"]["applies"]
    assert "κ = -1 ≤ 0" in document["statements"]["T1"]["reason"]
    assert "temperatures above these" in document["remedy"]
    assert "1.5; 1.5" in document["remedy"], "and above these temperatures it holds:"
    assert hq.certify(hq.load_game("stag_hunt"), 1.5 + 1e-6).margin > 0


def test_own_game_that_goes_on_is_measured_where_it_contracts(capsys):
    """At the temperatures that were advised; what is about one simultaneous move does not stop the others."""
    assert main(["verify", "--game", "big_match", "--tau", "100", "--format", "json"]) == 0
    statements = json.loads(capsys.readouterr().out)["statements"]
    assert {name for name, said in statements.items() if said["applies"]} == {"T1", "T4"}
    assert {statements[name]["reason"] for name in ("T2", "T3", "T5")} == {"is about games of one simultaneous move"}


def test_own_game_is_measured(tmp_path, small, capsys):
    payoffs = np.array([[[1.0, -1.0], [-1.0, 1.0]], [[-1.0, 1.0], [1.0, -1.0]]])
    hq.save_game(hq.NormalFormGame(payoffs), tmp_path / "mine.json")
    assert main(["verify", "--game", str(tmp_path / "mine.json"), "--tau", "0.7"]) == 1, "one statement is wrong"
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if "times the margin" in line}
    assert "holds" in rows["true"]
    assert "VIOLATED" in rows["wrong"]


def test_own_game_in_which_nothing_was_measured_says_so(small, monkeypatch, capsys):
    claims = (
        Measured("nothing usable", float("nan"), violated=False, measured=False),
        Measured("an average", -0.2, violated=False, measured=True),
    )
    verdict = Verdict(statements("wrong_statements")["true"], True, "κ = 1 > 0", claims)
    monkeypatch.setattr(single_game, "judge", lambda *given: (verdict,))
    assert main(["verify", "--game", "stag_hunt", "--tau", "3"]) == 0
    first, second, *facts = (line for line in capsys.readouterr().out.splitlines()[1:] if line)
    assert first.endswith("unresolved")
    assert "-0.200000" in second
    assert second.endswith("holds")
    assert any("less what chance may add" in line for line in facts)


def test_tasks_have_their_own_keys():
    planned = tasks.plan(statements("wrong_statements"), 10_000)
    assert len({task.name for task in planned}) == len(planned)
    keys = {tuple(jax.random.key_data(task.key(0)).tolist()) for task in planned}
    assert len(keys) == len(planned)
    checks = [task for task in planned if task.role == "check" and task.statement == "true"]
    assert len({task.games for task in checks}) == 1, "one size, one program"
    assert sum(task.games for task in checks) >= 10_000


class Given(NamedTuple):
    """Problems of which nothing is certified."""

    problem: hq.Problem


def large_payoffs(cases, sample):
    """A claim that says nothing about play: no payoff above one half."""
    del sample
    largest = np.asarray(cases.problem.game.payoffs).reshape(len(cases.problem.tau), -1).max(axis=1)
    half = np.full_like(largest, 0.5)
    return {"u ≤ ½": Sides(largest, half, 0 * half)}


@pytest.mark.parametrize("kind", ["normal_form", "polymatrix", "bayesian", "markov", "public_private"])
def test_shrinking_leaves_one_payoff(kind, tmp_path, small):
    """Whatever the kind of game: what remains breaks the claim, is round, and can be read and asked about again."""
    key = jax.random.key(2)
    game = {
        "normal_form": lambda: hq.games.random.random_normal_form(key, (3, 2)),
        "polymatrix": lambda: hq.games.random.random_polymatrix(key, 3, 2),
        "bayesian": lambda: hq.games.random.random_bayesian(key, (2, 2), (2, 2)),
        "markov": lambda: hq.games.random.random_markov(key, 2, (2, 2), discount=0.123456),
        "public_private": lambda: hq.games.random.random_public_private(key, 2, (1, 2), (2, 2)),
    }[kind]()
    reference = hq.games.random.random_policy(jax.random.key(1), game)
    problem = hq.Problem(game, 1.23456, reference=reference)
    small_payoffs = Experiment((), large_payoffs, given=Given)
    statement = replace(statements("wrong_statements")["true"], experiments=(small_payoffs,))
    found = shrunk(statement, "u ≤ ½", problem, key)
    (tmp_path / "small.json").write_text(found.game)
    small = hq.load_game(tmp_path / "small.json")
    assert type(small) is type(game)
    values = np.asarray(small.payoffs)
    np.testing.assert_array_equal(values[values != 0], [1.0])
    assert found.violated
    assert found.ratio == 2.0
    assert found.reference == "", "the uniform policy does"
    tau = np.array([entry for own in json.loads(found.tau) for entry in own])
    np.testing.assert_array_equal(tau, 1.0)


def synthetic(rng):
    """Arrays as the pictures take them, with what is hard: nothing measured, one point, large and small numbers."""
    steps = np.arange(50)
    falling = np.exp(-steps / np.array([[1.0], [5.0], [50.0]]))
    curves = ("best_response", "drift", "mirror", "mirror_plain", "best_response_theory", "drift_theory")
    grid = np.geomspace(0.1, 10, 6)
    return {
        "equilibria": {
            f"{name}_{what}": values
            for name in ("square", "general")
            for what, values in (("margin", rng.uniform(-1, 0.5, 9)), ("count", rng.integers(1, 4, 9)))
        },
        "convergence": {"divergence": falling, "promised": np.full(3, 0.9), "predicted": np.full(3, 0.8)},
        "rates": {
            "promised": np.array([0.1, 0.2, 0.3]),
            "predicted": np.array([0.2, 0.3, 0.4]),
            "measured": np.array([0.2, np.nan, 0.41]),
            "family": np.array([0, 0, 1]),
        },
        "boundary": {
            "tau": grid,
            "eta": grid,
            "radius": grid[:, None] / grid[None],
            "rounds": np.where(grid[:, None] > grid[None], 30.0, np.nan),
            "certified": np.where(grid > 1, grid, np.nan),
        },
        "regret": {name: np.cumsum(rng.uniform(1, 2, 40)) for name in curves}
        | {"mirror_bound": np.asarray(90.0), "tau": np.asarray(0.9), "noise": np.asarray(0.2)}
        | {"margin": np.asarray(0.3), "plain_slope": np.asarray(1.0)},
        "star": {"leaves": np.arange(1, 4), "hub": np.ones(3), "leaf": np.ones(3), "common": np.ones(3)},
    }


FIGURES = {figure.name: figure for statement in statements().values() for figure in statement.figures}


@pytest.mark.parametrize("name", FIGURES)
def test_pictures_name_their_axes(name, tmp_path):
    figure = FIGURES[name].picture(synthetic(np.random.default_rng(0))[name])
    figure.savefig(tmp_path / "picture.png")
    ax = figure.axes[0]
    assert all(text for text in (ax.get_xlabel(), ax.get_ylabel(), ax.get_title()))
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert len(labels) >= 3, "measurements and theory are told apart"
    assert FIGURES[name].caption


@pytest.mark.slow
def test_ledger_end_to_end(tmp_path, capsys):
    """A real statement with its picture."""
    assert main(["verify", "--theorem", "T8", "--games", "40", "--out", str(tmp_path)]) == 0
    assert "T8 heterogeneity pays" in capsys.readouterr().out
    assert (tmp_path / "star.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "data:image/png;base64," in page
    assert "Cauchy &amp; Schwarz" in page, "the proof"
    entry = json.loads((tmp_path / "ledger.json").read_text())["statements"]["T8"]
    assert entry["violations"] == 0
    assert entry["control"]["caught"]
    assert entry["games"] >= 40
