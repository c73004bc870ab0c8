"""``hqre llm collect``, ``train`` and ``play --policy``: exit codes, resume, budgets, hostile text."""

import json
import re
import socket
from pathlib import Path

import pytest
from scripted import Scripted
from test_llm_cli import run

from hqre_jax.bridge import models
from hqre_jax.bridge.coordination import PublicStates, TeamPolicy, load_tasks, uniform_law, write_policy
from hqre_jax.bridge.models import Failure, Reply, Usage
from hqre_jax.bridge.models._replay import ReplayModel
from hqre_jax.bridge.models._retries import Retries
from hqre_jax.bridge.store import Store
from hqre_jax.bridge.team import read_team
from hqre_jax.cli import main
from hqre_jax.core._types import InputError

TEAM = """\
version = 1
model = "scripted"
rounds = 2
questions = 4
samples = 4
price = {prompt = 1.0, completion = 10.0}
tasks = [{name = "mine.csv"}]
menu = [{control = "abstain"}, {control = "direct", temperature = 0.7}, {control = "step_by_step", temperature = 0.7}]
agents = [{name = "a"}, {name = "b"}]
"""
POLICY = Path("policy.json")
COLLECT = ("collect", "team.toml", "--store", "s.sqlite")
TRAIN = ("train", "team.toml", "--store", "s.sqlite", "--out", "policy.json", "--temperatures", "0.3")


def says(request) -> Reply:
    """Right when it thinks, and every second time when it does not."""
    steps = "step by step" in request.messages[0].content
    return Reply("The answer is 7." if steps or request.sample % 2 else "8", "stop", Usage(10, 0, 20 if steps else 4))


@pytest.fixture
def team(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "team.toml").write_text(TEAM)
    rows = "".join(f"What is {k} + {7 - k}?,7,dev\n" for k in range(4))
    (tmp_path / "mine.csv").write_text(f"question,answer,split\n{rows}")
    model = Scripted(says)
    monkeypatch.setattr(models, "load", lambda name, **options: model)
    return model


def test_from_a_team_file_to_a_policy_that_plays(capsys, team):
    code, out, err = run(capsys, *COLLECT, "--format", "json")
    document = json.loads(out)
    assert (code, document["samples"], document["wanted"], document["failed"]) == (0, 32, 32, 0), err
    assert document["bought"]["calls"] == len(team.asked) == 32
    assert "next: hqre llm train" in err
    code, out, err = run(capsys, *TRAIN, "--format", "json")
    policy = json.loads(out)
    assert code == 0, err
    assert policy == json.loads(POLICY.read_text())
    assert len(team.asked) == 32, "offline training asks nothing"
    assert [agent["controls"] for agent in policy["agents"]] == [["abstain", "direct", "step_by_step"]] * 2
    assert policy["states"][0] == {"class": "mine/all", "round": 1, "agreement": "none"}
    assert policy["residual"] <= 1e-10
    assert policy["budgets"]["bought"] is None
    assert policy["store"]["calls"] == 32
    assert policy["stability"]["verdict"] in ("stable", "unstable", "not_enough_data")
    argv = ("play", "team.toml", "--task", "mine.csv", "--policy", "policy.json", "--store", "s.sqlite")
    assert f"next: hqre llm {' '.join(argv)}" in err
    code, out, err = run(capsys, *argv, "--format", "json")
    play = json.loads(out)
    assert code == 0, err
    assert [row["agent"] for row in play["rounds"][0]["agents"]] == ["a", "b"]
    assert play["rounds"][0]["state"] == "mine/all, round 1, none"
    probabilities = policy["probabilities"][0][0]
    first = play["rounds"][0]["agents"][0]
    assert first["probability"] == pytest.approx(probabilities[policy["agents"][0]["controls"].index(first["control"])])
    assert play["tokens"] == sum(
        row["tokens"]["prompt"] + row["tokens"]["completion"] for each in play["rounds"] for row in each["agents"]
    )
    assert run(capsys, *argv)[0] == 0


def test_collecting_goes_on_where_a_budget_ended_it(capsys, team):
    code, out, err = run(capsys, *COLLECT, "--budget-calls", "10", "--format", "json")
    assert (code, json.loads(out)["samples"], json.loads(out)["stopped"]) == (1, 10, "10 calls")
    assert err.startswith("hqre: budget: the budget of 10 calls allows no more calls; what was bought is kept in")
    code, out, err = run(capsys, *TRAIN)
    assert (code, out) == (2, "")
    assert err.startswith("hqre: s.sqlite: holds 1 samples of each question and control, and a play may need 4"), err
    assert run(capsys, *COLLECT)[0] == 0
    assert len(team.asked) == 32
    with Store("s.sqlite", read_only=True) as store:
        assert len(store) == 32


def test_a_budget_below_one_call_is_to_be_raised(capsys, team):
    code, _, err = run(capsys, *COLLECT, "--budget-tokens", "20")
    assert (code, team.asked) == (1, [])
    assert re.search(r"20 tokens \(with the next call up to \d{3}\) allows no more calls; nothing was bought", err)


def test_a_file_without_dev_questions_is_told_how_to_get_some(capsys, team):
    Path("mine.csv").write_text("question,answer,split\nWhat is 3 + 4?,7,test\n")
    code, out, err = run(capsys, *COLLECT)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "tasks: mine/all has no question in the split dev: add questions, or a column `split`" in err


def test_too_few_samples_are_not_bought(capsys, team):
    """Two agents of one voice and two rounds need four: neither command sends to the other in vain."""
    Path("team.toml").write_text(TEAM.replace("samples = 4", "samples = 3"))
    code, out, err = run(capsys, *COLLECT)
    assert (code, out) == (2, "")
    assert "team.toml: samples: is 3, and a play may need 4" in err
    assert not team.asked
    assert not Path("s.sqlite").exists()


def test_a_failed_call_is_missing(capsys, team):
    team._says = lambda request: Failure("server", "down \x1b[31m") if request.sample == 3 else says(request)
    code, out, err = run(capsys, *COLLECT, "--format", "json")
    assert (code, json.loads(out)["samples"], json.loads(out)["failed"]) == (1, 24, 8)
    assert err.startswith("hqre: server: 8 calls failed for good")
    assert "\x1b" not in err
    team._says = says
    assert run(capsys, *COLLECT)[0] == 0


def test_a_dead_endpoint_is_said_to_be_dead(capsys, monkeypatch, team):
    """One batch finds out; what was not answered was not bought."""
    openai = pytest.importorskip("hqre_jax.bridge.models._endpoint")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound and not listening: connections to it are refused
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}/v1"
        endpoint = openai.EndpointModel("m", base_url=address, retries=Retries(tries=1))
        monkeypatch.setattr(models, "load", lambda name, **options: endpoint)
        argv = (*COLLECT, "--model", "openai:m", "--base-url", address)
        code, out, err = run(capsys, *argv, "--format", "json")
        document = json.loads(out)
        assert (code, document["samples"], document["failed"], document["bought"]["calls"]) == (1, 0, 4, 0)
        assert err.startswith(f"hqre: connection: the connection to {address} failed: connection refused, 1 try; is it")
        assert re.search(r"bought now\s+0 calls", run(capsys, *argv)[1])


def test_training_says_whose_replies_a_store_has(capsys, team):
    """One name at two endpoints; nothing at all; somebody else's."""
    train = (*TRAIN[:4], "--out", "policy.json", "--temperatures", "0.05", "--model", "openai:m")
    Store("s.sqlite").close()
    code, out, err = run(capsys, *train)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("hqre: s.sqlite: has no replies of openai:m (there are: none at all); `hqre llm collect")
    for place in ("http://one/v1", "http://two/v1"):
        other = Scripted(says, "openai:m", f"openai:m at {place}")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(models, "load", lambda name, model=other, **options: model)
            assert run(capsys, *COLLECT, "--model", "openai:m")[0] == 0
    code, out, err = run(capsys, *train)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "openai:m at http://one/v1 and of openai:m at http://two/v1; say which is meant: --base-url U" in err
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ReplayModel, "generate", lambda model, requests: pytest.fail(model.identity))
        with pytest.raises(pytest.fail.Exception, match=r"^openai:m at http://two/v1$"):
            run(capsys, *train, "--base-url", "http://two/v1/")
    code, _, err = run(capsys, *train, "--base-url", "http://three/v1")
    assert code == 2
    assert "there are: openai:m at http://one/v1, openai:m at http://two/v1" in err


def test_paths_of_models_begin_beside_the_team_file(capsys, monkeypatch, team):
    """Those of --model where one stands, like all that is typed."""
    seen = []
    monkeypatch.setattr(models, "load", lambda name, **options: seen.append((name, options["folder"])) or team)
    Path("below").mkdir()
    for name in ("team.toml", "mine.csv"):
        Path(name).rename(Path("below") / name)
    collect = ("collect", "below/team.toml", "--store", "s.sqlite")
    assert run(capsys, *collect)[0] == run(capsys, *collect, "--model", "other")[0] == 0
    assert seen == [("scripted", Path("below")), ("other", Path())]


@pytest.mark.parametrize(
    "argv",
    [
        COLLECT,
        (*TRAIN, "--online"),
        ("eval", "team.toml", "--policy", "no.json", "--store", "s.sqlite", "--out", "o"),
        ("play", "team.toml", "--task", "mine.csv", "--store", "s.sqlite"),
    ],
    ids=lambda argv: argv[0],
)
def test_what_is_refused_leaves_no_store_behind(capsys, monkeypatch, team, argv):
    if argv[0] == "eval":
        assert run(capsys, *argv)[0] == 2
        assert not Path("s.sqlite").exists()

    def missing(name, **options):
        raise InputError("model", "has no weights")

    monkeypatch.setattr(models, "load", missing)
    assert run(capsys, *argv)[0] == 2
    assert not Path("s.sqlite").exists()
    Path("mine.csv").unlink()
    assert run(capsys, *argv)[0] == 2
    assert not Path("s.sqlite").exists()


def test_interrupted_collecting_says_how_to_go_on(capsys, team):
    def interrupt(request):
        raise KeyboardInterrupt

    team._says = interrupt
    code, out, err = run(capsys, *COLLECT)
    assert (code, out) == (130, "")
    assert "hqre llm collect team.toml" in err
    assert "--store=s.sqlite" in err
    assert "cache" not in err
    assert main(["--no-cache", "llm", *COLLECT]) == 130
    assert "hqre --no-cache llm collect team.toml" in capsys.readouterr().err


def edited(change):
    """policy.json with one thing changed."""
    document = json.loads(POLICY.read_text())
    change(document)
    POLICY.write_text(json.dumps(document))


def set_to(key, value):
    return lambda document: document.__setitem__(key, value)


def not_one(document):
    document["probabilities"][0][0][0] += 0.5


BAD_POLICIES = [
    (set_to("format", "poem"), "policy.json: format: is 'poem'"),
    (set_to("version", 2), "policy.json: version: is 2, this one reads 1: upgrade"),
    (set_to("mine", 1), "policy.json: mine: is not known"),
    (set_to("budgets", 3), "policy.json: budgets: is 3; an object or null is wanted"),
    (set_to("certificate", "unique"), "policy.json: certificate: is 'unique'; an object or null is wanted"),
    (lambda document: document.pop("reference"), "policy.json: reference: is missing"),
    (not_one, "policy.json: probabilities: is"),
    (lambda document: document["temperatures"][0].__setitem__(0, -1), "policy.json: temperatures: is"),
    (lambda document: document["agents"][0].__setitem__("name", "mallory\x1b"), "policy: has other agents"),
    (lambda document: document["states"][0].__setitem__("agreement", "war"), "policy.json: states: is"),
]


def test_bad_input_is_one_line(capsys, team):
    assert run(capsys, *COLLECT)[0] == 0
    teamwork = read_team("team.toml")
    states = PublicStates.of(teamwork, load_tasks(teamwork))
    write_policy(TeamPolicy.of(states, uniform_law(states), 0.1), POLICY)
    play = ("play", "team.toml", "--task", "mine.csv", "--policy", "policy.json")
    good = POLICY.read_text()
    assert run(capsys, *play)[0] == 0
    for change, complaint in BAD_POLICIES:
        edited(change)
        code, out, err = run(capsys, *play)
        assert (code, out, err.count("\n")) == (2, "", 1), complaint
        assert err.startswith(f"hqre: {complaint}"), err
        assert "\x1b" not in err
        POLICY.write_text(good)
    for argv, complaint in [
        ((*play, "--agent", "a"), "agent: is for one agent"),
        (("play", "team.toml", "--task", "arithmetic", "--policy", "policy.json"), "item: is of arithmetic/sum"),
        (("play", "team.toml", "--task", "mine.csv", "--policy", "no.json"), "no.json: cannot be read: no such file"),
        (("collect", "team.toml"), "--store: is missing"),
        ((*COLLECT, "--data", "x"), "data: holds test questions"),
        ((*TRAIN[:4], "--out", "no/policy.json"), "out: cannot write into 'no'"),
        ((*TRAIN[:2], "--store", "none.sqlite", "--out", "p.json"), "store: 'none.sqlite' is not there"),
        ((*TRAIN[:-1], "0"), "temperatures: is '0'"),
        ((*TRAIN[:-1], "grid", "--online"), "temperatures: is 'grid'"),
        ((*TRAIN, "--tol", "0.1"), "tol: goes with --online"),
        ((*TRAIN, "--budget-calls", "9"), "budget_calls: goes with --online"),
    ]:
        code, out, err = run(capsys, *argv)
        assert (code, out, err.count("\n")) == (2, "", 1), err
        assert err.startswith(f"hqre: {complaint}"), err


def test_online_training_stops_at_its_budget(capsys, team):
    code, out, err = run(capsys, *TRAIN, "--online", "--budget-calls", "12", "--format", "json")
    policy = json.loads(out)
    assert code == 1
    assert (policy["method"], policy["training"]["ended"], policy["result"]) == ("online", "budget", "not_begun")
    assert policy["probabilities"][0][0] == pytest.approx([1 / 3] * 3)
    assert policy["budgets"]["bought"]["calls"] <= 12
    assert "the budget is spent" in err
