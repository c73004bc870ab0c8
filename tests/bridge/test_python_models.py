"""Python objects as models: functions, coroutines and objects, and whatever they do wrong."""

import asyncio

import pytest
from scripted import Scripted, request

from hqre_jax.bridge.models import Failure, Reply, Usage, from_python
from hqre_jax.core._types import InputError

QUESTIONS = [request(str(k)) for k in range(6)]


def test_functions_and_coroutines():
    async def later(asked):
        await asyncio.sleep(0.05 * (5 - int(asked.messages[-1].content)))
        return asked.messages[-1].content * 2

    model = from_python(later, "later")
    assert [reply.text for reply in model.generate(QUESTIONS)] == ["00", "11", "22", "33", "44", "55"]
    assert [place for place, _ in model.as_completed(QUESTIONS)] == [5, 4, 3, 2, 1, 0]
    assert (model.name, model.identity) == ("later", "later")
    given = Reply("x", "length", Usage(1, 0, 1), (-1.0,))
    assert from_python(lambda asked: given).generate(QUESTIONS[:1]) == [given]
    assert from_python(lambda asked: "x", identity="v2").identity == "v2"
    assert model.generate([]) == []


def test_coroutines_run_side_by_side_even_from_within_a_loop():
    under_way, most = 0, 0

    async def busy(asked):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.01)
        under_way -= 1
        return "x"

    async def notebook():
        return from_python(busy, concurrency=2).generate(QUESTIONS)

    assert len(asyncio.run(notebook())) == 6
    assert most == 2


def test_objects():
    class Agent:
        def generate(self, requests):
            return [asked.messages[-1].content for asked in requests]

    assert [reply.text for reply in from_python(Agent()).generate(QUESTIONS)] == ["0", "1", "2", "3", "4", "5"]
    ours = Scripted(lambda asked: "x")
    assert from_python(ours) is ours
    with pytest.raises(InputError, match="model: str has no method"):
        from_python("gpt")


class Forgetful:
    def generate(self, requests):
        return ["only one"]


class Broken:
    def generate(self, requests):
        raise ValueError("no\nluck")


async def never_again(asked):
    raise RuntimeError("x" * 1000)


@pytest.mark.parametrize(
    ("thing", "kind", "said"),
    [
        (Forgetful(), "malformed", "1 answers came to 6 requests"),
        (Broken(), "model", "ValueError: no luck"),
        (never_again, "model", "RuntimeError: xxx"),
        (lambda asked: None, "malformed", "not a NoneType"),
        (lambda asked: 4, "malformed", "not a int"),
    ],
)
def test_what_goes_wrong_is_a_missing_observation(thing, kind, said):
    results = from_python(thing).generate(QUESTIONS)
    assert len(results) == 6
    for result in results:
        assert isinstance(result, Failure)
        assert result.kind == kind
        assert said in result.detail
        assert "\n" not in result.detail
        assert len(result.detail) < 400


def test_a_failure_does_not_hold_up_the_others():
    async def some(asked):
        if asked.messages[-1].content == "2":
            raise ValueError("two")
        return "fine"

    kinds = [type(result) for result in from_python(some).generate(QUESTIONS)]
    assert kinds == [Reply, Reply, Failure, Reply, Reply, Reply]
