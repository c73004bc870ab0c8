"""``hqre llm``: teams of language-model agents, their tasks and models, and one question played out."""

import argparse
import json
import re
import shlex
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from hqre_jax.cli._inputs import number
from hqre_jax.cli._interrupts import goes_on_with
from hqre_jax.cli._llm_play import transcript_document, transcript_tables
from hqre_jax.cli._tables import rendered, table
from hqre_jax.cli._text import harmless
from hqre_jax.core._types import InputError

# The bridge is imported by the functions below, when it is wanted.

EPILOG = """\
start here:
  hqre llm init                                     writes team.toml, the documented default team
  hqre llm tasks                                    what can be asked, and how answers are judged
  hqre llm models                                   what can be used here, and how to fetch what is missing
  hqre llm play team.toml --task arithmetic         one question, the whole conversation

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
_BUDGETS: Mapping[str, tuple[Callable[[str], Any], str]] = {
    "calls": (int, "most calls"),
    "tokens": (int, "most tokens, prompts and replies together"),
    "seconds": (float, "no call begins later than this"),
    "money": (str, "most money, at the prices of --prices"),
}
_ENDINGS = (".csv", ".jsonl")
_LAST_ITEM = 9_999


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
    play = command("play", "ask one agent one question and show the whole conversation", _PLAY)
    play.add_argument("team", metavar="TEAM", help="team file; `hqre llm init` writes one")
    play.add_argument("--task", metavar="T", required=True, help="a task's name, or your own questions: .csv or .jsonl")
    play.add_argument("--class", dest="task_class", metavar="C", help="class of the task (default: the first)")
    play.add_argument("--split", choices=("train", "dev"), help="(default: dev; of your own questions: all)")
    play.add_argument("--item", metavar="K", default="0", help="number of the item, from 0 on (default: 0)")
    play.add_argument("--agent", metavar="NAME", help="who is asked (default: the first agent)")
    play.add_argument("--control", metavar="NAME", help="entry of the agent's menu")
    play.add_argument("--sample", metavar="N", default="0", help="which of several samples (default: 0)")
    play.add_argument("--one-shot", action="store_true", help="ask for one answer where the task could be played")
    play.add_argument("--format", choices=("table", "json"), default="table", help="(default: table)")
    _add_common(play)


def _add_common(parser: argparse.ArgumentParser) -> None:
    """What every command that asks a model understands."""
    parser.add_argument("--model", metavar="M", help="used by every agent instead of the team file's")
    parser.add_argument("--base-url", metavar="U", help="address of the endpoint of openai:NAME")
    parser.add_argument("--data", metavar="DIR", help="official data: a file, or a folder with files called TASK.*")
    parser.add_argument("--seed", metavar="S", default="0", help="of worked examples and sampling (default: 0)")
    parser.add_argument("--store", metavar="FILE", help="keep every call in FILE, and use what is in it")
    for name, (_, summary) in _BUDGETS.items():
        parser.add_argument(f"--budget-{name}", metavar="N", help=summary)
    parser.add_argument("--prices", metavar="FILE", help="dated price table (TOML) for --budget-money")


def llm(arguments: Namespace) -> int:
    """Run the command; results to stdout, the rest to stderr.

    Returns:
        0, or 1 where a call failed for good or a budget ended the run.

    Raises:
        InputError: On bad options or files, and where the extra is not installed.
    """
    _check_extra()
    commands = {"init": _init, "tasks": _tasks, "models": _models, "play": _play}
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
    _say(f"next: hqre llm play {shlex.quote(arguments.out)} --task arithmetic")
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


def _play(arguments: Namespace) -> int:
    from hqre_jax.bridge.controls import find_control
    from hqre_jax.bridge.models import load
    from hqre_jax.bridge.play import play_item
    from hqre_jax.bridge.store import Store, StoredModel
    from hqre_jax.bridge.team import read_team

    seed, index, sample = (_whole(arguments, name) for name in ("seed", "item", "sample"))
    budget = _budget(arguments)
    team = read_team(arguments.team, arguments.model)
    agent = team.agent(arguments.agent)
    asking = [choice for choice in agent.choices if find_control(choice.control).instruction is not None]
    choice = agent.choice(arguments.control) if arguments.control else (asking or agent.choices)[0]
    task, item = _item(arguments, index)
    if arguments.base_url is not None and not agent.model.startswith("openai:"):
        raise InputError("base_url", f"goes with --model openai:NAME, and the model is {agent.model!a}")
    options = {} if arguments.base_url is None else {"base_url": arguments.base_url}
    model = load(agent.model, **options)
    if arguments.store is not None:
        goes_on_with(_same_again(arguments))
    busy = Console(stderr=True).status(Text(harmless(f"{agent.name} answers by way of {agent.model}")))
    with Store(arguments.store) as store, busy:
        stored = StoredModel(model, store, budget)
        own_seed, one_shot = team.seed_of(agent, seed), arguments.one_shot
        transcript = play_item(stored, task, item, agent, choice, seed=own_seed, sample=sample, one_shot=one_shot)
    if arguments.format == "json":
        sys.stdout.write(json.dumps(transcript_document(transcript, stored.stopped), allow_nan=False) + "\n")
    else:
        sys.stdout.write(rendered(transcript_tables(transcript)))
    if transcript.failure is None:
        return 0
    kept = f"; what was bought is kept in {arguments.store}" if arguments.store is not None else ""
    _say(f"{transcript.failure.kind}: {transcript.failure.detail}{kept if stored.stopped else ''}")
    return 1


def _same_again(arguments: Namespace) -> str:
    """The command as it would be typed."""
    words = ["hqre", "llm", "play", arguments.team]
    for name, value in vars(arguments).items():
        option = "--class" if name == "task_class" else f"--{name.replace('_', '-')}"
        if value is True:
            words.append(option)
        elif name not in ("command", "llm_command", "team") and value not in (None, False):
            words.append(f"{option}={value}")
    return shlex.join(words)


def _item(arguments: Namespace, index: int) -> tuple[Any, Any]:
    """The task and the item that are meant."""
    from hqre_jax.bridge.tasks import all_tasks, load_user_file

    if arguments.task.lower().endswith(_ENDINGS):
        task = load_user_file(arguments.task)
        if arguments.split is None and arguments.task_class is None:
            if index >= len(task.in_order):
                raise InputError("item", f"is {index}; {arguments.task} has items 0 to {len(task.in_order) - 1}")
            return task, task.in_order[index]
    else:
        known = all_tasks()
        if arguments.task not in known:
            own = "; questions of your own are a .csv or .jsonl file"
            raise InputError("task", f"is {arguments.task!a}; there are {', '.join(known)}{own}")
        task = known[arguments.task]
    if arguments.data is not None:
        file = _data_file(arguments.data, task.name)
        items = task.load(file)
        if index >= len(items):
            raise InputError("item", f"is {index}; {file} has items 0 to {len(items) - 1}")
        return task, items[index]
    name = arguments.task_class or task.classes[0]
    task.check_class(name)
    if index > _LAST_ITEM:
        raise InputError("item", f"is {index}; a number up to {_LAST_ITEM} is wanted")
    try:
        return task, task.items(name, arguments.split or "dev", index + 1)[index]
    except InputError as error:
        if error.field != "count":
            raise
        fewer = error.problem.partition(", but ")[2] or error.problem
        raise InputError("item", f"is {index}, counted from 0, but {fewer}; --split names another part") from None


def _data_file(name: str, task: str) -> Path:
    """The official data file: the one that is named, or the task's in a folder of them."""
    path = Path(name)
    if not path.is_dir():
        return path
    found = sorted(file for file in path.iterdir() if file.stem == task)
    if len(found) != 1:
        raise InputError("data", f"{name!a} holds {len(found)} files called {task}.*; name the file itself")
    return found[0]


def _whole(arguments: Namespace, name: str) -> int:
    value = number(getattr(arguments, name), name, int, "a whole number, 0 or more,")
    if not 0 <= value < 2**31:
        raise InputError(name, f"is {value}; a whole number from 0 to 2^31 - 1 is wanted")
    return value


def _budget(arguments: Namespace) -> Any:
    from hqre_jax.bridge.store import Budget, read_prices

    limits = {
        name: number(getattr(arguments, f"budget_{name}"), f"budget_{name}", kind, "a number, 0 or more,")
        for name, (kind, _) in _BUDGETS.items()
    }
    return Budget(**limits, prices=None if arguments.prices is None else read_prices(arguments.prices))


def _say(message: str) -> None:
    print(f"hqre: {harmless(message)}", file=sys.stderr)
