"""``hqre llm report``: the page, the numbers and the tables of an evaluation, from the raw records in its folder."""

import json
import sys
from argparse import Namespace
from pathlib import Path

from hqre_jax.cli._llm_options import say
from hqre_jax.core._text import harmless
<<<<<<< HEAD
from hqre_jax.core._types import InputError
=======

EPILOG = """\
Writes DIR/report.html (one file to look at, without scripts), DIR/report.json (every number of every table) and
DIR/report.md. Asks nothing of a model. What is not played yet, or was cut off while it was written, is missing: the
page says UNFINISHED, the exit code is 1, and the same `hqre llm eval` goes on with it.
"""


def add_report(command: Callable[..., argparse.ArgumentParser]) -> None:
    """The options of ``hqre llm report``."""
    parser = command("report", "turn an evaluation into a page, numbers and tables", EPILOG)
    parser.add_argument("folder", metavar="DIR", help="folder that `hqre llm eval` wrote")
    parser.add_argument("--format", choices=("table", "json"), default="table", help="(default: table)")
>>>>>>> llmdemo


def report(arguments: Namespace) -> int:
    """Write the report; the evaluation in a few sentences.

    Returns:
        0, or 1 where the evaluation is not finished.
    """
    from hqre_jax.bridge.report import write_report

    folder = Path(arguments.folder)
    if not folder.is_dir():
        raise InputError("DIR", f"{arguments.folder!a} is no folder; `hqre llm eval --out DIR` makes one")
    document = write_report(folder)
    if arguments.format == "json":
        sys.stdout.write(json.dumps(document, allow_nan=False) + "\n")
    else:
        sys.stdout.write("".join(f"{harmless(line)}\n" for line in document["story"]))
        sys.stdout.write(f"{harmless(str(folder / 'report.html'))}\n")
    if not document["whole"]:
        say("the evaluation is not finished: what is there is shown, and `hqre llm eval` goes on with it")
    return 0 if document["whole"] else 1
