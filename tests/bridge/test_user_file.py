"""A user's own questions as a task."""

import csv
import json

import pytest

import hqre_jax as hq
from hqre_jax.bridge.tasks import load_user_file

CSV = """question,answer,class,split,choices
"What is 1 + 1, exactly?",2,sums,test,
Capital of France?,Paris,towns,test,Paris|Rome
"Write x
squared",x^2,sums,train,
"""
JSONL = """{"question": "What is 1 + 1?", "answer": "2", "split": "test"}

{"question": "Half?", "answer": "1/2", "split": "test", "solution": "The answer is 1/2."}
"""


def test_csv(tmp_path):
    file = tmp_path / "mine.csv"
    file.write_text(CSV, encoding="utf-8-sig")
    task = load_user_file(file)
    assert (task.name, task.classes) == ("mine", ("sums", "towns"))
    [item] = task.items("sums", "test", 1)
    assert task.judge(item, "The answer is 2.").score == 1
    [town] = task.items("towns", "test", 1)
    assert [task.judge(town, reply).score for reply in ("Paris!", "Rome", "Paris or Rome")] == [1, 0, 0]
    [formula] = task.items("sums", "train", 1)
    assert task.judge(formula, r"The answer is $x^2$.").score == 1
    with pytest.raises(hq.InputError, match="towns/train has 0"):
        task.items("towns", "train", 1)


def test_json_lines(tmp_path):
    file = tmp_path / "mine.jsonl"
    file.write_text(JSONL)
    task = load_user_file(file)
    items = task.items("all", "test", 2)
    assert [task.judge(item, "0.5").score for item in items] == [0, 1]
    assert items[1].solution == "The answer is 1/2."


@pytest.mark.parametrize("name", ["long.csv", "long.jsonl"])
def test_a_million_characters_are_a_question(tmp_path, name):
    asked = "=1+1 " * 200_000 + "?"
    text = f"question,answer\n{asked},2\n" if name.endswith("csv") else json.dumps({"question": asked, "answer": "2"})
    (tmp_path / name).write_text(text)
    limit = csv.field_size_limit()
    [item] = load_user_file(tmp_path / name).in_order
    assert item.question == asked
    assert csv.field_size_limit() == limit


def test_splits_by_hash_are_stable(tmp_path):
    file = tmp_path / "many.csv"
    file.write_text("question,answer\n" + "".join(f"What is {k}?,{k}\n" for k in range(200)))
    task = load_user_file(file)
    assert sum(task.num_items.values()) == 200
    assert 60 < task.num_items["test"] < 100


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "", ":1: is ''; a CSV header"),
        ("a.csv", "question,answer\n", "holds no question"),
        ("a.csv", "question,answer\na,b,c\n", ":2: has 3 cells"),
        ("a.csv", "question,answer\na,\n", ":2: wants a text under 'answer'"),
        ("a.csv", "question,answer\na,1\nb,2\na,3\n", ":4: repeats the question of .*:2"),
        ("a.csv", 'question,answer\n"a,1\n', "is not CSV"),
        ("a.csv", "question,answer,mood\na,1,good\n", ":2: has 'mood'"),
        ("a.csv", "question,answer,split\na,1,exam\n", ":2: 'split' is 'exam'"),
        ("a.csv", "question,answer,choices\na,1,2|3\n", ":2: 'answer' is '1', which is not among"),
        ("a.jsonl", '{"question": "a", "answer": 1}', ":1: wants a text under 'answer'"),
        ("a.jsonl", '{"question": "a", "answer": "1"}\n[1]\n', ":2: is list"),
        ("a.jsonl", '{"question": "a"\n', ":1: is not JSON"),
        ("a.jsonl", "[" * 100_000, ":1: is not JSON"),
        ("a.jsonl", '{"question": "a", "answer": "1", "choices": "1"}', ":1: 'choices' must be a list"),
    ],
)
def test_errors_say_the_line(tmp_path, name, text, message):
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(hq.InputError, match=message) as caught:
        load_user_file(file)
    assert "\n" not in str(caught.value)


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(hq.InputError, match="cannot be read"):
        load_user_file(tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes(b"question,answer\ncaf\xe9,1\n")
    with pytest.raises(hq.InputError, match="is not UTF-8 text"):
        load_user_file(tmp_path / "latin.csv")
