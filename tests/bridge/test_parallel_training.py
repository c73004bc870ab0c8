"""A training step on four devices, in one process and in two, beside the same step on one."""

import json
import os
import pickle
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hqre_jax.bridge.models._parallel import device_grid
from hqre_jax.bridge.models._processes import COORDINATOR, PROCESS, PROCESSES, gathered, join_processes
from hqre_jax.core._types import InputError

ROOT = Path(__file__).parents[2]
STEP = [sys.executable, str(Path(__file__).with_name("parallel_step.py"))]


def environment(devices: int) -> dict[str, str]:
    """That of a process with so many devices, which compiles as the tests do."""
    cache = str(ROOT / ".pytest_cache" / "jax")
    own = {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    return {
        **os.environ,
        **own,
        "JAX_COMPILATION_CACHE_DIR": cache,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1",
    }


def assert_same_step(printed: str, grids: list[dict[str, int]]) -> None:
    said = json.loads(printed.splitlines()[-1])
    assert said["devices"] == 4
    assert [found["grid"] for found in said["found"]] == grids
    for found in said["found"]:
        assert found["loss"] < 1e-5
        assert found["gradient"] < 1e-5
        # Norms and the like are whole everywhere, and so is attention where two heads are for four devices.
        assert found["held"] < {1: 1.01, 2: 0.51, 4: 0.45}[found["grid"]["tensor"]]
        # Sums alone: no device ever gathers what others hold.
        assert found["communication"] == ["all-reduce"]
    assert said["together"]
    assert said["refused"] == "batch: has 7 sequences, which 4 devices do not divide: fill it up"


def test_four_devices_are_one():
    run = subprocess.run([*STEP, "2"], env=environment(4), capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    assert_same_step(run.stdout, [{"data": 2, "tensor": 2}])


@pytest.mark.thorough
def test_any_grid_of_four_devices_is_one():
    run = subprocess.run([*STEP, "1", "4"], env=environment(4), capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    assert_same_step(run.stdout, [{"data": 4, "tensor": 1}, {"data": 1, "tensor": 4}])


@pytest.mark.thorough
def test_two_processes_are_one():
    """Started by the script of the docs, as on two machines."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        first = f"127.0.0.1:{free.getsockname()[1]}"
    runs = []
    for host in range(2):
        own = {**environment(2), "HOSTS": "2", "HOST": str(host), "FIRST": first}
        command = ["sh", str(ROOT / "docs" / "scripts" / "launch.sh"), *STEP, "2"]
        runs.append(subprocess.Popen(command, env=own, stdout=-1, stderr=-1, text=True, cwd=ROOT))
    try:
        for run in runs:
            printed, said = run.communicate(timeout=300)
            assert run.returncode == 0, said
            assert_same_step(printed, [{"data": 2, "tensor": 2}])
    finally:
        for run in runs:
            run.kill()
            run.communicate()


def test_processes_and_grids_that_are_none(monkeypatch):
    monkeypatch.setenv(COORDINATOR, "first:8476")
    monkeypatch.setenv(PROCESSES, "2")
    for number in ("", "2", "one"):
        monkeypatch.setenv(PROCESS, number)
        with pytest.raises(InputError, match="they look like HOST:PORT, 2 and, from 0, 1"):
            join_processes()
    with pytest.raises(InputError, match="tensor: is 2, which does not divide 1 devices"):
        device_grid(2, 1)
    with pytest.raises(InputError, match="num_devices: is 1000, and there are"):
        device_grid(1, 1000)


def test_what_goes_wrong_in_one_process_goes_wrong_in_all():
    """What it says travels: as a pickled object from the first, and in place of completions from any."""
    said = InputError("prompts[3]", "has 900 tokens; the context is 512")
    known = pickle.loads(pickle.dumps(said))
    assert (type(known), known.field, known.problem, str(known)) == (InputError, said.field, said.problem, str(said))
    with pytest.raises(InputError, match=r"prompts\[3\]: has 900 tokens"):
        gathered(said, 5)


def test_slurm_says_who_is_who(tmp_path):
    """Under Slurm the script asks it for hosts and numbers."""
    (tmp_path / "scontrol").write_text("#!/bin/sh\necho $3-1\necho $3-2\n", encoding="utf-8")
    (tmp_path / "scontrol").chmod(0o755)
    own = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "SLURM_NTASKS": "4",
        "SLURM_PROCID": "3",
        "SLURM_JOB_NODELIST": "gpu",
    }
    run = ["sh", str(ROOT / "docs" / "scripts" / "launch.sh"), "env"]
    printed = subprocess.run(run, env=own, capture_output=True, text=True, check=True).stdout.splitlines()
    assert {"HQRE_COORDINATOR=gpu-1:8476", "HQRE_PROCESSES=4", "HQRE_PROCESS=3"} <= set(printed)
    assert subprocess.run(run, env={"PATH": os.environ["PATH"]}, capture_output=True).returncode != 0
