"""Ctrl-C before the command line is there."""

import subprocess
import sys

from test_cli import HEEDFUL, ROOT


def test_program_interrupted_while_it_is_imported_is_exit_130():
    """Ctrl-C comes with the first import of JAX, which takes longest."""
    program = """
import os, signal, sys
class Impatient:
    def find_spec(self, name, path, target=None):
        if name == "jax":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Impatient())
from hqre_jax.cli import main
sys.argv[1:] = ["games"]
sys.exit(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", HEEDFUL, sys.executable, "-c", program],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "hqre: interrupted\n")
