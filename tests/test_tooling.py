"""The linter, the formatter, the type checker, the lock files and the built packages."""

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from hqre_jax.cli import main
from hqre_jax.solvers import SOLVERS

ROOT = Path(__file__).parents[1]
LOCKS = {
    "runtime": ROOT / "requirements.lock",
    "dev": ROOT / "requirements-dev.lock",
    "peers": ROOT / "requirements-peers.lock",
}


def run_tool(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=600)


@pytest.mark.tools
@pytest.mark.parametrize(
    "command",
    [
        ("ruff", "check", "--output-format", "concise"),
        ("ruff", "format", "--check"),
        ("pyright", "--pythonpath", sys.executable),
    ],
    ids=["lint", "format", "types"],
)
def test_tool_is_content(command):
    run = run_tool(*command)
    assert run.returncode == 0, f"{' '.join(command)}\n{run.stdout}{run.stderr}"


def pins(lock: Path) -> dict[str, str]:
    """The versions of a lock file by package."""
    lines = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", lock.read_text(encoding="utf-8"), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in lines}


def declared(*groups: str) -> list[Requirement]:
    """The direct requirements in pyproject.toml: the library's, the build's and those of the named extras."""
    content = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = [line for group in groups for line in content["project"]["optional-dependencies"][group]]
    return [
        Requirement(line)
        for line in content["project"]["dependencies"] + content["dependency-groups"]["build"] + extras
    ]


@pytest.mark.parametrize(("lock", "groups"), [("runtime", ()), ("dev", ("dev", "docs")), ("peers", ("peers",))])
def test_lock_meets_the_requirements(lock, groups):
    locked = pins(LOCKS[lock])
    for requirement in declared(*groups):
        version = locked.get(canonicalize_name(requirement.name))
        assert version, f"{requirement.name} is not in {LOCKS[lock].name}: run `make lock`"
        assert requirement.specifier.contains(version, prereleases=True), f"{requirement} is locked at {version}"


def test_requirements_have_lower_bounds_only():
    for requirement in declared("dev", "docs", "peers"):
        assert [bound.operator for bound in requirement.specifier] == [">="], f"{requirement}: one lower bound"


def test_tests_run_what_users_run():
    """The lock files agree wherever they overlap, and the first is part of the others."""
    runtime, dev, peers = (pins(LOCKS[lock]) for lock in ("runtime", "dev", "peers"))
    assert runtime.items() <= dev.items()
    assert runtime.items() <= peers.items()
    assert {name: dev[name] for name in dev.keys() & peers.keys()}.items() <= peers.items()


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_is_portable(lock):
    """Names, versions, hashes and nothing of the machine that wrote them; no accelerator packages."""
    text = LOCKS[lock].read_text(encoding="utf-8")
    foreign = re.findall(r"^.*(?:://|file:|^-|--index|--find-links| @ |^/|nvidia|cuda).*$", text, re.MULTILINE)
    assert not foreign, f"{LOCKS[lock].name}: {foreign}"
    for entry in re.split(r"\n(?=[A-Za-z0-9])", text):
        assert "--hash=sha256:" in entry, f"{LOCKS[lock].name}: no hash: {entry.splitlines()[0]}"


def test_packages_carry_the_catalogue(tmp_path):
    """Wheel and source archive hold every module and every named game; the archive what its own tests need."""
    build = run_tool("hatchling", "build", "-d", str(tmp_path), "-t", "wheel", "-t", "sdist")
    assert build.returncode == 0, build.stdout + build.stderr
    (wheel,), (sdist,) = tmp_path.glob("*.whl"), tmp_path.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = set(archive.namelist())
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames()}
    library = source_files("hqre_jax", "proofs_check")
    assert any(name.startswith("hqre_jax/games/named/") for name in library), "no catalogue: the search is broken"
    assert library <= in_wheel, f"not in the wheel: {sorted(library - in_wheel)}"
    needed = library | source_files("tests", "docs", "benchmarks", "notebooks")
    needed |= {"CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "Makefile", "README.md", "LICENSE", "pyproject.toml"}
    needed |= {lock.name for lock in LOCKS.values()}
    assert needed <= in_sdist, f"not in the source archive: {sorted(needed - in_sdist)}"
    # What the README says that a wheel installs.
    assert {name.split("/")[0] for name in in_wheel if ".dist-info/" not in name} == {"hqre_jax", "proofs_check"}


def source_files(*folders: str) -> set[str]:
    return {
        path.relative_to(ROOT).as_posix()
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_hints_name_extras():
    """Whoever is told to install something is told the extra's name, where there is one: it knows the versions."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    ours = {"rigorous", "open-spiel", "environments", "llm", "inspect", "sweep"}
    brought = {canonicalize_name(Requirement(line).name) for name in ours for line in extras[name]}
    files = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "hqre_jax").rglob("*.py")]
    hints = [
        (file.relative_to(ROOT).as_posix(), hint)
        for file in files
        for hint in re.findall(r"pip\s+install\s+['\"]?([\w.-]+(?:\[[\w-]+\])?)", file.read_text(encoding="utf-8"))
    ]
    named = {hint[9:-1] for _, hint in hints if hint.startswith("hqre-jax[")}
    assert {"rigorous", "open-spiel", "sweep", "llm"} <= named <= ours
    assert not [pair for pair in hints if canonicalize_name(pair[1]) in brought]


def test_help_names_every_solver(capsys):
    assert main(["solve", "--help"]) == 0
    words = set(re.findall(r"\w+", capsys.readouterr().out))
    assert {*SOLVERS, "stochastic_mirror"} <= words


def test_make_help_lists_every_target():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony
    run = subprocess.run(["make", "help"], cwd=ROOT, env=quiet_environment(), capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    listed = {line.split()[1] for line in run.stdout.splitlines()}
    assert listed == set(phony[1].split())


def test_make_says_which_python_is_needed(tmp_path):
    """A Python that is too old, or none at all, gives one line and no environment."""
    (tmp_path / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
    for name in ("requirements.lock", "pyproject.toml"):
        (tmp_path / name).touch()
    run = subprocess.run(
        ["make", "--silent", "demo", "PYTHON=no-such-python"],
        cwd=tmp_path,
        env=quiet_environment(),
        capture_output=True,
        text=True,
    )
    assert run.returncode != 0
    errors = [line for line in run.stderr.splitlines() if not line.startswith("make")]
    assert len(errors) == 1
    assert "Python 3.11 or newer" in errors[0]
    assert not (tmp_path / ".venv").exists()


def quiet_environment() -> dict[str, str]:
    """Without what an outer `make test` hands down."""
    return {key: value for key, value in os.environ.items() if not key.startswith("MAKE") and key != "MFLAGS"}
