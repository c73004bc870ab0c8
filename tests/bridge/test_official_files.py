"""Loaders of the benchmarks' own files, each on a small file of the documented form."""

import json

import pytest

import hqre_jax as hq
from hqre_jax.bridge.tasks import all_tasks

TASKS = all_tasks()
PLAN = """[STATEMENT]
As initial conditions I have that, the red block is clear, the hand is empty, the red block is on the table.
My goal is to have that the red block is on top of the blue block.
My plan is as follows:
[PLAN]
pick up the red block
[PLAN END]

[STATEMENT]
As initial conditions I have that, the blue block is clear, the hand is empty, the blue block is on top of the \
orange block, the orange block is on the table.
My goal is to have that the orange block is on top of the blue block.

My plan is as follows:

[PLAN]
"""
RIGHT_PLAN = """unstack the blue block from on top of the orange block
put down the blue block
pick up the orange block
stack the orange block on top of the blue block
[PLAN END]
[STATEMENT]
pick up the blue block"""
CASE = {
    "initial_information": {"victim": {"name": "V"}, "suspect": [{"name": "Ada", "age": 30}, {"name": "Bob"}]},
    "suspects": [],
    "label": "B",
}
# Twice all five suits of rank 1, then everything else: hands are dealt one after the other.
DECK = [{"suitIndex": suit, "rank": 1} for _ in range(2) for suit in range(5)]
DECK += [
    {"suitIndex": suit, "rank": rank}
    for rank, copies in ((1, 1), (2, 2), (3, 2), (4, 2), (5, 1))
    for _ in range(copies)
    for suit in range(5)
]
# Ann plays red 1 and draws red 1; Bob discards his yellow 1 and draws yellow 1; Ann says something; Bob misplays red 1.
GAME = {
    "players": ["Ann", "Bob"],
    "deck": DECK,
    "actions": [
        {"type": 0, "target": 0},
        {"type": 1, "target": 6},
        {"type": 3, "target": 1, "value": 1},
        {"type": 0, "target": 5},
        {"type": 4, "target": 1, "value": 4},
        {"type": 0, "target": 49},
    ],
    "id": 12345,
}
# Task, file name, file, right replies, wrong ones, and a file that is refused with what is said.
FILES = [
    (
        "word_problems",
        "gsm8k.jsonl",
        json.dumps({"question": "2 and 3?", "answer": "2+3=<<2+3=5>>5\n#### 1,005"}),
        ["#### 1005", "The answer is 1,005."],
        ["5"],
        '{"question": "q", "answer": "none"}',
        ":1: 'answer' does not end in '#### number'",
    ),
    (
        "arithmetic",
        "math.jsonl",
        json.dumps({"problem": "?", "level": "Level 5", "solution": r"So $\boxed{\frac{\sqrt{3}}{2}}$."}),
        [r"\boxed{\dfrac{\sqrt 3}{2}}", r"The answer is $\frac{\sqrt{3}}{2}$."],
        [r"\boxed{\frac{3}{2}}"],
        '{"problem": "q", "solution": "none"}',
        r":1: 'solution' has no \\boxed",
    ),
    (
        "zebra",
        "zebra.jsonl",
        json.dumps({"puzzle": "P", "question": "Who?", "choices": ["Peter", "Eric"], "answer": "Eric"}),
        ["Eric", "Not Peter. The answer is Eric."],
        ["Peter", "Peter or Eric"],
        '{"puzzle": "P", "question": "Who?", "choices": ["Peter"], "answer": "Eric"}',
        ":1: 'answer' is 'Eric', which is not among",
    ),
    (
        "logic",
        "autologi.jsonl",
        json.dumps(
            {
                "idx": 1,
                "prompt": "Two in a row; Ada is first.",
                "code": {
                    "Inputs_Check_code": "def inputs_check(inputs):\n    return set(inputs['row']) == {'Ada', 'Bob'}",
                    "Constraint_List_code": "def c(inputs):\n    return inputs['row'].index('Ada') == 0\n"
                    "constraint_list = [c]",
                },
            }
        ),
        ['{"row": ["Ada", "Bob"]}', "```python\ninputs = {'row': ['Ada', 'Bob']}\n```"],
        ['{"row": ["Bob", "Ada"]}', "Ada, Bob"],
        '{"prompt": "?", "code": {"Inputs_Check_code": "import os", "Constraint_List_code": ""}}',
        "leave out the lines 1. The first: .*:1 Inputs_Check_code line 1: uses 'Import'",
    ),
    (
        "blocksworld",
        "plan.json",
        json.dumps({"instances": [{"query": PLAN}]}),
        [RIGHT_PLAN, "(unstack blue orange)\n(put-down blue)\n(pick-up orange)\n(stack orange blue)"],
        ["pick up the orange block", RIGHT_PLAN.replace("put down the blue block\n", "")],
        '{"instances": [{"query": "nothing"}]}',
        "instance 1: 'query' does not say",
    ),
    (
        "guessing",
        "gn.json",
        '["4271"]',
        ["4271", "4 2 7 1", "[4, 2, 7, 1]"],
        ["1724", "42"],
        '["1123"]',
        "entry 1: is '1123'",
    ),
    (
        "mystery",
        "dc.json",
        json.dumps([CASE]),
        ["Bob"],
        ["Ada"],
        json.dumps([CASE | {"label": 7}]),
        "case 1: 'label' is 7",
    ),
    (
        "hanabi",
        "game.json",
        json.dumps(GAME),
        ["yellow 1", "The answer is green 1.", "PURPLE 1"],
        ["red 1", "green 2", "red 1 and blue 1"],
        json.dumps(GAME | {"actions": [{"type": 0, "target": 5}]}),
        "game 1: action 1: 'target' is 5, which is no card of 'Ann'",
    ),
    (
        "negotiation",
        "bargaining.txt",
        "1,4,1 9,0,1 2,2,0\n",
        [],
        ["0"],
        "1,4,1 9,0,1\n",
        ":1: is not three triples",
    ),
]


@pytest.mark.parametrize(
    ("name", "file", "text", "right", "wrong", "refused", "message"), FILES, ids=lambda v: str(v)[:12]
)
def test_official_files(tmp_path, name, file, text, right, wrong, refused, message):
    task = TASKS[name]
    assert task.official
    (tmp_path / file).write_text(text)
    [item] = task.load(tmp_path / file)
    assert (item.task_class, item.split) == ("official", "test")
    assert [task.judge(item, reply).score for reply in right] == [1] * len(right)
    assert [task.judge(item, reply).score for reply in wrong] == [0] * len(wrong)
    if item.answer:
        assert task.judge(item, item.answer).score == 1
    (tmp_path / file).write_text(refused)
    with pytest.raises(hq.InputError, match=message) as caught:
        task.load(tmp_path / file)
    assert "\n" not in str(caught.value)


def test_tasks_without_an_official_file_say_so():
    without = {name for name, task in TASKS.items() if task.official is None}
    assert without == set(TASKS) - {name for name, *_ in FILES} - {"itinerary"}  # in test_travel_plans.py
    for name in without:
        with pytest.raises(hq.InputError, match="reads no official file"):
            TASKS[name].load("anything")


def test_recorded_games_of_hanabi_are_played_by_the_rules(tmp_path):
    """The last position that tells cards apart: Bob's turn is over, Ann holds a second red 1 and four others."""
    file = tmp_path / "games.json"
    file.write_text(json.dumps([GAME, GAME]))
    first, second = TASKS["hanabi"].load(file)
    assert (first.index, second.index) == (0, 1)
    assert "The red pile shows 1. The yellow pile shows 0." in first.question
    assert "Your partner Bob holds green 1, blue 1, purple 1, yellow 1 and green 1." not in first.question
    assert "Your partner Ann holds yellow 1, green 1, blue 1, purple 1 and red 1." in first.question
    with pytest.raises(hq.InputError, match="only play is played"):
        TASKS["hanabi"].begin(first)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"players": ["Ann"]}, "'players' is not a list of two to six names"),
        ({"deck": DECK[1:]}, "'deck' has 49 cards that are not the 50"),
        ({"deck": [*DECK[1:], {"suitIndex": 9, "rank": 1}]}, "'deck' has 50 cards that are not the 50"),
        ({"deck": ["red 1"]}, "'deck' has a card that is no object"),
        ({"options": {"variant": "Rainbow (6 Suits)"}}, "the variant 'Rainbow"),
        ({"options": 3}, "the variant None"),
        ({"actions": [{"type": 7, "target": 0}]}, "action 1: 'type' is 7"),
        ({"actions": [{"type": 0}]}, "action 1: has no 'target'"),
        ({"actions": 3}, "'actions' is int"),
    ],
)
def test_other_games_of_hanabi_are_refused(tmp_path, change, message):
    (tmp_path / "game.json").write_text(json.dumps(GAME | change))
    with pytest.raises(hq.InputError, match=message):
        TASKS["hanabi"].load(tmp_path / "game.json")


def test_worked_solutions_of_gsm8k_read_like_people_s(tmp_path):
    (tmp_path / "gsm8k.jsonl").write_text(FILES[0][2])
    [item] = TASKS["word_problems"].load(tmp_path / "gsm8k.jsonl")
    assert item.solution == "2+3=5 The answer is 1005."


def test_official_guessing_can_be_played(tmp_path):
    (tmp_path / "gn.json").write_text('["4271", "0918"]')
    task = TASKS["guessing"]
    for item in task.load(tmp_path / "gn.json"):
        assert task.play(item, "perfect", 0).score > 0.7


@pytest.mark.parametrize("text", ["{", "[]]", "nul", '{"instances": 3}', "[" * 100_000])
def test_broken_files_are_refused_in_one_line(tmp_path, text):
    (tmp_path / "data.json").write_text(text)
    for name in ("logic", "blocksworld", "guessing", "mystery", "word_problems", "negotiation", "hanabi"):
        with pytest.raises(hq.InputError) as caught:
            TASKS[name].load(tmp_path / "data.json")
        assert "\n" not in str(caught.value)
