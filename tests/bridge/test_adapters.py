"""Adapters on tiny random models: their files are PEFT's, beside is merged, and roles share a batch."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hqre_jax.bridge import models
from hqre_jax.bridge.models._adapters import TARGETS, Adapter, layer_at
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
    """Of its two blocks one is enough, and compiled sooner."""
    shape = replace(model.decoder.architecture, num_layers=1)
    return replace(model.decoder, blocks=model.decoder.blocks[:1], architecture=shape)


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
    lora = adapter.loras["blocks.0.mlp.down"]
    assert 0.9 / 8 < float(jnp.abs(lora.down).max()) <= 1 / 8  # 64 inputs
    assert (
        float(jnp.abs(program(models.with_adapter(decoder, drawn(decoder)), TOKENS) - program(decoder, TOKENS)).max())
        > 0.1
    )


def test_beside_is_merged(decoder):
    adapter = drawn(decoder)
    beside = program(models.with_adapter(decoder, adapter), TOKENS)
    np.testing.assert_allclose(program(models.merged(decoder, adapter), TOKENS), beside, atol=1e-5, rtol=1e-5)


def test_roles_share_a_batch(decoder):
    adapters = [drawn(decoder, seed) for seed in range(3)]
    roles = jnp.asarray([2, 0, 1, 2], jnp.int32)
    mixed = program(models.with_adapter(decoder, models.stacked(adapters), roles), TOKENS)
    for place, role in enumerate(roles.tolist()):
        alone = program(models.with_adapter(decoder, adapters[role]), TOKENS)
        np.testing.assert_allclose(mixed[place], alone[place], atol=1e-5, rtol=1e-5)
    # Roles may change from token to token as well.
    lora, x = models.stacked(adapters).loras["blocks.0.mlp.up"], decoder.embedding[TOKENS.reshape(-1)]
    np.testing.assert_allclose(lora(x, jnp.repeat(roles, 12)), lora(x, roles), atol=1e-5, rtol=1e-5)


def masked_loss(adapter, decoder, tokens, mask, rematerialise=False, roles=None):
    """Mean negative log-probability of the tokens that count."""
    logits = forward(models.with_adapter(decoder, adapter, roles), tokens, rematerialise=rematerialise)
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits[:, :-1]), tokens[:, 1:, None], axis=2)[..., 0]
    return -jnp.sum(mask * chosen) / jnp.sum(mask)


slope = jax.jit(jax.value_and_grad(masked_loss), static_argnames="rematerialise")
MASK = jnp.asarray(np.arange(11)[None] < np.array([11, 4, 7, 9])[:, None], jnp.float32)


def assert_close(ours, theirs, tolerance=1e-5):
    """All leaves, relative to the largest number among them."""
    ours, theirs = (jax.tree.leaves(tree) for tree in (ours, theirs))
    size = max(float(jnp.abs(x).max()) for x in theirs)
    for x, y in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(x, y, atol=tolerance * size, rtol=0)


def test_gradients_are_those_of_the_merged_weights(decoder):
    """W + s A B: the slope in A is s dW Bᵀ, the one in B is s Aᵀ dW; and nothing else has one."""
    adapter = drawn(decoder)
    value, gradient = slope(adapter, decoder, TOKENS, MASK)
    base = jax.jit(jax.value_and_grad(lambda whole: masked_loss(Adapter({}), whole, TOKENS, MASK)))
    merged_value, whole = base(models.merged(decoder, adapter))
    np.testing.assert_allclose(value, merged_value, rtol=1e-5)
    expected = {}
    for path, lora in adapter.loras.items():
        change = layer_at(whole, path).weight * lora.scale
        expected[path] = models.Lora(change @ lora.up.T, lora.down.T @ change, lora.scale)
    assert_close(gradient, Adapter(expected))


def test_rematerialising_changes_the_memory_alone(decoder):
    adapter = drawn(decoder)
    assert_close(slope(adapter, decoder, TOKENS, MASK, rematerialise=True), slope(adapter, decoder, TOKENS, MASK))

    def kept(rematerialise: bool) -> int:
        """Bytes that the forward pass leaves for the backward pass."""
        long = jnp.zeros((4, 128), jnp.int32), jnp.ones((4, 127), jnp.float32)
        slope_of = jax.eval_shape(
            lambda adapter: jax.vjp(partial(masked_loss, rematerialise=rematerialise), adapter, decoder, *long)[1],
            adapter,
        )
        return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(slope_of))

    assert kept(True) < 0.4 * kept(False)


def test_padding_changes_nothing(decoder):
    """What stands after the tokens that count has no part in the loss or in its slope."""
    adapter = drawn(decoder)
    ends = np.array([12, 5, 8, 10])
    other = jnp.where(jnp.arange(12)[None] < jnp.asarray(ends)[:, None], TOKENS, 299 - TOKENS)
    assert not jnp.array_equal(other, TOKENS)
    assert_close(slope(adapter, decoder, other, MASK), slope(adapter, decoder, TOKENS, MASK), 1e-6)


def test_a_role_learns_from_its_own_sequences(decoder):
    adapters = [drawn(decoder, seed) for seed in range(2)]
    roles = jnp.asarray([1, 0, 0, 1], jnp.int32)
    mixed = slope(models.stacked(adapters), decoder, TOKENS, MASK, roles=roles)[1]
    for role, adapter in enumerate(adapters):
        own = MASK * (roles == role)[:, None]
        alone = slope(adapter, decoder, TOKENS, own)[1]
        part = jax.tree.map(lambda x, role=role, own=own: x[role] * MASK.sum() / own.sum(), mixed)
        assert_close(part, alone)


def test_halved_numbers_train_in_single_precision(decoder):
    """Weights in bfloat16: adapters, their slopes and the logits stay float32, and point the same way."""
    adapter = drawn(decoder)
    halved = jax.tree.map(lambda x: x.astype(jnp.bfloat16), decoder)
    rounded = jax.tree.map(lambda x: x.astype(jnp.float32), halved)
    value, gradient = slope(adapter, halved, TOKENS, MASK)
    expected, theirs = slope(adapter, rounded, TOKENS, MASK)
    assert {x.dtype for x in [value, *jax.tree.leaves(gradient)]} == {jnp.dtype(jnp.float32)}
    np.testing.assert_allclose(value, expected, rtol=0.02)
    ours, theirs = (np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)]) for tree in (gradient, theirs))
    assert ours @ theirs > 0.99 * np.linalg.norm(ours) * np.linalg.norm(theirs)


@pytest.mark.parametrize(
    ("values", "field"),
    [({"rank": 0}, "rank"), ({"alpha": float("nan")}, "alpha"), ({"targets": ("lm_head",)}, "targets"),
     ({"targets": ()}, "targets"), ({"targets": ("q_proj", "q_proj")}, "targets"), ({"dropout": 0.1}, "dropout"),
     ({"last_layers": 0}, "last_layers")],
)  # fmt: skip
def test_configurations_that_are_none(values, field):
    with pytest.raises(InputError, match=f"^{field}:"):
        models.LoraConfig(**values)


def test_adapters_that_do_not_fit(decoder):
    one, other = drawn(decoder), drawn(decoder, config=models.LoraConfig(rank=2))
    both = models.stacked([one, one])
    roles = jnp.zeros(4, jnp.int32)
    with pytest.raises(InputError, match="differ in their layers, rank or scale"):
        models.stacked([one, other])
    with pytest.raises(InputError, match="at least one"):
        models.stacked([])
    with pytest.raises(InputError, match="only one can be merged"):
        models.merged(decoder, both)
    for adapter, given in ((one, roles), (both, None)):
        with pytest.raises(InputError, match="stacked adapters with roles"):
            models.with_adapter(decoder, adapter, given)
    with pytest.raises(InputError, match="hold 2, and there are 2 adapters"):
        models.with_adapter(decoder, both, roles + 2)
    with pytest.raises(InputError, match="already"):
        models.with_adapter(models.with_adapter(decoder, one), one)
    wide = Adapter({"blocks.0.mlp.up": models.Lora(jnp.zeros((16, 2)), jnp.zeros((2, 64)), 1.0)})
    with pytest.raises(InputError, match=r"maps 16 to 64 numbers at 'blocks\.0\.mlp\.up', not \(32, 64\)"):
        models.merged(decoder, wide)
    with pytest.raises(InputError, match="the model's last block is 0"):
        models.merged(decoder, Adapter({"blocks.1.mlp.up": wide.loras["blocks.0.mlp.up"]}))


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
