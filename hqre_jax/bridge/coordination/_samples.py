"""One pool of samples: question, control, agent and index name a reply, and the same one is never generated twice.

Agents of one model and one set of instructions have one *voice*: what one says under a control, another might as well
have said. They share a pool and take different samples of it, so a sample serves every agent and every joint profile.
"""

import copy
import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hqre_jax.bridge.controls import Control, build_messages, find_control
from hqre_jax.bridge.models import AbstractModel, Failure, Message, Reply, Request, Usage
from hqre_jax.bridge.play import instructed
from hqre_jax.bridge.tasks import AbstractDividedTask, AbstractTask, Item, Judgement, all_tasks, load_user_file
from hqre_jax.bridge.team import Agent, Choice, Team, TeamTask
from hqre_jax.core._types import InputError

_FREE = Usage(0, 0, 0)
OWN_QUESTIONS = (".csv", ".jsonl")


@dataclass(frozen=True)
class Ask:
    """What a player wants of an agent: a fresh reply to the item of the play.

    Attributes:
        agent: Name of the agent.
        choice: Name of an entry of its menu.
        stream: What the team has said so far; read by controls that read the stream.
        messages: A conversation to be asked in place of the item's own, under the entry's temperature and length; for
            players with prompts of their own.
        is_answer: Whether the reply to such a conversation answers the item, and is judged as such.
        probability: With which the agent chose this, for transcripts.
        why: What it was chosen for, for transcripts.

    Example:
        >>> from hqre_jax.bridge.coordination import Ask
        >>> Ask("solver", "brief", is_answer=True).stream
        ()
    """

    agent: str
    choice: str
    stream: tuple[str, ...] = ()
    messages: tuple[Message, ...] | None = None
    is_answer: bool = False
    probability: float | None = None
    why: str = ""


@dataclass(frozen=True)
class Said:
    """What came of it: all that a player may know, the score not being part of it.

    Attributes:
        agent: Name of the agent.
        choice: Name of the entry of its menu.
        part: The part of a divided question that it answers; None for the whole.
        text: The reply; "" where the agent abstained or the call failed.
        answer: Its answer in canonical form; None where it has none.
        usage: Raw token counts; None where the model does not say.
        log_probs: Log-probability of each token; None where unknown.
        failure: Why nothing was said, where the call failed: a missing observation.

    Example:
        >>> from hqre_jax.bridge.coordination import Said
        >>> Said("solver 1", "direct", part=None, text="It is 10.", answer="10", usage=None).answer
        '10'
    """

    agent: str
    choice: str
    part: str | None
    text: str
    answer: str | None
    usage: Usage | None
    log_probs: tuple[float, ...] | None = None
    failure: Failure | None = None


@dataclass(frozen=True)
class Sample:
    """A reply and what it is worth.

    Attributes:
        said: The reply.
        score: Of the reply by itself; None where the call failed, and where it was no answer to the item.

    Example:
        >>> from hqre_jax.bridge.coordination import Said, Sample
        >>> said = Said("solver 1", "direct", part=None, text="It is 10.", answer="10", usage=None)
        >>> Sample(said, score=1.0).score
        1.0
    """

    said: Said
    score: float | None


class Samples:
    """The samples of a team.

    Args:
        team: The team.
        models: Its models by name, each behind its store. A recorded model (``ReplayModel``) makes it a pool to read.
        tasks: Its tasks by name; by default the library's own, and files of questions in the working folder.
        seed: Of worked examples and sampling.

    Attributes:
        size: Samples of a question under a control that there are, or are to be: `Team.samples`.

    Example:
        >>> import tomllib
        >>> from hqre_jax.bridge.coordination import Ask, Samples
        >>> from hqre_jax.bridge.models import from_python
        >>> from hqre_jax.bridge.team import default_team, read_team
        >>> team = read_team(tomllib.loads(default_team()))
        >>> parrot = from_python(lambda request: "The answer is 10.", "parrot")
        >>> samples = Samples(team, {"smollm2-135m": parrot})
        >>> item = samples.tasks["arithmetic"].items("sum", "dev", 1)[0]
        >>> ask = Ask(team.agents[0].name, "direct")
        >>> samples.request(item, ask, 0).messages[-1].content == item.question
        True
    """

    def __init__(
        self, team: Team, models: Mapping[str, AbstractModel], tasks: Mapping[str, AbstractTask] | None = None,
        *, seed: int = 0,
    ):  # fmt: skip
        self.team, self.models, self.seed, self.size = team, models, seed, team.samples
        self.tasks = load_tasks(team) if tasks is None else tasks
        self._lock = threading.Lock()
        self._kept: dict[tuple[Any, ...], Reply] = {}
        self._judged: dict[tuple[str, str, str, int, str | None, str], Judgement] = {}

    def of(self, team: Team) -> "Samples":
        """The same pool for a team with the same models and controls: what is known to one is known to the other.

        Args:
            team: May differ in prices, in what agents see, and in what ends a play.

        Returns:
            The pool.
        """
        other = copy.copy(self)
        other.team = team
        return other

    def task(self, item: Item) -> AbstractTask:
        """The task of an item."""
        return self.tasks[item.task]

    def voice(self, agent: Agent) -> str:
        """The name of the first agent who speaks alike."""
        return next(
            one.name for one in self.team.agents
            if (one.model, one.instructions) == (agent.model, agent.instructions)
        )  # fmt: skip

    def varies(self, choice: Choice) -> bool:
        """Whether samples of a control differ: its temperature is not 0, or its worked examples are drawn anew.

        Args:
            choice: An entry of a menu.

        Returns:
            False where one sample says what all would.
        """
        drawn = self.team.examples == "private" and find_control(choice.control).num_examples > 0
        return choice.temperature > 0 or drawn

    def request(self, item: Item, ask: Ask, index: int) -> Request | None:
        """The call behind a sample; None where the agent abstains.

        Args:
            item: The question.
            ask: Who is asked, and how.
            index: Number of the sample: of controls that vary, each has worked examples and chance of its own.

        Returns:
            The call, worked examples and chance of the sample included.

        Raises:
            InputError: The team has no such agent or control, or it does not fit the task.
        """
        agent = self.team.agent(ask.agent)
        choice = agent.choice(ask.choice)
        control = find_control(choice.control)
        if control.instruction is None:
            return None
        index = index if self.varies(choice) or ask.messages is not None else 0
        if control.reads_stream:
            index += self.team.samples  # with nothing to read it might ask what another control has asked
        asked = self.asked(item, choice)
        seed = self._seed(control, index)
        task, temperature, stream = self.task(item), choice.temperature, ask.stream
        messages, controls = build_messages(task, asked, control, seed, temperature=temperature, stream=stream)
        if ask.messages is not None:
            messages = ask.messages
        if choice.max_tokens is not None:
            controls = replace(controls, max_tokens=choice.max_tokens)
        return Request(instructed(messages, agent.instructions), controls, index)

    def asked(self, item: Item, choice: Choice) -> Item:
        """What a control asks of an item: the item, or a part of it.

        Args:
            item: The question.
            choice: The entry of the menu.

        Returns:
            The question that is put.

        Raises:
            InputError: The item has no such part.
        """
        task = self.task(item)
        if choice.part is None:
            return item
        if not isinstance(task, AbstractDividedTask) or item.task_class not in task.divided:
            raise InputError(
                "control", f"{choice.name} answers a part, and {task.name} / {item.task_class} has no parts"
            )
        if choice.part not in task.parts:
            raise InputError("control", f"{choice.name} answers {choice.part!a}; parts are {', '.join(task.parts)}")
        return task.part_of(item, choice.part)

    def get(self, wanted: Sequence[tuple[Item, Ask, int]]) -> list[Sample]:
        """Samples, in one batch for each model; those that are not in the store are generated and kept.

        Args:
            wanted: Items, what is asked about them, and numbers of samples.

        Returns:
            One sample for each.
        """
        with self._lock:
            return self._get(wanted)

    def _get(self, wanted: Sequence[tuple[Item, Ask, int]]) -> list[Sample]:
        keys = [self._key(*one) for one in wanted]
        missing = {key: one for key, one in zip(keys, wanted, strict=True) if key is not None and key not in self._kept}
        batches: dict[str, list[tuple[Any, ...]]] = {}
        for key, (_, ask, _) in missing.items():
            batches.setdefault(self.team.agent(ask.agent).model, []).append(key)
        failed = dict[tuple[Any, ...], Failure]()
        for model, batch in batches.items():
            requests = [request for key in batch if (request := self.request(*missing[key])) is not None]
            for key, result in zip(batch, self.models[model].generate(requests), strict=True):
                if isinstance(result, Reply):
                    self._kept[key] = result
                else:
                    failed[key] = result
        return [
            self._sample(item, ask, None if key is None else self._kept.get(key) or failed[key])
            for key, (item, ask, _) in zip(keys, wanted, strict=True)
        ]

    def judge(self, item: Item, part: str | None, text: str) -> Judgement:
        """The verdict on a reply to an item, or to a part of it; the same reply is judged once.

        Args:
            item: The question.
            part: Name of the part; None for the whole.
            text: The reply.

        Returns:
            The verdict.
        """
        key = (item.task, item.task_class, item.split, item.index, part, text)
        if key not in self._judged:
            task = self.task(item)
            asked = item if part is None else task.part_of(item, part)  # type: ignore[attr-defined]
            self._judged[key] = task.judge(asked, text)
        return self._judged[key]

    def conclude(self, item: Item, answers: Sequence[Said]) -> Judgement:
        """The verdict on the team's answer.

        Args:
            item: The question.
            answers: The reply that is the answer; for a divided question one reply for each part; or nothing.

        Returns:
            The verdict; score 0 for no answer.
        """
        if not answers:
            return Judgement(0.0, None, "the team gave no answer")
        if answers[0].part is None:
            return self.judge(item, None, answers[0].text)
        task = self.task(item)
        assert isinstance(task, AbstractDividedTask)
        return task.combine(item, {said.part: said.text for said in answers if said.part is not None})

    def _key(self, item: Item, ask: Ask, index: int) -> tuple[Any, ...] | None:
        """What a sample is known by in this process; None where the agent abstains."""
        agent = self.team.agent(ask.agent)
        choice = agent.choice(ask.choice)
        control = find_control(choice.control)
        if control.instruction is None:
            return None
        index = index if self.varies(choice) or ask.messages is not None else 0
        place = (item.task, item.task_class, item.split, item.index)
        stream = ask.stream if control.reads_stream else ()
        return (*place, self.voice(agent), choice.name, stream, ask.messages, index)

    def _sample(self, item: Item, ask: Ask, result: Reply | Failure | None) -> Sample:
        choice = self.team.agent(ask.agent).choice(ask.choice)
        who = ask.agent, ask.choice, choice.part
        if result is None:
            return Sample(Said(*who, "", None, _FREE), 0.0)
        if isinstance(result, Failure):
            return Sample(Said(*who, "", None, result.usage, failure=result), None)
        if ask.messages is not None and not ask.is_answer:
            return Sample(Said(*who, result.text, None, result.usage, result.log_probs), None)
        verdict = self.judge(item, choice.part, result.text)
        return Sample(Said(*who, result.text, verdict.answer, result.usage, result.log_probs), verdict.score)

    def _seed(self, control: Control, index: int) -> int:
        if self.team.examples == "shared" or not control.num_examples:
            return self.seed
        digest = hashlib.sha256(json.dumps([self.seed, index]).encode("ascii")).digest()
        return int.from_bytes(digest[:4], "big") >> 1


def load_tasks(team: Team, folder: str | Path = ".") -> dict[str, AbstractTask]:
    """A team's tasks by name, see `find_tasks`.

    Args:
        team: The team.
        folder: What the names of files of questions are relative to.

    Returns:
        The tasks, in the order of the team file.

    Raises:
        InputError: There is no such task or class, or a file is not as it must be.

    Example:
        >>> import tomllib
        >>> from hqre_jax.bridge.coordination import load_tasks
        >>> from hqre_jax.bridge.team import default_team, read_team
        >>> list(load_tasks(read_team(tomllib.loads(default_team()))))
        ['arithmetic', 'word_problems']
    """
    return find_tasks(team.tasks, folder)


def find_tasks(tasks: Sequence[TeamTask], folder: str | Path = ".") -> dict[str, AbstractTask]:
    """Tasks by name, in the order given; names in .csv or .jsonl are files of questions, called after the file.

    Args:
        tasks: What is wanted.
        folder: What the names of files are relative to.

    Returns:
        The tasks.

    Raises:
        InputError: There is no such task or class, or the file is not as it must be.

    Example:
        >>> from hqre_jax.bridge.coordination import find_tasks
        >>> from hqre_jax.bridge.team import TeamTask
        >>> list(find_tasks([TeamTask("arithmetic", ("sum",)), TeamTask("zebra", None)]))
        ['arithmetic', 'zebra']
    """
    known, found = all_tasks(), dict[str, AbstractTask]()
    for k, wanted in enumerate(tasks):
        if wanted.name.lower().endswith(OWN_QUESTIONS):
            task = load_user_file(Path(folder) / wanted.name)
        elif wanted.name in known:
            task = known[wanted.name]
        else:
            own = "; questions of your own are a .csv or .jsonl file"
            raise InputError(f"tasks[{k}]: name", f"{wanted.name!a} is not known; there are {', '.join(known)}{own}")
        for name in wanted.classes or ():
            try:
                task.check_class(name)
            except InputError as error:
                raise InputError(f"tasks[{k}]: classes", error.problem) from None
        if task.name in found:
            raise InputError("tasks", f"has two that are called {task.name!a}; rename a file of questions")
        found[task.name] = task
    return found
