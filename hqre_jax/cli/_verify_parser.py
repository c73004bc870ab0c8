"""The words of ``hqre verify``."""

import argparse

NUM_GAMES, SEED, OUT = 10_000, 0, "out/verify"

EPILOG = """\
Each statement T1, T2, .. of docs/theory.md promises observed ≤ bound. The ledger draws random games that satisfy its
hypothesis and compares; drops a hypothesis or takes a wrong constant (negative controls: each claim must fail in one);
and lets an adversary search for the worst game. Exit codes: 0 no claim is broken and each fails in a control, 1
otherwise, 2 bad input, 130 stopped.

how to read the table:
  games       those compared. Statements with several kinds of experiments draw --games for each; those on sampled
              payoffs or of many plays draw a part of it.
  violations  games in which observed exceeds the bound by more than rounding explains. 0 is the only good number.
  worst       largest observed/bound, of all claims of a statement together (the report has them one by one): 1 means
              that the constant is attained, small that it is generous. It may exceed 1 by what rounding explains.
  median      that of all claims and games together.
  adversary   the same, where a search by gradient ascent was looking for it.
  negative control  how many of the claims fail where they should. All is the only good number.
  cold, warm  seconds of the first task of the check, compiling included, and of a later one.

--out DIR gets ledger.json (plain numbers, equal for equal seeds), times.json, report.html and report.md with the
proofs, the pictures, and tasks/ (what is finished). The same command again goes on where it was stopped. Of a
violation DIR gets a small game with its temperatures (violation-T2.json, ..), which `hqre solve` reads.

with --game: which hypotheses your own game satisfies at these temperatures, what is observed in it against the bounds,
and which temperatures would help where a hypothesis fails. Nothing is written. Of a claim with = observed is by how
much its sides differ and the bound by how much they may, so small is good; – is where both sides are 0.

examples:
  hqre verify                                       everything, some minutes
  hqre verify --theorem T7                          a quick look: half a minute to a minute of each statement is spent
                                                    before the first game, and few --games save little
  hqre verify --theorem T1 --theorem T2 --games 1000 --out out/quick
  hqre verify --game game.nfg --tau 2,0.5
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``hqre verify`` apart from the problem's."""
    parser.add_argument("--theorem", metavar="T", action="append", help="a statement, say T2; repeatable (all)")
    drawn = f"random games per statement and kind of experiment (default: {NUM_GAMES}); some draw a part of them"
    parser.add_argument("--games", metavar="N", help=drawn)
    parser.add_argument("--seed", metavar="S", help=f"seed of all randomness (default: {SEED})")
    parser.add_argument("--out", metavar="DIR", help=f"folder of the results (default: {OUT})")
    parser.add_argument("--fresh", action="store_true", help="begin again: forget finished work in DIR")
    parser.add_argument(
        "--game", metavar="GAME", help="a game of your own (built-in name or file) instead of random ones"
    )
    parser.add_argument("--format", choices=("table", "json"), default="table", help="(default: table)")
