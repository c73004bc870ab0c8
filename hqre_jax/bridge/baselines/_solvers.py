"""What baselines have in common: who can answer a question by itself, how well, and who wins a vote."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hqre_jax.bridge.baselines._interface import Measured, NothingFits, Setting, summarise
from hqre_jax.bridge.controls import build_messages, find_control
from hqre_jax.bridge.coordination import AbstractPlayer, Ask, Course, Said, Samples, play_all
from hqre_jax.bridge.models import Message
from hqre_jax.bridge.tasks import Item


@dataclass(frozen=True)
class Solver:
    """A voice of the team and a control under which it answers whole questions by itself.

    Attributes:
        agent: Name of the first agent of that voice.
        choice: Name of the entry of its menu.
        varies: Whether its samples differ.
    """

    agent: str
    choice: str
    varies: bool

    def __str__(self) -> str:
        return f"{self.choice} ({self.agent})"

    def ask(self, why: str = "") -> Ask:
        """A fresh answer."""
        return Ask(self.agent, self.choice, why=why)


class OneAnswer(AbstractPlayer):
    """One agent answers under one control."""

    def __init__(self, solver: Solver):
        self.solver = solver

    def play(self, item: Item, rng: np.random.Generator) -> Course:
        """See `AbstractPlayer`."""
        said = yield [self.solver.ask("the only one asked")]
        return said


def solvers(samples: Samples) -> list[Solver]:
    """Everybody who can answer every question of the team by itself, each voice once.

    Raises:
        NothingFits: There is nobody.
    """
    found: dict[tuple[str, str], Solver] = {}
    for agent in samples.team.agents:
        for choice in agent.choices:
            control = find_control(choice.control)
            if control.instruction is not None and not control.reads_stream and choice.part is None:
                voice = samples.voice(agent)
                found.setdefault((voice, choice.name), Solver(voice, choice.name, samples.varies(choice)))
    if not found:
        raise NothingFits("no entry of the menu answers a whole question by itself")
    return list(found.values())


def sampled_solvers(samples: Samples) -> list[Solver]:
    """Those whose samples differ.

    Raises:
        NothingFits: There is none.
    """
    found = [solver for solver in solvers(samples) if solver.varies]
    if not found:
        raise NothingFits("all samples of a question are the same: give a control a temperature above 0")
    return found


def measured_solvers(found: Sequence[Solver], dev: Sequence[Item], samples: Samples, seed: int) -> list[Measured]:
    """What each of them comes to on dev by itself, in the same order."""
    return [
        Measured(Setting(str(solver), OneAnswer(solver)), *summarise(play_all(OneAnswer(solver), dev, samples, seed)))
        for solver in found
    ]


def best_solvers(
    found: Sequence[Solver], dev: Sequence[Item], samples: Samples, seed: int
) -> list[tuple[Solver, Measured]]:
    """The solvers that none is both better and cheaper than, best first.

    Methods with prompts of their own, whose every setting costs calls, take these for hyper-parameters.
    """
    pairs = list(zip(found, measured_solvers(found, dev, samples, seed), strict=True))
    pairs.sort(key=lambda pair: (-pair[1].score, pair[1].tokens))
    front = list[tuple[Solver, Measured]]()
    for solver, one in pairs:
        if not front or one.tokens < front[-1][1].tokens:
            front.append((solver, one))
    return front


def majority(said: Sequence[Said]) -> list[Said]:
    """The reply whose answer most replies give, of equally many the one given first; nothing where none answers."""
    answers = [one.answer for one in said]
    given = [one for one in said if one.answer is not None]
    return [max(given, key=lambda one: answers.count(one.answer))] if given else []


def weighted_majority(said: Sequence[Said], weights: Sequence[float]) -> list[Said]:
    """The first reply with the answer of most weight; nothing where none answers."""
    total: dict[str, float] = {}
    for one, weight in zip(said, weights, strict=True):
        if one.answer is not None:
            total[one.answer] = total.get(one.answer, 0.0) + weight
    given = [one for one in said if one.answer is not None]
    return [max(given, key=lambda one: total[one.answer or ""])] if given else []


def conversation(samples: Samples, item: Item, solver: Solver) -> tuple[Message, ...]:
    """What a solver is asked about an item, worked examples of the pool's seed included.

    Methods that go on with a conversation put their own turns behind it.
    """
    choice = samples.team.agent(solver.agent).choice(solver.choice)
    messages, _ = build_messages(samples.task(item), item, choice.control, samples.seed)
    return messages


def quoted(text: str) -> str:
    """What another agent said, on one line: it cannot look like a turn or a role of the conversation."""
    return " ".join(text.split())
