"""Sweeps whose shards are handed out by others: Dask with workers that are killed, tasks of a Slurm array."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import hqre_jax as hq
from hqre_jax.cli import main
from hqre_jax.core._types import InputError

pytest.importorskip("pyarrow", reason="sweeps write Parquet files; the extra `sweep` installs pyarrow")

SCRIPTS = Path(__file__).parent.parent / "docs" / "scripts"
CONFIG = """
temperatures = [2.0, 1.5]
solvers = ["fixed_point"]
num_games = 300
shard_games = 20
[[games]]
sizes = [[2, 2]]
"""


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "shards").glob("*.parquet"))}


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("sweep") / "config.toml"
    path.write_text(CONFIG)
    return path


@pytest.fixture(scope="module")
def alone(config) -> dict[str, bytes]:
    """The shards as one process makes them."""
    folder = config.with_name("alone")
    assert hq.sweep(config, folder).complete
    return shards(folder)


def test_dask_replaces_workers_that_are_killed(config, alone):
    """Both workers, once each has done a shard: others do what is missing, nothing twice, and bytes are the same."""
    pytest.importorskip("distributed", reason="`pip install distributed` brings Dask's scheduler")
    folder = config.with_name("dask")
    words = [sys.executable, str(SCRIPTS / "sweep_dask.py"), str(config), str(folder)]
    run = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=config.parent)
    killed = dict[str, int]()
    while len(killed) < 2 and run.poll() is None:
        for path in folder.glob("times-*.jsonl"):
            if path.name not in killed:
                killed[path.name] = int(path.stem.rpartition("-")[2])
                os.kill(killed[path.name], signal.SIGKILL)
        time.sleep(0.005)
    told, _ = run.communicate(timeout=300)
    assert run.returncode == 0
    assert len(killed) == 2
    assert "0 games failed" in told
    assert shards(folder) == alone
    workers = list(folder.glob("times-*.jsonl"))
    assert len(workers) > 2, "workers were replaced"
    lines = sum(len(path.read_text().splitlines()) for path in workers)
    assert len(alone) - len(killed) <= lines <= len(alone), "none is done twice"


def test_tasks_of_an_array_wait_for_nobody(config, alone, capsys):
    """The second task is over before the first has begun; the script says to `hqre` what Slurm says to it."""
    folder = config.with_name("array")
    share = ["--num-processes", "2", "--process-id", "1"]
    assert main(["sweep", str(config), "--out", str(folder), *share]) == 0
    assert "not complete" in capsys.readouterr().out
    assert len(shards(folder)) == len(alone) / 2
    slurm = {"SLURM_ARRAY_TASK_COUNT": "2", "SLURM_ARRAY_TASK_ID": "0"}
    found = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    words = ["sh", str(SCRIPTS / "sweep_array.sh"), str(config), str(folder)]
    subprocess.run(words, env=os.environ | slurm | {"PATH": found}, check=True, stdout=subprocess.DEVNULL)
    assert shards(folder) == alone


def test_what_no_share_is(config, tmp_path, capsys):
    assert main(["sweep", str(config), "--out", str(tmp_path), "--num-processes", "2", "--process-id", "2"]) == 2
    assert "there is none with the number 2 of 2" in capsys.readouterr().err
    assert main(["sweep", str(config), "--out", str(tmp_path), "--num-processes", "2"]) == 2
    assert "go together" in capsys.readouterr().err
    with pytest.raises(InputError, match="30 is no shard; there are 30, from 0"):
        hq.sweeps.run_shard(config, tmp_path, 30)
    with pytest.raises(InputError, match="number: is -1"):
        hq.sweeps.run_shard(config, tmp_path, -1)
    for address in ("nonsense", "first:port", "first 8476"):
        words = ["--coordinator", address, "--num-processes", "2", "--process-id", "0"]
        assert main(["sweep", str(config), "--out", str(tmp_path), *words]) == 2
        assert capsys.readouterr().err.startswith("hqre: coordinator: is ")
    (tmp_path / "manifest.json").write_text("[]")
    with pytest.raises(InputError, match="is no manifest of a sweep"):
        hq.sweeps.run_shard(config, tmp_path, 0)
