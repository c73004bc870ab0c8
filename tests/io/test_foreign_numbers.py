"""Numbers as other locales write them are refused with a word about it: nothing is read as another number."""

import pytest
from complaints import complaint

from hqre_jax.games._efg import parse_efg
from hqre_jax.io._nfg import parse_nfg

TABLE = 'NFG 1 R "" { "A" "B" } { 2 1 }\n'
OUTCOMES = 'NFG 1 R "" { "A" "B" } { 2 1 } { { "" 1,0 } { "" %s } }\n1 2'
TREE = 'EFG 2 R "" { "A" "B" }\np "" 1 1 "" { "l" "r" } 0\nt "" 1 "" %s\nt "" 0'
POINT = "numbers take a decimal point and no group marks"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("0,5 1,5 2,5 3,5 4,5 5,5 6,5 7,5", "1:2: the comma in 0,5 may be a decimal comma"),
        ("0,5 1,5 2,5 3,5", "1:2: the comma in 0,5 may be"),  # the table would be full
    ],
)
def test_a_table_of_decimal_commas(tmp_path, text, line):
    """Both were read: as eight payoffs too many, and as the eight payoffs 0, 5, 1, 5, …"""
    field, problem = complaint(tmp_path / "g.nfg", f'NFG 1 R "" {{ "A" "B" }} {{ 2 2 }}\n{text}')
    assert f"{field}: {problem}".startswith(f"g.nfg:2{line[1:]}")
    assert POINT in problem


@pytest.mark.parametrize(
    ("payoffs", "column"),
    [
        ("1,2 3,4", 2), ("1,2,3,4", 2), ("1, 2, 3,4", 8), ("1.000,5 2 3 4", 6), ("1/2,1/3 1 1", 4),
        ("1'000 2 3 4", 1), ("1’000 2 3 4", 1), ("1_000 2 3 4", 1), ("2 1.000.000 3 4", 3), ("1\u00a0000 2 3 4", 1),
        ("1\u202f000 2 3 4", 1), ("1\u2009000 2 3 4", 1), ("1\u066b5 2 3 4", 1), ("٣ 2 3 4", 1), ("３ 2 3 4", 1),
        ("1 000 2 3", 3), ("1·5 2 3 4", 1),
    ],
)  # fmt: skip
def test_tables(tmp_path, payoffs, column):
    field, problem = complaint(tmp_path / "g.nfg", TABLE + payoffs)
    assert field == f"g.nfg:2:{column}"
    assert POINT in problem


@pytest.mark.parametrize(
    "payoffs",
    ["0,5 1,5", "0,5, 1,5", "0,5", "1,000", "1 000", "1,05", "1,000,000", "1'000 0", "1.000,5 1", "1\u00a0000 0"],
)
def test_payoffs_of_outcomes(tmp_path, payoffs):
    """Of two players; 0,5 may be two payoffs, and only then is."""
    if payoffs == "0,5":
        assert parse_nfg(OUTCOMES % payoffs, "")["payoffs"][:, 1, 0].tolist() == [0, 5]
        payoffs = "0,5,"  # still two
        assert parse_efg(TREE % f"{{ {payoffs} }}", "")["payoffs"][:, 1].tolist() == [0, 5]
        return
    for path, text in ((tmp_path / "g.nfg", OUTCOMES % payoffs), (tmp_path / "g.efg", TREE % f"{{ {payoffs} }}")):
        assert POINT in complaint(path, text)[1]


def test_decimal_commas_that_fill_a_list(tmp_path):
    """Two payoffs for four players are not four payoffs."""
    text = 'EFG 2 R "" { "A" "B" "C" "D" }\np "" 1 1 "" { "l" } 0\nt "" 1 "" { %s }'
    assert complaint(tmp_path / "g.efg", text % "0,5 1,5") == (
        "g.efg:3:14",
        "the comma in 0,5 may be a decimal comma; numbers take a decimal point and no group marks: 0.5, 1000",
    )
    assert complaint(tmp_path / "g.efg", text % "0,5, 1,5")[0] == "g.efg:3:14"


@pytest.mark.parametrize(
    "payoffs", ["{ 1, 0 }", "{ 1,0 }", "{1,0}", "{ 1 ,0 }", "{ 1 0 }", "{ 1 , 0 }", "{1,\n0}", "{ +1,0. }"]
)
def test_commas_between_payoffs_stay(payoffs):
    assert parse_efg(TREE % payoffs, "")["payoffs"][:, 2 - 1].tolist() == [1, 0]


def test_commas_that_are_no_decimal_commas_stay_in_tables():
    assert parse_nfg(TABLE + "1, 2, -3,-4", "")["payoffs"].ravel(order="F").tolist() == [1, 2, -3, -4]


@pytest.mark.parametrize(
    ("line", "column"),
    [
        ('c "" 1 "" { "a" 0,5 "b" 0,5 } 0', 18),
        ('c "" 1 "" { "a" 1\'000 "b" 0.5 } 0', 17),
        ('p "" 1,0 1 "" { "a" } 0', 7),
        ('c "" 1,000 "" { "a" 1 } 0', 7),
        ('t "" 1,5 "" { 1 }', 7),
    ],
)
def test_other_numbers_of_a_tree(tmp_path, line, column):
    field, problem = complaint(tmp_path / "g.efg", f'EFG 2 R "" {{ "A" }}\n{line}')
    assert field == f"g.efg:2:{column}"
    assert POINT in problem


def test_other_numbers_of_a_table(tmp_path):
    for text in ('NFG 1 R "" { "A" "B" } { 2,2 } 1', 'NFG 1 R "" { "A" } { 2 } { { "" 1 } } 1,1'):
        assert POINT in complaint(tmp_path / "g.nfg", text)[1]


@pytest.mark.parametrize("text", ['"payoffs": [[1,000, 2]]', '"discount": 0,9', '"payoffs": [[[0,05]]]'])
def test_json(tmp_path, text):
    """Syntax errors of JSON that a decimal comma or a group mark explains."""
    field, problem = complaint(tmp_path / "g.json", f'{{"kind": "normal_form", {text}}}')
    assert field.startswith("g.json:1:")
    assert problem.startswith("is not JSON: ")
    assert POINT in problem


def test_imperfect_recall_in_the_words_of_the_file(tmp_path):
    text = """EFG 2 R "Forgets her own move" { "A" "B" }
p "" 1 3 "first" { "l" "r" } 0
p "" 1 9 "second" { "L" "R" } 0
t "" 1 "" { 1, 0 }
t "" 2 "" { 0, 0 }
p "" 1 9 0
t "" 2
t "" 1
"""
    assert complaint(tmp_path / "g.efg", text) == (
        "g.efg:6:8",
        'player 1 has imperfect recall: information set 9 ("second") is met here after other own moves than at line 3',
    )
