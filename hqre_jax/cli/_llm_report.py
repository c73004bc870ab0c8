"""``hqre llm report``: the page, the numbers and the tables of an evaluation or a fine-tuning run, from its folder."""

import json
import sys
from argparse import Namespace
from pathlib import Path

from hqre_jax.cli._llm_options import say
from hqre_jax.core._text import harmless
from hqre_jax.core._types import InputError


def report(arguments: Namespace) -> int:
    """Write the report; what it is of, in a few sentences.

    Returns:
        0, or 1 where that is not finished.
    """
    from hqre_jax.bridge import finetuning
    from hqre_jax.bridge.report import write_report

    folder = Path(arguments.folder)
    if not folder.is_dir():
        raise InputError("DIR", f"{arguments.folder!a} is no folder; `hqre llm eval` and `hqre llm finetune` make them")
    learnt = finetuning.is_finetuning(folder)
    document = finetuning.write_report(folder) if learnt else write_report(folder)
    if arguments.format == "json":
        sys.stdout.write(json.dumps(document, allow_nan=False) + "\n")
    else:
        sys.stdout.write("".join(f"{harmless(line)}\n" for line in document["story"]))
        sys.stdout.write(f"{harmless(str(folder / 'report.html'))}\n")
    if not document["whole"]:
        if learnt and document["plan"]["ended"] == "diverged":
            say("the run diverged: what was before that step is shown; try another configuration, in another folder")
            return 1
        what, command = ("run", "finetune") if learnt else ("evaluation", "eval")
        say(f"the {what} is not finished: what is there is shown, and `hqre llm {command}` goes on with it")
    return 0 if document["whole"] else 1
