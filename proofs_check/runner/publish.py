"""What a ledger leaves for people and programs: numbers, times, games, pictures and reports."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proofs_check.runner.ledger import Ledger
from proofs_check.runner.report import html_report, markdown_report
from proofs_check.runner.shrink import Counterexample
from proofs_check.runner.store import Store


@dataclass(frozen=True)
class Written:
    """The files of a ledger.

    Attributes:
        json: Numbers.
        report: Markdown.
        html: One page with everything.
        pictures: PNG files.
        solving: Commands that solve the games which break a claim.
    """

    json: Path
    report: Path
    html: Path
    pictures: tuple[Path, ...]
    solving: tuple[str, ...]


def write_results(ledger: Ledger, command: str) -> Written:
    """Write what people and programs read: numbers, times, games, pictures and reports.

    Args:
        ledger: The ledger.
        command: The command that makes it again.

    Returns:
        What was written.
    """
    store = Store(ledger.folder, ledger.configuration)
    numbers = store.write("ledger.json", _json(ledger.document()))
    store.write("times.json", _json(ledger.times()))
    kinds: dict[str, list[Counterexample]] = {}
    for entry in ledger.entries:
        for found in entry.found:
            kinds.setdefault(f"{'violation' if found.violated else 'tightest'}-{found.statement}", []).append(found)
    games = {
        name if len(several) == 1 else f"{name}-{k + 1}": found
        for name, several in kinds.items()
        for k, found in enumerate(several)
    }
    solving = {name: (found, _save(store, name, found)) for name, found in games.items()}
    pictures = []
    for figure in (figure for entry in ledger.entries for figure in entry.statement.figures):
        pictures.append(ledger.folder / f"{figure.name}.png")
        figure.picture(ledger.figures[figure.name]).savefig(pictures[-1])
    return Written(
        numbers,
        store.write("report.md", markdown_report(ledger, command, solving).encode()),
        store.write("report.html", html_report(ledger, command, solving).encode()),
        tuple(pictures),
        tuple(words for found, words in solving.values() if found.violated),
    )


def _save(store: Store, stem: str, found: Counterexample) -> str:
    """Write a game with its temperatures; returns the command that solves it."""
    words = ["hqre solve"]
    for ending, text, option in (
        ("json", found.game, ""),
        ("tau.json", found.tau, "--tau-file "),
        ("reference.json", found.reference, "--reference-file "),
    ):
        if text:
            words.append(f"{option}{store.write(f'{stem}.{ending}', text.encode())}")
    return " ".join([*words, *([found.options] if found.options else [])])


def _json(document: dict[str, Any]) -> bytes:
    return (json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
