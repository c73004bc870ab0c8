"""``hqre llm``: teams of language-model agents, their tasks and models, and one question played out."""

import json
import re
import shlex
import sys
from argparse import Namespace
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from hqre_jax.cli._llm_ask import play
from hqre_jax.cli._llm_eval import evaluate
from hqre_jax.cli._llm_finetune import finetune
from hqre_jax.cli._llm_options import say
from hqre_jax.cli._llm_report import report
from hqre_jax.cli._llm_team import collect, train
from hqre_jax.cli._tables import rendered, table
from hqre_jax.core._text import harmless
from hqre_jax.core._types import InputError

# The bridge is imported by the functions below, when it is wanted.


def llm(arguments: Namespace) -> int:
    """Run the command; results to stdout, the rest to stderr.

    Returns:
        0, or 1 where a call failed for good or a budget ended the run.

    Raises:
        InputError: On bad options or files, and where the extra is not installed.
    """
    _check_extra()
    commands = {
        "init": _init, "tasks": _tasks, "models": _models, "play": play, "collect": collect, "train": train,
        "eval": evaluate, "report": report, "finetune": finetune,
    }  # fmt: skip
    if arguments.llm_command is None:
        raise InputError("COMMAND", f"is missing: {', '.join(commands)}; `hqre llm --help` explains")
    return commands[arguments.llm_command](arguments)


def _check_extra() -> None:
    """One line that says what to install, where something is missing."""
    missing = []
    for requirement in requires("hqre-jax") or ():
        if re.search(r"""extra == ["']llm["']""", requirement):
            name = re.match(r"[\w.-]+", requirement)
            try:
                version(name[0] if name else requirement)
            except PackageNotFoundError:
                missing.append(name[0] if name else requirement)
    if missing:
        raise InputError("llm", f"needs {', '.join(missing)}: pip install 'hqre-jax[llm]'")


def _init(arguments: Namespace) -> int:
    from hqre_jax.bridge.models import available
    from hqre_jax.bridge.team import default_team

    try:
        with Path(arguments.out).open("x", encoding="utf-8") as file:  # what is there is somebody's work
            file.write(default_team())
    except FileExistsError:
        raise InputError("out", f"{arguments.out!a} is there already: move it away, or name another file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError("out", f"{arguments.out!a} cannot be written: {reason.lower()}") from None
    sys.stdout.write(f"{harmless(arguments.out)}\n")
    steps = [f"{entry['fetch']} (once: its weights)" for entry in available() if entry["fetch"]]
    say(f"next: {', then '.join([*steps, f'hqre llm play {shlex.quote(arguments.out)} --task arithmetic'])}")
    return 0


def _tasks(arguments: Namespace) -> int:
    from hqre_jax.bridge.tasks import task_listing

    listing = task_listing()
    if arguments.format == "json":
        sys.stdout.write(json.dumps(listing) + "\n")
        return 0
    columns = ("task", "domain", "after", "train", "dev", "test", "classes", "verifier")
    rows = [
        (
            entry["name"], entry["domain"], entry["after"],
            *(str(entry["items"][split]) for split in ("train", "dev", "test")),
            ", ".join(entry["classes"]), entry["verifier"],
        )
        for entry in listing
    ]  # fmt: skip
    sys.stdout.write(rendered([table(columns, rows, columns[3:6])]))
    return 0


def _models(arguments: Namespace) -> int:
    from hqre_jax.bridge.models import available, fetch

    if arguments.fetch is not None:
        sys.stdout.write(harmless(fetch(arguments.fetch)) + "\n")
        return 0
    listing = available()
    if arguments.format == "json":
        sys.stdout.write(json.dumps(listing) + "\n")
        return 0
    rows = [
        (entry["name"], "yes" if entry["available"] else "no", entry["description"], entry["fetch"])
        for entry in listing
    ]
    sys.stdout.write(rendered([table(("model", "usable", "what it is", "fetched by"), rows)]))
    return 0
