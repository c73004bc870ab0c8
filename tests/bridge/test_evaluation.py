"""Evaluations: hyper-parameters from dev within budgets, raw records, resumption; reports from records alone."""

import json
import math
import random
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from evaluations import METHODS, evaluation, policy_of, silent, skilled, small_team
from teams import samples_of

import hqre_jax.bridge.evaluation._policies as evaluation_policies
from hqre_jax.bridge.baselines._training import one_hot
from hqre_jax.bridge.baselines.mirror import ZERO
from hqre_jax.bridge.coordination import play_all
from hqre_jax.bridge.evaluation import Lines, read_plan, read_records
from hqre_jax.bridge.evaluation._learning import temperatures
from hqre_jax.bridge.models import Failure, Reply, Request
from hqre_jax.bridge.report import front, read_evaluation, story, tables, write_report
from hqre_jax.bridge.report._front import concave
from hqre_jax.bridge.report._statistics import Estimate, Resampling, gain, over_runs
from hqre_jax.bridge.report._tables import OURS
from hqre_jax.core._types import InputError

ONLINE = f"{OURS}_online_small"


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> tuple[Path, list[str]]:
    """A finished evaluation, and what it said of itself."""
    folder, told = tmp_path_factory.mktemp("done"), []
    run, plan, _ = evaluation(folder)
    result = run.run(plan, lambda what, count, total: told.append(what))
    assert (result.missing, result.stopped, result.notes) == (0, None, [])
    return folder, told


def copied(done, tmp_path) -> Path:
    return Path(shutil.copytree(done[0], tmp_path / "again"))


def test_every_method_is_judged_on_every_question_within_its_budget(done):
    records, plan = read_records(done[0]), read_plan(done[0])
    assert plan is not None
    # Beside a bandit with little training there is DICE-PC with as little.
    assert plan.methods == (OURS, ONLINE, *METHODS)
    settings = {(one["method"], one["seed"]): one for one in Lines(done[0] / "settings.jsonl").read()}
    assert set(settings) == {(method, seed) for method in plan.methods for seed in range(2)}
    wanted = {
        (method, budget, seed, kind)
        for (method, seed), own in settings.items()
        for budget, chosen in enumerate(own["chosen"])
        if chosen is not None
        for kind in range(2)
    }
    assert set(records) == wanted
    assert all(record.questions == tuple(range(6)) for record in records.values())
    for (method, seed), own in settings.items():
        for budget, chosen in enumerate(own["chosen"]):
            fitting = [one for one in own["settings"] if one["tokens"] <= plan.budgets[budget]]
            assert (chosen is None) == (not fitting)
            if chosen is not None:
                assert own["settings"][chosen]["score"] == max(one["score"] for one in fitting)
                assert all(records[method, budget, seed, kind].setting == chosen for kind in range(2))
    # Six debaters' turns do not fit into the small budgets: the table says so.
    assert settings["debate", 0]["chosen"][0] is None
    assert "budget is 30" in settings["debate", 0]["why"][0]


def test_test_questions_are_opened_after_everything_is_chosen(done):
    judged = next(k for k, what in enumerate(done[1]) if what.endswith("tokens"))
    assert all("dev" not in what for what in done[1][judged:])
    assert any("dev" in what for what in done[1][:judged])


def test_an_interruption_loses_nothing_that_was_done(done, tmp_path, monkeypatch):
    """Interrupted at any place, the same command ends with the same records."""
    whole = read_records(done[0])
    folder, asked = tmp_path / "broken", 0
    for stop in (3, 40, 90):
        run, plan, _ = evaluation(folder, interrupted(stop))
        skip_slow(monkeypatch)
        with pytest.raises(KeyboardInterrupt):
            run.run(plan, silent)
        before = read_records(folder)
        assert before.items() <= whole.items()
        assert len(before) >= asked
        asked = len(before)
    # A line that was cut off is dropped, and what it said is done again.
    with (folder / "records.jsonl").open("a") as file:
        file.write('{"method": "sing')
    run, plan, model = evaluation(folder)
    assert run.run(plan, silent).stopped is None
    assert read_records(folder) == whole
    del model.asked[:]
    run.run(plan, silent)
    assert model.asked == []


def interrupted(stop: int):
    count = 0

    def says(request: Request) -> Reply | Failure:
        nonlocal count
        count += 1
        if count > stop:
            raise KeyboardInterrupt
        return skilled(request)

    return says


def skip_slow(monkeypatch) -> None:
    """Learning curves and margins have tests of their own."""
    for name in ("learning_curves", "margins"):
        monkeypatch.setattr(f"hqre_jax.bridge.evaluation._run.{name}", lambda *arguments: None)


def test_a_budget_ends_it_and_a_failed_call_is_tried_again(tmp_path, monkeypatch):
    skip_slow(monkeypatch)

    def spent(request: Request) -> Reply | Failure:
        if "test" in request.messages[-1].content:
            return Failure("budget", "the budget of 5 calls allows no more calls")
        return skilled(request)

    run, plan, _ = evaluation(tmp_path, spent, ("single",))
    result = run.run(plan, silent)
    assert result.stopped == "the budget of 5 calls allows no more calls"
    assert read_records(tmp_path) == {}

    def flaky(request: Request) -> Reply | Failure:
        return Failure("server", "down") if "test question 2?" in request.messages[-1].content else skilled(request)

    run, plan, _ = evaluation(tmp_path, flaky, ("single",))
    assert run.run(plan, silent).missing > 0
    records = read_records(tmp_path)
    assert all(record.scores[2] is None for record in records.values() if record.method == "single")
    data = read_evaluation(tmp_path)
    assert np.isnan(data.plays["single", 2].scores[:, [2, 8]]).all()
    run, plan, _ = evaluation(tmp_path, skilled, ("single",))
    assert run.run(plan, silent).missing == 0
    assert all(record.missing == 0 for record in read_records(tmp_path).values())


def test_another_evaluation_is_refused_and_more_methods_are_welcome(done, tmp_path, monkeypatch):
    skip_slow(monkeypatch)
    folder = copied(done, tmp_path)
    run, plan, _ = evaluation(folder, questions=5)
    with pytest.raises(InputError, match="holds another evaluation"):
        run.run(plan, silent)
    run, plan, _ = evaluation(folder, methods=("random_profile",))
    run.run(plan, silent)
    found = read_plan(folder)
    assert found is not None
    assert found.methods == (OURS, ONLINE, *METHODS, "random_profile")
    assert read_records(folder).items() > read_records(done[0]).items()


def test_budgets_follow_from_what_the_policy_uses_on_dev(tmp_path, monkeypatch):
    skip_slow(monkeypatch)
    run, plan, _ = evaluation(tmp_path, methods=("single",))
    plan = run.run(replace(plan, budgets=()), silent).plan
    player = run.methods[0].fit(run.dev_items, run.samples, math.inf, 0)
    used = np.mean([outcome.tokens for outcome in play_all(player, run.dev_items, run.samples, 0)])
    assert plan.budgets == tuple(math.ceil(factor * used) for factor in (1, 2, 4))


def test_every_number_of_the_report_follows_from_the_records(done, tmp_path):
    folder = copied(done, tmp_path)
    document = write_report(folder, resamples=200)
    assert json.loads((folder / "report.json").read_text()) == document
    assert document["whole"]
    records = read_records(folder)
    for row in document["tables"]["accuracy"]:
        own = [
            record
            for record in records.values()
            if record.method == row["method"] and document["plan"]["budgets"][record.budget] == row["budget"]
        ]
        if "why_not" in row:
            assert own == []
        else:
            assert row["score"] == pytest.approx(np.mean([np.mean(one.scores) for one in own]))
            assert row["tokens"] == pytest.approx(np.mean([np.mean(one.tokens) for one in own]))
            assert row["score_low"] <= row["score"] <= row["score_high"]
    scores = {(row["method"], row["budget"]): row.get("score") for row in document["tables"]["accuracy"]}
    for row in document["tables"]["gains"]:
        assert row["gain"] == pytest.approx(scores[OURS, row["budget"]] - scores[row["method"], row["budget"]])
    for row in document["tables"]["training"]:
        assert row["method"] == "joint_ucb_small"
        assert row["gain"] == pytest.approx(scores[ONLINE, row["budget"]] - scores[row["method"], row["budget"]])
    # The same records, the same report, to the last byte.
    before = {name: (folder / name).read_bytes() for name in ("report.html", "report.json", "report.md")}
    write_report(folder, resamples=200)
    assert before == {name: (folder / name).read_bytes() for name in before}


def test_margins_and_learning_curves(done):
    margins = json.loads((done[0] / "margins.json").read_text())
    assert [row["class"] for row in margins["states"]] == ["letters/easy", "letters/hard"]
    for row in margins["states"]:
        assert row["low"] <= row["high"]
        assert 0 <= row["positive"] <= 1
        assert row["equilibria"] >= 1
        assert row["verdict"] == "unique" or row["margin"] <= 0
    runs = json.loads((done[0] / "learning.json").read_text())
    assert [(run["rule"], run["seed"]) for run in runs[:3]] == [
        ("DICE-PC's temperatures", 0), ("one temperature", 0), ("τ → 0", 0),
    ]  # fmt: skip
    for run in runs:
        assert run["plays"] == [16, 32, 48]
        assert np.allclose(np.sum(run["final"], axis=-1), 1)
        assert np.all(np.array(run["swing"]) >= 0)


def test_a_report_of_what_is_there_so_far(done, tmp_path):
    folder = copied(done, tmp_path)
    for name in ("margins.json", "learning.json"):
        (folder / name).unlink()
    lines = (folder / "records.jsonl").read_text().splitlines()
    (folder / "records.jsonl").write_text("\n".join(lines[: len(lines) // 2]) + "\n")
    document = write_report(folder, resamples=50)
    assert not document["whole"]
    assert "UNFINISHED" in (folder / "report.md").read_text()
    with pytest.raises(InputError, match="holds no evaluation"):
        write_report(tmp_path)


def test_who_uses_more_on_test_questions_than_the_budget_is_said_to(done):
    data = read_evaluation(done[0])
    data = replace(data, plan=replace(data.plan, budgets=(1.0, 60.0, 200.0)))
    over, within, _ = (line for line in story(data, tables(data, Resampling(data.kinds, 2, 50))) if "published" in line)
    assert re.search(r"points \(DICE-PC used \d+\.\d, \w+ used \d+\.\d\)\.$", over)
    assert within.endswith("points.")


def test_resampling_by_hand():
    """Two classes weigh alike; a class of two questions, one of one."""
    kinds, values = np.array([0, 0, 1]), np.array([[1.0, 0.0, 0.5], [0.0, np.nan, 1.0]])
    resampling = Resampling(kinds, 2, resamples=500)
    assert resampling.means(values)[0] == pytest.approx((1 / 3 + 0.75) / 2)
    assert resampling.means(values, 1)[0] == 0.75
    # Only seeds can change the mean of one question: to 0.5, 0.75 or 1.
    assert set(resampling.means(values, 1)) == {0.5, 0.75, 1.0}
    ours, theirs = resampling.means(values), resampling.means(values - 0.1)
    paired = gain(ours, theirs)
    assert (paired.value, paired.low, paired.high) == pytest.approx((0.1, 0.1, 0.1))
    assert gain(ours, theirs, resampling.means(values + 0.2)).value == pytest.approx(-0.2)


def test_the_front_by_hand():
    """Mixtures of two points count, one below the line between others does not, and more tokens are no harm."""
    corners = (0.0, 0.0), (100.0, 0.4), (200.0, 0.45), (300.0, 0.7), (400.0, 0.6)
    points = [(np.array([tokens] * 3), np.array([score, 2 * score, score])) for tokens, score in corners]
    for at, wanted in ((0.0, 0.0), (50.0, 0.2), (100.0, 0.4), (200.0, 0.55), (300.0, 0.7), (999.0, 0.7)):
        for order in (points, points[::-1]):
            assert concave(order, np.array([at] * 3)) == pytest.approx([wanted, 2 * wanted, wanted])


def test_with_and_without_state(done):
    """A cascade that is as good for twice the tokens: its front makes of as many half as much."""
    data = read_evaluation(done[0])
    ours = {place: plays for (name, place), plays in data.plays.items() if name == OURS}
    alone = replace(data, plays={(OURS, place): plays for place, plays in ours.items()})
    resampling = Resampling(data.kinds, data.plan.seeds, 50)
    assert front(alone, resampling) == []
    last = max(ours)
    dear = replace(ours[last], tokens=2 * ours[last].tokens)
    rows = front(replace(alone, plays={**alone.plays, ("cascade", last): dear}), resampling)
    assert [row["budget"] for row in rows] == [data.plan.budgets[place] for place in ours]
    row = rows[-1]
    assert (row["front"], row["gain"]) == pytest.approx((row["score"] / 2, row["score"] / 2))
    assert row["gain_low"] <= row["gain"] <= row["gain_high"]
    records = [one for one in read_records(done[0]).values() if (one.method, one.budget) == (OURS, last)]
    assert row["rounds"] == pytest.approx(np.mean([np.mean(one.rounds) for one in records]))


def test_intervals_cover():
    """Of many samples, about 95 in 100 intervals hold the truth, questions and seeds being random both."""
    rng, hits, runs = np.random.default_rng(0), 0, 150
    for k in range(runs):
        hard, luck = rng.normal(0, 1, (1, 60)), rng.normal(0, 0.3, (6, 1))
        values = 2 + hard + luck + rng.normal(0, 0.5, (6, 60))
        found = Resampling(np.zeros(60, int), 6, resamples=200, seed=k).estimate(values)
        hits += found.low <= 2 <= found.high
    assert 0.88 <= hits / runs <= 0.99


def test_estimates_of_nothing():
    found = Estimate.of(math.nan, np.array([np.nan, np.nan]))
    assert math.isnan(found.low)
    assert over_runs(np.array([1.0, 1.0])) == Estimate(1.0, 1.0, 1.0)


def test_lines_are_there_whole_or_not_at_all(tmp_path):
    lines = Lines(tmp_path / "x.jsonl")
    assert list(lines.read()) == []
    lines.add({"a": 1}, {"a": 2})
    whole = lines.path.read_bytes()
    rng = random.Random(0)
    for _ in range(20):
        lines.path.write_bytes(whole[: rng.randrange(len(whole) + 1)])
        kept = list(lines.read())
        lines.add({"a": 3})
        assert list(lines.read()) == [*kept, {"a": 3}]
    lines.path.write_bytes(b'{"a": 1}\n{"a" 2}\n')
    with pytest.raises(InputError, match="line 2"):
        list(lines.read())
    lines.path.write_bytes(b'{"a": 1}\n[1]\n')
    with pytest.raises(InputError, match="line 2"):
        list(lines.read())
    lines.path.write_bytes(b'{"a": 1}\n{"b": 1}\n')
    assert list(lines.read()) == [{"a": 1}, {"b": 1}]
    with pytest.raises(InputError, match="line 2"):
        list(Lines(lines.path, "a").read())


def test_an_evaluation_needs_the_teams_own_policy(tmp_path):
    run, plan, _ = evaluation(tmp_path)
    other = replace(run.policies[0][1], agents=("x", "y"))
    with pytest.raises(InputError, match="other agents"):
        replace(run, policies=(("policy.json", other),)).run(plan, silent)
    assert list(tmp_path.iterdir()) == []


class NoEquilibrium(Exception):
    """Stands for `SolveError`, which wants a solution to speak of."""


def test_policies_at_other_prices_are_settings_of_dice_pc(tmp_path, monkeypatch):
    """Every price is trained at once; one at which no equilibrium is found is left out."""
    seen = list[float]()

    def trained(game, temperatures):
        assert temperatures == "grid"
        seen.append(game.price_scale)
        if game.price_scale == 2:
            raise NoEquilibrium
        return SimpleNamespace(policy=one_hot(np.zeros(game.states.mask.shape[:2], int), game.states.mask))

    monkeypatch.setattr(evaluation_policies, "train_offline", trained)
    monkeypatch.setattr(evaluation_policies, "SolveError", NoEquilibrium)
    run, _, _ = evaluation(tmp_path)
    front = replace(run, prices=(0.5, 2.0, 8.0)).methods[0].measure(run.dev_items, run.samples, math.inf, 0)
    assert seen == [0.5, 2, 8]
    assert [one.setting.label for one in front.measured] == [
        "policy.json", "trained again, price × 0.5", "trained again, price × 8",
    ]  # fmt: skip
    assert [(one.score, one.tokens) for one in front.measured[1:]] == [(0, 0), (0, 0)]


def test_learning_sees_a_reference_and_own_temperatures():
    policy = policy_of(samples_of(small_team(), skilled)[0])
    rules = temperatures(replace(policy, tau=np.array([[0.1, 0.3], [np.nan, 0.2]])))
    assert np.allclose(rules["DICE-PC's temperatures"], [[0.1, 0.3], [0.2, 0.2]])
    assert rules["one temperature"] == pytest.approx(0.2)
    assert rules["τ → 0"] == ZERO
