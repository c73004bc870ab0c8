"""What a user can reach is listed, documented, and named in the documentation."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import hqre_jax

NAMES = (Path(__file__).parents[1] / "docs" / "names.md").read_text(encoding="utf-8")
PUBLIC = list(hqre_jax.__all__)
ROOMS = [getattr(hqre_jax, room) for room in hqre_jax._ROOMS]
ROOMS += [getattr(hqre_jax.games, room) for room in ("conversions", "manufactured", "named", "random")]
# What users are told of: the door's names, and those of rooms that the documentation names.
TOLD = {name: getattr(hqre_jax, name) for name in PUBLIC} | {
    name: getattr(room, name)
    for room in ROOMS
    for name in getattr(room, "__all__", None) or (part for part in vars(room) if part[0] != "_")
    if re.search(rf"[`.]{name}`", NAMES) and getattr(room, name).__class__.__module__ != "typing"
}


def reading_order(name: str) -> tuple:
    """Constants, classes, the rest; each with numbers inside names in their natural order (ruff's RUF022)."""
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2
    return kind, [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def test_all_is_sorted_and_without_repetition():
    assert hqre_jax.__all__ == sorted(set(hqre_jax.__all__), key=reading_order)


def test_the_door_is_small_and_shows_what_it_lists():
    """What `hqre_jax` shows without an underscore is what it lists; rooms need no listing."""
    assert len(PUBLIC) <= 45
    assert len(TOLD) > 100, "the search for names in rooms is broken"
    visible = {name for name, value in vars(hqre_jax).items() if name[0] != "_" and not inspect.ismodule(value)}
    assert visible - {"Any", "TYPE_CHECKING"} <= set(PUBLIC)
    assert set(dir(hqre_jax)) == {*PUBLIC, *hqre_jax._ROOMS}
    with pytest.raises(AttributeError, match="rooms hold more"):
        _ = hqre_jax.MirrorDescent


def test_type_checkers_are_told_what_is_loaded():
    """The imports that only type checkers see bring each name and room from where it is loaded."""
    tree = ast.parse(Path(hqre_jax.__file__).read_text(encoding="utf-8"))
    (told,) = (node.body for node in tree.body if isinstance(node, ast.If))
    seen = {(node.module, alias.name) for node in told if isinstance(node, ast.ImportFrom) for alias in node.names}
    homes = {(f"hqre_jax.{room}", name) for name, room in hqre_jax._HOMES.items()}
    assert seen == homes | {("hqre_jax", room) for room in hqre_jax._ROOMS}
    assert {*hqre_jax._HOMES, "plotting"} == set(PUBLIC)


def test_the_door_opens_without_jax():
    program = "import sys, hqre_jax; assert not {'jax', 'numpy', 'equinox'} & set(sys.modules); hqre_jax.solve"
    subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[1], check=True)


@pytest.mark.parametrize("name", TOLD)
def test_public_name_is_documented(name):
    value = TOLD[name]
    if not (inspect.ismodule(value) or callable(value)):
        return  # a constant has no docstring of its own; the test below wants it named
    # A class must not inherit its description: `__doc__` of the class itself, not of a parent.
    text = vars(value).get("__doc__") if inspect.isclass(value) else inspect.getdoc(value)
    assert text, f"hqre_jax.{name} has no docstring"
    if inspect.isroutine(inspect.unwrap(value)) and inspect.signature(value).parameters:
        for section in ("Args:", "Returns:"):
            assert section in text, f"the docstring of hqre_jax.{name} has no section '{section}'"


@pytest.mark.parametrize("name", TOLD)
def test_public_methods_are_documented(name):
    value = TOLD[name]
    if not inspect.isclass(value):
        return
    for method, member in vars(value).items():
        own = inspect.isroutine(member) or isinstance(member, property | classmethod | staticmethod)
        if own and not method.startswith("_"):
            assert inspect.getdoc(getattr(value, method)), f"hqre_jax.{name}.{method} has no docstring"


@pytest.mark.parametrize("name", PUBLIC)
def test_documentation_names_it(name):
    assert re.search(rf"\b{re.escape(name)}\b", NAMES), f"docs/names.md does not name '{name}'"
