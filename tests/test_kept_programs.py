"""Programs of the ledger are those of the process before, and never those of anything else."""

import contextvars
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.compilation_cache.compilation_cache import reset_cache

import hqre_jax as hq
from proofs_check.games.certified import pose
from proofs_check.numerics.compiled import each_game
from proofs_check.numerics.kept import keep_programs

ROOT = Path(__file__).parents[1]
ROWS = np.random.RandomState(0).standard_normal((2, 3))
# One entry for every function that was traced.
TRACED: list[Any] = []


def scaling(by: Any) -> Callable[..., Any]:
    """A function of one row: of the same code each time, as in a new process."""

    def scaled(row: Any) -> Any:
        TRACED.append(by)
        return {"scaled": (by if isinstance(by, float) else 1.0) * jnp.exp(row)}

    return each_game(scaled)


@pytest.fixture(autouse=True)
def _jax_keeps_programs_as_before():
    before = jax.config.values["jax_enable_compilation_cache"]
    yield
    jax.config.update("jax_enable_compilation_cache", before)
    reset_cache()


@pytest.fixture
def answer(tmp_path):
    """What a function says where programs are kept, and whether it was traced for it."""

    def run(function: Callable[..., Any], *args: Any, sources: str = "as they are") -> tuple[Any, bool]:
        def kept() -> Any:
            keep_programs(tmp_path, sources)
            return function(*args)

        before = len(TRACED)
        return contextvars.copy_context().run(kept), len(TRACED) > before

    return run


def test_a_program_is_traced_once_and_answers_to_the_bit(answer):
    first, traced = answer(scaling(2.0), ROWS)
    again, traced_again = answer(scaling(2.0), ROWS)
    assert (traced, traced_again) == (True, False)
    np.testing.assert_array_equal(again["scaled"], first["scaled"])
    np.testing.assert_array_equal(again["scaled"], scaling(2.0)(ROWS)["scaled"])


def test_whatever_decides_makes_another_program(answer, monkeypatch):
    assert answer(scaling(2.0), ROWS)[1]
    assert answer(scaling(3.0), ROWS)[1], "what the function closes over"
    assert answer(scaling(2.0), ROWS, sources="changed")[1]
    assert answer(scaling(2.0), ROWS[:, :2])[1], "shapes"
    assert answer(scaling(2.0), np.float32(ROWS))[1], "types"
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
    assert answer(scaling(2.0), ROWS)[1], "settings"
    monkeypatch.undo()
    many = np.tile(ROWS, (500, 1))
    assert answer(scaling(2.0), many)[1], "the compiler's options, which are others for many games"
    assert not answer(scaling(2.0), ROWS)[1]
    # Games are told apart by their class and by what is not an array, too.
    arrays, logits = (np.ones((1, 2, 2, 2)),), np.zeros((1, 2, 1, 2))
    posed = [answer(pose, hq.NormalFormGame, arrays, np.ones(1), logits, c)[0] for c in ("soft", "plain")]
    assert [problem.continuation for problem in posed] == ["soft", "plain"]


def test_what_cannot_be_described_is_not_kept(answer, tmp_path):
    assert answer(scaling(threading.Lock()), ROWS)[1]
    assert answer(scaling(threading.Lock()), ROWS)[1]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", [b"", b"damaged"])
def test_a_damaged_program_is_compiled_again(answer, tmp_path, damage):
    first, _ = answer(scaling(2.0), ROWS)
    (file,) = tmp_path.iterdir()
    file.write_bytes(damage)
    again, traced = answer(scaling(2.0), ROWS)
    assert traced
    np.testing.assert_array_equal(again["scaled"], first["scaled"])
    assert not answer(scaling(2.0), ROWS)[1], "it is kept again"


def test_a_place_where_nothing_can_be_written_costs_no_more_than_compiling(tmp_path):
    (tmp_path / "file").write_text("no folder")
    context = contextvars.copy_context()
    context.run(keep_programs, tmp_path / "file" / "programs", "sources")
    np.testing.assert_array_equal(context.run(scaling(2.0), ROWS)["scaled"], scaling(2.0)(ROWS)["scaled"])


LINEAR_ALGEBRA = """
import sys
from pathlib import Path
import jax
jax.config.update("jax_enable_x64", True)
import jax.numpy as jnp
import numpy as np
from proofs_check.numerics.compiled import each_game
from proofs_check.numerics.kept import keep_programs
keep_programs(Path(sys.argv[1]), "sources")
def solved(matrix):
    print("traced")
    return jnp.linalg.solve(matrix, matrix[0])
print(each_game(solved)(2 * np.eye(3)[None]).tolist())
"""


def test_linear_algebra_works_in_a_process_that_has_lowered_none(tmp_path):
    (tmp_path / "program.py").write_text(LINEAR_ALGEBRA)
    command = [sys.executable, str(tmp_path / "program.py"), str(tmp_path / "kept")]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    environment |= {"PYTHONPATH": str(ROOT)}
    said = [
        subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout for _ in range(2)
    ]
    assert said == ["traced\n[[1.0, 0.0, 0.0]]\n", "[[1.0, 0.0, 0.0]]\n"]
