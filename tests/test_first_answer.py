"""What a first answer costs: what is imported, how many programs are compiled, what is kept for the next time."""

import subprocess
import sys
from pathlib import Path

from hqre_jax.cli._parser import SOLVERS as SOLVER_NAMES
from hqre_jax.solvers import SOLVERS

ROOT = Path(__file__).parents[1]


def python(program: str, **options) -> subprocess.CompletedProcess:
    """A process of its own, which ends well."""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr
    return done


def test_help_and_refusals_import_no_arrays():
    done = python("""
import sys
from hqre_jax.cli import main
words = ("--help", "--version", "games", "solve --help", "llm --help", "llm eval --help", "verify --help")
assert [main(word.split()) for word in words] == [0] * len(words)
wrong = ("solve", "solve chicken --entropy none", "sweep --processes", "no_such_command", "trace chicken --tau 1")
assert [main(word.split()) for word in wrong] == [2] * len(wrong)
heavy = {"jax", "numpy", "equinox", "rich", "matplotlib"} & set(sys.modules)
assert not heavy, heavy
""")
    assert "stag_hunt" in done.stdout


def test_help_names_the_solvers_that_there_are():
    assert tuple(SOLVERS) == SOLVER_NAMES
