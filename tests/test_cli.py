"""The command line: every exit code, every document, one line for every fault."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import hqre_jax as hq
from hqre_jax.cli import _tables, main
from hqre_jax.cli._tables import rendered, table

ROOT = Path(__file__).parents[1]


def run(capsys, *argv: str) -> tuple[int, str, str]:
    code = main(list(argv))
    seen = capsys.readouterr()
    return code, seen.out, seen.err


def document(capsys, *argv: str) -> dict:
    """The JSON that a command prints; NaN and Infinity, which are no JSON, are refused."""
    code, out, err = run(capsys, *argv, "--format", "json")
    assert code == 0, err
    assert err == ""
    assert out.count("\n") == 1

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(out, parse_constant=refuse)


def assert_one_line(code: int, out: str, err: str, field: str) -> None:
    assert code == 2
    assert out == ""
    assert err.endswith("\n")
    assert err.count("\n") == 1
    assert err.startswith(f"hqre: {field}"), err
    assert "Traceback" not in err


def test_version(capsys):
    code, out, err = run(capsys, "--version")
    assert (code, err) == (0, "")
    assert re.fullmatch(r"hqre \d+\.\d+\.\d+\S*\n", out)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_output_that_cannot_be_written_is_one_line():
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "hqre_jax", "games"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert ended.returncode == 2
    assert ended.stderr == "hqre: output: cannot be written: no space left on device\n"


def test_games_one_a_line(capsys):
    code, out, err = run(capsys, "games")
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in lines] == [entry.name for entry in hq.list_games()]
    big_match = next(line for line in lines if line.startswith("big_match "))
    assert "--tau 0.5" in big_match
    assert "--continuation zero_sum" in big_match
    assert "--tau 40,20" in next(line for line in lines if line.startswith("matching_pennies_320 "))


def test_solve_document_of_a_tree(capsys):
    argv = ("solve", "entry_deterrence", "--tau", "1,0.5", "--continuation", "plain")
    found = document(capsys, *argv)
    sol = hq.solve(hq.load_game("entry_deterrence"), np.array([1.0, 0.5]), continuation="plain")
    assert found["policy"] == sol.unpadded_policy()
    assert [[len(row) for row in own] for own in found["policy"]] == [[2], [2]]
    assert found["residual"] <= 1e-10
    assert (found["result"], found["solver"], found["selection"]) == (
        "successful",
        "principal_branch",
        "principal_branch",
    )
    assert found["num_steps"] == int(sol.num_steps) > 0
    assert found["tau"] == [[1.0], [0.5]]
    assert found["continuation"] == "plain"
    assert found["certificate"] == {"verdict": "undecided", "margin": None, "contraction": None}
    game = sol.problem.game
    assert found["information_states"] == [[game.labels.information_state(i, 0)] for i in range(2)]
    np.testing.assert_allclose(np.ravel(found["values"]), np.ravel(sol.values), rtol=1e-12)
    np.testing.assert_allclose(found["initial_values"], sol.initial_values, rtol=1e-12)


def test_solve_lists_have_no_padding(capsys, tmp_path):
    """Players with different numbers of actions: 2×3."""
    path = tmp_path / "game.json"
    path.write_text('{"kind": "normal_form", "payoffs": [[[1, 0, 2], [0, 1, 0]], [[0, 1, 0], [1, 0, 3]]]}')
    found = document(capsys, "solve", str(path), "--tau", "2")
    assert [len(own[0]) for own in found["policy"]] == [2, 3]
    for own in found["policy"]:
        assert abs(sum(own[0]) - 1) <= 1e-14
    assert found["certificate"]["verdict"] == "unique"
    assert found["certificate"]["margin"] > 0
    assert found["selection"] == "unique"


def test_solve_takes_the_catalogue_temperature_and_says_so(capsys):
    found = document(capsys, "solve", "coordination")
    assert found["tau"] == [[0.6], [0.6]]
    assert found["tau_origin"] == "catalogue"
    code, out, _ = run(capsys, "solve", "coordination")
    assert code == 0
    assert "catalogue" in out
    assert document(capsys, "solve", "coordination", "--tau", "0.6")["tau_origin"] == "given"


def test_explicit_continuation_beats_the_catalogue(capsys):
    """The catalogue asks about some games under other continuation values; the option's default stays soft."""
    assert document(capsys, "solve", "entry_deterrence")["continuation"] == "soft"


def test_files_for_temperatures_and_reference(capsys, tmp_path):
    """Known answer: dominant strategies under a reference; the logit of one payoff difference."""
    game, tau, rho = tmp_path / "g.json", tmp_path / "tau.json", tmp_path / "rho.json"
    game.write_text('{"kind": "normal_form", "payoffs": [[[3, 3], [1, 1]], [[0, 4], [0, 4]]]}')
    tau.write_text("[[0.5], [4.0]]")
    rho.write_text("[[[0.2, 0.8]], [[0.5, 0.5]]]")
    found = document(capsys, "solve", str(game), "--tau-file", str(tau), "--reference-file", str(rho))
    first = 0.2 * np.exp(3 / 0.5) / (0.2 * np.exp(3 / 0.5) + 0.8 * np.exp(1 / 0.5))
    np.testing.assert_allclose(found["policy"][0][0], [first, 1 - first], atol=1e-10)
    np.testing.assert_allclose(found["policy"][1][0][1], 1 / (1 + np.exp(-4 / 4)), atol=1e-10)
    np.save(tmp_path / "tau.npy", np.array([0.5, 4.0]))
    np.save(tmp_path / "rho.npy", np.array([[[0.2, 0.8]], [[0.5, 0.5]]]))
    again = document(
        capsys,
        "solve",
        str(game),
        "--tau-file",
        str(tmp_path / "tau.npy"),
        "--reference-file",
        str(tmp_path / "rho.npy"),
    )
    assert again["policy"] == found["policy"]


def test_single_precision_files_are_solved_in_double(capsys, tmp_path):
    payoffs = np.array([[[3, 0], [0, 1]], [[1, 0], [0, 2]]], np.float32)
    np.savez(tmp_path / "game.npz", kind="normal_form", payoffs=payoffs)
    found = document(capsys, "solve", str(tmp_path / "game.npz"), "--tau", "2")
    assert found["policy"] == hq.solve(hq.NormalFormGame(payoffs.astype(float)), 2.0).unpadded_policy()
    assert found["residual"] <= 1e-10


def test_unpadded_temperatures_of_a_tree(capsys, tmp_path):
    """Players with different numbers of information sets: one temperature each, without padding."""
    tau = tmp_path / "tau.json"
    entry = hq.load_game("stripped_down_poker")
    counts = np.asarray(entry.action_mask).any(-1).sum(1).tolist()
    assert counts[0] != counts[1], "the point of this test is that the players differ"
    given = [[1.0 + x for x in range(count)] for count in counts]
    tau.write_text(json.dumps(given))
    argv = ("solve", "stripped_down_poker", "--tau-file", str(tau), "--continuation", "plain")
    assert document(capsys, *argv)["tau"] == given
    tau.write_text(json.dumps([[1.0] * 7, [1.0]]))
    assert_one_line(*run(capsys, *argv), f"{tau}: tau[0]")


def test_table_shows_what_json_shows(capsys):
    argv = ("solve", "coordination", "--tau", "0.6")
    found = document(capsys, *argv)
    code, out, err = run(capsys, *argv)
    assert (code, err) == (0, "")
    for own in found["policy"]:
        assert f"{own[0][0]:.9f}" in out
    for word in ("successful", "unique", "soft", "Left", "Right"):
        assert word in out


def test_numbers_survive_a_narrow_terminal(monkeypatch):
    """On 60 columns names are wrapped, numbers are whole."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    numbers = ("0.123456789", "1.23457e+06", "-7.65432e-05")
    rows = [("a very long name of a player indeed", "an information state " * 5, *numbers)]
    shown = rendered([table(("player", "state", "p", "q", "r"), rows, ("p", "q", "r"))])
    for number in numbers:
        assert number in shown


def test_tolerance_not_reached_is_exit_1(capsys, tmp_path):
    argv = ("solve", "stag_hunt", "--tau", "1", "--solver", "mirror_descent", "--max-steps", "2")
    code, out, err = run(capsys, *argv, "--format", "json")
    found = json.loads(out)
    assert code == 1
    assert found["result"] == "max_steps_reached"
    assert found["num_steps"] == 2
    assert found["residual"] > 1e-10
    assert err == f"hqre: max_steps_reached: {hq.RESULTS.max_steps_reached.message}\n"


def test_certify_documents(capsys):
    one = document(capsys, "certify", "coordination", "--tau", "0.6")
    assert one["verdict"] == "unique"
    assert one["witnesses"] == []
    assert 0 < one["margin"] <= 0.1
    assert one["lipschitz"] == pytest.approx(0.5)
    assert one["max_step"] == pytest.approx(one["margin"] / one["lipschitz"] ** 2)
    assert one["contraction"] == pytest.approx(0.5 / 0.6)
    assert np.shape(one["weights"]) == (2, 1)
    assert one["reason"]
    several = document(capsys, "certify", "coordination", "--tau", "0.4")
    assert several["verdict"] == "not_unique"
    assert several["max_step"] is None
    first, second = (np.array(witness) for witness in several["witnesses"])
    assert np.abs(first - second).max() > 0.1
    for witness in (first, second):
        # The 2×2 coordination game by hand: each answers p with 1/(1 + exp((1 − 2p)/τ)).
        answer = 1 / (1 + np.exp((1 - 2 * witness[::-1, 0, 0]) / 0.4))
        np.testing.assert_allclose(answer, witness[:, 0, 0], atol=1e-9)
    code, out, err = run(capsys, "certify", "coordination", "--tau", "0.4")
    assert (code, err) == (0, "")
    assert "witness 2" in out


def test_lines_tell_of_progress_where_there_is_no_bar(capsys, monkeypatch):
    seconds = iter((0.0, 10.0, 31.0, 31.0, 32.0, 62.0, 62.0))
    monkeypatch.setattr(_tables.time, "monotonic", lambda: next(seconds))
    tell = _tables.now_and_then()
    for done in range(4):
        tell(f"{done} of 4")
    assert capsys.readouterr().err == "hqre: 1 of 4\nhqre: 3 of 4\n"


def test_trace_document(capsys):
    found = document(capsys, "trace", "stag_hunt", "--tau-from", "inf", "--tau-to", "0.8")
    points = found["points"]
    assert points[0]["tau"] == [[None], [None]]
    assert points[0]["policy"] == [[[0.5, 0.5]], [[0.5, 0.5]]]
    assert points[-1]["tau"] == [[0.8], [0.8]]
    assert len(points) > 5
    assert (found["result"], found["folds"], found["num_bifurcations"]) == ("successful", [], 0)
    assert found["bifurcations"] == []
    sol = hq.solve(hq.load_game("stag_hunt"), 0.8, solver="principal_branch")
    np.testing.assert_allclose(points[-1]["policy"], sol.unpadded_policy(), atol=1e-10)
    later = document(capsys, "trace", "stag_hunt", "--tau-from", "2", "--tau-to", "0.8")["points"]
    assert 1 < len(later) < len(points)
    assert later[-1] == points[-1]


def test_trace_tells_of_folds(capsys):
    argv = ("trace", "group_polymatrix", "--tau-from", "inf", "--tau-to", "0.01,0.01,1")
    found = document(capsys, *argv)
    first, second = (fold["tau"][0][0] for fold in found["folds"])
    # On the way down τ has a minimum first and then a maximum.
    assert first < second
    assert [len(own[0]) for own in found["folds"][0]["policy"]] == [2, 2, 2]
    code, out, err = run(capsys, *argv)
    assert (code, err) == (0, "")
    assert out.count("fold") >= 3


def test_trace_that_fails_is_exit_1(capsys):
    code, out, err = run(capsys, "trace", "stag_hunt", "--tau-from", "inf", "--tau-to", "0.8", "--max-steps", "2")
    assert code == 1
    assert "max_steps_reached" in out
    assert err.startswith("hqre: max_steps_reached: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("argv", "field"),
    [
        ((), "COMMAND: is missing"),
        (("frobnicate",), "COMMAND: invalid choice"),
        (("solve",), "GAME: is missing"),
        (("solve", "chicken", "--tau", "1", "--no-cache"), "--no-cache: goes before the command"),
        (("solve", "chicken", "--tau", "1", "--frob"), "--frob: is not understood; `hqre solve --help` lists"),
        (("solve", "chicken", "--ta", "1"), "--ta 1: is not understood"),
        (("solve", "chicken", "--tau"), "tau: expected one argument"),
        (("solve", "chicken", "--tau", "-1,2"), "tau: expected one argument"),
        (("solve", "chicken", "--tau=-1,2"), "tau: temperature of player 1 is -1"),
        (("solve", "chicken", "--tau", "1", "--tau-file", "x"), "tau_file: not allowed with argument --tau"),
        (("solve", "chicken", "--tau", "one"), "tau: is 'one'"),
        (("solve", "chicken", "--tau", "1,"), "tau: is '1,'"),
        (("solve", "chicken", "--tau", "0"), "tau: temperature is 0"),
        (("solve", "chicken", "--tau", "nan"), "tau: temperature is nan"),
        (("solve", "chicken", "--tau", "inf"), "tau: temperature is inf"),
        (("solve", "chicken", "--tau", "1e-300"), "tau: 1e-300"),
        (("solve", "chicken", "--tau", "1,2,3"), "tau: has shape (3,)"),
        (("solve", "chicken", "--tau", "1", "--tol", "x"), "tol: is 'x'"),
        (("solve", "chicken", "--tau", "1", "--tol", "2"), "tol: is 2"),
        (("solve", "chicken", "--tau", "1", "--max-steps", "1.5"), "max_steps: is '1.5'"),
        (("solve", "chicken", "--tau", "1", "--max-steps", "-1"), "max_steps: is -1"),
        (("solve", "chicken", "--tau", "1", "--solver", "magic"), "solver: is 'magic'"),
        (("solve", "chicken", "--tau", "1", "--entropy", "tsallis"), "entropy: invalid choice: 'tsallis'"),
        (("solve", "chicken", "--tau", "1", "--continuation", "hard"), "continuation: invalid choice: 'hard'"),
        (("solve", "chicken", "--tau", "1", "--continuation", "zero_sum"), 'continuation: "zero_sum" needs'),
        (("solve", "chicken", "--tau", "1", "--format", "xml"), "format: invalid choice"),
        (("solve", "chicken", "--tau", "1", "--plot", "/nowhere/at/all.png"), "plot: cannot write into '/nowhere/at'"),
        (("solve", "chicken", "--tau", "1", "--plot", "plot.xyz"), "plot: 'plot.xyz' does not end"),
        (("solve", "chicken", "--tau", "1", "--reference-file", "/nowhere.json"), "/nowhere.json: cannot be read"),
        (("solve", "chiken", "--tau", "1"), "game: 'chiken' is neither"),
        (("solve", "/nowhere.nfg", "--tau", "1"), "/nowhere.nfg: cannot be read"),
        (("solve", "two\nlines", "--tau", "1"), "game: 'two\\nlines' is neither"),
        (("certify", "chicken", "--tau", "0"), "tau: temperature is 0"),
        (("trace", "chicken", "--tau-to", "1"), "--tau-from: is missing"),
        (("solve", "chicken", "--tau=--"), "tau: is '--', which is no value"),
        (("verify", "--out=--"), "out: is '--', which is no value"),
        (("trace", "chicken", "--tau-from", "x", "--tau-to", "1"), "tau_from: is 'x'"),
        (("trace", "chicken", "--tau-from", "0.5", "--tau-to", "1"), "tau_from: is below tau_to"),
        (("trace", "chicken", "--tau-from", "inf", "--tau-to", "inf"), "tau"),
        (("trace", "chicken", "--tau-from", "inf", "--tau-to", "1", "--plot", "/nowhere/p.pdf"), "plot: cannot write"),
        (("demo", "--out", "/dev/null/demo"), "out: '/dev/null/demo' cannot be made"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bad_input_is_exit_2(capsys, argv, field):
    assert_one_line(*run(capsys, *argv), field)


def test_a_file_without_temperatures_needs_some(capsys, tmp_path):
    path = tmp_path / "game.json"
    path.write_text('{"kind": "normal_form", "payoffs": [[[1, 0]], [[0, 1]]]}')
    assert_one_line(*run(capsys, "solve", str(path)), "tau: is missing")


def test_plots_are_written(capsys, tmp_path):
    solved, traced = tmp_path / "solved.png", tmp_path / "traced.svg"
    code, _, err = run(capsys, "solve", "stag_hunt", "--tau", "1", "--plot", str(solved))
    assert (code, err) == (0, f"hqre: picture: {solved}\n")
    assert solved.read_bytes().startswith(b"\x89PNG")
    argv = ("trace", "stag_hunt", "--tau-from", "inf", "--tau-to", "1", "--plot", str(traced))
    assert run(capsys, *argv)[0] == 0
    assert "<svg" in traced.read_text()


def test_refused_plot_leaves_the_old_one(capsys, tmp_path):
    old = tmp_path / "old.png"
    old.write_bytes(b"as it was")
    assert_one_line(*run(capsys, "solve", "chicken", "--tau", "0", "--plot", str(old)), "tau")
    assert old.read_bytes() == b"as it was"
    assert list(tmp_path.iterdir()) == [old]


@pytest.mark.parametrize("command", [(), ("games",), ("solve",), ("certify",), ("trace",), ("demo",)], ids=str)
def test_help_explains(capsys, command):
    code, out, err = run(capsys, *command, "--help")
    assert (code, err) == (0, "")
    assert "usage: hqre" in out
    if command in [("solve",), ("certify",), ("trace",)]:
        assert "examples:" in out
        assert "--reference-file" in out


def test_rigorous_answers_carry_their_proofs(capsys):
    pytest.importorskip("flint")
    solved = document(capsys, "solve", "stag_hunt", "--tau", "0.5", "--rigorous")
    assert solved["proof"]["kind"] == "krawczyk"
    assert 0 < solved["proof"]["radius"] < 1e-9 < solved["proof"]["unique_radius"]
    several = document(capsys, "certify", "stag_hunt", "--tau", "0.5", "--rigorous")
    assert (several["verdict"], len(several["witnesses"])) == ("not_unique", 2)
    assert [proof["kind"] for proof in several["proofs"]] == ["krawczyk", "krawczyk"]
    one = document(capsys, "certify", "matching_pennies", "--tau", "0.5", "--rigorous")
    assert (one["verdict"], [proof["kind"] for proof in one["proofs"]]) == ("unique", ["margin"])
    exhausted = document(capsys, "certify", "stag_hunt", "--tau", "1", "--rigorous")
    assert (exhausted["verdict"], exhausted["proofs"]) == ("undecided", [])
    assert exhausted["reason"].endswith("no proof with outward rounding, a higher τ, where the margin is positive, has")


def test_names_in_a_file_do_not_act_on_the_terminal(capsys, tmp_path):
    game = {"kind": "normal_form", "payoffs": [[[1, 0], [0, 1]]] * 2}
    game |= {"title": "a\x1b[31mX", "players": ["b\x1b]0;y\x07", "c"]}
    file = tmp_path / "game.json"
    file.write_text(json.dumps(game))
    code, out, err = run(capsys, "solve", str(file), "--tau", "1")
    assert (code, err) == (0, "")
    assert "a\\x1b[31mX" in out
    assert not {"\x1b", "\x07"} & set(out)
