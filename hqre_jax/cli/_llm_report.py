"""``hqre llm report``: the page, the numbers and the tables of an evaluation, from the raw records in its folder."""

import json
import sys
from argparse import Namespace
from pathlib import Path

from hqre_jax.cli._llm_options import say
from hqre_jax.core._text import harmless
from hqre_jax.core._types import InputError


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
