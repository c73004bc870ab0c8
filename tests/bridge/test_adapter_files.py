"""Adapters in PEFT's files, against one that PEFT wrote, and as models by name."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file

from hqre_jax.bridge import models
from hqre_jax.bridge.models._adapter_files import CONFIG, WEIGHTS
from hqre_jax.bridge.models._adapters import TARGETS
from hqre_jax.bridge.models._checkpoint import load
from hqre_jax.bridge.models._decoder import chains, forward, lower_streams, streams
from hqre_jax.core._types import InputError

DATA = Path(__file__).parent / "data"
TINY, THEIRS = DATA / "tiny_models", DATA / "tiny_adapter"
NUMBERS = json.loads((THEIRS / "logits.json").read_text(encoding="utf-8"))
PLAIN = models.LoraConfig(rank=4, alpha=8.0, targets=tuple(TARGETS))
program = jax.jit(forward)


@pytest.fixture(scope="module")
def decoder():
    return load(str(TINY / "qwen2")).decoder


def changed(folder: Path, **values) -> Path:
    """A copy of PEFT's adapter with other values in its configuration."""
    copy = folder / "changed"
    shutil.copytree(THEIRS, copy)
    config = json.loads((copy / CONFIG).read_text(encoding="utf-8"))
    (copy / CONFIG).write_text(json.dumps({**config, **values}), encoding="utf-8")
    return copy


def test_peft_computes_the_same(decoder):
    adapter = models.load_adapter(THEIRS, decoder)
    tokens = jnp.asarray([NUMBERS["tokens"]], jnp.int32)
    for ours in (models.with_adapter(decoder, adapter), models.merged(decoder, adapter)):
        logits = np.asarray(program(ours, tokens))[0, NUMBERS["positions"]]
        np.testing.assert_allclose(logits, NUMBERS["logits"], atol=1e-3)
    assert np.abs(np.asarray(program(decoder, tokens))[0, NUMBERS["positions"]] - NUMBERS["logits"]).max() > 1


def test_what_is_written_is_what_peft_writes(tmp_path, decoder):
    """Read and written again, the arrays are PEFT's to the last bit, and the configuration says nothing else."""
    models.save_adapter(tmp_path, models.load_adapter(THEIRS, decoder), PLAIN, "tiny_models/qwen2")
    ours, theirs = load_file(tmp_path / WEIGHTS), load_file(THEIRS / WEIGHTS)
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        assert ours[name].dtype == array.dtype
        np.testing.assert_array_equal(ours[name], array)
    config = json.loads((THEIRS / CONFIG).read_text(encoding="utf-8"))
    for key, value in json.loads((tmp_path / CONFIG).read_text(encoding="utf-8")).items():
        assert config[key] == value, key
    # A new adapter has the same shapes as well, and draws A from where PEFT does.
    models.save_adapter(tmp_path, models.init_adapter(decoder, PLAIN, jax.random.key(0)), PLAIN, "tiny_models/qwen2")
    for name, array in load_file(tmp_path / WEIGHTS).items():
        assert array.shape == theirs[name].shape
        if "lora_A" in name:
            np.testing.assert_allclose(np.abs(array).max(), np.abs(theirs[name]).max(), rtol=0.1)
            np.testing.assert_allclose(array.std(), theirs[name].std(), rtol=0.25)


def test_an_adapter_of_the_last_layers(tmp_path, decoder):
    """Other layers have none; the configuration says which, as PEFT does; slopes are there without going below."""
    config = models.LoraConfig(rank=2, targets=("q_proj", "down_proj"), last_layers=1)
    last, tokens = len(decoder.blocks) - 1, jnp.asarray([NUMBERS["tokens"]], jnp.int32)
    adapter = models.init_adapter(decoder, config, jax.random.key(0))
    adapter = jax.tree.map(lambda x: x + 0.1, adapter)
    assert sorted(adapter.loras) == [f"blocks.{last}.{path}" for path in ("attention.query", "mlp.down")]
    assert models.first_block(adapter) == last > 0
    models.save_adapter(tmp_path, adapter, config, "tiny_models/qwen2")
    assert json.loads((tmp_path / CONFIG).read_text(encoding="utf-8"))["layers_to_transform"] == [last]
    again = models.load_adapter(tmp_path, decoder)
    trees = chains(tokens)
    below = lower_streams(decoder, trees, last)
    stream = streams(models.with_adapter(decoder, again), trees, below, last)[0]
    logits = program(models.with_adapter(decoder, adapter), tokens)[0]
    np.testing.assert_allclose(decoder.logits(stream), logits, atol=1e-4)
    with pytest.raises(InputError, match="last_layers: is 9, and the model has"):
        models.init_adapter(decoder, models.LoraConfig(last_layers=9), jax.random.key(0))
    with pytest.raises(InputError, match="config: has 1 last layers, and the adapter"):
        models.save_adapter(
            tmp_path,
            models.init_adapter(decoder, models.LoraConfig(rank=2, targets=config.targets), jax.random.key(0)),
            config,
            "tiny_models/qwen2",
        )


@pytest.mark.thorough
def test_peft_reads_ours(tmp_path, decoder):
    """What is stored is what PEFT computes here (pip install 'hqre-jax[parity]'), from a file of ours as well."""
    for package in ("peft", "torch", "transformers"):
        pytest.importorskip(package)
    models.save_adapter(tmp_path, models.load_adapter(THEIRS, decoder), PLAIN, "tiny_models/qwen2")
    script = [sys.executable, str(DATA.parent / "parity" / "peft_adapters.py"), "--read", str(tmp_path)]
    run = subprocess.run(script, check=True, capture_output=True, text=True)
    for logits in json.loads(run.stdout.splitlines()[-1]).values():
        np.testing.assert_allclose(logits, NUMBERS["logits"], atol=1e-3)


def test_a_model_by_name_with_its_adapter(tmp_path):
    """Its replies are the merged weights', and its identity follows the arrays and their scale, not the place."""
    asked = [models.Request((models.Message("user", "Go on"),), models.Controls(max_tokens=6))]
    plain, ours = (models.load(f"hf:{TINY / 'qwen2'}{adapter}", max_batch=8) for adapter in ("", f"+{THEIRS}"))
    assert ours.name == f"hf:{TINY / 'qwen2'}+{THEIRS}"
    assert ours.max_batch == 8
    merged = models.merged(plain.decoder, models.load_adapter(THEIRS, plain.decoder))
    by_hand = models.LocalModel("x", "x", merged, plain.tokenizer, plain.template, plain.end_tokens, max_batch=8)
    assert ours.generate(asked) == by_hand.generate(asked) != plain.generate(asked)
    copy = tmp_path / "a+b"
    shutil.copytree(THEIRS, copy)
    same = models.load(f"hf:{TINY / 'qwen2'}+{copy}").identity
    assert same == ours.identity
    assert same.startswith(plain.identity + "+lora@")
    louder = models.load(f"hf:{TINY / 'qwen2'}+{changed(tmp_path, lora_alpha=16)}").identity
    assert len({plain.identity, same, louder}) == 3
    # In a team file paths begin where the file lies; what a model is called is what is written there.
    near = models.load("hf:tiny_models/qwen2+tiny_adapter", folder=DATA)
    assert (near.name, near.identity) == ("hf:tiny_models/qwen2+tiny_adapter", same)
    assert models.load(f"hf:{TINY / 'qwen2'}+{copy}", folder=DATA).identity == same
    with pytest.raises(InputError, match=f"'{DATA}/nowhere' is no folder of an adapter"):
        models.load("hf:tiny_models/qwen2+nowhere", folder=DATA)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("smollm2-135m+", r"should read smollm2-135m\[\+FOLDER\]"),
        ("hf:+adapter", r"should read hf:PATH\[\+FOLDER\]"),
        (f"hf:{TINY / 'qwen2'}+nowhere", r"'nowhere' is no folder of an adapter: adapter_config\.json is not"),
        (f"hf:{TINY / 'qwen2'}+{DATA}", "; name one of those in it: tiny_adapter"),
        ("hf:nowhere+adapter", r"neither a folder nor a file nowhere\+adapter"),
    ],
)
def test_names_that_are_none(name, said):
    with pytest.raises(InputError, match=said):
        models.load(name)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"use_dora": True}, "use_dora = True makes it something else than a plain LoRA"),
        ({"use_rslora": True}, "use_rslora"),
        ({"use_tomorrows_variant": True}, "use_tomorrows_variant"),
        ({"velora_config": {"scale": 2}}, "velora_config"),
        ({"peft_type": "IA3"}, "peft_type"),
        ({"bias": "all"}, "bias"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights"),
        ({"rank_pattern": {"q_proj": 2}}, "rank_pattern"),
        ({"r": "many"}, "r and lora_alpha should be numbers"),
        ({"r": 0}, "rank: is 0"),
        ({"lora_alpha": -1}, "alpha: is -1"),
        ({"r": 3}, "should be matrices of rank 3"),
    ],
)
def test_adapters_that_are_something_else(tmp_path, decoder, values, said):
    with pytest.raises(InputError, match=said):
        models.load_adapter(changed(tmp_path, **values), decoder)


def test_patterns_of_layers_are_what_the_arrays_say(tmp_path, decoder):
    ours = models.load_adapter(changed(tmp_path, target_modules="all-linear", layers_to_transform=[0, 1]), decoder)
    assert len(ours.loras) == 14


def test_damaged_files_and_other_models(tmp_path, decoder):
    llama = load(str(TINY / "llama")).decoder
    narrow = models.init_adapter(llama.architecture, models.LoraConfig(rank=2), jax.random.key(0))
    models.save_adapter(tmp_path / "narrow", narrow, models.LoraConfig(rank=2), "llama")
    one_block = type(decoder)(
        decoder.embedding, decoder.blocks[:1], decoder.norm, decoder.head, decoder.architecture
    )  # fmt: skip
    with pytest.raises(InputError, match=r"no adapter of a layer of this model: base_model\.model\.model\.layers\.1"):
        models.load_adapter(THEIRS, one_block)
    copy = changed(tmp_path)
    (copy / WEIGHTS).write_bytes((THEIRS / WEIGHTS).read_bytes()[:1000])
    with pytest.raises(InputError, match="cannot be read"):
        models.load_adapter(copy, decoder)
    (copy / WEIGHTS).unlink()
    with pytest.raises(InputError, match="cannot be read"):
        models.load_adapter(copy, decoder)
    (copy / CONFIG).write_text("[]", encoding="utf-8")
    with pytest.raises(InputError, match="should hold an object"):
        models.load_adapter(copy, decoder)
    with pytest.raises(InputError, match="another rank, scale or other targets"):
        models.save_adapter(tmp_path, narrow, PLAIN, "llama")
    with pytest.raises(InputError, match="a folder holds one"):
        models.save_adapter(tmp_path, models.stacked([narrow]), models.LoraConfig(rank=2), "llama")
