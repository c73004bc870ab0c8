"""Ctrl-C before the command line is there, and before anything is finished."""

import subprocess
import sys
from pathlib import Path

from hqre_jax.cli import _interrupts, _verify
from proofs_check.runner.tasks import Record, Task

ROOT = Path(__file__).parents[1]
# Ctrl-C comes with the first import of the commands. (Who runs tests in the background has interrupts ignored.)
PROGRAM = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
class Impatient:
    def find_spec(self, name, path, target=None):
        if name == "hqre_jax.cli._main":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Impatient())
from hqre_jax.cli import main
sys.argv[1:] = ["games"]
sys.exit(main())
"""


def test_program_interrupted_while_it_is_imported_is_exit_130():
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "hqre: interrupted\n")


def test_finished_work_is_named_once_there_is_some():
    first, second = (Task("T1", "check", part, 1, "T1", 1.0) for part in "01")
    for done in ((), (first,)):
        _interrupts.goes_on_with(None)
        with _verify._progress("the same again") as watch:
            tell = watch(list(done), [second])
            assert ("the same again" in _interrupts.interruption()) == bool(done)
            tell(Record(second))
        assert _interrupts.interruption().endswith("finished work is kept, and this goes on with it: the same again")
    _interrupts.goes_on_with(None)
