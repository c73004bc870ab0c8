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

TINY = Path(__file__).parent / "data" / "tiny_models"
program = jax.jit(forward, static_argnames="rematerialise")
CONFIG = models.LoraConfig(rank=4, alpha=8.0, targets=tuple(TARGETS))
TOKENS = jnp.asarray(np.random.default_rng(0).integers(300, size=(4, 12)), jnp.int32)


@pytest.fixture(scope="module")
def decoder():
    return load(str(TINY / "llama")).decoder


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
