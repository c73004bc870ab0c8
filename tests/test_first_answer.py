"""What a first answer costs: what is imported, how many programs are compiled, what is kept for the next time."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

import hqre_jax as hq
from hqre_jax.cli import _program_cache
from hqre_jax.cli._parser import SOLVERS as SOLVER_NAMES
from hqre_jax.solvers import SOLVERS

ROOT = Path(__file__).parents[1]


def python(program: str, **options) -> subprocess.CompletedProcess:
    """A process of its own, which ends well."""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture
def game():
    """Two conventions and much that nobody does, in a shape that no other test asks for."""
    rewards = np.zeros((7, 2))
    rewards[0, 0], rewards[1, 1] = 3.0, 2.0
    return hq.NormalFormGame(np.stack([rewards, rewards]))


def test_a_first_answer_takes_few_programs(counted_programs, game):
    """None at all to pose, centre, bound and solve it."""
    with counted_programs() as posing:
        again = hq.NormalFormGame(game.payoffs)
    with counted_programs() as solving:
        solution = hq.solve(again, 0.5)
        assert solution.certificate.verdict == "undecided"
    with counted_programs() as certifying:
        assert hq.certify(solution.problem).verdict == "not_unique"
    assert not posing, posing
    assert not solving, solving
    assert len(certifying) <= 6, certifying


def test_posing_takes_no_programs(counted_programs):
    """Of any kind of game, however it is shaped."""
    with counted_programs() as posing:
        for entry in hq.list_games():
            hq.load_game(entry.name)
    assert not posing, posing


def test_a_game_is_not_what_becomes_of_its_numbers():
    """Also of many numbers, which JAX would rather not copy."""
    payoffs = np.zeros((2, 300, 300))
    posed = hq.NormalFormGame(payoffs)
    payoffs[:] = 1.0
    assert not np.asarray(posed.payoffs).any()


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


def hqre(*words: str, **environment: str) -> str:
    """What a command prints, in a process of its own."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    command = [sys.executable, "-m", "hqre_jax", *words]
    done = subprocess.run(command, cwd=ROOT, env=inherited | environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def programs(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.glob("hqre/*/*")}


def test_a_second_answer_is_the_first_to_the_bit(tmp_path):
    """Programs are kept by the command line, and a damaged one is compiled again."""
    question = ("certify", "stag_hunt", "--tau", "1.5", "--format", "json")
    first = hqre(*question, XDG_CACHE_HOME=str(tmp_path))
    kept = programs(tmp_path)
    assert kept
    assert hqre(*question, XDG_CACHE_HOME=str(tmp_path)) == first
    assert programs(tmp_path).keys() == kept.keys()
    for file in tmp_path.glob("hqre/*/*"):
        file.write_bytes(b"damaged")
    assert hqre(*question, XDG_CACHE_HOME=str(tmp_path)) == first


@pytest.fixture
def settings():
    """JAX's own, as they were."""
    names = ("jax_compilation_cache_dir", "jax_enable_compilation_cache", "jax_persistent_cache_min_compile_time_secs")
    before = {name: jax.config.values[name] for name in names}
    yield before
    for name, value in before.items():
        jax.config.update(name, value)


def kept_in() -> str | None:
    """Where programs are kept once the command line has had its say."""
    _program_cache.keep_programs()
    return jax.config.values["jax_compilation_cache_dir"]


def test_programs_are_kept_only_where_that_is_wanted_and_possible(tmp_path, monkeypatch, settings):
    assert kept_in() == settings["jax_compilation_cache_dir"], "somebody has said where"
    jax.config.update("jax_compilation_cache_dir", None)
    monkeypatch.setattr(_program_cache, "cache_folder", lambda: tmp_path / "file" / "hqre")
    (tmp_path / "file").write_text("no folder")
    assert kept_in() is None, "there is no place"
    monkeypatch.setattr(_program_cache, "cache_folder", lambda: tmp_path / "hqre")
    jax.config.update("jax_enable_compilation_cache", False)
    assert kept_in() is None, "somebody has said no"
    jax.config.update("jax_enable_compilation_cache", True)
    assert Path(kept_in() or "").parent == tmp_path / "hqre"


def test_old_programs_are_forgotten(tmp_path):
    for age, folder in enumerate(("old", "new", "new")):
        (tmp_path / folder).mkdir(exist_ok=True)
        file = tmp_path / folder / f"{age}-cache"
        file.write_bytes(b"x" * 100)
        os.utime(file, (1000 + age, 1000 + age))
    _program_cache._make_room(tmp_path / "new", 250)
    assert sorted(file.name for file in tmp_path.glob("*/*")) == ["1-cache", "2-cache"]


@pytest.mark.parametrize(
    ("own", "found"), [("/elsewhere", "/elsewhere/hqre"), ("not/absolute", "~/.cache/hqre"), ("", "~/.cache/hqre")]
)
def test_the_folder_is_where_the_system_wants_it(monkeypatch, own, found):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", own)
    assert _program_cache.cache_folder() == Path(found).expanduser()
