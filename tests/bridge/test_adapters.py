"""Adapters on tiny random models: their files are PEFT's, beside is merged, and roles share a batch."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hqre_jax.bridge import models
from hqre_jax.bridge.models._adapters import TARGETS, Adapter
from hqre_jax.bridge.models._checkpoint import load
from hqre_jax.bridge.models._decoder import forward
from hqre_jax.core._types import InputError

TINY = Path(__file__).parent / "data" / "tiny_models"
program = jax.jit(forward, static_argnames="rematerialise")
CONFIG = models.LoraConfig(rank=4, alpha=8.0, targets=tuple(TARGETS))
TOKENS = jnp.asarray(np.random.default_rng(0).integers(300, size=(4, 12)), jnp.int32)


@pytest.fixture(scope="module")
def model():
    return load(str(TINY / "llama"))


@pytest.fixture(scope="module")
def decoder(model):
    return model.decoder


def drawn(decoder, seed=0, config=CONFIG):
    """An adapter that changes something: B is not zero."""
    adapter = models.init_adapter(decoder, config, jax.random.key(seed))
    rng = np.random.default_rng(seed)
    return Adapter(
        {path: models.Lora(lora.down, jnp.asarray(rng.normal(size=lora.up.shape) * 0.2, jnp.float32), lora.scale)
         for path, lora in adapter.loras.items()}
    )  # fmt: skip


def test_a_new_adapter_changes_nothing(decoder):
    adapter = models.init_adapter(decoder.architecture, CONFIG, jax.random.key(0))
    np.testing.assert_array_equal(program(models.with_adapter(decoder, adapter), TOKENS), program(decoder, TOKENS))
    lora = adapter.loras["blocks.1.mlp.down"]
    assert 0.9 / 8 < float(jnp.abs(lora.down).max()) <= 1 / 8  # 64 inputs
    assert (
        float(jnp.abs(program(models.with_adapter(decoder, drawn(decoder)), TOKENS) - program(decoder, TOKENS)).max())
        > 0.1
    )


def test_beside_is_merged(decoder):
    adapter = drawn(decoder)
    beside = program(models.with_adapter(decoder, adapter), TOKENS)
    np.testing.assert_allclose(program(models.merged(decoder, adapter), TOKENS), beside, atol=1e-5 * 10, rtol=0)


def test_roles_share_a_batch(decoder):
    adapters = [drawn(decoder, seed) for seed in range(3)]
    roles = jnp.asarray([2, 0, 1, 2], jnp.int32)
    mixed = program(models.with_adapter(decoder, models.stacked(adapters), roles), TOKENS)
    for place, role in enumerate(roles.tolist()):
        alone = program(models.with_adapter(decoder, adapters[role]), TOKENS[place : place + 1])
        np.testing.assert_allclose(mixed[place], alone[0], atol=1e-5 * 10, rtol=0)


def test_completions_are_what_whole_sequences_give(model):
    """Each role's tokens carry the log-probabilities that training computes, whatever is sampled beside them."""
    adapters = [drawn(model.decoder, seed) for seed in range(2)]
    prompts = [
        models.Prompt((1 + place, 5, 9, 2, 7)[: 3 + place % 3], role=place % 2, sample=place // 4) for place in range(8)
    ]
    controls = models.Controls(temperature=1.0, max_tokens=6)
    completions = models.sample_completions(model, prompts, controls, adapters)
    tokens = np.zeros((8, 12), np.int32)
    read = np.zeros((8, 6), np.int32)
    for row, places, prompt, completion in zip(tokens, read, prompts, completions, strict=True):
        assert 1 <= len(completion.tokens) <= 6
        assert completion.ended == (completion.tokens[-1] in model.end_tokens)
        whole = prompt.tokens + completion.tokens
        row[: len(whole)] = whole
        places[:] = np.minimum(len(prompt.tokens) - 1 + np.arange(6), 10)
    roles = jnp.asarray([prompt.role for prompt in prompts], jnp.int32)
    decoder = models.with_adapter(model.decoder, models.stacked(adapters), roles)
    log_probs = np.asarray(jax.nn.log_softmax(program(decoder, jnp.asarray(tokens), jnp.asarray(read))))
    for here, completion in zip(log_probs, completions, strict=True):
        expected = [here[place, token] for place, token in enumerate(completion.tokens)]
        np.testing.assert_allclose(completion.log_probs, expected, atol=1e-4)
    alone = models.sample_completions(model, [prompts[5]], controls, adapters)[0]
    assert alone == completions[5]
    assert len({completion.tokens for completion in completions}) == 8
    with pytest.raises(InputError, match=r"prompts\[1\]: has the role 2"):
        models.sample_completions(model, [prompts[0], models.Prompt((1,), role=2)], controls, adapters)
    with pytest.raises(InputError, match=r"prompts\[0\]: 300 tokens do not fit"):
        models.sample_completions(model, [models.Prompt((1,) * 300)], controls)
