"""What the commands under ``hqre llm`` that ask models have in common: options, budgets, models behind their store."""

import shlex
import sys
import uuid
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from hqre_jax.cli._inputs import number
from hqre_jax.cli._llm_parser import BUDGETS
from hqre_jax.cli._tables import now_and_then
from hqre_jax.core._text import harmless
from hqre_jax.core._types import InputError

if TYPE_CHECKING:
    from hqre_jax.bridge.store import Budget, Store, StoredModel
    from hqre_jax.bridge.team import Team


def same_again(arguments: Namespace) -> str:
    """The command as it would be typed."""
    words = ["hqre", *([] if arguments.cache else ["--no-cache"]), "llm", arguments.llm_command, arguments.team]
    for name, value in vars(arguments).items():
        if name in ("command", "llm_command", "team", "cache"):
            continue
        option = "--class" if name == "task_class" else f"--{name.replace('_', '-')}"
        if value is True:
            words.append(option)
        elif isinstance(value, list):
            words += [f"{option}={one}" for one in value]
        elif value not in (None, False):
            words.append(f"{option}={value}")
    return shlex.join(words)


def refuse_folder_of(other: str, folder: Path, what: str) -> None:
    """Do not go on in a folder of something else, which a file of that name betrays."""
    if (folder / other).exists():
        raise InputError("out", f"{str(folder)!a} holds {what}: name another folder")


def data_files(name: str, tasks: list[str]) -> dict[str, Path]:
    """Official data files by task: a folder has files called after tasks, a file is called after its own."""
    path = Path(name)
    if not path.exists():
        raise InputError("data", f"{name!a} cannot be read: no such file or directory")
    found = {file.stem: file for file in (sorted(path.iterdir()) if path.is_dir() else [path]) if file.stem in tasks}
    if not found:
        raise InputError("data", f"{name!a} has no file called after a task that is asked ({', '.join(tasks)})")
    return found


def paths_of_models(arguments: Namespace) -> Path:
    """What paths in the names of models are relative to: the team file that they are in, not so with --model."""
    return Path(arguments.team).parent if arguments.model is None else Path()


@contextmanager
def stored_models(team: "Team", arguments: Namespace) -> "Iterator[tuple[Store, dict[str, StoredModel]]]":
    """The store and the team's models by name, each behind it; they share one budget.

    The store is opened last: where something is refused, no empty file is left behind.

    Raises:
        InputError: A model is not known, or lacks what it needs.
    """
    from hqre_jax.bridge.models import AbstractModel, load
    from hqre_jax.bridge.store import Store, StoredModel

    names = dict.fromkeys(agent.model for agent in team.agents)
    if arguments.base_url is not None and not any(name.startswith("openai:") for name in names):
        raise InputError("base_url", f"goes with --model openai:NAME, and the model is {next(iter(names))!a}")
    budget, run, loaded = budget_of(arguments), uuid.uuid4().hex, dict[str, AbstractModel]()
    for name in names:
        options = {"base_url": arguments.base_url} if name.startswith("openai:") and arguments.base_url else {}
        loaded[name] = load(name, folder=paths_of_models(arguments), **options)
    with Store(arguments.store) as store:
        yield store, {name: StoredModel(model, store, budget, run=run) for name, model in loaded.items()}


def whole(arguments: Namespace, name: str, least: int = 0) -> int:
    """An option that is a whole number, not below the least."""
    value = number(getattr(arguments, name), name, int, f"a whole number, {least} or more,")
    if not least <= value < 2**31:
        raise InputError(name, f"is {value}; a whole number from {least} to 2^31 - 1 is wanted")
    return value


def budget_of(arguments: Namespace) -> "Budget":
    """The limits of the run."""
    from hqre_jax.bridge.store import Budget, read_prices

    limits = {
        name: number(getattr(arguments, f"budget_{name}"), f"budget_{name}", kind, "a number, 0 or more,")
        for name, (kind, _) in BUDGETS.items()
    }
    if arguments.prices is not None and limits["money"] is None:
        raise InputError("prices", "goes with --budget-money")
    return Budget(**limits, prices=None if arguments.prices is None else read_prices(arguments.prices))


def say(message: str) -> None:
    """One line to stderr, whatever characters it quotes."""
    print(f"hqre: {harmless(message)}", file=sys.stderr)


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on stderr where that is a terminal, else lines; yields what takes words, what is done, and of how much."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task, tell = bar.add_task("", total=None), now_and_then()

        def show(what: str, done: int, total: int) -> None:
            bar.update(task, description=harmless(what), completed=done, total=total or None)
            tell(f"{harmless(what)}, {done} of {total}" if total else harmless(what))

        yield show
