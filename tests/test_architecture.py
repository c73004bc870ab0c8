"""Imports run downwards only, from floor to floor, and everything has its room."""

import ast
import functools
import importlib
import inspect
import os
import pkgutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import equinox as eqx
import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "hqre_jax"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MAX_LINES = 400

# The rooms, floor by floor. A module imports its own room and lower floors: rooms of one floor do not know each other.
FLOORS = (
    ("core",),  # what everything speaks of
    ("games", "rollouts"),  # what is given: games, and logs of play
    ("games.named", "games.random", "problem"),  # games from books and from dice; the question asked of one
    ("bounds", "equilibrium", "games.manufactured", "sampled"),  # what an answer is, and what can be known without one
    ("solvers",),  # the algorithms
    ("solving",),  # the verbs that use them, and the solutions
    ("certificates",),  # the evidence
    ("empirical", "estimation", "learning", "stability"),  # what logs, learners and temperatures make of all this
    ("io", "plotting"),  # the outside world: files and pictures,
    ("bridge", "sweeps"),  # other programs, language models, thousands of games,
    ("cli",),  # the shell
    ("__init__", "__main__"),  # the door
)
FLOOR_OF = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}


# What an extra of pyproject.toml installs may be imported where it is needed, inside functions.
EXTRAS = {
    "certificates": {"flint"},
    "sweeps": {"pyarrow"},
    "bridge": {
        *("pygambit", "pyspiel"),  # games of other programs
        *("gguf", "jinja2", "safetensors", "tokenizers"),  # local language models
        *("inspect_ai", "openai"),
    },
}


def room_name(module: str) -> str:
    """The room of a module: `hqre_jax.games.markov` is in `games`, `hqre_jax` itself in `__init__`."""
    name = module.partition(".")[2] or "__init__"
    while name and name not in FLOOR_OF:
        name = name.rpartition(".")[0]
    assert name, f"{module} is in no room: add one to FLOORS in tests/test_architecture.py, above what it imports"
    return name


def module_name(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def imported_modules(file: Path) -> tuple[tuple[str, str], ...]:
    return tuple(_imported_modules(file))


def _imported_modules(file: Path) -> Iterator[tuple[str, str]]:
    """Every import of a file, those inside functions too, as (module, name), relative ones made absolute."""
    package = module_name(file).split(".")[: None if file.name == "__init__.py" else -1]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), str(file))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((module, alias.name) for alias in node.names)


FILES = {module_name(file): file for file in sorted(PACKAGE.rglob("*.py"))}


def internal_imports(file: Path) -> Iterator[str]:
    """The modules of the library that a file imports; `from hqre_jax import io` is `hqre_jax.io`."""
    for module, name in imported_modules(file):
        if module.split(".")[0] == "hqre_jax":
            yield f"{module}.{name}" if f"{module}.{name}" in FILES else module


EDGES = sorted({(module, target) for module, file in FILES.items() for target in internal_imports(file)})


@pytest.mark.parametrize("module", FILES)
def test_every_module_has_a_room(module):
    room_name(module)


@pytest.mark.parametrize("module", FILES)
def test_imports_run_downwards(module):
    importer = room_name(module)
    for target in sorted(set(internal_imports(FILES[module]))):
        imported = room_name(target)
        assert target in FILES, f"{module} imports {target}, which does not exist"
        here, there = FLOOR_OF[importer], FLOOR_OF[imported]
        assert importer == imported or there < here, (
            f"{module} (floor {here}) imports {target} (floor {there}): only lower floors may be imported"
        )


def test_nothing_is_allowed_that_nobody_does():
    """Rooms and extras that are left over would let in what nobody decided on."""
    rooms = {room_name(module) for module in FILES}
    assert set(FLOOR_OF) == rooms
    foreign = {(room_name(m), name.split(".")[0]) for m, file in FILES.items() for name, _ in imported_modules(file)}
    assert foreign >= {(room, name) for room, names in EXTRAS.items() for name in names}
    installed = [*FILES.values(), *(ROOT / "proofs_check").rglob("*.py")]
    imported = {name.split(".")[0] for file in installed for name, _ in imported_modules(file)}
    assert package_names(PROJECT["dependencies"]) - {"jaxlib"} <= imported, "an installed package that nothing uses"


def test_no_room_hides_a_verb():
    """Importing a room binds its name in the package, where a verb of that name would be lost."""
    verbs = {name for module, name in imported_modules(FILES["hqre_jax"]) if module != "hqre_jax"}
    assert "solve" in verbs, "the door has no verbs: the search is broken"
    assert not verbs & set(FLOOR_OF)


def test_imports_have_no_cycle():
    graph = {module: [target for source, target in EDGES if source == module] for module in FILES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail("imports in a circle: " + " -> ".join(error.args[1]))


@pytest.mark.parametrize("module", FILES)
def test_installed_packages_suffice(module):
    """The library imports Python's own modules and its declared dependencies; never the tests' extras."""
    own = {"hqre_jax", "proofs_check"} if room_name(module) == "cli" else {"hqre_jax"}
    assert_declared(FILES[module], own | EXTRAS.get(room_name(module), set()))


@pytest.mark.parametrize("file", sorted((ROOT / "proofs_check").rglob("*.py")), ids=lambda file: file.name)
def test_proofs_need_only_the_library(file):
    assert_declared(file, own={"hqre_jax", "proofs_check"})


# The floors of proofs_check. A statement (t1_uniqueness, ...) may use all that is below it, and no other statement.
LEDGER = {
    "comparison": 0,
    "numerics": 1,
    "games": 2,
    "experiment": 3,
    "play": 3,
    "statement": 4,
    "discovery": 5,
    "adversary": 5,
    "a statement": 6,
    "runner": 7,
    "claims": 7,
    "certificates": 7,
    "__init__": 8,
    "__main__": 8,
}
LEDGER_FILES = {module_name(file): file for file in sorted((ROOT / "proofs_check").rglob("*.py"))}


def ledger_room(module: str) -> tuple[str, str]:
    """Room and floor's name of a module of proofs_check: `t1_uniqueness` is "a statement"."""
    room = [*module.split("."), "__init__"][1]
    return room, "a statement" if (ROOT / "proofs_check" / room / "statement.md").is_file() else room


@pytest.mark.parametrize("module", LEDGER_FILES)
def test_statements_know_no_other_and_nobody_knows_them(module):
    """Imports of the ledger run downwards; whoever needs all statements finds them by `proofs_check.discovery`."""
    room, floor = ledger_room(module)
    assert floor in LEDGER, f"proofs_check.{room} has no floor: is it a statement without statement.md?"
    for target, name in imported_modules(LEDGER_FILES[module]):
        if target.split(".")[0] != "proofs_check":
            continue
        other, there = ledger_room(f"{target}.{name}" if target == "proofs_check" else target)
        message = f"{module} (floor {LEDGER[floor]}) imports {target}: only lower floors may be imported"
        assert other == room or (there in LEDGER and LEDGER[there] < LEDGER[floor]), message
        assert there != "a statement" or other == room, f"{module} imports {target}: statements are found, not imported"


def test_the_ledger_is_read_in_small_files():
    lengths = sorted(len(file.read_text(encoding="utf-8").splitlines()) for file in LEDGER_FILES.values())
    assert lengths[len(lengths) // 2] < 150


@pytest.mark.parametrize("file", sorted((ROOT / "tests").rglob("*.py")), ids=lambda file: file.name)
def test_tests_run_without_peers(file):
    """Peers may be absent (they may need a compiler): tests say `pytest.importorskip`, never `import`."""
    peers = package_names(PROJECT["optional-dependencies"]["peers"])
    imported = sorted(peers & {module.split(".")[0] for module, _ in imported_modules(file)})
    assert not imported, f'{file.relative_to(ROOT)}: write x = pytest.importorskip("x") for {imported}'


def package_names(requirements: list[str]) -> set[str]:
    return {requirement.split(">")[0].strip() for requirement in requirements}


def assert_declared(file: Path, own: set[str]) -> None:
    known = package_names(PROJECT["dependencies"]) | own | sys.stdlib_module_names
    foreign = sorted({module for module, _ in imported_modules(file) if module.split(".")[0] not in known})
    assert not foreign, f"{file.relative_to(ROOT)} imports {foreign}: not a dependency in pyproject.toml"


@pytest.mark.parametrize("folder", ["hqre_jax", "proofs_check", "benchmarks", "tests"])
def test_files_are_short_enough_to_read(folder):
    lengths = {
        str(file.relative_to(ROOT)): len(file.read_text(encoding="utf-8").splitlines())
        for file in (ROOT / folder).rglob("*.py")
    }
    too_long = {file: length for file, length in lengths.items() if length > MAX_LINES}
    assert not too_long, f"more than {MAX_LINES} lines, to be split by idea: {too_long}"


def library_classes() -> dict[str, type]:
    package = importlib.import_module("hqre_jax")
    names = [info.name for info in pkgutil.walk_packages(package.__path__, "hqre_jax.")]
    modules = [importlib.import_module(name) for name in names if not name.endswith("__main__")]
    return {
        f"{cls.__module__}.{cls.__qualname__}": cls
        for module in modules
        for cls in vars(module).values()
        if inspect.isclass(cls) and cls.__module__ == module.__name__
    }


def test_classes_are_abstract_by_name_or_final():
    """An abstract class says so in its name, and no class is derived from a concrete one."""
    classes = library_classes()
    assert classes, "no class was found: the search itself is broken"
    for name, cls in classes.items():
        if inspect.isabstract(cls):
            assert cls.__name__.lstrip("_").startswith("Abstract"), f"{name} is abstract: call it Abstract…"
        for base in cls.__mro__[1:]:
            own = base.__module__.split(".")[0] == "hqre_jax" and not issubclass(base, Exception)
            assert not own or base.__name__.lstrip("_").startswith("Abstract"), f"{name} extends concrete {base}"


def test_methods_are_pythons_own():
    """What equinox makes of a method that is looked up takes longer than most methods: all modules do without."""
    modules = {name: cls for name, cls in library_classes().items() if issubclass(cls, eqx.Module)}
    assert {"hqre_jax.games._game.AbstractGame", "hqre_jax.problem.Problem"} <= modules.keys()
    for name, cls in modules.items():
        assert cls.__getattribute__ is object.__getattribute__, f"{name}: derive it from AbstractModule"


def test_nobody_asks_which_kind_a_game_is():
    """A game says what it can do (`AbstractGame`): outside of games/ no kind is told apart, and nothing is guessed."""
    game = library_classes()["hqre_jax.games._game.AbstractGame"]
    kinds = {cls.__name__ for cls in library_classes().values() if issubclass(cls, game)}
    assert {"AbstractGame", "NormalFormGame", "SampledGame"} <= kinds, "the search for kinds is broken"
    asked = [
        f"{file.relative_to(ROOT)}:{call.lineno}: {ast.unparse(call)}"
        for module, file in FILES.items()
        if not module.startswith("hqre_jax.games")
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and len(call.args) == 2
        if (call.func.id in ("isinstance", "issubclass") and kinds & words(call.args[1]))
        or (call.func.id == "hasattr" and words(call.args[0]) & {"game", "games"})
    ]
    assert not asked, f"let the game say it, by a method of AbstractGame: {asked}"


def words(node: ast.AST) -> set[str]:
    """The names and attributes in an expression."""
    names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    return names | {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)}


def test_import_leaves_jax_alone():
    """Importing the library changes no setting of JAX and compiles nothing."""
    program = """
import jax
before = dict(jax.config.values)
import hqre_jax
for name in dir(hqre_jax):
    getattr(hqre_jax, name)
changed = {key for key, value in jax.config.values.items() if key in before and before[key] != value}
assert not changed, f"changed on import: {sorted(changed)}"
assert not jax._src.xla_bridge.backends_are_initialized(), "a computation ran on import"
"""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("JAX_")}
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
