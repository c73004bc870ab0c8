"""The report of a fine-tuning run: its numbers, its pictures, and text from a configuration that stays text."""

import json
from pathlib import Path

import finetuning
import pytest

from hqre_jax.bridge.evaluation import Lines
from hqre_jax.bridge.finetuning import Run, read_config, write_report
from hqre_jax.bridge.models import load
from hqre_jax.bridge.team import default_team
from hqre_jax.cli import main
from hqre_jax.core._types import InputError

HOSTILE = "<script>alert(1)</script> =1+1 \x1b[31m| # \u202e"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of two roles that share an adapter, and have hostile names."""
    place = tmp_path_factory.mktemp("run")
    roles = finetuning.config()["roles"]
    for role in roles:
        role.update(adapter="both", name=role["name"] + HOSTILE)
    roles[1]["reads"] = [roles[0]["name"]]
    document = finetuning.config(title=HOSTILE, roles=roles)
    (place / "c.toml").write_text(json.dumps(document))  # not TOML, on purpose: see the test of bad input
    config = read_config(document)
    ended = Run(config, load(config.model), place / "out").run()
    assert ended.how == "done"
    return place / "out"


def test_roles_that_share_an_adapter_are_told_apart(folder):
    line = list(Lines(folder / "metrics.jsonl").read())[-1]
    assert list(line["adapters"]) == ["both"]
    roles = line["adapters"]["both"]["roles"]
    assert [name.removesuffix(HOSTILE) for name in roles] == ["planner", "solver"]
    assert sum(role["tokens"] for role in roles.values()) == line["generated"]
    assert [next(iter(role["kinds"])) for role in roles.values()] == ["reasoning", "answer"]
    assert [path.name for path in (folder / "adapters").iterdir()] == ["both"]


def test_the_report_has_every_number_and_no_markup_of_others(capsys, folder):
    assert main(["llm", "report", str(folder)]) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said
    document = json.loads((folder / "report.json").read_text())
    lines = list(Lines(folder / "metrics.jsonl").read())
    assert [row["score"] for row in document["tables"]["steps"]] == [line["score"] for line in lines]
    assert document["tables"]["held_out"] == list(Lines(folder / "evaluations.jsonl").read())
    solver = lines[-1]["adapters"]["both"]["roles"]["solver" + HOSTILE]["kinds"]["answer"]
    assert document["tables"]["kinds"][-1]["entropy"] == solver["entropy"]
    assert document["whole"] is True
    page, text = (folder / "report.html").read_text(), (folder / "report.md").read_text()
    assert page.count("<svg") == 3
    assert "<script" not in page
    assert text.count("<script") == text.count("\\<script") > 0
    assert "\x1b" not in page + text
    assert "\u202e" not in page + text
    assert "Types of tokens" in page


def test_a_run_without_a_step_has_no_report_yet(tmp_path, folder):
    (tmp_path / "finetuning.json").write_bytes((folder / "finetuning.json").read_bytes())
    with pytest.raises(InputError, match="holds no step yet"):
        write_report(tmp_path)
    (tmp_path / "finetuning.json").write_text("{}")
    with pytest.raises(InputError, match="is no plan of a fine-tuning run"):
        write_report(tmp_path)


def test_a_folder_of_something_else_is_not_gone_on_with(capsys, monkeypatch, tmp_path, folder):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.toml").write_text(finetuning.as_toml(finetuning.config()))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "plan.json").touch()
    assert main(["llm", "finetune", "c.toml", "--out", "out"]) == 2
    assert "holds an evaluation: name another folder" in capsys.readouterr().err
    assert main(["llm", "init"]) == 0
    capsys.readouterr()
    words = ["--policy", "p.json", "--store", "s.sqlite", "--out", str(folder)]
    assert main(["llm", "eval", "team.toml", *words]) == 2
    assert "holds a fine-tuning run: name another folder" in capsys.readouterr().err


def test_lines_that_are_none_and_runs_that_diverged(capsys, tmp_path, folder):
    plan = json.loads((folder / "finetuning.json").read_text()) | {"ended": "diverged"}
    (tmp_path / "finetuning.json").write_text(json.dumps(plan))
    (tmp_path / "metrics.jsonl").write_bytes((folder / "metrics.jsonl").read_bytes())
    assert main(["llm", "report", str(tmp_path)]) == 1
    assert "another configuration, in another folder" in capsys.readouterr().err
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n')
    assert main(["llm", "report", str(tmp_path)]) == 2
    assert "metrics.jsonl: line 1 is not as it was written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["missing.toml", "--out", "x"], "missing.toml: cannot be read"),
        (["{folder}/../c.toml", "--out", "x"], "is not TOML"),
        (["{config}", "--out", "{config}/in/a/file"], "out: cannot write into"),
        (["{team}", "--out", "x"], "is a team file, for it has [[agents]]"),
        (["{config}", "--out", "x", "--data", "nosuch"], "data: 'nosuch' cannot be read: no such file"),
        (["{config}", "--out", "x", "--steps", "0"], "steps: is 0"),
        (["{config}", "--out", "x", "--budget-tokens", "many"], "budget_tokens: is 'many'"),
        (["{config}", "--out", "x", "--model", "openai:gpt"], "hqre: model: is 'openai:gpt'; only weights that"),
        (["of_an_endpoint.toml", "--out", "x"], "of_an_endpoint.toml: model: is 'openai:gpt'; only weights"),
        (["{config}", "--out", "x", "--method", "foo"], "hqre: method: is 'foo'; it must be"),
        (["{config}", "--out", "x", "--budget-minutes=-1"], "hqre: budget_minutes: is -1.0; a number above 0"),
        (["{config}", "--out", "x", "--tensor", "3"], "tensor: is 3"),
        (["{config}", "--out", "{config}"], "cannot be made"),
    ],
)
def test_bad_input_is_one_line(capsys, monkeypatch, tmp_path, folder, words, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.toml").write_text(finetuning.as_toml(finetuning.config()))
    other = finetuning.as_toml(finetuning.config() | {"model": "openai:gpt"})
    (tmp_path / "of_an_endpoint.toml").write_text(other)
    (tmp_path / "team.toml").write_text(default_team())
    words = [word.format(folder=folder, config=tmp_path / "c.toml", team=tmp_path / "team.toml") for word in words]
    assert main(["llm", "finetune", *words]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not Path("x").exists()
