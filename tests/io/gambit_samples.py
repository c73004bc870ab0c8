"""Hand-written Gambit files with the syntax that real ones have, and their awkward corners."""

NFG = {
    "payoff form, names": """NFG 1 R "Table" { "Ann" "Bob" }
{ { "U" "D" } { "L" "M" "R" } }
"A comment"

1 2  3 4  5 6  7 8  9 10  11 12
""",
    "payoff form, counts": 'NFG 1 D "Counts" { "A" "B" } { 2 3 } 1 2 3 4 5 6 7 8 9 10 11 12',
    "three players": 'NFG 1 R "3" { "a" "b" "c" } { 2 1 2 } 1 2 3 4 5 6 7 8 9 10 11 12',
    "outcome form": """NFG 1 R "Outcomes" { "Ann" "Bob" }
{ { "U" "D" }
{ "L" "R" } }
""
{
{ "both" 3, 3 }
{ "" -1/3 0.5 }
{ "third" 1e-1, .25 }
}
1 2 0 3
""",
    "hardly a space": 'NFG 1 R ""{"a""b"}{{"x""y"}{"z"}}{{""1,2}{""3,4}}2 1',
    "numbers": 'NFG 1 R "" { "a" "b" } { 2 2 } -1 2 1/3 -22/7 .5 -0.25 1.5e3 2E-2',
    "whitespace": 'NFG\t1\r\nR\n\n"spread  out"\r\n{\n"a"\n"b"\n}\n{\n1\n1\n}\n7\n\n\n8',
    "escapes": r'NFG 1 R "say \"hi\"" { "a \"b\"" "C:\dir" } { 1 1 } 0 0',
    "one player": 'NFG 1 R "alone" { "a" } { 3 } 1 2 3',
}

EFG = {
    "every kind of node": """EFG 2 R "Poker" { "Ann" "Bob" }
"A comment
on two lines"

c "deal" 1 "deal" { "King" 1/2 "Queen" 1/2 } 0
p "K" 1 1 "King" { "bet" "fold" } 0
p "" 2 1 "Bob" { "call" "pass" } 0
t "" 1 "won big" { 2, -2 }
t "" 2 "won" { 1, -1 }
t "" 3 "lost" { -1, 1 }
p "Q" 1 2 "Queen" { "bet" "fold" } 0
p "" 2 1 0
t "" 4 "lost big" { -2 2 }
t "" 2
t "" 3 "lost" { -1, 1 }
""",
    "outcomes inside the tree": """EFG 2 D "Inner" { "A" "B" }
p "" 2 7 "" { "l" "r" } 5 "toll" { -0.5, 1/3 }
p "" 1 4 "" { "only" } 5
t "" 0
c "" 9 "" { "x" .25 "y" 0.25 "z" 5e-1 } 0
t "" 5
t "" 1 "" { 1e3, .5 }
t "" 0
""",
    "chance moves that repeat": """EFG 2 R "" { "A" } ""
c "" 1 "coin" { "h" 1/3 "t" 2/3 } 0
c "" 1 0
t "" 1 "" { 1 }
t "" 2 "" { 2 }
c "" 1 "coin" { "h" 1/3 "t" 2/3 } 0
t "" 0
p "" 1 1 "x" { "a" "b" } 0
t "" 1 "" { 1 }
t "" 2
""",
    "one node a line is no rule": 'EFG 2 R""{"A"}p""1 1""{"a""b"}0 t""1""{1}t""2""{2}',
    "escapes and no comment": r"""EFG 2 R "the \"best\" one" { "A\B" }
p "" 1 1 "a \"name\"" { "\"l\"" "r" } 0 t "" 0 t "" 1 "" { 3 }""",
}
