"""One agent, one question: what was said, what it was worth, what it cost."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hqre_jax.bridge.controls import build_messages, find_control
from hqre_jax.bridge.models import AbstractModel, Failure, Message, Reply, Request
from hqre_jax.bridge.tasks import AbstractDividedTask, AbstractInteractiveTask, AbstractTask, Item, Judgement
from hqre_jax.bridge.team import Agent, Choice
from hqre_jax.core._types import InputError

# No task of ours is as long; a dialogue that does not end is a fault.
MAX_TURNS = 200


@dataclass(frozen=True)
class Exchange:
    """A call and what came of it.

    Attributes:
        request: What was asked, the whole conversation so far included.
        result: What was said, or why nothing was.

    Example:
        >>> from hqre_jax.bridge.models import Message, Request, from_python
        >>> from hqre_jax.bridge.play import Exchange
        >>> request, model = Request((Message("user", "Add 7 and 3."),)), from_python(lambda request: "10", "parrot")
        >>> Exchange(request, model.generate([request])[0]).result.text
        '10'
    """

    request: Request
    result: Reply | Failure


@dataclass(frozen=True)
class Transcript:
    """All that was said about one item.

    Attributes:
        item: The question.
        agent: Who was asked.
        choice: Under which control.
        exchanges: Every call, in order.
        judgement: What the answer is worth; None where a call failed: that is a missing observation, no score.

    Example:
        >>> import tomllib
        >>> from hqre_jax.bridge.models import Reply, Usage, from_python
        >>> from hqre_jax.bridge.play import play_item
        >>> from hqre_jax.bridge.tasks import all_tasks
        >>> from hqre_jax.bridge.team import default_team, read_team
        >>> task, agent = all_tasks()["arithmetic"], read_team(tomllib.loads(default_team())).agents[0]
        >>> model = from_python(lambda request: Reply("It is 8.", "stop", Usage(50, 0, 5)), "counted")
        >>> transcript = play_item(model, task, task.items("sum", "dev", 1)[0], agent, agent.choice("direct"))
        >>> transcript.judgement.score, transcript.tokens, transcript.utility  # 1 - (50 * 0.2 + 5 * 2) / 1000
        (1.0, {'prompt': 50, 'cached': 0, 'completion': 5}, 0.98)
    """

    item: Item
    agent: Agent
    choice: Choice
    exchanges: tuple[Exchange, ...]
    judgement: Judgement | None

    @property
    def failure(self) -> Failure | None:
        """The call that failed; None where none did."""
        failed = [exchange.result for exchange in self.exchanges if isinstance(exchange.result, Failure)]
        return failed[0] if failed else None

    @property
    def tokens(self) -> dict[str, int] | None:
        """Prompt, cached and completion tokens of all calls; None where a model does not say."""
        usages = [exchange.result.usage for exchange in self.exchanges]
        known = [usage for usage in usages if usage is not None]
        if len(known) < len(usages):
            return None
        return {part: sum(getattr(usage, part) for usage in known) for part in ("prompt", "cached", "completion")}

    @property
    def utility(self) -> float | None:
        """Score less the price of the agent's tokens; None where either is unknown."""
        if self.judgement is None or self.tokens is None:
            return None
        return self.judgement.score - self.agent.price.of(**self.tokens)


def play_item(
    model: AbstractModel,
    task: AbstractTask,
    item: Item,
    agent: Agent,
    choice: Choice,
    *,
    seed: int = 0,
    sample: int = 0,
    one_shot: bool = False,
) -> Transcript:
    """Ask one agent one question under one control; a task that is played in turns is played to its end.

    Args:
        model: The agent's model.
        task: The task.
        item: The question.
        agent: Who is asked.
        choice: The control, an entry of the agent's menu.
        seed: Of worked examples and sampling, `Team.seed_of`.
        sample: Index of the sample.
        one_shot: Ask for one answer even where the item could be played in turns.

    Returns:
        All that was said.

    Raises:
        InputError: The control or its examples do not fit the task.

    Example:
        >>> import tomllib
        >>> from hqre_jax.bridge.models import from_python
        >>> from hqre_jax.bridge.play import play_item
        >>> from hqre_jax.bridge.tasks import all_tasks
        >>> from hqre_jax.bridge.team import default_team, read_team
        >>> task, agent = all_tasks()["arithmetic"], read_team(tomllib.loads(default_team())).agents[0]
        >>> item, model = task.items("sum", "dev", 1)[0], from_python(lambda request: "It is 8.", "eight")
        >>> [play_item(model, task, item, agent, agent.choice(name)).judgement.reason for name in ("direct", "abstain")]
        ['8 is right', 'the agent abstained']
    """
    if find_control(choice.control).instruction is None:
        return Transcript(item, agent, choice, (), Judgement(0.0, None, "the agent abstained"))
    if choice.part is not None:
        item = _part(task, item, choice)
    if not one_shot and isinstance(task, AbstractInteractiveTask) and item.task_class in task.interactive:
        return _played(model, task, item, agent, choice, seed, sample)
    exchange = _ask(model, opening(task, item, agent, choice, seed, sample))
    said = exchange.result
    judgement = task.judge(item, said.text) if isinstance(said, Reply) else None
    return Transcript(item, agent, choice, (exchange,), judgement)


def _part(task: AbstractTask, item: Item, choice: Choice) -> Item:
    if not isinstance(task, AbstractDividedTask) or item.task_class not in task.divided:
        raise InputError("control", f"{choice.name} answers a part, and {task.name} / {item.task_class} has no parts")
    if choice.part not in task.parts:
        raise InputError("control", f"{choice.name} answers {choice.part!a}; the parts are {', '.join(task.parts)}")
    return task.part_of(item, choice.part)


def opening(task: AbstractTask, item: Item, agent: Agent, choice: Choice, seed: int, sample: int) -> Request:
    """The first request about an item.

    Args:
        task: The task.
        item: The question.
        agent: Who is asked.
        choice: The control, an entry of the agent's menu.
        seed: Of worked examples and sampling.
        sample: Index of the sample.

    Returns:
        The request, the length of its reply limited by the menu where that says so.

    Raises:
        InputError: The control asks nothing of a model, or its examples do not fit the task.

    Example:
        >>> import tomllib
        >>> from hqre_jax.bridge.play import opening
        >>> from hqre_jax.bridge.tasks import all_tasks
        >>> from hqre_jax.bridge.team import default_team, read_team
        >>> task, agent = all_tasks()["arithmetic"], read_team(tomllib.loads(default_team())).agents[0]
        >>> item, choice = task.items("sum", "dev", 1)[0], agent.choice("step_by_step")
        >>> request = opening(task, item, agent, choice, seed=0, sample=2)
        >>> request.messages[-1].content, request.controls.max_tokens, request.sample
        ('Work out 1 plus 7.', 128, 2)
    """
    messages, controls = build_messages(task, item, choice.control, seed, temperature=choice.temperature)
    if choice.max_tokens is not None:
        controls = replace(controls, max_tokens=choice.max_tokens)
    return Request(instructed(messages, agent.instructions), controls, sample)


def instructed(messages: Sequence[Message], instructions: str) -> tuple[Message, ...]:
    """The conversation with an agent's own instructions before those of the control.

    Args:
        messages: The conversation.
        instructions: The agent's own; "" for none.

    Returns:
        The conversation, with one system prompt at most.

    Example:
        >>> from hqre_jax.bridge.models import Message
        >>> from hqre_jax.bridge.play import instructed
        >>> asked = (Message("system", "Be brief."), Message("user", "Add 7 and 3."))
        >>> instructed(asked, "You are careful.")[0].content.splitlines()
        ['You are careful.', 'Be brief.']
        >>> instructed(asked, "") == asked
        True
    """
    if not instructions:
        return tuple(messages)
    if messages and messages[0].role == "system":
        return (Message("system", f"{instructions}\n{messages[0].content}"), *messages[1:])
    return (Message("system", instructions), *messages)


def _played(
    model: AbstractModel, task: AbstractInteractiveTask, item: Item, agent: Agent, choice: Choice, *own: int
) -> Transcript:
    """An observation says all that may be known, so every turn is a conversation of its own, with the same opening."""
    dialogue, exchanges = task.begin(item), list[Exchange]()
    while not dialogue.done and len(exchanges) < MAX_TURNS:
        exchange = _ask(model, opening(task, replace(item, question=dialogue.observe()), agent, choice, *own))
        exchanges.append(exchange)
        if not isinstance(exchange.result, Reply):
            return Transcript(item, agent, choice, tuple(exchanges), None)
        dialogue.act(exchange.result.text)
    if not dialogue.done:
        raise RuntimeError(f"{task.name} / {item.task_class} had no end after {MAX_TURNS} turns")
    return Transcript(item, agent, choice, tuple(exchanges), dialogue.judgement())


def _ask(model: AbstractModel, request: Request) -> Exchange:
    return Exchange(request, model.generate([request])[0])
