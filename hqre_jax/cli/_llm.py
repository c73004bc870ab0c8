"""``hqre llm``: teams of language-model agents, their tasks and models, and one question played out."""

import argparse
import json
import re
import shlex
import sys
from argparse import Namespace
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from hqre_jax.cli._llm_ask import play
from hqre_jax.cli._llm_eval import add_eval, evaluate
from hqre_jax.cli._llm_finetune import finetune
from hqre_jax.cli._llm_finetune_parser import add_finetune
from hqre_jax.cli._llm_options import add_common, say
from hqre_jax.cli._llm_report import add_report, report
from hqre_jax.cli._llm_team import collect, train
from hqre_jax.cli._tables import rendered, table
from hqre_jax.core._text import harmless
from hqre_jax.core._types import InputError

# The bridge is imported by the functions below, when it is wanted.

EPILOG = """\
start here:
  hqre llm init                                     writes team.toml, the documented default team
  hqre llm tasks                                    what can be asked, and how answers are judged
  hqre llm models                                   what can be used here, and how to fetch what is missing
  hqre llm play team.toml --task arithmetic         one question, the whole conversation
  hqre llm collect team.toml --store s.sqlite       samples of every question under every control
  hqre llm train team.toml --store s.sqlite --out policy.json
  hqre llm play team.toml --task arithmetic --policy policy.json
  hqre llm eval team.toml --policy policy.json --store s.sqlite --out results
  hqre llm report results                           results/report.html
  hqre llm finetune finetuning.toml --out run       adapters that learn to play; hqre llm finetune --help has the file

Keys come from the environment (OPENAI_API_KEY). With --store FILE every call is kept in FILE: the same question is not
paid for twice. Exit codes: 0 done, 1 a call failed for good or a budget ended the run (what was bought is kept),
2 bad input, 130 interrupted.
"""
_PLAY = """\
The first agent of the team, or the one called --agent, answers one item under one control of its menu (by default the
first that asks something of its model). A task that is played in turns is played to its end.

examples:
  hqre llm play team.toml --task arithmetic --class product --item 3 --control four_examples
  hqre llm play team.toml --task questions.csv --model openai:NAME --base-url http://127.0.0.1:8000/v1 --store s.sqlite
  hqre llm play team.toml --task arithmetic --model replay:s.sqlite
"""
_COLLECT = """\
Every question of the team's classes (dev split) is answered under every control of its menu, several times; whatever is
in the store is not asked again, so the same command goes on where it stopped.

examples:
  hqre llm collect team.toml --store s.sqlite
  hqre llm collect team.toml --store s.sqlite --budget-tokens 200000
"""
_TRAIN = """\
Offline: the samples of the store give payoffs and transitions of every joint profile, temperatures come from a
certificate or from held-out questions, and the HQRE is the policy. Nothing is asked of a model. Online: the team plays,
mirror steps follow what its plays pay, and a controller sees to the temperatures.

examples:
  hqre llm train team.toml --store s.sqlite --out policy.json
  hqre llm train team.toml --store s.sqlite --out policy.json --online --budget-tokens 500000
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The commands under ``hqre llm``; the one that was meant is ``llm_command``."""
    raw = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="llm_command", metavar="COMMAND")

    def command(name: str, summary: str, epilog: str = "") -> argparse.ArgumentParser:
        return commands.add_parser(
            name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.", epilog=epilog, formatter_class=raw,
            allow_abbrev=False,
        )  # fmt: skip

    init = command("init", "write the documented default team, ready to run")
    init.add_argument("--out", metavar="FILE", default="team.toml", help="the file, a new one (default: %(default)s)")
    for name, summary in (("tasks", "list the tasks"), ("models", "list the models that can be used here")):
        listing = command(name, summary)
        listing.add_argument("--format", choices=("table", "json"), default="table", help="(default: table)")
        if name == "models":
            listing.add_argument("--fetch", metavar="MODEL", help="fetch its weights, verify them, and stop")
    asking = command("play", "put one question to one agent, or to the team under a policy", _PLAY)
    asking.add_argument("team", metavar="TEAM", help="team file; `hqre llm init` writes one")
    asking.add_argument(
        "--task", metavar="T", required=True, help="a task's name, or your own questions: .csv or .jsonl"
    )
    asking.add_argument("--class", dest="task_class", metavar="C", help="class of the task (default: the first)")
    asking.add_argument("--split", choices=("train", "dev"), help="(default: dev; of your own questions: all)")
    asking.add_argument("--item", metavar="K", default="0", help="number of the item, from 0 on (default: 0)")
    asking.add_argument("--policy", metavar="P", help="policy.json: the whole team plays the item under it")
    asking.add_argument("--agent", metavar="NAME", help="who is asked (default: the first agent)")
    asking.add_argument("--control", metavar="NAME", help="entry of the agent's menu")
    asking.add_argument("--sample", metavar="N", default="0", help="which of several samples (default: 0)")
    asking.add_argument("--one-shot", action="store_true", help="ask for one answer where the task could be played")
    asking.add_argument("--format", choices=("table", "json"), default="table", help="(default: table)")
    add_common(asking)
    collecting = command("collect", "sample all that the team's empirical game needs", _COLLECT)
    training = command("train", "learn a policy: from the samples of a store, or online", _TRAIN)
    for parser_ in (collecting, training):
        parser_.add_argument("team", metavar="TEAM", help="team file; `hqre llm init` writes one")
        parser_.add_argument("--format", choices=("table", "json"), default="table", help="(default: table)")
        add_common(parser_)
    training.add_argument("--out", metavar="FILE", required=True, help="policy.json, written whole or not at all")
    training.add_argument("--online", action="store_true", help="learn by playing, with a controller of temperatures")
    training.add_argument(
        "--temperatures", metavar="T", default=None,
        help="offline: grid (default), least, controller, a number; online: a number, which is kept",
    )  # fmt: skip
    training.add_argument("--tol", metavar="E", help="online: residual, upper confidence limit, that is enough")
    add_eval(command)
    add_report(command)
    add_finetune(command)


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
    say(f"next: hqre llm play {shlex.quote(arguments.out)} --task arithmetic")
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
