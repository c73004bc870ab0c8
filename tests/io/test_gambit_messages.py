"""A fault of a Gambit file is one line that says where it is and what would be right."""

import pytest
from complaints import complaint


@pytest.mark.parametrize(
    ("text", "field", "problem"),
    [
        ("", "g.efg:1:1", "expected 'EFG' as the first word, found the end of the file"),
        ('EFG 1 R "" { "A" } t "" 0', "g.efg:1:5", "expected version 2, found 1"),
        ('EFG 2 X "" { "A" } t "" 0', "g.efg:1:7", "expected number type R or D, found X"),
        ("EFG 2 R title", "g.efg:1:9", "expected the title in quotation marks, found title"),
        ('EFG 2 R "title', "g.efg:1:9", "this quotation mark is never closed"),
        ('EFG 2 R "" { }', "g.efg:1:14", "expected a player's name in quotation marks, found }"),
        ('EFG 2 R "" { "A" }\n"c"\n x "" 0', "g.efg:3:2", "expected a node (c, p or t), found x"),
        ('EFG 2 R "" { "A" }\np "" 2 1 "" { "l" } 0', "g.efg:2:6", "player 2 of 1"),
        ('EFG 2 R "" { "A" }\np "" 0 1 "" { "l" } 0', "g.efg:2:6", "player 0 of 1"),
        (
            'EFG 2 R "" { "A" }\np "" 1 1 0',
            "g.efg:2:8",
            "player 1, information set 1 is not described before; add its name and its actions",
        ),
        (
            'EFG 2 R "" { "A" }\np "" 1 1 "" { "l" "r" } 0\np "" 1 1 "" { "l" "R" } 0',
            "g.efg:3:8",
            "player 1, information set 1 has other actions here than where it is first described",
        ),
        (
            'EFG 2 R "" { "A" }\nc "" 1 "" { "l" 1 } 0\nc "" 1 "n" { "l" 1 } 0',
            "g.efg:3:6",
            "chance move 1 has other name here than where it is first described",
        ),
        (
            'EFG 2 R "" { "A" }\nc "" 1 "" { "l" 1 "r" 0 } 0\nc "" 1 "" { "l" 0 "r" 1 } 0',
            "g.efg:3:6",
            "chance move 1 has other probabilities here than where it is first described",
        ),
        (
            'EFG 2 R "" { "A" }\nc "" 3 "" { "l" 1/2 "r" 1/3 } 0',
            "g.efg:2:6",
            "the probabilities of chance move 3 sum to 0.833333333333, not to 1",
        ),
        (
            'EFG 2 R "" { "A" }\nc "" 3 "" { "l" 3/2 "r" -1/2 } 0',
            "g.efg:2:25",
            "a probability cannot be negative",
        ),
        (
            'EFG 2 R "" { "A" "B" }\nt "" 1 "" { 1 }',
            "g.efg:2:13",
            "1 payoffs for 2 players",
        ),
        ('EFG 2 R "" { "A" }\nt "" 1 "" { 1, 2 }', "g.efg:2:13", "2 payoffs for 1 players"),
        (
            'EFG 2 R "" { "A" }\nt "" 4',
            "g.efg:2:6",
            "outcome 4 is not described before; add its name and its payoffs",
        ),
        (
            'EFG 2 R "" { "A" }\nt "" 0 "" { 1 }',
            "g.efg:2:6",
            "outcome 0 pays nothing; give this one a positive number",
        ),
        (
            'EFG 2 R "" { "A" }\np "" 1 1 "" { "l" "r" } 0\nt "" 1 "" { 1 }\nt "" 1 "" { 2 }',
            "g.efg:4:6",
            "outcome 1 has other payoffs here than where it is first described",
        ),
        ('EFG 2 R "" { "A" }\nt "" 1 "" { 1/0 }', "g.efg:2:13", "1/0 is not a finite number"),
        ('EFG 2 R "" { "A" }\nt "" 1 "" { 1e999 }', "g.efg:2:13", "1e999 is not a finite number"),
        (
            'EFG 2 R "" { "A" }\nt "" 1 "" { one }',
            "g.efg:2:13",
            "expected a payoff or '}' (a number such as 2, -0.5 or 1/3), found one",
        ),
        (
            'EFG 2 R "" { "A" }\nt "" 0\nt "" 0',
            "g.efg:3:1",
            "expected the end of the file: the game is complete, found t",
        ),
        (
            'EFG 2 R "" { "A" }\np "" 1 1 "" { "l" "r" } 0\nt "" 0\n',
            "g.efg:4:1",
            "expected a node (c, p or t), found the end of the file",
        ),
    ],
)
def test_efg(tmp_path, text, field, problem):
    assert complaint(tmp_path / "g.efg", text) == (field, problem)


@pytest.mark.parametrize(
    ("text", "field", "problem"),
    [
        ("EFG", "g.nfg:1:1", "expected 'NFG' as the first word, found EFG"),
        (
            'NFG 1 R "" { "A" }',
            "g.nfg:1:19",
            "expected '{' and the players' strategies, found the end of the file",
        ),
        (
            'NFG 1 R "" { "A" "B" } { 2 } 1 2',
            "g.nfg:1:24",
            "strategies of 1 players, where the header names 2",
        ),
        ('NFG 1 R "" { "A" } { 0 } 1 2', "g.nfg:1:22", "a player needs at least one strategy"),
        (
            'NFG 1 R "" { "A" } { -1 } 1',
            "g.nfg:1:22",
            "expected '}' or a number of strategies (a whole number), found -1",
        ),
        (
            'NFG 1 R "" { "A" } { 3 }\n1 2',
            "g.nfg:2:4",
            "the table has 2 payoffs, where the strategies call for 3",
        ),
        (
            'NFG 1 R "" { "A" } { 2 }\n1 2 3',
            "g.nfg:2:6",
            "the table has 3 payoffs, where the strategies call for 2",
        ),
        ('NFG 1 R "" { "A" } { 2 }\n1 x', "g.nfg:2:3", "expected 1 more payoffs, found x"),
        (
            'NFG 1 R "" { "A" } { 2 }\n1 2 x',
            "g.nfg:2:5",
            "expected the end of the file: the game is complete, found x",
        ),
        ('NFG 1 R "" { "A" } { 2 }\n{ { "" 1 2 } } 1 1', "g.nfg:2:8", "2 payoffs for 1 players"),
        ('NFG 1 R "" { "A" } { 2 }\n{ { "" 1 } } 1 2', "g.nfg:2:16", "outcome 2 of 1"),
        (
            'NFG 1 R "" { "A" } { 2 }\n{ { "" 1 } } 1',
            "g.nfg:2:15",
            "the table has 1 outcomes, where the strategies call for 2",
        ),
        (
            'NFG 1 R "" { "A" } { 2 }\n{ { "" 1 } } 1 1/2',
            "g.nfg:2:16",
            "expected the number of an outcome (a whole number), found 1/2",
        ),
        (b'NFG 1 R "\nZ\xfcrich"', "g.nfg:2:2", "is not UTF-8 text"),
        (b"\x89PNG\r\n", "g.nfg:1:1", "is not UTF-8 text"),
        ("\0\1\2", "g.nfg:1:1", "expected 'NFG' as the first word, found '\\x00\\x01\\x02'"),
    ],
)
def test_nfg(tmp_path, text, field, problem):
    assert complaint(tmp_path / "g.nfg", text) == (field, problem)


def test_digits_without_end(tmp_path):
    field, problem = complaint(tmp_path / "g.nfg", 'NFG 1 R "" { "A" } { 2 } 1 1/' + "9" * 10_000)
    assert field == "g.nfg:1:28"
    assert problem == f"1/{'9' * 35}... is not a finite number"
