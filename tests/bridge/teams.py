"""Teams of scripted agents, whose game is known exactly."""

import random
from collections.abc import Callable, Sequence
from typing import Any

from scripted import Scripted

from hqre_jax.bridge.coordination import PublicStates, Samples
from hqre_jax.bridge.models import Failure, Reply, Request, Usage
from hqre_jax.bridge.tasks import AbstractDividedTask, AbstractTask, Item, Judgement
from hqre_jax.bridge.team import Team, read_team


class Letters(AbstractTask):
    """Every question's answer is A; any other letter is wrong."""

    name, domain, after, verifier, official = "letters", "reasoning", "nothing", "equal letters", None
    classes = ("easy", "hard")

    def items(self, task_class: str, split: Any, count: int) -> list[Item]:
        self.check_class(task_class)
        return [Item(self.name, task_class, split, k, f"{task_class} {split} question {k}?", "A", "It is A.")
                for k in range(count)]  # fmt: skip

    def judge(self, item: Item, reply: str) -> Judgement:
        found = reply[:1] if reply[:1].isalpha() and reply[:1].isupper() else None
        return Judgement(float(found == item.answer), found, f"{found}")


class Halves(Letters, AbstractDividedTask):
    """Two parts, whose right answers are L and R."""

    name, parts, divided = "halves", ("left", "right"), ("easy", "hard")

    def part_of(self, item: Item, part: str) -> Item:
        return Item(item.task, item.task_class, item.split, item.index, f"{item.question} {part}", part[0].upper())


def team_file(choices: Sequence[dict], *, agents: int = 2, task: str = "letters", **more: Any) -> dict[str, Any]:
    """A team file as a dictionary."""
    document = {
        "version": 1,
        "model": "scripted",
        "price": {"prompt": 1.0, "cached": 0.0, "completion": 10.0},
        "tasks": [{"name": task, "classes": ["easy"]}],
        "menu": list(choices),
        "agents": [{"name": f"agent {k + 1}"} for k in range(agents)],
        "questions": 3,
        "samples": 4,
    }
    return document | more


TASKS = {"letters": Letters, "halves": Halves}


def samples_of(document: dict[str, Any], says: Callable[[Request], Any], seed: int = 0) -> tuple[Samples, Scripted]:
    """The sample pool of a team of scripted agents, and the model that answers."""
    team: Team = read_team(document)
    model = Scripted(says)
    tasks = {wanted.name: TASKS[wanted.name]() for wanted in team.tasks}
    return Samples(team, {"scripted": model}, tasks, seed=seed), model


def game_items(samples: Samples, count: int | None = None) -> tuple[PublicStates, dict[int, list[Item]]]:
    states = PublicStates.of(samples.team, samples.tasks)
    return states, states.items("dev", samples.tasks, count)


def kind_of(request: Request) -> str:
    """Direct, steps or reads: the control behind a request."""
    if "The team has said so far" in request.messages[-1].content:
        return "reads"
    return "steps" if "step by step" in request.messages[0].content else "direct"


def dice(
    chances: dict[str, dict[str, float]], words: dict[str, int] | None = None
) -> Callable[[Request], Reply | Failure]:
    """A model that says letters with given chances, by control; equal requests get equal replies."""

    def says(request: Request) -> Reply | Failure:
        kind = kind_of(request)
        rng = random.Random(repr(request))
        (letter,) = rng.choices(list(chances[kind]), list(chances[kind].values()))
        return Reply(letter, "stop", Usage(10, 0, (words or {}).get(kind, 5)))

    return says
