"""Sweeps: configurations, games that do not depend on who asks, resuming, several processes, reports."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

import hqre_jax as hq
from hqre_jax.cli import main
from hqre_jax.sweeps import read_config, summarise
from hqre_jax.sweeps._families import GameFamily

pytest.importorskip("pyarrow", reason="sweeps write Parquet files; the extra `sweep` installs pyarrow")

SMALL = {
    "temperatures": [2.0, [1.5, 3.0]],
    "solvers": ["fixed_point"],
    "seeds": [0, 1],
    "num_games": 50,
    "shard_games": 20,
    "games": [{"families": ["uniform"], "sizes": [[2, 2]]}],
}


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "shards").glob("*.parquet"))}


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    return folder, hq.sweep(SMALL, folder)


def test_summary(swept):
    folder, summary = swept
    assert summary.complete
    assert summary.failed == 0
    assert [row.games for row in summary.rows] == [100, 100]
    assert all(row.worst_residual <= 1e-10 for row in summary.rows)
    assert all(sum(row.selections.values()) == row.games for row in summary.rows)
    assert len(shards(folder)) == 12
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["seeds"] == [0, 1]
    assert manifest["digest"] == read_config(SMALL).digest
    assert {"jax", "numpy", "hqre-jax"} <= set(manifest["versions"])


def test_rows_are_what_solve_says(swept):
    import pyarrow.parquet as pq

    folder, _ = swept
    config = read_config(SMALL)
    shard = next(s for s in config.shards if s.cell.seed == 1 and s.first == 20)
    table = pq.read_table(folder / shard.file)
    assert table["game"].to_pylist() == list(range(20, 40))
    game = jax.tree.map(lambda leaf: leaf[3], shard.cell.family.draw(1, 20, 20))
    policy = np.array(table["policy"][3].as_py()).reshape(json.loads(table.schema.metadata[b"policy_shape"]))
    np.testing.assert_allclose(policy, np.asarray(hq.solve(game, shard.cell.tau).policy), atol=1e-9)


def test_only_what_is_missing_is_done_again(swept):
    folder, _ = swept
    before = shards(folder)
    kept = {name: os.stat(folder / "shards" / name).st_mtime_ns for name in before}
    lost = folder / "shards" / "000004.parquet"
    lost.unlink()
    assert not summarise(folder).complete
    hq.sweep(SMALL, folder)
    assert shards(folder) == before
    again = {name for name in before if os.stat(folder / "shards" / name).st_mtime_ns != kept[name]}
    assert again == {lost.name}


def test_another_configuration_is_refused(swept):
    folder, _ = swept
    with pytest.raises(hq.InputError, match="another configuration"):
        hq.sweep(SMALL | {"seeds": [2]}, folder)


@pytest.mark.parametrize(
    "family",
    [
        GameFamily("normal_form", "uniform", (2, 3)),
        GameFamily("polymatrix", "coordination", (2, 2, 2)),
        GameFamily("bayesian", "uniform", (2, 2), (("types", (2, 1)),)),
        GameFamily("markov", "zero_sum", (2, 2), (("states", 2),)),
    ],
    ids=lambda family: family.kind,
)
def test_a_game_is_the_same_whoever_asks(family):
    family = family.checked()
    many, few = family.draw(3, 250, 12), family.draw(3, 255, 3)
    for whole, part in zip(jax.tree.leaves(many), jax.tree.leaves(few), strict=True):
        np.testing.assert_array_equal(np.asarray(whole)[5:8], np.asarray(part))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"temperatures": [0.0]}, "config: temperatures: is"),
        ({"temperatures": [[1.0, 1.0, 1.0]]}, "fit no family"),
        ({"solvers": ["best"]}, "config: solvers"),
        ({"games": []}, r"config: games: .*\[\[games\]\]"),
        ({"games": [{"sizes": [[2, 0]]}]}, r"games\[0\]: sizes"),
        ({"games": [{"sizes": [[2, 2]], "families": ["odd"]}]}, "families: has 'odd'"),
        ({"games": [{"sizes": [[2, 2]], "kind": "markov"}]}, "states: is missing"),
        ({"games": [{"sizes": [[2, 3]], "kind": "polymatrix"}]}, "as many actions"),
        ({"games": [{"sizes": [[2, 2]], "types": [2, 2]}]}, "types: is not known for normal_form"),
        ({"num_game": 3}, "num_game: is not known"),
        ({"tol": 2}, "config: tol"),
        ({"num_games": 10**12}, "make 200,000,000,000 shards"),
    ],
)
def test_bad_configurations(change, message):
    with pytest.raises(hq.InputError, match=message):
        read_config(SMALL | change)


def test_command_line(swept, tmp_path, capsys):
    folder, _ = swept
    assert main(["sweep", "--report", str(folder), "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [row["tau"] for row in document["rows"]] == [2.0, [1.5, 3.0]]
    assert (folder / "steps.png").stat().st_size > 5000
    for words in (["sweep"], ["sweep", "x.toml"], ["sweep", str(tmp_path / "no.toml"), "--out", str(tmp_path)]):
        assert main(words) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert main(["sweep", "--report", str(tmp_path)]) == 2
    (tmp_path / "manifest.json").write_text("{}")
    capsys.readouterr()
    assert main(["sweep", "--report", str(tmp_path)]) == 2
    assert "its manifest.json is that of something else" in capsys.readouterr().err


def test_the_picture_says_how_much_is_there(swept):
    """Cells whose players differ in temperature are in it, and what is not finished is not called solved."""
    summary = summarise(swept[0])
    axes = summary.plot()
    assert "(every game was solved)" in axes.get_title()
    marks = {float(line.get_xdata()[0]) for line in axes.lines if len(line.get_xdata()) == 1}
    assert marks == {2.0, (1.5 + 3.0) / 2}
    begun = replace(summary, rows=(replace(summary.rows[0], games=1), *summary.rows[1:]))
    done, wanted = (sum(getattr(row, name) for row in begun.rows) for name in ("games", "wanted"))
    assert f"({done} of {wanted} games so far)" in begun.plot().get_title()


def test_a_sweep_that_is_refused_keeps_no_folder(tmp_path):
    """What a solver cannot do is seen when it is asked: then the folder is free for a sweep that can be done."""
    folder = tmp_path / "out"
    with pytest.raises(hq.InputError, match="markov"):
        hq.sweep(SMALL | {"solvers": ["markov_branch"]}, folder)
    assert list(folder.iterdir()) == []
    assert hq.sweep(SMALL | {"num_games": 2}, folder).complete


def test_a_picture_that_cannot_be_written(swept, tmp_path, capsys):
    shutil.copytree(swept[0], folder := tmp_path / "copy")
    (folder / "steps.png").unlink(missing_ok=True)
    (folder / "steps.png").mkdir()
    assert main(["sweep", "--report", str(folder)]) == 2
    assert "steps.png' cannot be written" in capsys.readouterr().err


def test_failures_are_reported(tmp_path, capsys):
    """One step is too few: exit code 1, and every game's row says so."""
    config = tmp_path / "sweep.toml"
    config.write_text(
        "temperatures = [2.0]\nsolvers = ['fixed_point']\nmax_steps = 1\nnum_games = 20\n[[games]]\nsizes = [[2, 2]]\n"
    )
    assert main(["sweep", str(config), "--out", str(tmp_path / "out"), "--format", "json"]) == 1
    heard = capsys.readouterr()
    assert json.loads(heard.out)["rows"][0]["failed"] == 20
    assert "20 games did not reach the tolerance" in heard.err


def test_killed_and_shared_sweeps_give_the_same_bytes(tmp_path):
    """One process, killed outright, and another one that goes on with it, against two processes that share the work."""
    config = tmp_path / "sweep.toml"
    config.write_text(
        "temperatures = [2.0, 1.5]\nsolvers = ['fixed_point']\nnum_games = 600\nshard_games = 20\n"
        "[[games]]\nsizes = [[2, 2]]\n"
    )
    words = [sys.executable, "-m", "hqre_jax", "sweep", str(config), "--out"]
    alone, shared = tmp_path / "alone", tmp_path / "shared"

    first = subprocess.Popen([*words, str(alone)], stdout=subprocess.DEVNULL)
    while first.poll() is None and not shards(alone):
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    first.wait()
    done = shards(alone)
    assert 1 <= len(done) < 60, "the sweep was cut in the middle"
    kept = {name: os.stat(alone / "shards" / name).st_mtime_ns for name in done}
    assert hq.sweep(config, alone).complete
    assert {name: os.stat(alone / "shards" / name).st_mtime_ns for name in done} == kept, "none is repeated"
    assert not list(alone.rglob("*.tmp")), "nothing half-written is left"

    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    together = [*words, str(shared), "--coordinator", f"localhost:{port}", "--num-processes", "2", "--process-id"]
    both = [subprocess.Popen([*together, str(i)], stdout=subprocess.DEVNULL) for i in (0, 1)]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    assert shards(alone) == shards(shared)
    assert len(shards(shared)) == 60
