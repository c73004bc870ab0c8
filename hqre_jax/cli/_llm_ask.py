"""``hqre llm play``: one question, put to one agent, or played by the whole team under a policy."""

import json
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from hqre_jax.cli._interrupts import goes_on_with
from hqre_jax.cli._llm_options import budget_of, same_again, say, stored_models, whole
from hqre_jax.cli._llm_play import transcript_document, transcript_tables
from hqre_jax.cli._llm_team_play import outcome_document, outcome_tables
from hqre_jax.cli._tables import rendered
from hqre_jax.core._text import harmless
from hqre_jax.core._types import InputError

if TYPE_CHECKING:
    from hqre_jax.bridge.models import Failure

_ENDINGS = (".csv", ".jsonl")
_LAST_ITEM = 9_999


def play(arguments: Namespace) -> int:
    """One item: one agent under one control, or, with a policy, the whole team."""
    return _ask(arguments) if arguments.policy is None else _team_play(arguments)


def _ask(arguments: Namespace) -> int:
    from hqre_jax.bridge.controls import find_control
    from hqre_jax.bridge.play import play_item
    from hqre_jax.bridge.team import read_team

    seed, index, sample = (whole(arguments, name) for name in ("seed", "item", "sample"))
    budget_of(arguments)
    team = read_team(arguments.team, arguments.model)
    agent = team.agent(arguments.agent)
    asking = [choice for choice in agent.choices if find_control(choice.control).instruction is not None]
    choice = agent.choice(arguments.control) if arguments.control else (asking or agent.choices)[0]
    task, item = _item(arguments, index)
    alone = replace(team, agents=(agent,))
    with stored_models(alone, arguments) as (_, models):
        stored = models[agent.model]
        if arguments.store is not None:
            goes_on_with(same_again(arguments))
        with Console(stderr=True).status(Text(harmless(f"{agent.name} answers by way of {agent.model}"))):
            own_seed, one_shot = team.seed_of(agent, seed), arguments.one_shot
            transcript = play_item(stored, task, item, agent, choice, seed=own_seed, sample=sample, one_shot=one_shot)
    if arguments.format == "json":
        sys.stdout.write(json.dumps(transcript_document(transcript, stored.stopped), allow_nan=False) + "\n")
    else:
        sys.stdout.write(rendered(transcript_tables(transcript)))
    return _ending(arguments, transcript.failure, stored.stopped)


def _team_play(arguments: Namespace) -> int:
    from hqre_jax.bridge.coordination import PolicyPlayer, PublicStates, Samples, load_tasks, play_all, read_policy
    from hqre_jax.bridge.team import read_team

    for name in ("agent", "control", "one_shot"):
        if getattr(arguments, name):
            raise InputError(name, "is for one agent; with --policy the whole team plays")
    seed, index = whole(arguments, "seed"), whole(arguments, "item")
    budget_of(arguments)
    team = read_team(arguments.team, arguments.model)
    states = PublicStates.of(team, load_tasks(team, Path(arguments.team).parent))
    policy = read_policy(arguments.policy)
    policy.check(states)
    task, item = _item(arguments, index)
    states.class_of(item)
    with stored_models(team, arguments) as (_, models):
        if arguments.store is not None:
            goes_on_with(same_again(arguments))
        samples = Samples(team, models, {task.name: task}, seed=seed)
        with Console(stderr=True).status(Text(harmless(f"{team.title} plays"))):
            player = PolicyPlayer(states, policy.probabilities)
            (outcome,) = play_all(player, [item], samples, seed + whole(arguments, "sample"))
        stopped = next((model.stopped for model in models.values() if model.stopped), None)
    if arguments.format == "json":
        sys.stdout.write(json.dumps(outcome_document(outcome, team, stopped), allow_nan=False) + "\n")
    else:
        sys.stdout.write(rendered(outcome_tables(outcome, team)))
    return _ending(arguments, outcome.failure, stopped)


def _ending(arguments: Namespace, failure: "Failure | None", stopped: str | None) -> int:
    if failure is None:
        return 0
    kept = f"; what was bought is kept in {arguments.store}" if arguments.store is not None else ""
    say(f"{failure.kind}: {failure.detail}{kept if stopped else ''}")
    return 1


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
