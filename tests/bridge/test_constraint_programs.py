"""Constraints in Python text: what the small language means, what it refuses, and its limits."""

import json
import time

import pytest

import hqre_jax as hq
from hqre_jax.bridge.tasks import all_tasks
from hqre_jax.bridge.tasks._constraint_interpreter import TooMuch, broken_constraint
from hqre_jax.bridge.tasks._constraint_language import read_program

LOGIC = all_tasks()["logic"]
CHECK = '''
SHELVES = ["tea", "oil", "salt", "wine"]

def inputs_check(inputs: dict) -> bool:
    """A shelf for each."""
    if not isinstance(inputs, dict) or set(inputs.keys()) != {"row", "shut"}:
        return False
    if sorted(inputs["row"]) != sorted(SHELVES):
        return False
    return isinstance(inputs["shut"], (set, list)) and set(inputs["shut"]).issubset(SHELVES)
'''
CONSTRAINTS = """
def place(inputs, name):
    return inputs["row"].index(name) + 1

def tea_is_left_of_oil(inputs):
    return place(inputs, "tea") < place(inputs, "oil")

def two_between(inputs):
    count = 0
    for k, name in enumerate(inputs["row"], start=1):
        if name == "salt":
            continue
        elif abs(k - place(inputs, "salt")) > 2:
            count += 1
    return count == 1

def one_is_shut(inputs):
    found = {}
    for name in inputs["shut"]:
        found[name] = found.get(name, 0) + 1
    return sum(found.values()) == 1 and all(n == 1 for n in found.values()) and inputs["row"][-1] not in inputs["shut"]

constraint_list = [tea_is_left_of_oil, two_between, one_is_shut, lambda inputs: "wine" not in inputs["row"][:2]]
"""
RIGHT = '{"row": ["salt", "tea", "wine", "oil"], "shut": {"tea"}}'


def file_of(tmp_path, *codes):
    rows = [
        {"prompt": "Fill the shelves.", "code": {"Inputs_Check_code": a, "Constraint_List_code": b}} for a, b in codes
    ]
    (tmp_path / "logic.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path / "logic.jsonl"


@pytest.fixture
def item(tmp_path):
    [item] = LOGIC.load(file_of(tmp_path, (CHECK, CONSTRAINTS)))
    return item


def test_answers_in_many_forms(item):
    right = (
        RIGHT,
        f"I think so.\n```python\ninputs = {RIGHT}\n```\nDone.",
        f'First {{"row": []}}. The answer is {RIGHT}',
        RIGHT.replace('{"tea"}', '["tea"]'),
    )
    assert [LOGIC.judge(item, reply).score for reply in right] == [1] * 4
    assert LOGIC.judge(item, right[0]).answer == LOGIC.judge(item, right[2]).answer


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("salt, tea, wine, oil", "no dictionary or list"),
        (RIGHT.replace('"tea", "wine", "oil"', '"oil", "wine", "tea"'), "tea_is_left_of_oil"),
        ('{"row": ["tea", "salt", "wine", "oil"], "shut": {"tea"}}', "two_between"),
        (RIGHT.replace('{"tea"}', '["tea", "tea"]'), "one_is_shut"),
        ('{"row": ["salt", "wine", "tea", "oil"], "shut": {"tea"}}', "constraint 4"),
        (RIGHT.replace('{"tea"}', "3"), "inputs_check"),
        (RIGHT.replace('["salt", "tea", "wine", "oil"]', "7"), "inputs_check, for which the answer has another form"),
        ("{" * 20_000, "no dictionary or list"),
        ('{"row": ' + "9" * 5_000 + "}", "no dictionary or list"),
        ('{"row": ["salt"], "shut": ' + str(list(range(2_000))) + "}", "given up: a value too large"),
        ("{__import__('os').system('true')}", "no dictionary or list"),
    ],
)
def test_wrong_and_hostile_answers(item, reply, reason):
    judged = LOGIC.judge(item, reply)
    assert judged.score == 0
    assert reason in judged.reason


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("    import os\n    return True", "line 2: uses 'Import'"),
        ("    return open('x')", "line 2: uses 'open'"),
        ("    return inputs.__class__", "line 2: uses 'Attribute'"),
        ("    return inputs.__class__()", "line 2: uses 'inputs.__class__'"),
        ("    return (lambda x: x)(inputs)", "line 2: uses '(lambda x: x)'"),
        ("    while True:\n        pass", "line 2: uses 'While'"),
        ("    return 2 ** 9", "line 2: uses 'Pow'"),
        ("    return f'{inputs}'", "line 2: uses 'JoinedStr'"),
        ("    return isinstance(inputs, object)", "isinstance of another type"),
        ("    return sorted(inputs, key=len)", "a named argument"),
        ("    return max(*inputs)", "line 2: uses 'Starred'"),
        ("    inputs.x = 1", "assignment to a part"),
        ("    global x\n    return True", "line 2: uses 'Global'"),
        ("    return " + "not " * 50 + "inputs", "more than 40 levels"),
        ("    return " + "(" * 500, "is not Python"),
        ("    return " + "-" * 15_000 + "1", "is not Python that can be read|more than 40 levels"),
        ("    return 1" + " " * 20_000, "at most 20000"),
    ],
)
def test_other_programs_are_refused_in_one_line(tmp_path, body, said):
    code = f"def inputs_check(inputs):\n{body}\n"
    with pytest.raises(hq.InputError, match=said) as caught:
        LOGIC.load(file_of(tmp_path, (CHECK, CONSTRAINTS), (code, "constraint_list = []")))
    message = str(caught.value)
    assert "\n" not in message
    assert "1 of 2 puzzles" in message
    assert "the lines 2." in message
    assert "logic.jsonl:2 Inputs_Check_code" in message


@pytest.mark.parametrize(
    "body",
    [
        "[0 for a in range(999) for b in range(999) for c in range(999)]",
        "range(1000000000)",
        "again(inputs)",
        "grow([])",
        "double([1])",
        "1000000 * 1000000 * 1000000",
        "twins([0], [0], 60)",
    ],
)
def test_programs_end(body):
    helpers = (
        "def again(x):\n    return again(x)\n"
        "def grow(x):\n    x.append(x)\n    return x\n"
        "def double(x):\n    for _ in range(100):\n        x = x + x\n    return x\n"
        "def twins(a, b, n):\n    for _ in range(n):\n        a = [a, a]\n        b = [b, b]\n    return a == b\n"
    )
    program = read_program(f"{helpers}def inputs_check(inputs):\n    return {body}", "constraint_list = []", "here")
    began = time.process_time()
    with pytest.raises(TooMuch):
        broken_constraint(program, {})
    assert time.process_time() - began < 2


EXPRESSIONS = [
    "[x * 2 for x in range(5) if x % 2] + [1, 2][::-1]",
    "{k: v for k, v in zip('ab', (1, 2))}",
    "next(k for k in {'a': 1, 'b': 2} if k > 'a')",
    "next((k for k in [1] if k > 3), None) is None",
    "sum(1 for a in [1, 2] for b in [a, 3] if a < b <= 3)",
    "({1, 2} | {3}) - {1} == {2, 3} and not {1} & {2}",
    "(1 if [] else 2) or 3",
    "1 and 0 or '' or 5",
    "max([3, 1], [2, 9]) == [3, 1] and min(4, 2) == 2",
    "'ab,c'.split(',')[1].upper() + str(7 // 2) + str(-7 % 3)",
    "list(reversed(sorted([2, 3, 1], reverse=True))) == [1, 2, 3]",
    "sorted({'b': 1, 'a': 2}.items())",
    "all(x for x in []) and any([0, 1]) and 2 not in (1, 3) and True is not None",
    "[a if a else b for a, b in [(0, 1), (2, 3)]]",
    "len('four') / 2 == 2.0 != 3 and isinstance(True, (int, str)) and isinstance(3, bool) == False",
]


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_the_language_means_what_python_means(text):
    # The expressions are this file's own.
    code = f"def inputs_check(inputs):\n    return ({text}) == inputs"
    program = read_program(code, "constraint_list = []", "here")
    assert broken_constraint(program, eval(text)) is None
    assert broken_constraint(program, ["something else"]) == "inputs_check"
