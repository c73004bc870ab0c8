"""The published table of what selection does: its numbers recomputed, and games whose right answers are known."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scripted import Scripted, filled

from benchmarks.llm._protocol import SHIPPED, read_protocol
from benchmarks.selection import __main__ as command
from benchmarks.selection._diagnose import diagnosis
from benchmarks.selection._entries import MARGIN, Entry, Temperatures, entries
from benchmarks.selection._equilibria import bias, equilibria
from benchmarks.selection._games import SETTINGS, Recorded, Setting, read_outcomes
from benchmarks.selection._learn import equilibrium, run
from benchmarks.selection._measure import conventions_of, decode, encode, measure, middle, soft_regret, spread
from benchmarks.selection._table import build_table, markdown, read_paths
from hqre_jax.bridge import models
from hqre_jax.bridge.coordination import PublicStates, load_tasks
from hqre_jax.bridge.models import Failure, Reply, Usage
from hqre_jax.bridge.tasks import all_tasks

MOST_BYTES = 500_000
CHICKEN = next(one for one in SETTINGS if one.name == "who_answers")
# One game of each kind in every run, their variants on request.
EVERY = ("who_answers", "order", "package")
RECORDED = [pytest.param(one, id=one.name, marks=() if one.name in EVERY else pytest.mark.thorough) for one in SETTINGS]
# 100 tokens of prompt and 10 of a reply, at eight times 0.1 and 1 for 1,000.
COST = 8 * (100 * 0.1 + 10 * 1.0) / 1000


@pytest.fixture(scope="module")
def record():
    return dict(np.load(command.FOLDER / command.RECORD, allow_pickle=False))


@pytest.fixture(scope="module")
def team():
    return read_protocol().team


@pytest.fixture(scope="module")
def replayed():
    return models.load(f"replay:{SHIPPED.with_name('calls.jsonl.xz')}")


@pytest.fixture(scope="module")
def published():
    return json.loads((command.FOLDER / command.TABLE).read_text(encoding="utf-8"))


def answers() -> dict[str, str]:
    return {item.question: str(item.answer) for item in all_tasks()["arithmetic"].items("sum", "dev", 60)}


def right_answer(asked) -> Reply:
    """Always right, at a known price."""
    return Reply(answers()[asked.messages[-1].content], "stop", Usage(100, 0, 10))


def outcomes(setting: Setting, team, model: Scripted) -> Recorded:
    found = read_outcomes(setting, team, model, 0)
    assert found is not None
    return found


def runs_of() -> dict[str, np.ndarray]:
    """Two runs of everything that stay where they begin."""
    tau = np.full((2, 1), 0.3)
    found = Temperatures(tau, tau, (0.1, 0.1))
    still = encode(np.full((2, 5, 2, 2), 0.5))
    paths = {f"{CHICKEN.name}:{entry.name}": still for entry in entries(found)}
    return found.to_record(CHICKEN.name) | paths


def published_outcomes(record) -> Recorded:
    found = Recorded.from_record(CHICKEN, record)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def known(team):
    """Chicken in which an answer is always right: all that there is to know of it, in closed form."""
    return outcomes(CHICKEN, replace(team, questions=4), Scripted(right_answer))


def public(setting: Setting, team) -> PublicStates:
    own = setting.team(team)
    return PublicStates.of(own, load_tasks(own))


def test_every_published_number_follows_from_the_runs(record, published):
    """Equilibria and verdicts of one row; `test_every_equilibrium_and_verdict` has all of them."""
    assert (command.FOLDER / command.MARKDOWN).read_text(encoding="utf-8") == markdown(published)
    assert (command.FOLDER / command.RECORD).stat().st_size < MOST_BYTES
    table = build_table(record, judged=False)
    for found, game in zip(table["games"], published["games"], strict=True):
        assert_close(found, {name: value for name, value in game.items() if name in found})
    assert {**table, "games": []} == {**published, "games": []}


def test_a_verdict_is_that_of_the_plays(record, published):
    recorded = published_outcomes(record)
    rows = {entry.name: entry for entry in entries(Temperatures.from_record(CHICKEN.name, record))}
    game = next(one for one in published["games"] if one["name"] == CHICKEN.name)
    for name, wrong in (("mirror, τ → 0, long steps", True), ("mirror, common τ", False)):
        judged = next(one for one in game["diagnoses"] if one["name"] == name)
        found = diagnosis(rows[name], recorded, read_paths(record, recorded, rows[name])[0], 0)
        assert bool(found["truth"]) is wrong
        assert judged["wrong" if wrong else "sound"]["runs"] > 0
        assert judged["verdicts"].get(found["verdict"], 0) > 0


@pytest.mark.thorough
def test_every_equilibrium_and_verdict(record, published):
    assert_close(build_table(record), published)


def assert_close(found, published):
    assert type(found) is type(published)
    if isinstance(found, dict):
        assert found.keys() == published.keys()
        for key in found:
            assert_close(found[key], published[key])
    elif isinstance(found, list):
        for left, right in zip(found, published, strict=True):
            assert_close(left, right)
    elif isinstance(found, float):
        assert found == pytest.approx(published, rel=1e-6, abs=1e-9)
    else:
        assert found == published


@pytest.mark.parametrize(
    "name", ["UCB, width 0.2", "EXP3, γ 0.2", "mirror, τ → 0", "mirror, common τ", "HQRE, common τ"]
)
def test_recorded_runs_are_those_of_the_program(record, team, name):
    recorded = published_outcomes(record)
    entry = next(one for one in entries(Temperatures.from_record(CHICKEN.name, record)) if one.name == name)
    kept = record[f"{CHICKEN.name}:{name}"][3]
    again = encode(run(entry, recorded, public(CHICKEN, team), 3)[None])[0]
    np.testing.assert_allclose(again.astype(int), kept.astype(int), atol=1)


@pytest.mark.parametrize("setting", RECORDED)
def test_recorded_outcomes_are_those_of_the_replies(record, team, replayed, setting):
    published = Recorded.from_record(setting, record)
    whole = team if published is None else replace(team, questions=published.questions)
    found = read_outcomes(setting, whole, replayed, read_protocol().seed)
    if found is None or (published is not None and found.questions < published.questions):
        pytest.skip(f"the recording has not all replies that {setting.name} is made of")
    found = replace(found, wanted=team.questions)
    assert f"{setting.name}:scores" in record, "the game is recorded: publish the table anew"
    for name, array in found.to_record().items():
        np.testing.assert_array_equal(array, record[name])


def test_temperatures_are_those_of_the_outcomes(record):
    recorded = published_outcomes(record)
    for name, array in Temperatures.of(recorded).to_record(CHICKEN.name).items():
        np.testing.assert_allclose(array, record[name], rtol=1e-6)


def test_outcomes_of_a_game_that_is_known(known):
    """One answer makes the team right, and everybody pays for its own."""
    paid = np.array([[[0, 0], [1, 1 - COST]], [[0, 1 - COST], [1, 1 - COST]]])
    paid[0] = [[0, 1], [1 - COST, 1 - COST]]
    paid[1] = paid[0].T
    np.testing.assert_allclose(known.game.payoffs, paid, atol=1e-12)
    assert [known.named(profile) for profile in known.conventions] == ["abstain, two_examples", "two_examples, abstain"]
    mixed = np.array([[0.25, 0.75], [0.5, 0.5]])
    assert known.right(mixed) == pytest.approx(1 - 0.25 * 0.5)
    assert known.tokens(mixed) == pytest.approx(110 * 1.25)
    assert known.utility(mixed) == pytest.approx(0.875 - 1.25 * COST)
    # Abstaining pays what the other one's answer is worth.
    values = np.array([[0.5, 1 - COST], [0.75, 1 - COST]])
    np.testing.assert_allclose(known.values(mixed), values)
    np.testing.assert_allclose(known.regret(mixed), values.max(-1) - (mixed * values).sum(-1))
    plays = np.array([0, 1, 2, 3])
    scores, got = known.pay(plays, np.array([[0, 0], [0, 1], [1, 0], [1, 1]]))
    np.testing.assert_array_equal(scores, [0, 1, 1, 1])
    np.testing.assert_allclose(got, [[0, 0], [1, 1 - COST], [1 - COST, 1], [1 - COST, 1 - COST]])


def test_certified_temperatures_of_a_game_that_is_known(known):
    """C = ¼ dd(u₁ + u₂) = ½: the least common temperature is ½ C, and there the symmetric HQRE solves one equation."""
    found = Temperatures.of(known)
    np.testing.assert_allclose(found.common, 0.25 * (1 + MARGIN), rtol=1e-4)
    assert not found.differ
    tau = float(found.common[0, 0])
    entry = Entry("HQRE, common τ", found.common, True)
    # Every play pays the same: some of them show the game as it is.
    policy = equilibrium(entry, known, 5)
    first, second = policy[:, 1]
    assert first == pytest.approx(second, abs=1e-6)
    assert tau * np.log(first / (1 - first)) == pytest.approx(1 - first - COST, abs=1e-6)
    assert soft_regret(entry, known, policy) == pytest.approx(0, abs=1e-9)
    assert bias(found.common, known.mask) == pytest.approx(2 * tau * np.log(2))


@pytest.mark.thorough
def test_equilibria_of_a_game_that_is_known(known):
    found = Temperatures.of(known)
    told = equilibria(known, found)
    answers = told["rows"][0]["policy"][0][1]
    tau = float(found.common[0, 0])
    assert tau * np.log(answers / (1 - answers)) == pytest.approx(1 - answers - COST, abs=1e-8)
    row = told["rows"][0]
    assert (row["verdict"], row["found"]) == ("unique", 1)
    assert row["margin"]["low"] == pytest.approx(row["margin"]["high"]) == pytest.approx(0.25 * MARGIN, rel=1e-3)
    assert row["right"]["mean"] == pytest.approx(1 - (1 - answers) ** 2, abs=1e-6)
    assert row["beside_convention"]["right"]["mean"] == pytest.approx(-((1 - answers) ** 2), abs=1e-6)
    low = told["rows"][-1]
    assert (low["verdict"], low["found"]) == ("not_unique", 3)
    assert [one["utility"]["mean"] for one in told["conventions"]] == pytest.approx([1 - COST] * 2)


def test_learners_in_a_game_that_is_known(known, team):
    """Best responses from a mismatch never meet; mirror steps find conventions; certified ones stay at the HQRE."""
    states, found = public(CHICKEN, team), Temperatures.of(known)
    rows = {entry.name: entry for entry in entries(found)}
    paths = np.stack([run(rows["best response"], known, states, seed) for seed in range(10)])
    starts = paths[:, 0, :, 1].sum(-1)
    assert {1.0} < set(starts), "no seed begins with a match, or none with a mismatch"
    told = measure(rows["best response"], known, paths)
    assert told["coordinated"]["count"] == (starts == 1).sum() == sum(told["conventions"])
    lost = measure(rows["best response"], known, paths[starts != 1])
    assert lost["swing"]["mean"] == 1
    assert lost["oscillation"]["mean"] == pytest.approx(-1)
    # Both answer, both abstain, in turn: each loses the cost, then what an answer is worth less its cost.
    assert lost["regret"]["mean"] == pytest.approx(2 * (COST + 1 - COST) / 2, abs=0.03)
    free = np.stack([run(rows["mirror, τ → 0, long steps"], known, states, seed) for seed in range(6)])
    assert set(conventions_of(known, free[:, -1])) == {0, 1}
    bound = np.stack([run(rows["mirror, common τ"], known, states, seed) for seed in range(6)])
    assert (conventions_of(known, bound[:, -1]) == -1).all()
    assert spread(bound[:, -1])["mean"] < 0.2 < spread(free[:, -1])["mean"]


def test_alarms_in_a_game_that_is_known(known, team):
    rows = {entry.name: entry for entry in entries(Temperatures.of(known))}
    for name, alarm in (("mirror, τ → 0, long steps", "divergence"), ("mirror, common τ", None)):
        path = run(rows[name], known, public(CHICKEN, team), 1)
        found = diagnosis(rows[name], known, path, 0)
        assert found["alarms"] == found["truth"] == ([] if alarm is None else [alarm])


def test_who_had_which_sample_makes_no_difference(team):
    """Replies differ; agents with one menu could have had each other's, and the game knows no first and second."""
    texts = answers()

    def says(asked) -> Reply:
        right = (asked.sample + len(asked.messages[-1].content)) % 3
        return Reply(texts[asked.messages[-1].content] if right else "999", "stop", Usage(100, 0, 5 + asked.sample))

    recorded = outcomes(CHICKEN, replace(team, questions=6), Scripted(says))
    paid = np.asarray(recorded.game.payoffs)
    assert 0 < recorded.score[1] < 1
    np.testing.assert_allclose(paid[0], paid[1].T, atol=1e-6)
    unequal = next(one for one in SETTINGS if one.name == "who_answers_unequal")
    dearer = outcomes(unequal, replace(team, questions=6), Scripted(says))
    np.testing.assert_allclose(dearer.costs[:, 1], 1.5 * recorded.costs[:, 1], rtol=1e-6)


def test_measures_of_paths_by_hand(known):
    one, other = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[0.0, 1.0], [1.0, 0.0]])
    assert spread(np.stack([one] * 3)) == {"mean": 0, "low": 0, "high": 0}
    assert spread(np.stack([one, other])) == {"mean": 1, "low": 1, "high": 1}
    half = spread(np.stack([one] * 10 + [other] * 10))
    assert half["mean"] == pytest.approx(2 * 100 / (20 * 19))
    assert half["low"] < 0.5
    paths = np.random.default_rng(0).dirichlet(np.ones(3), size=(2, 5, 2))
    paths[:, :, 1] = [0.25, 0.75, 0]
    kept = decode(encode(paths), np.array([[True] * 3, [True, True, False]]))
    np.testing.assert_allclose(kept, paths, atol=2e-4)
    np.testing.assert_allclose(kept.sum(-1), 1, rtol=1e-12)
    assert middle(np.array([1.0] * 5 + [np.inf] * 15))["median"] is None
    assert middle(np.arange(20.0)) == {"median": 9.5, "low": 5.0, "high": 14.0}
    # τ KL(π ‖ BR): nothing at the best response itself.
    entry, policy = Entry("HQRE", np.full((2, 1), 0.5)), np.array([[0.5, 0.5], [0.5, 0.5]])
    best = np.exp(known.values(policy) / 0.5)
    best /= best.sum(-1, keepdims=True)
    expected = 0.5 * np.sum(policy * np.log(policy / best))
    assert soft_regret(entry, known, policy) == pytest.approx(expected)


def test_what_is_not_recorded_is_missing(tmp_path, capsys):
    filled(tmp_path / "calls.sqlite")
    out = tmp_path / "out"
    assert command.main(["--recording", str(tmp_path / "calls.sqlite"), "--out", str(out)]) == 1
    table = json.loads((out / command.TABLE).read_text(encoding="utf-8"))
    assert table["missing"] == [setting.name for setting in SETTINGS]
    assert table["games"] == []
    assert "Not recorded yet: who_answers" in capsys.readouterr().out


def test_bad_input_is_one_line(tmp_path, capsys):
    assert command.main(["--recording", str(tmp_path / "none.sqlite"), "--out", str(tmp_path / "out")]) == 2
    filled(tmp_path / "calls.sqlite")
    (tmp_path / "file").write_text("")
    words = ["--recording", str(tmp_path / "calls.sqlite"), "--out", str(tmp_path / "file")]
    assert command.main(words) == 2
    (tmp_path / "out" / command.RECORD).write_text("no runs")
    assert command.main([*words[:3], str(tmp_path / "out")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("error: ") for line in lines)


def test_recorded_part_of_a_class_is_missing(team):
    """One reply of each question is not there, or all of the last one: then the game is that of the others."""
    last = all_tasks()["arithmetic"].items("sum", "dev", 31)[-1]

    def says(asked, most: int) -> Reply | Failure:
        gone = asked.messages[-1].content == last.question and asked.sample >= most
        return Failure("missing", "not there") if gone else right_answer(asked)

    few = read_outcomes(CHICKEN, replace(team, questions=31), Scripted(lambda asked: says(asked, 7)), 0)
    assert few is not None
    assert (few.questions, few.wanted) == (30, 31)
    left = build_table(few.to_record() | runs_of(), judged=False)
    assert "1 of 31 questions of who_answers" in left["missing"]
    model = Scripted(lambda asked: right_answer(asked) if asked.sample < 7 else Failure("missing", "not there"))
    assert read_outcomes(CHICKEN, replace(team, questions=31), model, 0) is None
