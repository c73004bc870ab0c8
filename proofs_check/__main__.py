"""``python -m proofs_check``: the theorem ledger as a table. Exit code 1 if a statement is violated."""

import argparse
import sys
import time

import jax
from rich.console import Console
from rich.table import Table

from proofs_check import STATEMENTS, Example, Outcome, Statement

_CONTROL_GAMES = 500


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m proofs_check", description="Compare theorems with random games.")
    parser.add_argument("--theorem", action="append", choices=list(STATEMENTS), metavar="T", help="T1, T2, … (all)")
    parser.add_argument("--games", type=int, default=10_000, metavar="N", help="games per statement (10000)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="seed of the games (0)")
    arguments = parser.parse_args(argv)
    if arguments.games < 1:
        parser.error("--games must be 1 or more")
    return arguments


def _table(results: list[tuple[Statement, Outcome, Outcome, tuple[Example, ...], float]]) -> Table:
    table = Table(title="Claims observed ≤ bound on random games", title_justify="left")
    for name in ("statement", "claim", "family"):
        table.add_column(name)
    for name in ("games", "violations", "unresolved", "worst", "median"):
        table.add_column(name, justify="right")
    for statement, outcome, _, _, _ in results:
        for c, claim in enumerate(outcome.claims):
            families = outcome.part(claim=claim).families
            for family in families:
                part = outcome.part(claim=claim, family=family)
                first = (statement.name if c == 0 else "", claim) if family == families[0] else ("", "")
                counts = (str(part.games), str(part.violations), str(part.unresolved))
                table.add_row(*first, family, *counts, f"{part.worst:.6f}", f"{part.median:.4f}")
        table.add_section()
    return table


def main(argv: list[str] | None = None) -> int:
    """Check the chosen statements and print what was found.

    Args:
        argv: Arguments; those of the command line by default.

    Returns:
        0, or 1 where a statement was violated or a negative control was not caught.
    """
    arguments = _arguments(argv)
    jax.config.update("jax_enable_x64", True)
    console = Console(width=None if sys.stdout.isatty() else 140)
    results = []
    for name in arguments.theorem or STATEMENTS:
        statement, key = STATEMENTS[name], jax.random.key(arguments.seed)
        began = time.perf_counter()
        outcome = statement.check(key, arguments.games)
        seconds = time.perf_counter() - began
        control = statement.negative_control(key, min(arguments.games, _CONTROL_GAMES))
        results.append((statement, outcome, control, statement.sharpness(), seconds))
    console.print(_table(results))
    failed = False
    for statement, outcome, control, examples, seconds in results:
        caught = control.violations > 0
        failed |= outcome.violations > 0 or not caught
        console.print(
            f"{statement.name} {statement.title}: {outcome.games} games of {outcome.drawn} drawn, "
            f"{outcome.violations} violations, {seconds:.1f} s",
            highlight=False,
        )
        told = "; ".join(f"{claim}: {control.part(claim=claim).violations}" for claim in control.claims)
        verdict = f"{'caught' if caught else 'NOT CAUGHT'} in {control.games} games"
        console.print(f"   negative control ({statement.control}): {verdict}, {told}", highlight=False)
        for example in examples:
            console.print(f"   {example.name}: {example.quantity} = {example.ratio:.9f}", highlight=False)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
