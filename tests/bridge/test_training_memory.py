"""The documented memory of a training step: the formula's figures are the formula's, and those measured are near."""

import re
from dataclasses import replace
from pathlib import Path

import jax
import pytest

from benchmarks.finetuning_memory import RANK, SIZES, architecture
from hqre_jax.bridge import models
from hqre_jax.bridge.models._adapters import TARGETS
from hqre_jax.bridge.models._checkpoint import load

TINY = Path(__file__).parent / "data" / "tiny_models"
PAGE = (Path(__file__).parents[2] / "docs" / "scale.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (\d+M) +\| (kept|computed again) +((?:\| +[\d,]+ +)+)\|$", PAGE, re.MULTILINE)


@pytest.fixture(scope="module")
def decoder():
    return load(str(TINY / "llama")).decoder


def test_the_page_says_what_is_computed_and_what_was_measured(decoder):
    assert [row[:2] for row in ROWS] == [(size, how) for size in SIZES for how in ("kept", "computed again")]
    for size, how, figures in ROWS:
        weights, adapters, activations, passing, formula, planned, resident = (
            int(figure.replace(",", "")) for figure in figures.split("|")[1:]
        )
        shape = architecture(size)
        sizes = shape.layer_sizes.values()
        block = sum(inputs * outputs for inputs, outputs in sizes) + 2 * shape.width
        assert weights == round(4e-6 * (shape.num_layers * block + (shape.vocabulary + 1) * shape.width))
        assert adapters == round(16e-6 * shape.num_layers * RANK * sum(map(sum, sizes)))
        # The activations of that shape, whatever weights are there.
        shaped = replace(decoder, architecture=shape)
        adapter = models.init_adapter(decoder, models.LoraConfig(), jax.random.key(0))
        expected = models.training_memory(shaped, adapter, 4, 128, 64, how != "kept")
        assert (activations, passing) == (round(expected.activations / 1e6), round(expected.passing / 1e6))
        assert formula == pytest.approx(weights + adapters + activations + passing, abs=2)
        assert planned == pytest.approx(formula, rel=0.1)
        assert planned <= resident < 1.2 * planned


def test_weights_and_adapters_are_counted(decoder):
    config = models.LoraConfig(rank=3, targets=tuple(TARGETS))
    adapter = models.init_adapter(decoder, config, jax.random.key(0))
    memory = models.training_memory(decoder, adapter, 2, 16)
    assert memory.weights == sum(x.nbytes for x in jax.tree.leaves(decoder))
    assert memory.adapters == 4 * sum(x.nbytes for x in jax.tree.leaves(adapter))
    assert memory.total == memory.weights + memory.adapters + memory.activations + memory.passing
    one, other = (models.training_memory(decoder, adapter, n, 16, rematerialise=True) for n in (1, 2))
    assert 2 * one.activations == other.activations < memory.activations
    top = models.init_adapter(decoder, models.LoraConfig(last_layers=1), jax.random.key(0))
    last = models.training_memory(decoder, top, 2, 16)
    assert last.activations * len(decoder.blocks) == memory.activations  # below it nothing is kept
