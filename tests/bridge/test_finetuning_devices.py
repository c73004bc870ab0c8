"""A fine-tuning run on four devices, in one process and in two, beside the same run on one."""

import socket
import subprocess
import sys

import finetuning
import numpy as np
import pytest
from finetuning import ENVIRONMENT, ROOT, SOLVER, lines_of, run

LAUNCH = ROOT / "docs" / "scripts" / "launch.sh"


def test_four_devices_are_one(capsys, tmp_path):
    """Losses, gradients and what adapters became, of a step whose work four devices share, two of them each weight."""
    # Entropies of tokens to come tell these plays apart, on which the verifier is at one.
    settings = {"inner_steps": 1, "entropy": "shannon"}
    more = {"roles": [SOLVER], "evaluation": {"questions": 0}, "method_settings": settings}
    config = finetuning.written(tmp_path, steps=1, **more)
    command = [
        sys.executable,
        "-m",
        "hqre_jax",
        "llm",
        "finetune",
        config,
        "--out",
        str(tmp_path / "four"),
        "--tensor",
        "2",
    ]
    environment = ENVIRONMENT | {"XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    process = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert run(capsys, config, "--out", tmp_path / "one")[0] == 0
    four, one = (lines_of(tmp_path / name)[0]["adapters"] for name in ("four", "one"))
    for name, found in one.items():
        assert found["gradients"][0] > 0.01
        for key in ("losses", "gradients"):
            np.testing.assert_allclose(four[name][key], found[key], rtol=1e-5, atol=1e-6)


@pytest.mark.thorough
def test_two_processes_are_one(capsys, tmp_path):
    """Started by the script of the docs, as on two machines of two devices each; the second writes and says nothing."""
    settings = {"inner_steps": 1, "entropy": "shannon"}
    config, runs = finetuning.written(tmp_path, method_settings=settings), []
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        first = f"127.0.0.1:{free.getsockname()[1]}"
    for host in range(2):
        flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
        own = ENVIRONMENT | flags | {"HOSTS": "2", "HOST": str(host), "FIRST": first}
        command = ["sh", str(LAUNCH), sys.executable, "-m", "hqre_jax", "llm", "finetune", config, "--out"]
        command += [str(tmp_path / ("two" if host == 0 else "two/nowhere/at/all")), "--tensor", "2"]
        runs.append(subprocess.Popen(command, env=own, stdout=-1, stderr=-1, text=True))
    try:
        (said, err), (nothing, _) = (process.communicate(timeout=300) for process in runs)
    finally:
        for process in runs:
            process.kill()
    assert [process.returncode for process in runs] == [0, 0], err
    # The library that connects processors without accelerators says so on its own.
    assert [line for line in nothing.splitlines() if not line.startswith("[Gloo]")] == []
    assert "generated" in said
    assert run(capsys, config, "--out", tmp_path / "one")[0] == 0
    for two, one in zip(lines_of(tmp_path / "two"), lines_of(tmp_path / "one"), strict=True):
        assert (two["tokens"], two["score"]) == (one["tokens"], one["score"])
        for name, found in one["adapters"].items():
            for key in ("losses", "gradients", "distance"):
                np.testing.assert_allclose(two["adapters"][name][key], found[key], rtol=1e-5, atol=1e-6)
    two, one = (lines_of(tmp_path / name, "evaluations.jsonl") for name in ("two", "one"))
    assert two == one
