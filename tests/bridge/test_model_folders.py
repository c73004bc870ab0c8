"""Models from folders and GGUF files, against transformers' numbers for tiny random ones."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import gguf
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import TypeCheckError

from hqre_jax.bridge import models
from hqre_jax.bridge.models import _smollm2
from hqre_jax.bridge.models._checkpoint import load
from hqre_jax.bridge.models._decoder import forward
from hqre_jax.bridge.models._folder import ModelFolder
from hqre_jax.core._types import InputError

TINY = Path(__file__).parent / "data" / "tiny_models"
THEIRS = json.loads((TINY / "transformers.json").read_text(encoding="utf-8"))
FAMILIES = ("llama", "qwen2")
program = jax.jit(forward)


def conversation(pairs):
    return tuple(models.Message(role, content) for role, content in pairs)


def changed(folder: Path, family: str, name: str, **values) -> Path:
    """A copy of a tiny model with other values in one of its JSON files."""
    copy = folder / f"{family}-changed"
    shutil.copytree(TINY / family, copy)
    file = copy / name
    file.write_text(json.dumps({**json.loads(file.read_text(encoding="utf-8")), **values}), encoding="utf-8")
    return copy


@pytest.mark.parametrize("scaling", THEIRS["scalings"])
@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_those_of_transformers(tmp_path, family, scaling):
    rope = {**THEIRS["scalings"][scaling], "rope_theta": 10000.0}
    model = load(str(changed(tmp_path, family, "config.json", rope_parameters=rope)))
    ours = program(model.decoder, jnp.asarray([THEIRS["tokens"]], jnp.int32))[0]
    theirs = np.array(THEIRS["logits"][f"{family} {scaling}"])
    np.testing.assert_allclose(np.asarray(ours)[THEIRS["positions"]], theirs, atol=2e-3)
    assert np.ptp(theirs) > 1


@pytest.mark.thorough
def test_transformers_says_so_again(tmp_path):
    """What is stored is what transformers computes here (pip install 'hqre-jax[parity]')."""
    pytest.importorskip("transformers")
    pytest.importorskip("torch")
    script = Path(__file__).parent / "parity" / "transformers_models.py"
    subprocess.run([sys.executable, str(script), "--out", str(tmp_path)], check=True, capture_output=True)
    again = json.loads((tmp_path / "transformers.json").read_text(encoding="utf-8"))
    for name, logits in THEIRS["logits"].items():
        np.testing.assert_allclose(again["logits"][name], logits, atol=2e-3)
    assert again["benign"] == THEIRS["benign"]
    assert again["hostile"] == THEIRS["hostile"]


def test_older_folders_name_positions_otherwise(tmp_path):
    folder = changed(
        tmp_path, "llama", "config.json", rope_parameters=None, rope_theta=10000.0,
        rope_scaling={"type": "linear", "factor": 4.0},
    )  # fmt: skip
    new = load(str(TINY / "llama")).decoder.architecture
    old = ModelFolder(folder).architecture()
    np.testing.assert_allclose(old.frequencies, 10000.0 ** (-np.arange(0, 8, 2) / 8) / 4, rtol=1e-6)
    assert new.frequencies != old.frequencies


@pytest.mark.parametrize("family", FAMILIES)
def test_conversations_are_those_of_transformers(family):
    model = load(str(TINY / family))
    for case in THEIRS["benign"]:
        assert model.template.encode(conversation(case["conversation"]), model.tokenizer) == case["tokens"]
    for case in THEIRS["hostile"]:
        assert model.template.encode(conversation([("user", case["text"])]), model.tokenizer) == case["tokens"]


@pytest.mark.parametrize("family", FAMILIES)
def test_gguf_files_hold_the_same_model(tmp_path, family):
    """Written as llama.cpp's converter does: Llama's queries and keys in pairs, Qwen2's in halves."""
    folder = load(str(TINY / family))
    file = load(str(write_gguf(tmp_path / "model.gguf", family)))
    tokens = jnp.asarray([THEIRS["tokens"]], jnp.int32)
    np.testing.assert_allclose(
        np.asarray(program(file.decoder, tokens)), np.asarray(program(folder.decoder, tokens)), atol=1e-5
    )
    assert file.end_tokens == folder.end_tokens
    for case in [*THEIRS["benign"], *({"conversation": [("user", h["text"])], **h} for h in THEIRS["hostile"])]:
        assert file.template.encode(conversation(case["conversation"]), file.tokenizer) == case["tokens"]


def write_gguf(path: Path, family: str) -> Path:
    model = load(str(TINY / family))
    shape = model.decoder.architecture
    description = json.loads((TINY / family / "tokenizer.json").read_text(encoding="utf-8"))
    config = json.loads((TINY / family / "config.json").read_text(encoding="utf-8"))
    added = {token["id"]: token for token in description["added_tokens"]}
    words = {number: word for word, number in description["model"]["vocab"].items()}
    words.update({number: token["content"] for number, token in added.items()})
    writer = gguf.GGUFWriter(path, family)
    writer.add_context_length(shape.context_length)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.num_layers)
    writer.add_feed_forward_length(shape.hidden_width)
    writer.add_head_count(shape.num_heads)
    writer.add_head_count_kv(shape.num_kv_heads)
    writer.add_layer_norm_rms_eps(shape.norm_epsilon)
    writer.add_rope_freq_base(10000.0)
    if family == "llama":
        plain = 10000.0 ** (-np.arange(0, shape.head_width, 2) / shape.head_width)
        writer.add_tensor("rope_freqs.weight", (plain / np.array(shape.frequencies)).astype(np.float32))
    else:
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(4.0)
        writer.add_rope_scaling_orig_ctx_len(32)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe")
    writer.add_token_list([words[number] for number in range(len(words))])
    writer.add_token_types([3 if number in added else 1 for number in range(len(words))])
    writer.add_token_merges([" ".join(pair) for pair in description["model"]["merges"]])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_chat_template((TINY / family / "chat_template.jinja").read_text(encoding="utf-8"))

    def paired(array, heads):
        return array.reshape(heads, 2, -1, *array.shape[1:]).swapaxes(1, 2).reshape(array.shape)

    def add(name, layer, heads=0):
        for kind, array in (("weight", np.asarray(layer.weight).T), ("bias", layer.bias)):
            if array is not None:
                array = np.asarray(array)
                writer.add_tensor(f"{name}.{kind}", paired(array, heads).copy() if heads else array.copy())

    pairs = family == "llama"
    writer.add_tensor("token_embd.weight", np.asarray(model.decoder.embedding))
    writer.add_tensor("output_norm.weight", np.asarray(model.decoder.norm))
    if model.decoder.head is not None:
        add("output", model.decoder.head)
    for i, block in enumerate(model.decoder.blocks):
        writer.add_tensor(f"blk.{i}.attn_norm.weight", np.asarray(block.attention_norm))
        writer.add_tensor(f"blk.{i}.ffn_norm.weight", np.asarray(block.mlp_norm))
        add(f"blk.{i}.attn_q", block.attention.query, shape.num_heads if pairs else 0)
        add(f"blk.{i}.attn_k", block.attention.key, shape.num_kv_heads if pairs else 0)
        add(f"blk.{i}.attn_v", block.attention.value)
        add(f"blk.{i}.attn_output", block.attention.output)
        for name in ("gate", "up", "down"):
            add(f"blk.{i}.ffn_{name}", getattr(block.mlp, name))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_unpacked_weights_are_kept_and_damage_is_mended(tmp_path, monkeypatch):
    file = write_gguf(tmp_path / "model.gguf", "qwen2")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def read():
        shape, arrays, tokenizer, template, ends = _smollm2._unpacked(file)
        tokens = template.encode(conversation(THEIRS["benign"][1]["conversation"]), tokenizer)
        return shape, {name: array.tolist() for name, array in arrays.items()}, tokens, ends

    first = read()
    [kept] = (tmp_path / "hqre_jax").iterdir()
    with monkeypatch.context() as context:
        context.setattr(_smollm2, "GgufFile", None)  # not needed again
        assert read() == first
    for damage in (kept.read_bytes()[:5000], b"", b"\xff" * 100):
        kept.write_bytes(damage)
        assert read() == first
    monkeypatch.setenv("XDG_CACHE_HOME", str(file))  # where nothing can be written
    assert read() == first
    assert [path.name for path in (tmp_path / "hqre_jax").iterdir()] == [kept.name]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"model_type": "mamba"}, "architecture 'mamba' is none of llama, qwen2"),
        ({"hidden_size": "many"}, "hidden_size should be a number"),
        ({"num_hidden_layers": 3}, r"lack 'blocks\.2\.attention\.query\.weight'"),
        ({"num_hidden_layers": 1}, "parts that are not known"),
        ({"intermediate_size": 65}, r"has the shape \(32, 64\) instead of \(32, 65\)"),
        ({"use_sliding_window": True}, "sliding window"),
        ({"hidden_act": "gelu"}, "activation 'gelu'"),
        ({"rope_parameters": {"rope_type": "dynamic", "factor": 2.0}}, "'dynamic' is not supported"),
        ({"rope_parameters": {"rope_type": "linear"}}, "rope_scaling: 'linear' needs 'factor'"),
    ],
)
def test_folders_that_are_something_else(tmp_path, values, said):
    with pytest.raises(InputError, match=said):
        load(str(changed(tmp_path, "llama", "config.json", **values)))


def test_damaged_files(tmp_path):
    with pytest.raises(InputError, match="neither a folder nor a file"):
        models.load(f"hf:{tmp_path / 'nothing'}")
    copy = changed(tmp_path, "llama", "config.json")
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(InputError, match="cannot be read"):
        models.load(f"hf:{copy}")
    weights.unlink()
    with pytest.raises(InputError, match=r"has no \*\.safetensors file"):
        models.load(f"hf:{copy}")
    (copy / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match=r"config\.json cannot be read"):
        models.load(f"hf:{copy}")
    (copy / "config.json").unlink()
    with pytest.raises(InputError, match=r"there is no Hugging Face model in .*: config\.json is missing$"):
        models.load(f"hf:{copy}")
    for damage in (b"", b"GGUF", b"GGUF" + b"\xff" * 100, b"something else entirely, of some length"):
        file = tmp_path / "damaged.gguf"
        file.write_bytes(damage)
        with pytest.raises(InputError, match="cannot be read as a GGUF file"):
            models.load(f"hf:{file}")


@pytest.mark.parametrize(("name", "said"), [("gpt", "not known; these are"), ("hf", "should read hf:PATH")])
def test_names_that_are_none(name, said):
    with pytest.raises(InputError, match=said):
        models.load(name)


def test_options_that_are_none():
    with pytest.raises(InputError, match="float32 or bfloat16"):
        models.load(f"hf:{TINY / 'llama'}", dtype="int4")
    with pytest.raises(InputError, match="has no option 'colour'"):
        models.load(f"hf:{TINY / 'llama'}", colour="red")
    with pytest.raises((InputError, TypeCheckError)):
        models.load(f"hf:{TINY / 'llama'}", max_batch=0)


def test_identity_follows_the_files(tmp_path):
    """Equal files, one identity, wherever they lie; another template, another identity."""
    here = load(str(TINY / "llama")).identity
    assert load(str(changed(tmp_path, "llama", "tokenizer_config.json"))).identity == here
    (tmp_path / "llama-changed" / "chat_template.jinja").write_text("{{ messages[0]['content'] }}", encoding="utf-8")
    assert load(str(tmp_path / "llama-changed")).identity != here
