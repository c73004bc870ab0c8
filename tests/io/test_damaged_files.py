"""Whatever happens to a file, loading it gives a game or an `InputError` of one line: nothing else."""

import numpy as np
import pytest
from gambit_samples import EFG, NFG

import hqre_jax.games as games
from hqre_jax.core._types import InputError, Labels
from hqre_jax.io import load_game, save_game

LABELS = Labels(title='A "title"', source="Züri", players=("Ann", "Bob"))
GAMES = {
    "table": games.NormalFormGame([[[0.5, 2], [3, 4]], [[5, -0.0], [7, 8]]], labels=LABELS),
    "markov": games.MarkovGame(np.ones((2, 1, 2, 1)), np.ones((1, 2, 1, 1)), 0.9, labels=LABELS),
    "polymatrix": games.PolymatrixGame([[0, 1]], np.ones((1, 2, 2, 2)), labels=LABELS),
}
FLIPS = b'\0"{}[],:/-09et \n\\\xff'


def valid_files(folder):
    """Small valid files of every format, with their contents."""
    for suffix, samples in ((".nfg", NFG), (".efg", EFG)):
        for k, text in enumerate(samples.values()):
            (folder / f"sample{k}{suffix}").write_bytes(text.encode())
    for name, game in GAMES.items():
        for suffix in (".json", ".npz", *((".nfg",) if name == "table" else ())):
            save_game(game, folder / f"{name}{suffix}")
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return valid_files(tmp_path_factory.mktemp("valid"))


def loads(path, content):
    """Whether the content is a game; if not, the complaint must be well-formed."""
    path.write_bytes(content)
    error = None
    try:
        load_game(path)
    except InputError as caught:
        error = str(caught)
    assert error is None or error.startswith(str(path)), error
    assert error is None or ("\n" not in error and len(error) < len(str(path)) + 400), error
    return error is None


NAMES = [
    *(f"sample{k}.nfg" for k in range(len(NFG))),
    *(f"sample{k}.efg" for k in range(len(EFG))),
    *(f"{name}{suffix}" for name in GAMES for suffix in (".json", ".npz")),
    "table.nfg",
]


@pytest.mark.parametrize("name", NAMES)
def test_truncated_anywhere(tmp_path, files, name):
    content = files[name]
    assert loads(tmp_path / name, content)
    good = [size for size in range(len(content)) if loads(tmp_path / name, content[:size])]
    # Only the end may be missed without notice: white space, or digits of a last number or label.
    assert all(size > 0.5 * len(content) for size in good)
    assert len(good) <= 8


@pytest.mark.parametrize("name", NAMES)
def test_one_byte_changed(tmp_path, files, name):
    content = files[name]
    rng = np.random.default_rng(len(content))
    places = rng.choice(len(content), size=min(len(content), 150), replace=False)
    failures = 0
    for place in places:
        changed = bytearray(content)
        changed[place] = FLIPS[rng.integers(len(FLIPS))]
        failures += not loads(tmp_path / name, bytes(changed))
    assert failures > 0


@pytest.mark.parametrize("suffix", [".nfg", ".efg", ".json", ".npz"])
def test_noise(tmp_path, suffix):
    rng = np.random.default_rng(0)
    for size in (0, 1, 10, 1000):
        assert not loads(tmp_path / f"noise{suffix}", rng.bytes(size))
        assert not loads(tmp_path / f"noise{suffix}", b"PK\x03\x04" + rng.bytes(size))


@pytest.mark.parametrize("suffix", [".nfg", ".efg", ".json", ".npz"])
def test_one_format_under_anothers_name(tmp_path, files, suffix):
    for name, content in files.items():
        if not name.endswith(suffix):
            assert not loads(tmp_path / f"disguised{suffix}", content)
