"""``hqre llm eval`` and ``report``: exit codes, documents, going on, and that nothing is lost."""

import json
import random

import pytest
from scripted import Scripted

import hqre_jax.bridge.evaluation._run as evaluation_run
from hqre_jax.bridge import models
from hqre_jax.bridge.coordination import PublicStates, TeamPolicy, load_tasks, uniform_law, write_policy
from hqre_jax.bridge.models import Failure, Reply, Usage
from hqre_jax.bridge.tasks import all_tasks
from hqre_jax.bridge.team import read_team
from hqre_jax.cli import main

TEAM = """
version = 1
model = "scripted"
questions = 3
samples = 4
[price]
prompt = 0.1
completion = 1.0
[[tasks]]
name = "arithmetic"
classes = ["sum", "product"]
[[menu]]
control = "abstain"
[[menu]]
control = "direct"
temperature = 0.7
[[agents]]
name = "one"
[[agents]]
name = "two"
"""
EVAL = ("eval", "team.toml", "--policy", "policy.json", "--store", "s.sqlite", "--out", "results", "--seeds", "1",
        "--questions", "3", "--plays", "32", "--retrain-prices", "none")  # fmt: skip


@pytest.fixture
def model(monkeypatch, tmp_path) -> Scripted:
    """A team, its policy, and a model; margins have tests of their own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(evaluation_run, "margins", lambda *arguments: None)
    (tmp_path / "team.toml").write_text(TEAM)
    team = read_team("team.toml")
    states = PublicStates.of(team, load_tasks(team))
    write_policy(TeamPolicy.of(states, uniform_law(states), 0.1), "policy.json")
    scripted = Scripted(lambda request: Reply(str(random.Random(repr(request)).randrange(9)), "stop", Usage(20, 0, 2)))
    monkeypatch.setattr(models, "load", lambda name, **options: scripted)
    return scripted


def run(capsys, *argv: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(["llm", *argv])
    seen = capsys.readouterr()
    return code, seen.out, seen.err


def test_an_evaluation_and_its_report(capsys, model, tmp_path):
    code, out, err = run(capsys, *EVAL, "--baselines", "single,self_consistency_3")
    assert code == 0, err
    assert "self_consistency_3" in out
    assert "next: hqre llm report results" in err
    plan = json.loads((tmp_path / "results" / "plan.json").read_text())
    assert plan["methods"] == ["dice_pc", "single", "self_consistency_3"]
    low, middle, high = plan["budgets"]
    assert 2 * low - 2 < middle <= 2 * low
    assert 4 * low - 4 < high <= 4 * low
    assert len(plan["policies"][0][1]) == 64
    asked = len(model.asked)
    code, out, err = run(capsys, *EVAL, "--baselines", "single,self_consistency_3", "--format", "json")
    assert code == 0
    assert len(model.asked) == asked
    assert {row["method"] for row in json.loads(out)["accuracy"]} == set(plan["methods"])
    code, out, err = run(capsys, "report", "results")
    assert (code, err) == (0, "")
    assert "6 questions of the test split in 2 classes" in out
    assert out.endswith("results/report.html\n")
    assert all((tmp_path / "results" / f"report.{kind}").stat().st_size for kind in ("html", "json", "md"))
    code, out, _ = run(capsys, "report", "results", "--format", "json")
    assert json.loads(out) == json.loads((tmp_path / "results" / "report.json").read_text())


def test_budgets_that_nothing_keeps_are_said_to_be_too_small(capsys, model):
    code, out, err = run(capsys, *EVAL, "--baselines", "single", "--token-budgets", "5")
    assert code == 0
    assert "single: the cheapest needs 22.0, the budget is 5 tokens a question" in out
    assert err.startswith("hqre: no method keeps these budgets, the table says what each would need")
    assert "next:" not in err
    code, out, err = run(capsys, "report", "results")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("hqre: DIR: 'results' holds no results: no method keeps its budgets; `hqre llm eval` says")


@pytest.mark.parametrize(
    ("more", "names"),
    [
        (("--baselines", "sinlge"), "single"),
        (("--token-budgets", "200,100"), "rising"),
        (("--token-budgets", "a,b"), "token_budgets"),
        (("--seeds", "0"), "seeds"),
        (("--retrain-prices", "-1"), "retrain_prices"),
        (("--policy", "missing.json"), "missing.json"),
        (("--data", "nowhere"), "data"),
        (("--out", "team.toml"), "out"),
    ],
)
def test_bad_input_is_one_line(capsys, model, more, names):
    code, out, err = run(capsys, *EVAL, "--baselines", "none", *more)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert names in err


def test_store_and_folder_are_wanted(capsys, model):
    code, _, err = run(capsys, *[word for word in EVAL if word not in ("--store", "s.sqlite")])
    assert (code, "--store" in err) == (2, True)
    code, _, err = run(capsys, "report", "results")
    assert (code, err.count("\n")) == (2, 1)
    assert "hqre llm eval" in err


def test_a_budget_ends_the_run_and_the_same_command_goes_on(capsys, model, tmp_path):
    words = (*EVAL, "--baselines", "single")
    code, _, err = run(capsys, *words, "--budget-calls", "1")
    assert (code, len(model.asked)) == (1, 1)
    code, _, err = run(capsys, *words, "--budget-calls", "9")
    assert code == 1
    assert "9 calls" in err
    assert len(model.asked) == 10
    code, _, err = run(capsys, *words, "--budget-calls", "100")
    assert code == 0, err


def test_an_interruption_names_the_command_that_goes_on(capsys, model):
    says = model._says

    def interrupted(request):
        if len(model.asked) > 20:
            raise KeyboardInterrupt
        return says(request)

    model._says = interrupted
    code, _, err = run(capsys, *EVAL, "--baselines", "single")
    assert code == 130
    assert "hqre llm eval team.toml --policy=policy.json" in err
    model._says = says
    assert run(capsys, *EVAL, "--baselines", "single")[0] == 0


@pytest.mark.parametrize("split", ["dev", "test"])
def test_an_endpoint_that_is_gone_ends_it_and_nothing_is_held_against_a_method(capsys, model, split):
    """One batch finds out; the same command goes on as if nothing had been."""
    says = model._says
    words = (*EVAL, "--baselines", "single,self_consistency_3")

    task = all_tasks()["arithmetic"]
    lost = {item.question for name in ("sum", "product") for item in task.items(name, split, 3)}

    def gone(request):
        asked = request.messages[-1].content
        return Failure("connection", "connection refused") if asked in lost else says(request)

    model._says = gone
    code, _, err = run(capsys, *words)
    assert code == 1
    assert "failed: connection refused; what was bought is kept in s.sqlite, and the same command goes on" in err
    model._says = says
    code, out, err = run(capsys, *words, "--format", "json")
    assert code == 0, err
    assert {row["method"] for row in json.loads(out)["accuracy"] if "score" in row} >= {"single", "dice_pc"}


def test_failed_calls_are_said(capsys, model):
    says = model._says
    model._says = lambda request: Failure("server", "down") if "7" in request.messages[-1].content else says(request)
    words = (*EVAL, "--baselines", "none", "--split", "dev")
    code, out, err = run(capsys, *words)
    assert code == 1
    assert "plays on dev, which token budgets follow from, failed: down; what was bought is kept in s.sqlite" in err
    code, out, err = run(capsys, *words, "--token-budgets", "100,200,400")
    assert code == 1
    assert "missing because a call failed" in err
    assert err.endswith("tries them again: down\n")
    code, out, _ = run(capsys, "report", "results")
    assert "DEVELOPMENT" in out
