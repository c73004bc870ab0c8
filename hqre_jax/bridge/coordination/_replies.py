"""The replies of a class of questions as arrays: who would say what, under which control, for what price."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from hqre_jax.bridge.controls import find_control
from hqre_jax.bridge.coordination._samples import Ask, Said, Sample, Samples
from hqre_jax.bridge.coordination._states import PublicStates
from hqre_jax.bridge.coordination._votes import WHOLE, settle
from hqre_jax.bridge.tasks import Item
from hqre_jax.bridge.team import Agent

# Instead of a vote: no answer was found, or the call failed and is a missing observation.
NO_ANSWER, MISSING = -1, -2


@dataclass
class Answers:
    """The answers given to one question, numbered.

    Attributes:
        item: The question.
        samples: Where verdicts come from.
        known: For each answer, the slot it is for and a reply that gives it.
    """

    item: Item
    samples: Samples
    known: list[tuple[int, Said]] = field(default_factory=list)
    _numbers: dict[tuple[int, str], int] = field(default_factory=dict)
    _scores: dict[tuple[int, ...], float] = field(default_factory=dict)

    def number(self, sample: Sample, slot: int) -> int:
        """The number of a reply's answer; `NO_ANSWER` or `MISSING` where it has none."""
        said = sample.said
        if said.failure is not None:
            return MISSING
        if said.answer is None:
            return NO_ANSWER
        if (slot, said.answer) not in self._numbers:
            self._numbers[slot, said.answer] = len(self.known)
            self.known.append((slot, said))
        return self._numbers[slot, said.answer]

    def score(self, numbers: tuple[int, ...]) -> float:
        """The score of a team's answer: one number for each slot, negative where nothing speaks for it."""
        if numbers not in self._scores:
            said = [self.known[number][1] for number in numbers if number >= 0]
            self._scores[numbers] = self.samples.conclude(self.item, said).score
        return self._scores[numbers]


@dataclass(frozen=True)
class Replies:
    """The samples of a class under the controls that do not read the stream.

    Attributes:
        samples: The pool.
        states: The public states.
        task_class: Number of the class.
        answers: The answers to each question.
        votes: Number of the answer of each sample, ``(agent, choice, question, index)``.
        costs: What the agent pays for it, ``(agent, choice, question, index)``, units of score.
        texts: What was said, ``(agent, choice, question, index)``.
        slots: What each entry of the menu answers, ``(agent, choice)``; −1 where it does not fit the class.
    """

    samples: Samples
    states: PublicStates
    task_class: int
    answers: tuple[Answers, ...]
    votes: Int[np.ndarray, "agent choice question index"]
    costs: Float[np.ndarray, "agent choice question index"]
    texts: np.ndarray
    slots: Int[np.ndarray, "agent choice"]

    @property
    def num_slots(self) -> int:
        """1, or 1 + number of parts."""
        return 1 + len(self.states.parts[self.task_class])

    @property
    def items(self) -> list[Item]:
        """The questions."""
        return [one.item for one in self.answers]

    @classmethod
    def read(cls, samples: Samples, states: PublicStates, task_class: int, items: Sequence[Item]) -> "Replies":
        """Take the samples of a class out of the pool.

        Args:
            samples: The pool.
            states: The public states.
            task_class: Number of the class.
            items: Its questions.

        Returns:
            The replies; what was not sampled, or failed, is missing.
        """
        team = samples.team
        shape = len(team.agents), states.mask.shape[2], len(items), samples.size
        votes, costs, texts = np.full(shape, NO_ANSWER), np.zeros(shape), np.full(shape, "", object)
        slots = menu_slots(states, task_class)
        answers = tuple(Answers(item, samples) for item in items)
        pools: dict[tuple[str, str], list[Sample]] = {}
        for i, agent in enumerate(team.agents):
            for k, choice in enumerate(agent.choices):
                control = find_control(choice.control)
                if slots[i, k] < 0 or control.instruction is None or control.reads_stream:
                    continue
                width = samples.size if samples.varies(choice) else 1
                pool = (samples.voice(agent), choice.name)
                if pool not in pools:
                    ask = Ask(agent.name, choice.name)
                    pools[pool] = samples.get([(item, ask, m) for item in items for m in range(width)])
                numbers = [answers[place // width].number(one, int(slots[i, k]))
                           for place, one in enumerate(pools[pool])]  # fmt: skip
                votes[i, k] = np.reshape(numbers, (-1, width))
                costs[i, k] = np.reshape([price(agent, one) for one in pools[pool]], (-1, width))
                texts[i, k] = np.reshape(np.array([one.said.text for one in pools[pool]], object), (-1, width))
        return cls(samples, states, task_class, answers, votes, costs, texts, slots)

    def scores(
        self, questions: Int[np.ndarray, " play"], votes: Int[np.ndarray, "play vote"],
        slots: Int[np.ndarray, "play vote"],
    ) -> Float[np.ndarray, " play"]:  # fmt: skip
        """What the teams' answers are worth.

        Args:
            questions: Which question each play is about.
            votes: Its votes.
            slots: What they answer.
        """
        winners = settle(votes, slots, self.num_slots, len(self.samples.team.agents))
        if not votes.shape[1]:
            return np.zeros(len(votes))
        taken = np.take_along_axis(votes, np.maximum(winners, 0), axis=1)
        keys = np.concatenate([questions[:, None], np.where(winners >= 0, taken, -1)], axis=1)
        rows, places = np.unique(keys, axis=0, return_inverse=True)
        worth = [self.answers[row[0]].score(tuple(row[1:].tolist())) for row in rows]
        return np.asarray(worth, float)[places.reshape(-1)]


def menu_slots(states: PublicStates, task_class: int) -> Int[np.ndarray, "agent choice"]:
    """What each entry of each menu answers in a class; −1 where it does not fit."""
    parts = states.parts[task_class]
    slots = np.full((len(states.team.agents), states.mask.shape[2]), -1)
    for i, agent in enumerate(states.team.agents):
        for k, choice in enumerate(agent.choices):
            if choice.part is None:
                slots[i, k] = WHOLE
            elif choice.part in parts:
                slots[i, k] = states.slot(task_class, choice)
    return slots


def price(agent: Agent, sample: Sample) -> float:
    """What an agent pays for a reply, units of score; not a number where that is not known."""
    usage = sample.said.usage
    if usage is None:
        return 0.0 if agent.price.is_nothing else np.nan
    return agent.price.of(usage.prompt, usage.cached, usage.completion)


def generator(seed: int, item: Item, *more: int) -> np.random.Generator:
    """Randomness of an item's own: other items may come or go."""
    name = f"{item.task}/{item.task_class}/{item.split}/{item.index}"
    return np.random.default_rng([seed, zlib.crc32(name.encode()), *more])
