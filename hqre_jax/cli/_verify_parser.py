"""The words of ``hqre verify``."""

import argparse

NUM_GAMES, SEED, OUT = 10_000, 0, "out/verify"

EPILOG = """\
Each statement T1, T2, .. of docs/theory.md promises observed ≤ bound. The ledger draws random games that satisfy its
hypothesis and compares; drops the hypothesis (negative control: then it must fail); and lets an adversary search for
the worst game. Exit codes: 0 no claim is broken and every control is caught, 1 otherwise, 2 bad input, 130 stopped.

how to read the table:
  violations  games in which observed exceeds the bound by more than rounding explains. 0 is the only good number.
  worst       largest observed/bound: 1 means that the constant is attained, small means that it is generous.
  adversary   the same, where a search by gradient ascent was looking for it.
  cold, warm  seconds of the first piece of the check, compiling included, and of a later one.

--out DIR gets ledger.json (plain numbers, equal for equal seeds), times.json, report.html and report.md with the
proofs, the pictures, and units/ (what is finished). The same command again goes on where it was stopped. Of a
violation DIR gets a small game with its temperatures (violation-T2.json, ..), which `hqre solve` reads.

with --game: which hypotheses your own game satisfies at these temperatures, what is observed in it against the bounds,
and which temperatures would help where a hypothesis fails. Nothing is written.

examples:
  hqre verify                                       everything, some minutes
  hqre verify --theorem T1 --theorem T2 --games 1000 --out out/quick
  hqre verify --game game.nfg --tau 2,0.5
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``hqre verify`` apart from the problem's."""
    parser.add_argument("--theorem", metavar="T", action="append", help="a statement, say T2; repeatable (all)")
    drawn = f"random games per statement (default: {NUM_GAMES}); those on sampled payoffs draw a part of them"
    parser.add_argument("--games", metavar="N", help=drawn)
    parser.add_argument("--seed", metavar="S", help=f"seed of all randomness (default: {SEED})")
    parser.add_argument("--out", metavar="DIR", help=f"folder of the results (default: {OUT})")
    parser.add_argument("--fresh", action="store_true", help="begin again: forget finished work in DIR")
    parser.add_argument(
        "--game", metavar="GAME", help="a game of your own (built-in name or file) instead of random ones"
    )
    parser.add_argument("--format", choices=("table", "json"), default="table", help="(default: table)")
