"""What docs/finetuning.md shows: its configuration, its commands, and the numbers that it quotes from the table."""

import dataclasses
import json
import re
import shlex
from pathlib import Path

import numpy as np

from benchmarks.adapters import gradients
from benchmarks.adapters._cells import choice_cell, table_cell
from benchmarks.adapters._record import evaluations, read_record
from hqre_jax.bridge.finetuning import read_config
from hqre_jax.bridge.finetuning._config import Config, Evaluation, Optimizer, Role
from hqre_jax.bridge.finetuning.methods import METHODS, Settings
from hqre_jax.bridge.models import LoraConfig
from hqre_jax.cli._llm_finetune_parser import EPILOG
from hqre_jax.cli._parser import build_parser

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "finetuning.md").read_text(encoding="utf-8")


def test_the_configuration_is_read_and_the_commands_are_known(tmp_path):
    path = tmp_path / "finetuning.toml"
    path.write_text(re.findall(r"```toml\n(.*?)```", PAGE, re.S)[0])
    config = read_config(path)
    assert [role.name for role in config.roles] == ["planner", "solver"]
    assert config.roles[1].tau == {"reasoning": 0.05, "answer": 0.02}
    commands = re.findall(r"```sh\n(.*?)```", PAGE, re.S)[0].strip().splitlines()
    assert [build_parser().parse_args(shlex.split(line)[1:]).llm_command for line in commands] == [
        "finetune", "finetune", "report",
    ]  # fmt: skip


def test_the_help_shows_what_a_file_may_say(tmp_path):
    """The example, with every remark taken at its word, is a configuration with its usual values."""
    example = re.search(r"  version = 1\n.*?(?=\nBehind #)", EPILOG, re.S)[0]
    text = re.sub(r",\n  #  ", ",", example)
    text = re.sub(r"^  # \[(\w+)\] (.*)$", lambda m: f"[{m[1]}]\n" + spread(m[2]), text, flags=re.M)
    text = re.sub(r"^  # (adapter = .*)$", lambda m: spread(m[1]), text, flags=re.M)
    path = tmp_path / "finetuning.toml"
    path.write_text(text)
    config = read_config(path)
    bare = read_config(
        {"version": 1, "steps": 40, "tasks": [{"name": "arithmetic"}], "roles": [{"name": "a", "tau": 0}]}
    )
    for part in ("settings", "adapter", "optimizer", "evaluation", "questions", "plays", "pool", "dtype", "method"):
        assert getattr(config, part) == getattr(bare, part)
    assert config.roles[0].max_tokens == 48
    assert config.budget_tokens == 1_000_000


def test_the_help_has_every_key():
    kinds = (Config, Role, Settings, LoraConfig, Optimizer, Evaluation)
    keys = {field.name.removeprefix("budget_") for kind in kinds for field in dataclasses.fields(kind)}
    shown = {word for words in re.findall(r"\b(\w+) = |\[(\w+)\]", EPILOG) for word in words}
    # Settings are a table of their own name, and dropout is no key: adapters are trained without.
    assert keys - {"settings", "dropout"} <= shown


def spread(assignments):
    """Assignments with commas between them, a line each."""
    return re.sub(r", (?=\w+ = )", "\n", assignments) + "\n"


def test_every_method_has_its_row():
    assert re.findall(r"^\| `(\w+)` \|", PAGE, re.M) == [
        "dice", "dice_common", "dice_zero", "sft", "raft", "own_right", "reinforce", "grpo", "cotrain",
    ]  # fmt: skip
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.M)) == set(METHODS)
    for method in METHODS.values():
        assert method.paper.removeprefix("independently specified after ") in PAGE


def test_what_is_said_of_adapters_is_in_their_table():
    folder = ROOT / "benchmarks" / "adapters"
    table = json.loads((folder / "table.json").read_text())
    classes = {one["class"]: one for one in table["classes"]}
    # "five seeds each"
    assert {name: len(one["seeds"]) for name, one in classes.items()} == {"sum": 5, "product": 5, "what_is_below": 5}
    rows = {name: {row["method"]: row for row in one["rows"]} for name, one in classes.items()}
    rows["together"] = {row["method"]: row for row in table["together"]["rows"]}

    def accuracy(task_class, method=None):
        estimate = rows[task_class][method]["accuracy"] if method else classes[task_class]["untrained"]
        return f"{estimate['value']:.3f}".removeprefix("0")

    def points(method, sign, task_class="together"):
        behind = rows[task_class][method]["behind"]
        low, high = sorted(sign * 100 * behind[end] for end in ("low", "high"))
        return f"{sign * 100 * behind['value']:.1f} [{low:.1f}, {high:.1f}]"

    said = " ".join(PAGE.split())
    for pieces in (
        ("is right ", ("together", "dice"), " of the time, GRPO ", ("together", "grpo"), " and co-training ",
         ("together", "cotrain"), f": less GRPO that is {points('grpo', 1)} points, less co-training "
         f"{points('cotrain', 1)}. It is ahead of SFT by {points('sft', 1)}, of REINFORCE by {points('reinforce', 1)}, "
         f"of RAFT by {points('raft', 1)} and of roles that imitate their own right turns by "
         f"{points('own_right', 1)}."),
        ("On sums it comes from ", ("sum",), " to ", ("sum", "dice"), ", GRPO to ", ("sum", "grpo"),
         " and co-training to ", ("sum", "cotrain"), "; on products from ", ("product",), " to ", ("product", "dice"),
         ", GRPO to ", ("product", "grpo"), " and co-training to ", ("product", "cotrain"), "."),
        ("τ = 0 fell from ", ("what_is_below",), " to ", ("what_is_below", "dice_zero"), " (to "),
        (f"in replies of {rows['what_is_below']['dice_zero']['reply']:.1f} tokens",),
        ("with temperatures they stayed at ", ("what_is_below", "dice"), " (.34 at least), and at ",
         ("what_is_below", "dice_common"), " with one a role."),
        (f"Over all classes temperatures are worth {points('dice_zero', 1)} points: there "
         f"{points('dice_zero', 1, 'what_is_below')}, on sums {points('dice_zero', 1, 'sum')}, on products "
         f"{points('dice_zero', 1, 'product')}.",),
        (f"sums were learnt better by {points('dice_common', -1, 'sum')} points; over all classes it is "
         f"{points('dice_common', 1)} points less",),
    ):  # fmt: skip
        assert "".join(piece if isinstance(piece, str) else accuracy(*piece) for piece in pieces) in said
    level = {row["method"] for row in table["together"]["rows"] if row["behind"]["low"] <= 0 <= row["behind"]["high"]}
    assert level == {"dice", "grpo", "cotrain", "dice_common"}
    record = read_record(folder / "runs.jsonl")

    def seeds(task_class, method):
        one = classes[task_class]
        runs = [record[table_cell(one["task"], task_class, method, seed).name] for seed in one["seeds"]]
        scores = [evaluations(run, "test")[-1]["scores"] for run in runs]
        return [short(sum(of_run) / len(of_run)) for of_run in scores]

    for task_class, method, between in (
        ("product", "dice", "On products DICE-FT comes to {}, {}, {}, {} and {}, RAFT"),
        ("product", "raft", ", RAFT to {}, {}, {}, {} and {}; on sums"),
        ("sum", "reinforce", "on sums REINFORCE to {}, {}, {}, {} and {},"),
        ("sum", "raft", " RAFT to {}, {}, {}, {} and {}, roles"),
        ("sum", "own_right", "their right turns to {}, {}, {}, {} and {};"),
        ("sum", "dice", "; DICE-FT to {}, {}, {}, {} and {}."),
        ("what_is_below", "dice_zero", "(to {}, {}, {}, {} and {})"),
    ):  # fmt: skip
        assert between.format(*seeds(task_class, method)) in said
    least = {method: min(seeds("what_is_below", method)) for method in METHODS}
    assert least["dice"] == ".34"
    assert {method: score for method, score in least.items() if score < ".20"} == {
        "dice_zero": ".05", "raft": ".09", "reinforce": ".09", "cotrain": ".06",
    }  # fmt: skip
    assert "RAFT, REINFORCE and co-training fell in a seed each (to .09, .09 and .06)" in said


def test_what_is_said_of_gradients_is_in_their_record():
    record = json.loads(gradients.RECORD.read_text(encoding="ascii"))
    found = {name: [gradients.alike(one, name) for one in record] for name in gradients.METHODS}
    other_plays = [gradients.luck(one, "dice") for one in record]
    said = " ".join(PAGE.split())
    assert f"co-training has a cosine of {short(min(found['cotrain']), 3)} or more with that of DICE-FT" in said
    assert f"GRPO's of {short(min(found['grpo']), 3)} to {short(max(found['grpo']), 3)};" in said
    assert f"has one of {short(max(other_plays), 3)} at most" in said
    assert len(record) == len(gradients.PLACES) == 5
    assert gradients.BATCHES == 4
    # They are cosines, and of gradients that some play has told something.
    for one in record:
        cosines = gradients.products(one).reshape(2 * [len(gradients.METHODS) * gradients.BATCHES])
        assert np.allclose(cosines, cosines.T)
        assert np.linalg.eigvalsh(cosines).min() > -1e-5
        assert 0 < min(one["scores"]) <= max(one["scores"]) < 1


def short(value, digits=2):
    return f"{value:.{digits}f}".removeprefix("0")


def test_what_is_said_of_settings_is_in_the_table():
    rows = json.loads((ROOT / "benchmarks" / "adapters" / "table.json").read_text())["choice"]
    accuracy = [[short(value) for value in row["accuracy"]] for row in rows]
    two, eight, explored = accuracy[0], accuracy[2], accuracy[5]
    said = " ".join(PAGE.split())
    for piece in (
        f"learn sums to {eight[0]} and products to {eight[1]}, where two reach {two[0]} and {two[1]};",
        f"(what is below: {eight[2]} in place of {two[2]}),",
        f"and gradients become as long as {rows[2]['gradient']:,.0f} (on sums)",
        f"nothing is unlearnt ({explored[2]} at η = 4),",
        f"and sums and products are learnt more slowly ({explored[0]} and {explored[1]})",
    ):
        assert piece in said
    record = read_record(ROOT / "benchmarks" / "adapters" / "runs.jsonl")
    assert rows[2]["gradient"] == max(record[choice_cell("arithmetic", "sum", 2).name]["gradients"])
    assert rows[5]["settings"] == {"inner_steps": 8, "eta": 4.0, "exploration": 0.1}
    assert max(row["gradient"] for row in rows if row["settings"].get("exploration") == 0.1) < 2.8


def test_quoted_numbers_are_the_tables():
    rows = json.loads((ROOT / "benchmarks" / "finetuning" / "table.json").read_text())["rows"]

    def row(game, method, remark=None):
        return next(r for r in rows if (r["game"], r["method"]) == (game, method) and remark in (None, r["remark"]))

    none, certified = row("inspection", "dice_zero"), rows[0]
    quoted = [
        (none["swing"], "0.82"), (certified["swing"], "0.08"), (certified["right"], "0.90"), (none["right"], "0.85"),
        (certified["regret"], "0.041"), (rows[1]["regret"], "0.012"), (rows[1]["swing"], "0.16"),
        (row("inspection", "grpo")["swing"], "0.45"), (row("who_answers", "dice", "small")["right"], "0.87"),
        (row("who_answers", "dice")["right"], "0.74"),
        *((row("inspection", method)["right"], right)
          for method, right in (("raft", "0.96"), ("own_right", "0.96"), ("cotrain", "0.95"))),
    ]  # fmt: skip
    for estimate, text in quoted:
        assert abs(estimate["mean"] - float(text)) <= 0.005
        assert text in PAGE
    shares = {row["remark"]: row["conventions"] for row in rows if row["game"] == "signalling" and row["remark"]}
    assert (shares["small"], shares["middle"], shares["none"], shares["large"]) == (1.0, 0.8, 0.8, 0.0)
    verdicts = {(r["game"], r["remark"]): {d["verdict"] for d in r["diagnosis"]} for r in rows if "diagnosis" in r}
    assert verdicts["who_answers", "small"] == verdicts["who_answers", "none"] == {"unstable"}
    assert not any("unstable" in found for (_, remark), found in verdicts.items() if "certified" in remark)
