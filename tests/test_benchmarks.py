"""The benchmark's judge is right, its timing is honest about failures, and the command writes what it prints."""

import importlib.util
import itertools
import json
from dataclasses import replace

import jax
import numpy as np
import pytest

import hqre_jax as hq
from benchmarks import __main__, _measure, growth, iteration
from benchmarks._case import Entrant, Goal, Prepared
from benchmarks._measure import measure, outcomes
from benchmarks._memory import added_bytes
from benchmarks._normal_form_case import NormalFormCase, action_values, logit, residuals
from benchmarks._report import Result, markdown
from benchmarks.entrants import all_entrants, numpy_mirror
from benchmarks.workloads import WORKLOADS, w4_large_zero_sum


@pytest.fixture(autouse=True, scope="module")
def _loops_are_compiled_hastily():
    """Like programs: optimising takes long, and nobody asks here how fast they are."""
    with pytest.MonkeyPatch.context() as patch:
        if importlib.util.find_spec("numba"):
            settings = importlib.import_module("numba").config
            patch.setattr(settings, "OPT", type(settings.OPT)(0))
        yield


@pytest.fixture
def briefly(monkeypatch):
    """One call each time, however short it is."""
    for module in (_measure, growth):
        monkeypatch.setattr(module, "LEAST_SECONDS", 0.0)


def random_policies(rng, games, players, actions):
    return rng.dirichlet(np.ones(actions), (games, players))


@pytest.mark.parametrize(("players", "actions"), [(2, 3), (3, 2), (4, 2)])
def test_action_values_are_expected_payoffs(players, actions):
    """Against a sum over joint actions, term by term."""
    rng = np.random.default_rng(0)
    payoffs = rng.standard_normal((3, players, *(actions,) * players))
    policies = random_policies(rng, 3, players, actions)
    expected = np.zeros((3, players, actions))
    for g, joint in itertools.product(range(3), itertools.product(range(actions), repeat=players)):
        for i in range(players):
            weight = np.prod([policies[g, j, joint[j]] for j in range(players) if j != i])
            expected[g, i, joint[i]] += payoffs[g, i][joint] * weight
    np.testing.assert_allclose(action_values(payoffs, policies), expected, atol=1e-14)


def test_residual_is_the_librarys():
    """Two implementations that share nothing agree."""
    rng = np.random.default_rng(1)
    payoffs, policies = rng.random((2, 2, 3, 3)), random_policies(rng, 2, 2, 3)
    for k in range(2):
        game = hq.NormalFormGame(payoffs[k])
        expected = float(hq.residual(game, policies[k][:, None], 0.3))
        assert residuals(payoffs, policies, 0.3)[k] == pytest.approx(expected, abs=1e-14)


def test_logit_survives_large_payoffs():
    np.testing.assert_allclose(logit(np.array([0.0, 1e6]), 1.0), [0.0, 1.0])


def test_no_number_is_no_answer():
    payoffs = np.random.default_rng(0).random((1, 2, 3, 3))
    policies = np.full((1, 2, 3), np.nan)
    assert residuals(payoffs, policies, 1.0)[0] == np.inf
    case = NormalFormCase(workload="test", label="no number", payoffs=payoffs, tau=1.0)
    assert case.distances(policies, np.zeros((1, 2, 3)))[0] == np.inf


def test_w1_is_the_published_stream():
    """The recipe: ``RandomState(1000).rand(B, 2, 3, 3)`` at τ = 1 and 0.1."""
    cases = list(WORKLOADS["W1"](7))
    assert [case.tau for case in cases] == [1.0, 0.1]
    for case in cases:
        np.testing.assert_array_equal(case.payoffs, np.random.RandomState(1000).rand(7, 2, 3, 3))
        assert (case.residual_tol, case.branch_tol) == (1e-8, 1e-4)


@pytest.mark.parametrize("tau", [1.0, 0.3])
def test_numpy_mirror_descent_solves_games(tau):
    payoffs = np.random.RandomState(0).rand(50, 2, 3, 3)
    answer = numpy_mirror.mirror_descent(payoffs, tau)
    assert residuals(payoffs, answer, tau).max() <= 1e-9
    np.testing.assert_allclose(answer.sum(axis=-1), 1.0, atol=1e-12)


def fixed(name, answer, **facts):
    return Entrant(name, "0", lambda case: Prepared(lambda: answer, len(answer)), **facts)


@pytest.fixture
def coordination():
    """Two copies of a coordination game with three equilibria: one on the branch, one off it."""
    payoffs = np.tile(np.eye(2), (2, 2, 1, 1))
    case = NormalFormCase(workload="test", label="coordination", payoffs=payoffs, tau=0.25)
    middle = np.full((2, 2, 2), 0.5)
    side = np.tile([0.99, 0.01], (2, 2, 1))
    for _ in range(500):
        side = logit(action_values(payoffs, side), 0.25)
    return case, middle, side


def test_an_equilibrium_off_the_branch_is_not_a_failure_of_the_residual(coordination):
    case, middle, side = coordination
    reference = fixed("reference", middle, reference=True, follows_branch=True)
    found = measure(case, [reference, fixed("side", side), fixed("wrong", side + 1e-3)], 5)
    assert [m.failures for m in found] == [0, 0, 2]
    assert [m.off_branch for m in found] == [None, 2, 0]
    assert [m.compared for m in found] == [0, 2, 0]
    assert all(len(m.run_seconds) == 5 for m in found)


def test_part_of_the_games_is_judged_as_such(coordination):
    case, middle, _ = coordination
    found = measure(case, [fixed("reference", middle[:1], reference=True), fixed("all", middle)], 5)
    assert [m.num_games for m in found] == [1, 2]
    assert found[1].compared == 1
    assert found[0].games_per_second == pytest.approx(1 / np.median(found[0].run_seconds))


def test_games_without_a_reference_answer_are_not_compared(coordination):
    case, middle, side = coordination
    gave_up = middle.copy()
    gave_up[0] = np.nan
    reference, other = measure(case, [fixed("reference", gave_up, reference=True), fixed("side", side)], 5)
    assert (reference.failures, other.compared, other.off_branch) == (1, 1, 1)


def test_time_only_entrants_are_not_judged(coordination):
    case, middle, _ = coordination
    reduced = fixed("reduced form", middle[:, :, :0], time_only=True, reference=False)
    ours, other = measure(case, [fixed("reference", middle, reference=True), reduced], 5)
    assert (ours.failures, other.failures, other.worst_residual, other.off_branch) == (0, None, None, None)


def test_a_reference_that_is_timed_on_a_part_may_judge_all(coordination):
    case, middle, side = coordination
    slow = Entrant("slow", "0", lambda case: Prepared(lambda: middle[:1], 1, reference=lambda: middle), reference=True)
    _, other = measure(case, [slow, fixed("side", side)], 5)
    assert (other.compared, other.off_branch) == (2, 2)


def test_what_takes_long_runs_once(coordination, monkeypatch):
    case, middle, _ = coordination
    monkeypatch.setattr(_measure, "PATIENCE", -1.0)
    calls = []
    slow = Entrant("slow", "0", lambda case: Prepared(lambda: calls.append(0) or middle, 2))
    (found,) = measure(case, [slow], 5)
    assert len(calls) == len(found.run_seconds) == 1


def test_goals_are_judged_by_seconds_per_game(coordination):
    case, middle, _ = coordination
    case = replace(case, goals=(Goal("ours", ("peer",), 2.0), Goal("ours", ("absent",), 1.0)))
    timed = measure(case, [fixed("ours", middle), fixed("peer a", middle), fixed("peer b", middle[:1])], 5)
    seconds = {"ours": 1.0, "peer a": 3.0, "peer b": 1.0}
    timed = [replace(m, run_seconds=(seconds[m.entrant],) * 5) for m in timed]
    (outcome,) = outcomes(case, timed)
    # b answers one of the two games in a second.
    assert (outcome.peer, outcome.factor, outcome.reached) == ("peer b", 2.0, True)
    assert "2.00 times as fast as peer b" in str(outcome)
    (missed,) = outcomes(case, [replace(m, run_seconds=(1.0,) * 5) for m in timed if m.entrant != "peer b"])
    assert (missed.factor, missed.reached) == (1.0, False)


def test_the_summary_prefers_right_answers_to_fast_ones(coordination):
    case, middle, side = coordination
    entrants = [fixed("reference", middle, reference=True), fixed("hqre right", middle), fixed("hqre wrong", side)]
    timed = [replace(m, run_seconds=(len(m.entrant) - 9.0,) * 5) for m in measure(case, entrants, 5)[1:]]
    machine = {"processor": "P", "cores_used": 2, "device": "cpu:0"}
    table = markdown([Result(case, timed, ())], machine, "2026-01-01T00:00:00")
    cells = next(line for line in table.splitlines() if line.startswith("| coordination")).strip("| ").split(" | ")
    assert cells[:4] == ["coordination", "right", "1e+03", "1"]  # of seconds, nothing was compiled
    assert cells[5:] == ["0", *["–"] * 6]
    assert "P, 2 cores, cpu:0, 2026-01-01; medians of 5 runs" in table


def test_memory_that_a_call_takes_is_seen():
    result, added = added_bytes(lambda: np.ones(2**24).sum())
    assert result == 2**24
    assert added is None or added >= 0.9 * 8 * 2**24


def test_answers_that_change_between_runs_are_refused(coordination):
    case, middle, _ = coordination
    answers = itertools.count()
    fickle = replace(fixed("fickle", middle), prepare=lambda case: Prepared(lambda: middle + next(answers), 2))
    with pytest.raises(RuntimeError, match="fickle answers coordination differently"):
        measure(case, [fickle], 5)


def test_w2_is_the_published_stream():
    """Three players with five actions, and five players with four."""
    three, five = WORKLOADS["W2"](20)
    np.testing.assert_array_equal(three.payoffs, np.random.RandomState(2000).rand(20, 3, 5, 5, 5))
    np.testing.assert_array_equal(five.payoffs, np.random.RandomState(2001).rand(20, 5, 4, 4, 4, 4, 4))
    assert three.tau == five.tau == 0.5


def test_growth_reports_what_it_measured(briefly):
    row = growth.measure_size(5, 1)
    assert row["failures"] == 0
    assert row["peak_bytes"] >= row["added_bytes"] >= 0
    assert row["first_call_seconds"] > 0
    assert row["peer_seconds"] is None or row["peer_seconds"] > 0


def test_growth_is_drawn_without_the_peer_too(tmp_path):
    rows = [{"num_games": n, "seconds": 1e-3 + 1e-6 * n, "peer_seconds": 1e-6 * n if n > 1 else None} for n in (1, 100)]
    growth.draw(rows, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").stat().st_size > 0


def test_growth_is_a_slope():
    sizes = np.array([10, 1_000, 100_000])
    assert growth.growth_exponent(sizes, 1e-6 * sizes**1.5) == pytest.approx(1.5)
    assert np.isnan(growth.growth_exponent([1], [1.0]))


def test_growth_with_the_states_is_judged():
    from benchmarks.states import measure_states

    size = measure_states(6, 1.0, 1)
    assert not size.failed
    assert size.solve_seconds > 0
    assert size.pass_seconds > 0


@pytest.mark.slow
def test_speed_of_iterations_is_measured(monkeypatch):
    """In a game that is not as large as that of the benchmark."""
    monkeypatch.setattr(w4_large_zero_sum, "_ACTIONS", 100)
    speeds = iteration.measure(1)
    assert {"numpy, one thread", "compiled loop", "fixed_point"} <= speeds.keys()


@pytest.mark.slow
def test_one_game_at_a_time_is_measured_and_judged():
    from benchmarks.one_game import measure as measure_one_by_one

    found = measure_one_by_one(1, games=4)
    assert list(found) == ["τ = 1", "τ = 0.1"]
    for ways in found.values():
        ours = [name for name in ways if name.startswith("hqre")]
        assert len(ours) == 2
        assert all(ways[name]["wrong"] == 0 and ways[name]["seconds"] > 0 for name in ours)


@pytest.mark.slow
def test_entrants_answer_w1(briefly):
    """Everybody that is installed, on a few games: answers verified, principal branches equal."""
    entrants = [e for e in all_entrants() if not e.missing]
    assert {"hqre principal_branch", "hqre mirror_descent", "numpy mirror descent"} <= {e.name for e in entrants}
    case = next(iter(WORKLOADS["W1"](20)))
    for m in measure(case, [e for e in entrants if e.accepts(case)], 5):
        assert m.failures == 0, m
        assert m.worst_residual <= case.residual_tol
        assert not m.off_branch, m
        assert (m.compile_seconds is not None) == m.entrant.startswith(("hqre", "numba", "strataq"))


def test_command_prints_and_writes_the_same(tmp_path, capsys, briefly):
    out = tmp_path / "numbers" / "bench.json"
    assert __main__.main(["--workload", "W1", "--games", "6", "--only", "numpy", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    document = json.loads(out.read_text(encoding="utf-8"))
    assert document["machine"]["packages"]["jax"] == jax.__version__
    assert [case["tau"] for case in document["cases"]] == [1.0, 0.1]
    for case in document["cases"]:
        assert case["label"] in printed
        (entrant,) = case["entrants"]
        assert len(entrant["run_seconds"]) == 5
        assert entrant["median_seconds"] == np.median(entrant["run_seconds"])
        assert f"{1e3 * entrant['median_seconds']:.1f}" in printed
    assert out.with_suffix(".md").read_text(encoding="utf-8") in printed
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("off_branch", [True, False])
def test_exit_code_tells_a_wrong_branch(coordination, monkeypatch, tmp_path, off_branch):
    case, middle, side = coordination
    claims = fixed("claims", side if off_branch else middle, follows_branch=True)
    entrants = (fixed("reference", middle, reference=True), claims)
    monkeypatch.setattr(__main__, "WORKLOADS", {"test": lambda games: iter([case])})
    monkeypatch.setattr(__main__, "all_entrants", lambda: entrants)
    assert __main__.main(["--out", str(tmp_path / "bench.json")]) == int(off_branch)


@pytest.mark.parametrize("arguments", [["--workload", "W0"], ["--repeats", "4"], ["--games", "0"], ["--cores", "0"]])
def test_bad_arguments_end_with_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        __main__.main(arguments)
    assert stop.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_the_trees_of_first_answers_are_many_shapes(tmp_path):
    from benchmarks.first_answer import tree_files

    games = []
    for k, text in enumerate(tree_files(5)):
        file = tmp_path / f"{k}.efg"
        file.write_text(text)
        games.append(hq.load_game(file))
    assert len({game.payoffs.shape for game in games}) == 5
    assert games[-1].payoffs.shape == (2, 121)
    assert games[-1].action_mask.shape == (2, 30, 2)
