"""The program `hqre` in a process of its own: what it prints, how it ends, what interrupts it."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
PROGRAM = [sys.executable, "-m", "hqre_jax"]
# A shell that runs the tests in the background has them ignore interrupts, and children inherit that.
HEEDFUL = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"


def test_program_solves_and_prints_one_object():
    done = subprocess.run(
        [*PROGRAM, "solve", "matching_pennies", "--tau", "0.5", "--format", "json"],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    # In single precision, the default of JAX, this would not be so close.
    np.testing.assert_allclose(found["policy"], np.full((2, 1, 2), 0.5), atol=1e-15)
    assert found["certificate"]["verdict"] == "unique"


def test_program_refuses_in_one_line():
    done = subprocess.run(
        [*PROGRAM, "solve", "chicken", "--tau", "0"], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"hqre: tau.*\n", done.stderr)


def test_program_speaks_to_terminals_without_greek():
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*PROGRAM, "--help"], cwd=ROOT, env=environment, capture_output=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"usage: hqre" in done.stdout


def test_program_ends_quietly_when_nobody_reads():
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed:
        done = subprocess.run([*PROGRAM, "games"], cwd=ROOT, stdout=closed, stderr=subprocess.PIPE, timeout=300)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_program_interrupted_is_exit_130(tmp_path):
    """The game comes from a pipe that says nothing, so that the program certainly is at work."""
    pipe = tmp_path / "game.json"
    os.mkfifo(pipe)
    program = subprocess.Popen(
        [sys.executable, "-c", HEEDFUL, *PROGRAM, "solve", str(pipe), "--tau", "1"],
        cwd=ROOT, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with pipe.open("w"):
        program.send_signal(signal.SIGINT)
        _, err = program.communicate(timeout=60)
    assert (program.returncode, err) == (130, "hqre: interrupted\n")
