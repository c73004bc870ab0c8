"""What every task is to the bridge: items, prompts' raw material, and an exact verifier."""

import abc
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from hqre_jax.core._types import InputError

Domain = Literal["reasoning", "planning", "active information seeking", "coordination"]
Split = Literal["train", "dev", "test"]


@dataclass(frozen=True)
class Item:
    """One question.

    Attributes:
        task: Name of its task.
        task_class: Class within the task: kind and rung of the difficulty ladder.
        split: "train", "dev" or "test"; no question is in two of them.
        index: Its number within (task, class, split).
        question: What the model is asked, in words.
        answer: The right answer as one would write it; None where many are right and only the verifier knows.
        solution: A worked solution that ends in the answer, for worked examples; None where there is none.
        data: What the verifier needs, JSON-like.

    Example:
        >>> from hqre_jax.bridge.tasks import all_tasks
        >>> item = all_tasks()["arithmetic"].items("sum", "train", 1)[0]
        >>> item.question, item.answer, item.solution
        ('Add 7 and 3.', '10', '7 + 3 = 10. The answer is 10.')
    """

    task: str
    task_class: str
    split: Split
    index: int
    question: str
    answer: str | None
    solution: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Judgement:
    """What a verifier says of one reply.

    Attributes:
        score: In [0, 1]; 1 is right.
        answer: The answer found in the reply, in canonical form (equal answers are equal strings: votes are counted
            with it); None where none was found.
        reason: Why, in one line, for transcripts.

    Example:
        >>> from hqre_jax.bridge.tasks import all_tasks
        >>> arithmetic = all_tasks()["arithmetic"]
        >>> item = arithmetic.items("sum", "train", 1)[0]
        >>> [arithmetic.judge(item, reply).score for reply in ("The answer is 10.", "The answer is 11.")]
        [1.0, 0.0]
    """

    score: float
    answer: str | None
    reason: str


class AbstractTask(abc.ABC):
    """A benchmark: classes of items in disjoint splits, and an exact verifier.

    Attributes:
        name: Name on the command line.
        domain: One of the four domains.
        after: The published benchmark it is an analogue of.
        verifier: How answers are judged, in one line.
        official: The documented form of the official data file that `load` reads; None where there is none.
        classes: Names of the task classes, easiest first.
        num_items: How many distinct items every class is sure to have, by split.
        answer_tokens: Tokens that an answer without its reasons fits in.

    Example:
        >>> from hqre_jax.bridge.tasks import AbstractTask, all_tasks
        >>> arithmetic = all_tasks()["arithmetic"]
        >>> isinstance(arithmetic, AbstractTask), arithmetic.domain, arithmetic.classes[:3]
        (True, 'reasoning', ('sum', 'sum_of_three', 'product'))
        >>> item = arithmetic.items("product", "dev", 1)[0]
        >>> arithmetic.judge(item, f"It is {item.answer}.").score
        1.0
    """

    name: str
    domain: Domain
    after: str
    verifier: str
    official: str | None
    classes: tuple[str, ...]
    num_items: Mapping[Split, int] = {"train": 100, "dev": 200, "test": 200}
    answer_tokens: int = 16

    @abc.abstractmethod
    def items(self, task_class: str, split: Split, count: int) -> list[Item]:
        """The first ``count`` items of a class and split: always the same ones, all distinct.

        Args:
            task_class: Name of the class.
            split: "train", "dev" or "test".
            count: How many.

        Returns:
            The items, in the order of their numbers.

        Raises:
            InputError: There is no such class, or it has fewer items.
        """

    @abc.abstractmethod
    def judge(self, item: Item, reply: str) -> Judgement:
        """Judge a reply. Replies are hostile text: they are parsed, never evaluated.

        Args:
            item: The question.
            reply: What somebody answered.

        Returns:
            Score, answer and reason.
        """

    def load(self, path: str | Path) -> list[Item]:
        """The items of the official data file, class "official", split "test".

        Args:
            path: A file of the form that `official` documents.

        Returns:
            The items.

        Raises:
            InputError: There is no official file, or this one has another form: file, line and remedy.
        """
        raise InputError("data", f"the task {self.name} reads no official file; leave --data out")

    def check_class(self, task_class: str) -> None:
        """Refuse a class that does not exist.

        Args:
            task_class: Name of a class.

        Raises:
            InputError: Naming those that do.
        """
        if task_class not in self.classes:
            raise InputError("task_class", f"is {task_class!r}; {self.name} has {', '.join(self.classes)}")


class AbstractDividedTask(AbstractTask):
    """A task some of whose questions have parts: an agent answers one part, the team is right only if all are there.

    Which part is whose is a convention; two agents that answer the same part leave the other one open.

    Attributes:
        parts: Names of the parts.
        divided: Classes whose items have parts.

    Example:
        >>> from hqre_jax.bridge.tasks import all_tasks
        >>> negotiation = all_tasks()["negotiation"]
        >>> item = negotiation.items("package", "train", 1)[0]
        >>> negotiation.parts, negotiation.part_of(item, "first_half").answer
        (('first_half', 'second_half'), '11')
    """

    parts: tuple[str, ...]
    divided: tuple[str, ...]

    @abc.abstractmethod
    def part_of(self, item: Item, part: str) -> Item:
        """One part of an item as a question of its own, with its own answer; `AbstractTask.judge` judges it.

        Args:
            item: The whole item, of a divided class.
            part: One of `parts`.

        Returns:
            The part.
        """

    def combine(self, item: Item, replies: Mapping[str, str]) -> Judgement:
        """The team's result.

        Args:
            item: The whole item.
            replies: One reply for each part that somebody has answered.

        Returns:
            Score 1 where every part was answered and is right, else 0.
        """
        judged = {part: self.judge(self.part_of(item, part), replies[part]) for part in self.parts if part in replies}
        said = "; ".join(f"{part}: {judged[part].reason if part in judged else 'nobody did it'}" for part in self.parts)
        found = [judged[part].answer if part in judged else None for part in self.parts]
        answer = None if None in found else ", ".join(str(part) for part in found)
        right = len(judged) == len(self.parts) and all(judgement.score == 1 for judgement in judged.values())
        return Judgement(float(right), answer, said)


class AbstractDialogue(abc.ABC):
    """One play of an interactive item: the environment, its oracle and the scripted partners.

    Example:
        >>> from hqre_jax.bridge.tasks import all_tasks
        >>> guessing = all_tasks()["guessing"]
        >>> play = guessing.begin(guessing.items("range_8", "train", 1)[0])
        >>> play.done, play.turn
        (False, 0)
        >>> play.act("I guess 4.")
        >>> print(play.observe().splitlines()[-1])
        What is your next guess?
    """

    @property
    def turn(self) -> int:
        """Whose turn it is; 0, or 1 for the second agent of a task that two models play."""
        return 0

    @abc.abstractmethod
    def observe(self) -> str:
        """What the agent whose turn it is may know now, in words.

        Returns:
            All that may be known: what was said before need not be remembered.
        """

    @abc.abstractmethod
    def act(self, reply: str) -> None:
        """Take the agent's reply as its move; a reply that is no legal move is handled as the task documents.

        Args:
            reply: What the agent said.
        """

    @property
    @abc.abstractmethod
    def done(self) -> bool:
        """Whether play has ended."""

    @abc.abstractmethod
    def judgement(self) -> Judgement:
        """The result of the play, once it is done."""

    @abc.abstractmethod
    def scripted_reply(self, player: str, rng: random.Random) -> str:
        """What a scripted player replies now; "perfect" may look at what agents cannot see.

        Args:
            player: One of the task's `scripted_players`.
            rng: The player's chance.

        Returns:
            A reply as a model might give it.
        """


Partner = Literal["scripted", "model"]


class AbstractInteractiveTask(AbstractTask):
    """A task that is played in turns. Its ``judge`` judges the one-shot form of an item (the next move or answer).

    Attributes:
        interactive: Classes whose items can be played.
        partners: Who may sit in the second seat: nobody (empty), a scripted partner, another model.

    Example:
        >>> from hqre_jax.bridge.tasks import all_tasks
        >>> guessing = all_tasks()["guessing"]
        >>> item = guessing.items("range_8", "train", 1)[0]
        >>> guessing.play(item, "perfect", seed=0).score
        1.0
    """

    interactive: tuple[str, ...]
    partners: tuple[Partner, ...] = ()

    @abc.abstractmethod
    def begin(self, item: Item, partner: Partner = "scripted") -> AbstractDialogue:
        """Begin to play an item; tasks without a second seat take no notice of ``partner``.

        Args:
            item: The item, of an interactive class.
            partner: Who sits in the second seat.

        Returns:
            The play, before its first turn.
        """

    def scripted_players(self) -> Sequence[str]:
        """Names of the scripted players, "perfect" and "random" among them."""
        return ("perfect", "random")

    def play(self, item: Item, player: str, seed: int, partner: Partner = "scripted") -> Judgement:
        """Play an item with a scripted player in every open seat.

        Args:
            item: The item.
            player: One of `scripted_players`.
            seed: Of the player's chance.
            partner: Who sits in the second seat.

        Returns:
            The result.
        """
        rng, dialogue = random.Random(seed), self.begin(item, partner)
        while not dialogue.done:
            dialogue.act(dialogue.scripted_reply(player, rng))
        return dialogue.judgement()
