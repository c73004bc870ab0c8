"""Plays: in every round the roles of a team speak one after the other, and a verifier says what came of it."""

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np

from hqre_jax.bridge.controls import build_messages, find_control
from hqre_jax.bridge.coordination import find_tasks
from hqre_jax.bridge.coordination._votes import plurality
from hqre_jax.bridge.finetuning._config import Config, Role
from hqre_jax.bridge.finetuning._format import message_of
from hqre_jax.bridge.finetuning._samplers import AbstractSampler, CallFailed, LocalSampler
from hqre_jax.bridge.models import (
    Adapter,
    Completion,
    Controls,
    LocalModel,
    Message,
    Prompt,
)
from hqre_jax.bridge.play import instructed
from hqre_jax.bridge.tasks import Item, Judgement
from hqre_jax.bridge.tasks._interface import Split
from hqre_jax.core._types import InputError


@dataclass(frozen=True)
class Turn:
    """What a role said in a play.

    Attributes:
        prompt: Tokens of what it was asked.
        tokens: Tokens of its reply, the end of the turn included.
        log_probs: Of each, as who sampled it says.
        text: The reply, without its end.
        judgement: Of the reply by itself; None where the role does not answer.
    """

    prompt: tuple[int, ...]
    tokens: tuple[int, ...]
    log_probs: tuple[float, ...]
    text: str
    judgement: Judgement | None


@dataclass(frozen=True)
class Play:
    """One play of one question.

    Attributes:
        item: The question.
        turns: By role, in the order of the rounds.
        score: Of the team's answer in the last round.
        answer: The team's answer in canonical form; None for none.
    """

    item: Item
    turns: Mapping[str, Sequence[Turn]]
    score: float
    answer: str | None

    @property
    def num_tokens(self) -> int:
        """Tokens generated."""
        return sum(len(turn.tokens) for turns in self.turns.values() for turn in turns)


class Players:
    """Plays the questions of a configuration.

    Args:
        config: The configuration.
        model: The frozen model.
        folder: What the names of files of questions are relative to.
        sampler: Who completes prompts; the model by default.
        official: Files of official questions by task, which policies are judged on in place of the task's own.

    Raises:
        InputError: A task or class is not known, or has too few questions, or a file is not as it must be.
    """

    def __init__(
        self, config: Config, model: LocalModel, folder: str | Path = ".", sampler: AbstractSampler | None = None,
        official: Mapping[str, Path] | None = None,
    ):  # fmt: skip
        self.config, self.model, self.sampler = config, model, sampler or LocalSampler(model)
        self._tasks = find_tasks(config.tasks, folder)
        self._official = {name: self._tasks[name].load(file) for name, file in (official or {}).items()}
        self._pool = self._items("train", config.pool)
        if len(self._pool) < config.questions:
            have = f"{config.questions}, and the train split has {len(self._pool)} in all"
            raise InputError("plays: questions", f"is {have}: lower it, or raise pool")

    def questions_of(self, step: int) -> list[Item]:
        """The questions of a step: distinct, and a function of the seed and the step alone."""
        return random.Random(f"{self.config.seed}/{step}").sample(self._pool, self.config.questions)

    def held_out(self) -> list[Item]:
        """The questions that policies are judged on."""
        wanted = self.config.evaluation
        if not wanted.questions:
            return []
        own = self._items(wanted.split, wanted.questions)
        official = [item for items in self._official.values() for item in items[: wanted.questions]]
        return [item for item in own if item.task not in self._official] + official

    @property
    def judged_on(self) -> str:
        """Where these are from: the name of a split, or which official files."""
        if not self._official:
            return self.config.evaluation.split
        return f"official files ({_digest([item for items in self._official.values() for item in items])[:8]})"

    @property
    def question_digest(self) -> str:
        """SHA-256 of the questions that steps draw from, with what is known of their answers."""
        return _digest(self._pool)

    @property
    def most_tokens(self) -> int:
        """Most tokens that the plays of one step can generate."""
        turns = 0
        for role in self.config.roles:
            way = find_control(role.control)
            longest = max(task.answer_tokens for task in self._tasks.values()) + way.extra_tokens
            turns += longest if role.max_tokens is None else role.max_tokens
        return self.config.questions * self.config.plays * self.config.rounds * turns

    def play(
        self,
        items: Sequence[Item],
        plays: int,
        adapters: Mapping[str, Adapter | None],
        moment: str,
        temperature: float = 1.0,
    ) -> list[Play]:
        """Play every question several times; plays of one question are neighbours.

        Args:
            items: The questions.
            plays: Plays of each.
            adapters: What each role speaks with; None for the model as it is.
            moment: Tells these random numbers from others.
            temperature: Of sampling: 1 is the policy itself, 0 takes the likeliest tokens.

        Raises:
            CallFailed: A server that was to complete prompts did not, or a prompt has become too long.
        """
        asked = [(item, k) for item in items for k in range(plays)]
        said: list[dict[str, list[Turn]]] = [{role.name: [] for role in self.config.roles} for _ in asked]
        for number, role in product(range(self.config.rounds), self.config.roles):
            own = moment if number == 0 else f"{moment}, round {number + 1}"
            chance = {"temperature": temperature, "top_p": 1.0, "seed": _seed(self.config.seed, own, role.name)}
            alike: dict[Controls, list[tuple[int, Prompt]]] = {}
            for place, ((item, k), turns) in enumerate(zip(asked, said, strict=True)):
                messages, controls = self._question(role, item, turns)
                prompt = Prompt(tuple(self.model.template.encode(messages, self.model.tokenizer)), 0, k)
                alike.setdefault(replace(controls, **chance), []).append((place, prompt))
            for controls, prompts in alike.items():
                try:
                    found = self.sampler.complete([prompt for _, prompt in prompts], controls, adapters[role.name])
                except InputError as error:
                    shorter = f"; let {' and '.join(role.reads)} say less (max_tokens)" if role.reads else ""
                    raise CallFailed(f"{role.name} cannot be asked: {error.problem}{shorter}") from None
                for (place, prompt), completion in zip(prompts, found, strict=True):
                    turn = self._turn(role, asked[place][0], prompt, completion, controls.stop)
                    said[place][role.name].append(turn)
        return [self._conclude(item, turns) for (item, _), turns in zip(asked, said, strict=True)]

    def _question(
        self, role: Role, item: Item, turns: Mapping[str, Sequence[Turn]]
    ) -> tuple[tuple[Message, ...], Controls]:
        formats = {other.name: other.format for other in self.config.roles}
        spoken = [name for name in role.reads if turns[name]]
        heard = [f"{name} says: {message_of(turns[name][-1].text, formats[name])}" for name in spoken]
        asked = replace(item, question="\n".join([item.question, *heard]))
        messages, controls = build_messages(self._tasks[item.task], asked, role.control, self.config.seed)
        if role.max_tokens is not None:
            controls = replace(controls, max_tokens=role.max_tokens)
        return instructed(messages, role.instructions), controls

    def _turn(self, role: Role, item: Item, prompt: Prompt, completion: Completion, stop: tuple[str, ...]) -> Turn:
        ended = completion.tokens[-1] in self.model.end_tokens
        text = self.model.tokenizer.decode(completion.tokens[:-1] if ended else completion.tokens)
        places = [place for word in stop if (place := text.find(word)) >= 0]
        text = text[: min(places, default=len(text))]
        judgement = self._tasks[item.task].judge(item, text) if role.answers else None
        return Turn(prompt.tokens, completion.tokens, completion.log_probs, text, judgement)

    def _conclude(self, item: Item, turns: Mapping[str, Sequence[Turn]]) -> Play:
        judged = [own[-1].judgement for own in turns.values() if own[-1].judgement is not None]
        answers = [judgement.answer for judgement in judged]
        known = sorted({answer for answer in answers if answer is not None})
        votes = np.array([-1 if answer is None else known.index(answer) for answer in answers])
        winner = int(plurality(votes, len(votes)))
        if winner < 0:
            return Play(item, turns, 0.0, None)
        return Play(item, turns, judged[winner].score, answers[winner])

    def _items(self, split: Split, count: int) -> list[Item]:
        found = []
        for wanted, task in zip(self.config.tasks, self._tasks.values(), strict=True):
            for name in wanted.classes or task.classes:
                found += task.items(name, split, min(count, task.num_items[split]))
        return found


def _digest(items: Sequence[Item]) -> str:
    known = [[item.task, item.task_class, item.question, item.answer, item.solution] for item in items]
    return hashlib.sha256(json.dumps(known).encode("ascii")).hexdigest()


def _seed(seed: int, moment: str, role: str) -> int:
    digest = hashlib.sha256(json.dumps([seed, moment, role]).encode("ascii")).digest()
    return int.from_bytes(digest[:4], "big") >> 1
