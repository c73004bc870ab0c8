"""Controls: the finite menu of ways in which an agent may answer a question."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

from hqre_jax.bridge.models import Controls, Message
from hqre_jax.bridge.tasks import AbstractTask, Item
from hqre_jax.core._types import InputError

_DIRECT = "Answer the question with the answer alone."
_STEPS = 'Think step by step, in few words. End with the sentence "The answer is ...".'
_LIKE_EXAMPLES = "Answer the question in the way of the examples."
# The pool that worked examples are drawn from.
POOL = 100


@dataclass(frozen=True)
class Control:
    """One way of answering.

    Attributes:
        name: What it is called in team files.
        instruction: Of the system prompt; None: the agent abstains and nothing is asked of a model.
        num_examples: Worked examples shown before the question, drawn from the train split of the item's class.
        with_solutions: Whether they show how they are solved, or their answers only.
        extra_tokens: What the reply may take beyond `AbstractTask.answer_tokens`.
        reads_stream: Whether the question comes with what the team has said so far.

    Example:
        >>> from hqre_jax.bridge.controls import Control, build_messages
        >>> from hqre_jax.bridge.tasks import all_tasks
        >>> task = all_tasks()["arithmetic"]
        >>> brief = Control("brief", "Answer with one number.", num_examples=1, with_solutions=False)
        >>> messages, how = build_messages(task, task.items("sum", "dev", 1)[0], brief, seed=0)
        >>> [message.content for message in messages], how.max_tokens
        (['Answer with one number.', 'What is the sum of 5 and 5?', '10', 'Work out 1 plus 7.'], 16)
    """

    name: str
    instruction: str | None
    num_examples: int = 0
    with_solutions: bool = True
    extra_tokens: int = 0
    reads_stream: bool = False


CONTROLS: Mapping[str, Control] = {
    control.name: control
    for control in (
        Control("direct", _DIRECT),
        Control("step_by_step", _STEPS, extra_tokens=144),
        Control("two_examples", _LIKE_EXAMPLES, 2, extra_tokens=64),
        Control("four_examples", _LIKE_EXAMPLES, 4, extra_tokens=64),
        Control("answers_only", _LIKE_EXAMPLES, 4, with_solutions=False),
        Control("abstain", None),
        Control("read_stream", _STEPS, extra_tokens=144, reads_stream=True),
    )
}


def find_control(name: str) -> Control:
    """A control by its name.

    Args:
        name: Of a menu's entry, as team files write it.

    Returns:
        The control.

    Raises:
        InputError: There is none; those there are.

    Example:
        >>> from hqre_jax.bridge.controls import find_control
        >>> find_control("abstain").instruction is None, find_control("read_stream").reads_stream
        (True, True)
        >>> find_control("four_examples").num_examples, find_control("answers_only").with_solutions
        (4, False)
    """
    if name not in CONTROLS:
        raise InputError("control", f"is {name!r}; it must be one of {', '.join(CONTROLS)}")
    return CONTROLS[name]


def build_messages(
    task: AbstractTask,
    item: Item,
    control: Control | str,
    seed: int,
    *,
    temperature: float = 0.0,
    stream: tuple[str, ...] = (),
) -> tuple[tuple[Message, ...], Controls]:
    """What a model is asked when an agent answers an item under a control.

    Examples are earlier turns of the conversation. They depend on (task, class, seed) only, so that all questions of
    a class share one prompt prefix.

    Args:
        task: The task.
        item: The question.
        control: How it is answered.
        seed: Of the choice of examples and of sampling.
        temperature: Of sampling; 0 takes the likeliest token.
        stream: What the team has said so far; only controls that read the stream show it.

    Returns:
        The conversation and how to go on.

    Raises:
        InputError: There is no such control, or it is one under which nothing is asked.

    Example:
        >>> from hqre_jax.bridge.controls import build_messages
        >>> from hqre_jax.bridge.tasks import all_tasks
        >>> task = all_tasks()["arithmetic"]
        >>> item = task.items("sum", "dev", 1)[0]
        >>> messages, how = build_messages(task, item, "two_examples", seed=0)
        >>> [message.role for message in messages], messages[-1].content == item.question
        (['system', 'user', 'assistant', 'user', 'assistant', 'user'], True)
        >>> read, _ = build_messages(task, item, "read_stream", seed=0, stream=("It is 10.",))
        >>> "Agent 1: It is 10." in read[-1].content
        True
    """
    chosen = find_control(control) if isinstance(control, str) else control
    if chosen.instruction is None:
        raise InputError("control", f"{chosen.name} asks nothing of a model")
    messages = [Message("system", chosen.instruction)]
    for example in draw_examples(task, item.task_class, chosen.num_examples, seed):
        shown = example.solution if chosen.with_solutions else example.answer
        assert shown is not None
        messages += [Message("user", example.question), Message("assistant", shown)]
    question = item.question
    if chosen.reads_stream and stream:
        said = "\n".join(f"Agent {k}: {' '.join(text.split())}" for k, text in enumerate(stream, 1))
        question = f"{question}\n\nThe team has said so far:\n{said}\n\nReconsider and answer the question yourself."
    messages.append(Message("user", question))
    stop = () if chosen.extra_tokens > 64 else ("\n\n",)
    limit = task.answer_tokens + chosen.extra_tokens
    return tuple(messages), Controls(temperature=temperature, max_tokens=limit, stop=stop, seed=seed)


def draw_examples(task: AbstractTask, task_class: str, count: int, seed: int) -> list[Item]:
    """Worked examples: distinct items of the train split, drawn by seed.

    Official data files bring no train split: their questions get examples of the class that is easiest.

    Args:
        task: The task.
        task_class: Class of the question.
        count: How many.
        seed: Which.

    Returns:
        The examples.

    Raises:
        InputError: The train split has fewer worked examples than that.

    Example:
        >>> from hqre_jax.bridge.controls import draw_examples
        >>> from hqre_jax.bridge.tasks import all_tasks
        >>> task = all_tasks()["arithmetic"]
        >>> examples = draw_examples(task, "sum", 2, seed=0)
        >>> [example.solution for example in examples]
        ['5 + 5 = 10. The answer is 10.', '0 + 3 = 3. The answer is 3.']
        >>> {example.split for example in examples}, draw_examples(task, "sum", 2, seed=0) == examples
        ({'train'}, True)
    """
    if not count:
        return []
    own = task_class if task_class in task.classes else task.classes[0]
    pool = [item for item in task.items(own, "train", POOL) if item.solution and item.answer]
    if len(pool) < count:
        raise InputError("control", f"wants {count} worked examples, but {task.name}/{own} has {len(pool)}")
    return random.Random(f"{task.name}/{own}/{seed}").sample(pool, count)
