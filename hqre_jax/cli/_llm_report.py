"""``hqre llm report``: the page, the numbers and the tables of an evaluation or a fine-tuning run, from its folder."""

import argparse
import json
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from hqre_jax.cli._llm_options import say
from hqre_jax.core._text import harmless

EPILOG = """\
Writes DIR/report.html (one file to look at, without scripts), DIR/report.json (every number of every table) and
DIR/report.md. Asks nothing of a model; what is not played yet is said to be missing.
"""


def add_report(command: Callable[..., argparse.ArgumentParser]) -> None:
    """The options of ``hqre llm report``."""
    parser = command("report", "turn an evaluation or a fine-tuning run into a page, numbers and tables", EPILOG)
    parser.add_argument("folder", metavar="DIR", help="folder that `hqre llm eval` or `hqre llm finetune` wrote")
    parser.add_argument("--format", choices=("table", "json"), default="table", help="(default: table)")


def report(arguments: Namespace) -> int:
    """Write the report; what it is of, in a few sentences.

    Returns:
        0, or 1 where that is not finished.
    """
    from hqre_jax.bridge import finetuning
    from hqre_jax.bridge.report import write_report

    folder = Path(arguments.folder)
    learnt = finetuning.is_finetuning(folder)
    document = finetuning.write_report(folder) if learnt else write_report(folder)
    if arguments.format == "json":
        sys.stdout.write(json.dumps(document, allow_nan=False) + "\n")
    else:
        sys.stdout.write("".join(f"{harmless(line)}\n" for line in document["story"]))
        sys.stdout.write(f"{harmless(str(folder / 'report.html'))}\n")
    if not document["whole"]:
        what, command = ("run", "finetune") if learnt else ("evaluation", "eval")
        say(f"the {what} is not finished: what is there is shown, and `hqre llm {command}` goes on with it")
    return 0 if document["whole"] else 1
