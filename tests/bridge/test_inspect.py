"""Inspect AI with its own mock model: our samples, solvers and scorers, end to end."""

import sys

import pytest
from scripted import Scripted

from hqre_jax.bridge import inspect as bridge
from hqre_jax.bridge.models import Failure
from hqre_jax.bridge.store import Store, StoredModel
from hqre_jax.bridge.tasks import all_tasks
from hqre_jax.core._types import InputError

TASK = all_tasks()["arithmetic"]
ITEMS = TASK.items("sum", "dev", 6)
ANSWERS = {item.question: item.answer for item in ITEMS}


def test_without_inspect_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "inspect_ai", None)
    for use in (lambda: bridge.inspect_solver(TASK), lambda: bridge.inspect_scorer(TASK)):
        with pytest.raises(InputError, match=r"hqre-jax\[inspect\]"):
            use()


def evaluate(tmp_path, solver, says=lambda messages: "?", **options):
    """The log of an evaluation; the mock model says what a function of the conversation says."""
    pytest.importorskip("inspect_ai", reason="an extra of its own: pip install 'hqre-jax[inspect]'")
    from inspect_ai import Task, eval
    from inspect_ai.model import ModelOutput, ModelUsage, get_model

    def output(messages, tools, tool_choice, config):
        seen.append((messages, config))
        answer = ModelOutput.from_content("mockllm/model", says(messages))
        # Without counts Inspect counts by itself, with a vocabulary that it fetches.
        answer.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
        return answer

    seen: list = []
    samples = bridge.inspect_samples(TASK, "sum", "dev", len(ITEMS))
    task = Task(samples, solver=solver(), scorer=bridge.inspect_scorer(TASK), **options)
    model = get_model("mockllm/model", custom_outputs=output)
    (log,) = eval(task, model=model, log_dir=str(tmp_path), display="none")
    return log, seen


def mean(log) -> float:
    return log.results.scores[0].metrics["mean"].value


@pytest.mark.filterwarnings("ignore")
def test_the_pair_with_the_mock_model(tmp_path):
    wrong = ITEMS[2].question

    def says(messages) -> str:
        asked = messages[-1].text
        return f"It is easy. The answer is {-1 if asked == wrong else ANSWERS[asked]}."

    log, seen = evaluate(tmp_path, lambda: bridge.inspect_solver(TASK, "two_examples", seed=3), says)
    assert log.status == "success", log.error
    assert mean(log) == pytest.approx(5 / 6)
    scores = {sample.input: next(iter(sample.scores.values())) for sample in log.samples}
    assert scores[wrong].value == 0
    assert scores[wrong].answer == "-1"
    messages, config = seen[0]
    assert [message.role for message in messages] == ["system"] + ["user", "assistant"] * 2 + ["user"]
    assert (config.temperature, config.seed, config.max_tokens) == (0.0, 3, TASK.answer_tokens + 64)


@pytest.mark.filterwarnings("ignore")
def test_our_models_in_its_harness(tmp_path):
    """A stored model answers; hostile text arrives as text, and epochs are samples."""
    model = Scripted(lambda asked: f"\ud800\x1b[31m The answer is {ANSWERS[asked.messages[-1].content]}.")
    with Store(None) as store:
        stored = StoredModel(model, store)
        log, seen = evaluate(tmp_path, lambda: bridge.inspect_solver(TASK, model=stored), epochs=2)
    assert (log.status, mean(log), seen) == ("success", 1.0, [])
    assert sorted(asked.sample for asked in model.asked) == [0] * 6 + [1] * 6
    assert all(sample.output.completion.startswith("\ufffd\x1b[31m") for sample in log.samples)


@pytest.mark.filterwarnings("ignore")
def test_a_failed_call_is_an_error_and_no_wrong_answer(tmp_path):
    def says(asked):
        return Failure("server", "500") if asked.messages[-1].content == ITEMS[0].question else "no"

    solver = lambda: bridge.inspect_solver(TASK, model=Scripted(says))  # noqa: E731
    log, _ = evaluate(tmp_path, solver, fail_on_error=False)
    failed = [sample for sample in log.samples if sample.error is not None]
    assert [sample.input for sample in failed] == [ITEMS[0].question]
    assert not failed[0].scores
    assert log.results.completed_samples == 5
