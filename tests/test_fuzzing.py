"""The fuzzer for some seconds, from its seeds; and what it has found, for good."""

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from hqre_jax.core._checkpoint import load_checkpoint, save_checkpoint
from hqre_jax.core._types import InputError
from hqre_jax.io import load_game
from tests.fuzzing.readers import QUESTION, READERS, check, checkpoint_like, encode, pack
from tests.fuzzing.seeds import seeds

ROOT = Path(__file__).parents[1]


def test_seeds_are_read(tmp_path):
    """Every reader has a seed, and its seeds are valid: the search begins behind the first checks."""
    read = set()
    for name, content in seeds():
        assert check(encode(name, content), tmp_path) is None, name
        read.add(name)
    assert read == set(READERS)


def test_the_fuzzer_sees_a_fault(tmp_path):
    with pytest.raises(ZeroDivisionError):
        type(READERS["nfg"])(".nfg", lambda path: 1 / 0).check(b"", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [3, pytest.param(60, marks=pytest.mark.thorough)])
def test_nothing_is_found(tmp_path, seconds):
    pytest.importorskip("atheris", reason="fuzzes, with what the extra `dev` installs where it has a wheel")
    run = subprocess.run(
        [sys.executable, "-m", "tests.fuzzing", "--seconds", str(seconds), "--out", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    faults = "\n".join(path.read_text() for path in tmp_path.glob("findings/*.txt"))
    assert run.returncode == 0, f"{run.stdout}{run.stderr}{faults}"
    assert int(run.stdout.split()[0]) > 100, run.stdout


# From here on: what it found.


def npz(tmp_path, **arrays):
    np.savez(tmp_path / "file.npz", allow_pickle=False, **arrays)
    return tmp_path / "file.npz"


LEAVES = {"question": np.array(QUESTION), "leaf_0": np.zeros(2, np.uint32), "leaf_1": np.full((2, 1, 2), 0.5),
          "leaf_2": np.array(1.0), "leaf_3": np.array(3)}  # fmt: skip


def test_checkpoints_as_they_should_be(tmp_path):
    like, _ = load_checkpoint(npz(tmp_path, **LEAVES), checkpoint_like(), QUESTION)
    assert like["policy"].shape == (2, 1, 2)


@pytest.mark.parametrize(
    "changes",
    [
        {"leaf_1": np.full((2, 2), 0.5)}, {"leaf_1": np.full((2, 1, 2), "a")}, {"leaf_0": np.zeros(1, np.uint32)},
        {"leaf_2": np.float32(1)}, {"question": np.array("another")}, {"question": np.zeros(3)},
    ],
    ids=str,
)  # fmt: skip
def test_checkpoints_of_something_else(tmp_path, changes):
    """Leaves of another shape or type came back as they were, or raised TypeError."""
    with pytest.raises(InputError, match="belongs to another question"):
        load_checkpoint(npz(tmp_path, **(LEAVES | changes)), checkpoint_like(), QUESTION)


def test_checkpoints_with_leaves_under_other_names(tmp_path):
    arrays = LEAVES | {"leaf_9": LEAVES["leaf_3"]}
    del arrays["leaf_3"]  # was: KeyError
    with pytest.raises(InputError, match="belongs to another question"):
        load_checkpoint(npz(tmp_path, **arrays), checkpoint_like(), QUESTION)


@pytest.mark.parametrize("header", [b"{'descr': (", b"{'descr': '<f8',\n ],\n", b"{'descr': '<f8', 'shape': (1L,)}"])
def test_checkpoints_whose_arrays_have_damaged_headers(tmp_path, header):
    """numpy reads headers as Python: TokenError, IndentationError, and a warning about Python 2."""
    member = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    content = b"\x0aleaf_0.npy" + len(member).to_bytes(2, "big") + member
    (tmp_path / "file.npz").write_bytes(pack(content))
    with pytest.raises(InputError, match="cannot be read"):
        load_checkpoint(tmp_path / "file.npz", checkpoint_like(), QUESTION)


def test_checkpoints_that_are_no_archive(tmp_path):
    path = tmp_path / "file.npz"
    save_checkpoint(path, *checkpoint_like(), QUESTION)
    whole = path.read_bytes()
    for content in (b"", b"PK", whole[:-30], whole[:200] + b"\0" * 40 + whole[240:]):
        path.write_bytes(content)
        with pytest.raises(InputError, match="cannot be read"):
            load_checkpoint(path, checkpoint_like(), QUESTION)


def test_a_member_with_a_long_name_is_named_in_short(tmp_path):
    path = npz(tmp_path, payoffs=np.ones((2, 2, 2)))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("\xff" * 300, b"no array")
    with pytest.raises(InputError, match="is no array") as error:
        load_game(path)
    assert len(str(error.value)) < len(str(path)) + 100


def test_texts_that_are_none(tmp_path):
    """Numbers beyond Unicode in an array of text: SystemError, from inside Python's own JSON reader."""
    text = np.frombuffer(np.array([123, 0x7FFFFFFF], np.uint32).tobytes(), "<U2").reshape(())
    path = npz(tmp_path, kind=np.array("normal_form"), payoffs=np.ones((1, 2)), labels=text)
    with pytest.raises(InputError, match="labels: holds what is no text"):
        load_game(path)


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ('"polymatrix", "edges": [[150994944, 1]], "payoffs": [[[[1]], [[1]]]]', r"edges\[0\]\[0\]: is 1.50995e\+08"),
        (
            '"incomplete_information_markov", "payoffs": [[[1]]], "transitions": [[[1]]], "discount": 0,'
            ' "observations": [[999999999999]], "initial": [1]',
            r"observations\[0\]: never shows information state 0",
        ),
        (
            '"extensive_form", "parent": [-1, 0], "player": [0, -2], "information_set": [999999999999, -1],'
            ' "branch": [-1, 0], "probability": [1, 1], "payoffs": [[0, 1]]',
            r"information_set\[0\]: counts further than the 2 nodes",
        ),
    ],
    ids=["edges", "observations", "information_set"],
)
def test_numbers_that_ask_for_memory(tmp_path, document, problem):
    """A file of a few hundred bytes took gigabytes: what is counted must be there."""
    (tmp_path / "game.json").write_text(f'{{"kind": {document}}}')
    with pytest.raises(InputError, match=problem):
        load_game(tmp_path / "game.json")


def test_what_single_precision_cannot_hold(tmp_path):
    """A warning of numpy's, and then an infinite discount."""
    game = {"payoffs": np.ones((1, 1, 1), np.float32), "transitions": np.ones((1, 1, 1), np.float32)}
    with pytest.raises(InputError, match="discount: "):
        load_game(npz(tmp_path, kind=np.array("markov"), discount=np.array(1e300), **game))
