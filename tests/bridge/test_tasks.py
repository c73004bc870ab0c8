"""Every task: items that are always the same, splits that cannot overlap, verifiers that know right answers."""

import hashlib
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

import hqre_jax as hq
from hqre_jax.bridge.tasks import all_tasks, task_listing
from hqre_jax.bridge.tasks._generated import split_of

TASKS = all_tasks()
CLASSES = [(name, task_class) for name, task in TASKS.items() for task_class in task.classes]
# Of the first 40 test items of each class, with answers, solutions and data: items never change unnoticed.
# Written by `python tests/bridge/test_tasks.py`, when they are meant to change.
DIGESTS = Path(__file__).with_name("item_digests.json")


def digest(task, task_class):
    items = [asdict(item) for item in task.items(task_class, "test", 40)]
    return hashlib.sha256(json.dumps(items, sort_keys=True).encode()).hexdigest()[:16]


@pytest.mark.parametrize(("name", "task_class"), CLASSES)
def test_items_never_change(name, task_class):
    assert digest(TASKS[name], task_class) == json.loads(DIGESTS.read_text())[f"{name}/{task_class}"]


# Classes that take long to draw, each between others of its kind.
DEAR = {("blocksworld", "plan_4"), ("zebra", "houses_3_drinks")}


@pytest.mark.parametrize(
    ("name", "task_class"),
    [pytest.param(*one, marks=[pytest.mark.thorough] if one in DEAR else []) for one in CLASSES],
)
def test_splits_are_large_enough_and_disjoint(name, task_class):
    """As many distinct questions as promised, and no question of one split in another."""
    task = TASKS[name]
    assert min(task.num_items["test"], task.num_items["dev"]) >= 200
    seen = set()
    for split, count in task.num_items.items():
        digests = {hashlib.sha256(item.question.encode()).digest() for item in task.items(task_class, split, count)}
        assert len(digests) == count
        assert not digests & seen
        seen |= digests


def test_splits_get_their_shares():
    splits = [split_of("task", "class", k) for k in range(5000)]
    assert 0.37 < splits.count("train") / 5000 < 0.43
    assert 0.17 < splits.count("dev") / 5000 < 0.23


@pytest.mark.parametrize(("name", "task_class"), CLASSES)
def test_more_items_begin_with_fewer(name, task_class):
    fresh = all_tasks()[name]
    assert fresh.items(task_class, "train", 3) == TASKS[name].items(task_class, "train", 20)[:3]


@pytest.mark.parametrize(("name", "task_class"), CLASSES)
def test_right_answers_and_worked_solutions_are_right(name, task_class):
    task = TASKS[name]
    for item in task.items(task_class, "test", task.num_items["test"]):
        assert item.answer is not None
        assert item.solution is not None
        replies = (
            item.answer,
            item.solution,
            f"The answer is {item.answer}.",
            f"**{item.answer}**",
            f"\n {item.answer}\n",
        )
        judgements = [task.judge(item, reply) for reply in replies]
        assert [j.score for j in judgements] == [1.0] * 5, (item, judgements)
        assert len({j.answer for j in judgements}) == 1, "equal answers are equal strings"
        assert task.judge(item, "").score == 0


@pytest.mark.parametrize(("name", "task_class"), CLASSES)
def test_no_constant_answer_wins(name, task_class):
    """What is right most often is right in at most 60 % of the items."""
    answers = [item.answer for item in TASKS[name].items(task_class, "test", 200)]
    assert max(map(answers.count, set(answers))) <= 120


@pytest.mark.parametrize(("name", "task_class"), CLASSES)
def test_repeating_the_question_does_not_win(name, task_class):
    items = TASKS[name].items(task_class, "test", 200)
    assert sum(TASKS[name].judge(item, item.question).score for item in items) <= 100


def test_listing_says_what_there_is():
    listing = task_listing()
    assert [entry["name"] for entry in listing] == list(TASKS)
    assert len(listing) == 11
    domains = ["reasoning"] * 4 + ["planning"] * 2 + ["active information seeking"] * 2 + ["coordination"] * 3
    assert [entry["domain"] for entry in listing] == domains
    for entry in listing:
        assert set(entry) == {"name", "domain", "after", "verifier", "official", "classes", "items"}
        assert entry["items"]["test"] >= 200 * len(entry["classes"])
    json.dumps(listing)


def test_unknown_classes_are_refused():
    with pytest.raises(hq.InputError, match="arithmetic has sum, sum_of_three"):
        TASKS["arithmetic"].items("sums", "test", 1)


def test_an_exhausted_class_says_so():
    with pytest.raises(hq.InputError, match=r"arithmetic/sum/dev has \d+ items"):
        all_tasks()["arithmetic"].items("sum", "dev", 10_000)


def test_other_words_come_after_all_others():
    """What was drawn before is as it was, however items are asked for."""
    once, twice = all_tasks()["arithmetic"], all_tasks()["arithmetic"]
    with pytest.raises(hq.InputError, match="product/dev has 240 items"):
        twice.items("product", "dev", 1000)
    items = once.items("product", "dev", 200)
    assert twice.items("product", "dev", 120) == items[:120]
    assert twice.items("product", "dev", 200) == items
    again = [item.question for item in items if item.question.startswith(("Calculate", "Evaluate", "State"))]
    assert again
    assert {item.question for item in items[:120]}.isdisjoint(again)


def test_import_brings_no_heavy_library():
    program = """
import sys
import hqre_jax.problem
def libraries():
    return {name.split(".")[0] for name in sys.modules} - sys.stdlib_module_names
before = libraries()
import hqre_jax.bridge.tasks, hqre_jax.bridge.controls
assert libraries() == before, libraries() - before
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


if __name__ == "__main__":
    digests = {f"{name}/{task_class}": digest(TASKS[name], task_class) for name, task_class in CLASSES}
    DIGESTS.write_text(json.dumps(digests, indent=1) + "\n")
