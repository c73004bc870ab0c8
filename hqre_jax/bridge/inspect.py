"""Inspect AI: our tasks as its data sets, our controls as its solvers, our verifiers as its scorers.

Example:
    ```python
    from inspect_ai import Task, eval
    from hqre_jax.bridge.inspect import inspect_samples, inspect_scorer, inspect_solver
    from hqre_jax.bridge.tasks import all_tasks

    task = all_tasks()["arithmetic"]
    samples = inspect_samples(task, "sum", "dev", 50)
    eval(Task(samples, solver=inspect_solver(task, "four_examples"), scorer=inspect_scorer(task)), model="…")
    ```

It needs the extra: ``pip install 'hqre-jax[inspect]'``.
"""

# Inspect is an extra of its own, and not part of what is installed for development.
# pyright: reportMissingImports=false

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING

from hqre_jax.bridge.controls import build_messages
from hqre_jax.bridge.models import AbstractModel, Failure, Request
from hqre_jax.bridge.models._well_formed import well_formed
from hqre_jax.bridge.tasks import AbstractTask, Item
from hqre_jax.bridge.tasks._interface import Split
from hqre_jax.core._types import InputError

if TYPE_CHECKING:
    from inspect_ai.dataset import Sample
    from inspect_ai.scorer import Score, Scorer, Target
    from inspect_ai.solver import Generate, Solver, TaskState

_ENDED = {"stop": "stop", "length": "max_tokens", "refusal": "content_filter"}


def inspect_samples(task: AbstractTask, task_class: str, split: Split = "dev", count: int = 100) -> "list[Sample]":
    """The first items of a class as Inspect's samples.

    Args:
        task: The task.
        task_class: Its class.
        split: Which items.
        count: How many.

    Returns:
        One sample per item; its metadata holds the item, by which the scorer knows it again.

    Raises:
        InputError: There is no such class, or Inspect is not installed.
    """
    _check_installed()
    from inspect_ai.dataset import Sample

    task.check_class(task_class)
    return [
        Sample(
            input=item.question,
            target=item.answer or "",
            id=f"{item.task}/{item.task_class}/{item.split}/{item.index}",
            metadata={"item": asdict(item)},
        )
        for item in task.items(task_class, split, count)
    ]


def inspect_solver(
    task: AbstractTask,
    control: str = "direct",
    *,
    model: AbstractModel | None = None,
    seed: int = 0,
    temperature: float = 0.0,
) -> "Solver":
    """One of our controls as Inspect's solver.

    Args:
        task: The task, for worked examples and the length of its answers.
        control: Name of the way of answering.
        model: One of our models, a `StoredModel` for instance, asked in place of Inspect's; an epoch is a sample. A
            failed call raises: Inspect counts it as an error of the sample, never as a wrong answer.
        seed: Of worked examples and sampling.
        temperature: Of sampling.

    Returns:
        The solver.

    Raises:
        InputError: There is no such control, it asks nothing, or Inspect is not installed.
    """
    _check_installed()
    from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser, ModelOutput
    from inspect_ai.solver import solver
    from inspect_ai.util import concurrency

    spoken = {"system": ChatMessageSystem, "user": ChatMessageUser, "assistant": ChatMessageAssistant}

    @solver(name=f"hqre_{control}")
    def answer() -> "Solver":
        async def solve(state: "TaskState", generate: "Generate") -> "TaskState":
            messages, controls = build_messages(task, _item(state), control, seed, temperature=temperature)
            state.messages = [spoken[turn.role](content=well_formed(turn.content)) for turn in messages]
            if model is None:
                stop = list(controls.stop) or None
                return await generate(
                    state, temperature=temperature, max_tokens=controls.max_tokens, stop_seqs=stop, seed=seed
                )
            request = Request(messages, controls, state.epoch - 1)
            async with concurrency(f"hqre {model.name}", 1):  # batches are the model's own affair
                (result,) = await asyncio.to_thread(model.generate, [request])
            if isinstance(result, Failure):
                raise RuntimeError(f"{result.kind}: {result.detail}")
            text, ended = well_formed(result.text), _ENDED[result.finish_reason]
            state.output = ModelOutput.from_content(model.name, text, stop_reason=ended)  # type: ignore[arg-type]
            state.messages.append(state.output.message)
            return state

        return solve

    return answer()


def inspect_scorer(task: AbstractTask) -> "Scorer":
    """A task's verifier as Inspect's scorer: mean score with its standard error.

    Args:
        task: The task.

    Returns:
        The scorer.

    Raises:
        InputError: Inspect is not installed.
    """
    _check_installed()
    from inspect_ai.scorer import Score, mean, scorer, stderr

    @scorer(metrics=[mean(), stderr()], name=f"hqre_{task.name}")
    def judge() -> "Scorer":
        async def score(state: "TaskState", target: "Target") -> "Score":
            judgement = task.judge(_item(state), state.output.completion)
            answer = None if judgement.answer is None else well_formed(judgement.answer)
            return Score(value=judgement.score, answer=answer, explanation=well_formed(judgement.reason))

        return score

    return judge()


def _item(state: "TaskState") -> Item:
    if "item" not in state.metadata:
        raise InputError("dataset", "its samples are not ours: make them with `inspect_samples`")
    return Item(**state.metadata["item"])


def _check_installed() -> None:
    try:
        import inspect_ai  # noqa: F401
    except ImportError:
        raise InputError("inspect", "needs Inspect AI: pip install 'hqre-jax[inspect]'") from None
