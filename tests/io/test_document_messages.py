"""A fault of a JSON or NPZ file is one line that names the key, the place within it and the remedy."""

import json

import numpy as np
import pytest
from complaints import complaint

import hqre_jax.games as games
from hqre_jax.core._types import InputError
from hqre_jax.io import load_game

NORMAL_FORM = {"kind": "normal_form", "payoffs": [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]}
MARKOV = {
    "kind": "markov",
    "payoffs": [[[1, 2]]],
    "transitions": [[[1.0], [1.0]]],
    "discount": 0.9,
}


@pytest.mark.parametrize(
    ("changes", "field", "problem"),
    [
        ({"kind": "normal"}, "kind", 'is "normal"; it must be one of normal_form, '),
        ({"kind": None}, "kind", "is null; "),
        ({"kind": ["markov"]}, "kind", "is a list; "),
        ({"payofs": 1}, "payofs", "is no key of a normal_form game; did you mean payoffs?"),
        (
            {"zzz": 1},
            "zzz",
            "is no key of a normal_form game; its keys are payoffs, action_mask, title, source",
        ),
        (
            {"payoffs": [[[1, 2, 3], [4, 5]], [[1, 2, 3], [1, 2, 3]]]},
            "payoffs[0][1]",
            "has 2 entries where its siblings have 3",
        ),
        ({"payoffs": [[1, 2], 3, [4, 5]]}, "payoffs[1]", "is no list where its siblings have 2"),
        ({"payoffs": [1, [2], 3]}, "payoffs[1]", "has 1 entries where its siblings are no lists"),
        ({"payoffs": [[[1, "2"]]]}, "payoffs[0][0][1]", 'is "2", where a finite number belongs'),
        ({"payoffs": [[[1, None]]]}, "payoffs[0][0][1]", "is null, where a finite number belongs"),
        ({"payoffs": [[[1, True]]]}, "payoffs[0][0][1]", "is true, where a finite number belongs"),
        ({"payoffs": [[[1, {}]]]}, "payoffs[0][0][1]", "is an object, where a finite number belongs"),
        ({"payoffs": [[float("nan"), 1]]}, "payoffs[0][0]", "is NaN, where a finite number belongs"),
        ({"payoffs": [[1, float("-inf")]]}, "payoffs[0][1]", "is -Infinity, where a finite number belongs"),
        ({"payoffs": [[1, 10**400]]}, "payoffs[0][1]", f"is 1{'0' * 36}..., where a finite number belongs"),
        ({"payoffs": "x" * 99}, "payoffs", f'is "{"x" * 36}..., where a finite number belongs'),
        ({"payoffs": []}, "payoffs", "is an empty list"),
        ({"payoffs": [[], []]}, "payoffs[0]", "is an empty list"),
        ({"payoffs": [1, 2]}, "payoffs", "has shape (2,); for N players it must have N + 1 axes"),
        (
            {"action_mask": [[[1, 1]], [["x", 1]]]},
            "action_mask[1][0][0]",
            'is "x", where true or false belongs',
        ),
        ({"action_mask": [[[1, 1]], [[2, 1]]]}, "action_mask[1][0][0]", "is 2, where true or false belongs"),
        (
            {"action_mask": [[[True, True]], [[False, False]]]},
            "action_mask",
            "leaves player 2 without an action",
        ),
        ({"title": 3}, "title", "is 3, where a text belongs"),
        ({"players": "Ann"}, "players", 'is "Ann", where a list belongs'),
        ({"players": ["Ann", 2]}, "players[1]", "is 2, where a text belongs"),
        ({"players": ["Ann"]}, "players", "has 1 names, where the game has 2"),
        ({"actions": [[["U", "D"]], [["L"]]]}, "actions[1][0]", "has 1 names, where the game has 2"),
        ({"actions": [[["U", "D"]], [[], []]]}, "actions[1]", "has 2 names, where the game has 1"),
        (
            {"information_states": [["x"], ["y", "z"]]},
            "information_states[1]",
            "has 2 names, where the game has 1",
        ),
    ],
)
def test_json_keys(tmp_path, changes, field, problem):
    found, said = complaint(tmp_path / "g.json", json.dumps(NORMAL_FORM | changes))
    assert found == f"g.json: {field}"
    assert said.startswith(problem)


def test_missing_keys(tmp_path):
    for key in ("payoffs", "transitions", "discount"):
        content = json.dumps({k: v for k, v in MARKOV.items() if k != key})
        wanted = (f"g.json: {key}", "is missing; a markov game needs payoffs, transitions, discount")
        assert complaint(tmp_path / "g.json", content) == wanted
    assert complaint(tmp_path / "g.json", "{}")[0] == "g.json: kind"


def test_whole_numbers_are_not_rounded_to(tmp_path):
    edges = {"kind": "polymatrix", "edges": [[0, 1.0]], "payoffs": [[[[1.0]], [[1.0]]]]}
    field, problem = complaint(tmp_path / "g.json", json.dumps(edges))
    assert (field, problem) == ("g.json: edges[0][1]", "is 1.0, where a whole number belongs")
    field, problem = complaint(tmp_path / "g.json", json.dumps(edges | {"edges": [[0, 2**64]]}))
    assert field == "g.json: edges[0][1]"


def test_what_a_constructor_says_names_the_file(tmp_path):
    broken = MARKOV | {"transitions": [[[1.0], [0.5]]]}
    with pytest.raises(InputError) as alone:
        games.MarkovGame(**{key: value for key, value in broken.items() if key != "kind"})
    field, problem = complaint(tmp_path / "g.json", json.dumps(broken))
    assert field == f"g.json: {alone.value.field}"
    assert problem == alone.value.problem


@pytest.mark.parametrize(
    ("text", "field", "problem"),
    [
        ("", "g.json:1:1", "is not JSON: Expecting value"),
        ('{"kind":\n "markov",}', "g.json:2:11", "is not JSON: "),
        ("[]", "g.json:1:1", 'must hold one object, {"kind": .., ..}'),
        ('{"kind": "markov", "kind": "bayesian"}', "g.json: kind", "is given twice"),
        ("[" * 100_000, "g.json", "is nested too deeply"),
        ('{"a": ' + "9" * 5000 + "}", "g.json", "holds a whole number with thousands of digits"),
        (
            '{"kind": "normal_form", "payoffs": ' + "[" * 40 + "1" + "]" * 40 + "}",
            "g.json: payoffs",
            "is nested more",
        ),
        (b'{"kind":\n\n"\xff"}', "g.json:3:2", "is not UTF-8 text"),
    ],
)
def test_json_text(tmp_path, text, field, problem):
    found, said = complaint(tmp_path / "g.json", text)
    assert found == field
    assert said.startswith(problem)


def npz(path, **arrays):
    np.savez(path, **arrays)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("changes", "field", "problem"),
    [
        (
            {"payoffs": np.ones((2, 2, 2), complex)},
            ": payoffs",
            "has type complex128, where a finite number belongs",
        ),
        ({"payoffs": np.ones((2, 2, 2), bool)}, ": payoffs", "has type bool, where a finite number belongs"),
        ({"payoffs": np.array(["1", "2"])}, ": payoffs", "has type <U1, where a finite number belongs"),
        ({"payoffs": np.array([[1, np.nan]])}, ": payoffs[0][1]", "is nan; it must be finite"),
        ({"payoffs": np.ones((0, 2))}, ": payoffs", "is empty"),
        ({"payoffs": np.array([object()])}, "", "is a damaged .npz archive, or holds Python objects"),
        (
            {"action_mask": np.ones((2, 1, 2))},
            ": action_mask",
            "has type float64, where true or false belongs",
        ),
        ({"kind": np.array("markof")}, ": kind", 'is "markof"; it must be one of'),
        ({"kind": np.array(3)}, ": kind", "is an entry of type ndarray; it must be one of"),
        ({"labels": np.array("{")}, ": labels:1:2", "is not JSON: "),
        ({"labels": np.array('{"payoffs": 1}')}, ": labels: payoffs", "is not one of title, source, players"),
        ({"labels": np.array('{"title": "a"}'), "title": np.array("b")}, ": labels: title", "is given twice"),
        ({"labels": np.array(3)}, ": labels", "is no text; it must hold a JSON object of names"),
        ({"players": np.array(["a", "b", "c"])}, ": players", "has 3 names, where the game has 2"),
        ({"more": np.array(3)}, ": more", "is no key of a normal_form game"),
    ],
)
def test_npz(tmp_path, changes, field, problem):
    arrays = {"kind": np.array("normal_form"), "payoffs": np.ones((2, 2, 2))} | changes
    found, said = complaint(tmp_path / "g.npz", npz(tmp_path / "g.npz", **arrays))
    assert found == f"g.npz{field}"
    assert said.startswith(problem)


def test_npz_with_names_as_strings(tmp_path):
    arrays = {
        "kind": "normal_form",
        "payoffs": np.ones((2, 2, 2), int),
        "players": ["Ann", "Bob"],
        "title": "Hand-made",
    }
    npz(tmp_path / "g.npz", **arrays, actions=[[["U", "D"]], [["L", "R"]]])
    game = load_game(tmp_path / "g.npz")
    assert game.payoffs.dtype == np.float64
    assert game.labels.players == ("Ann", "Bob")
    assert game.labels.title == "Hand-made"
    assert game.labels.actions == ((("U", "D"),), (("L", "R"),))


def test_npz_that_is_something_else(tmp_path):
    np.save(tmp_path / "array.npy", np.ones(3))
    assert complaint(tmp_path / "g.npz", (tmp_path / "array.npy").read_bytes()) == (
        "g.npz",
        "is no .npz archive",
    )
    assert complaint(tmp_path / "g.npz", b"") == ("g.npz", "is no .npz archive")


def test_a_name_with_a_line_break(tmp_path):
    path = tmp_path / "two\nlines.json"
    path.write_text("{}")
    with pytest.raises(InputError) as caught:
        load_game(path)
    assert "\n" not in str(caught.value)
    assert caught.value.field.endswith("two\\nlines.json: kind")
