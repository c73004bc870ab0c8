"""What a user can reach is listed, documented, and named in the documentation."""

import inspect
import re
from pathlib import Path

import pytest

import hqre_jax

NAMES = (Path(__file__).parents[1] / "docs" / "names.md").read_text(encoding="utf-8")
PUBLIC = [name for name in hqre_jax.__all__ if not name.startswith("__")]


def reading_order(name: str) -> tuple:
    """Constants, classes, the rest; each with numbers inside names in their natural order (ruff's RUF022)."""
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2
    return kind, [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def test_all_is_sorted_and_without_repetition():
    assert hqre_jax.__all__ == sorted(set(hqre_jax.__all__), key=reading_order)


def test_all_is_complete():
    """What `hqre_jax` shows without an underscore is what it lists; submodules need no listing."""
    visible = {
        name for name, value in vars(hqre_jax).items() if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert visible <= set(PUBLIC), f"visible, not in __all__: {sorted(visible - set(PUBLIC))}"


@pytest.mark.parametrize("name", PUBLIC)
def test_public_name_is_documented(name):
    value = getattr(hqre_jax, name)
    if not (inspect.ismodule(value) or callable(value)):
        return  # a constant has no docstring of its own; the test below wants it named
    # A class must not inherit its description: `__doc__` of the class itself, not of a parent.
    text = vars(value).get("__doc__") if inspect.isclass(value) else inspect.getdoc(value)
    assert text, f"hqre_jax.{name} has no docstring"
    if inspect.isroutine(inspect.unwrap(value)) and inspect.signature(value).parameters:
        for section in ("Args:", "Returns:"):
            assert section in text, f"the docstring of hqre_jax.{name} has no section '{section}'"


@pytest.mark.parametrize("name", PUBLIC)
def test_public_methods_are_documented(name):
    value = getattr(hqre_jax, name)
    if not inspect.isclass(value):
        return
    for method, member in vars(value).items():
        own = inspect.isroutine(member) or isinstance(member, property | classmethod | staticmethod)
        if own and not method.startswith("_"):
            assert inspect.getdoc(getattr(value, method)), f"hqre_jax.{name}.{method} has no docstring"


@pytest.mark.parametrize("name", PUBLIC)
def test_documentation_names_it(name):
    assert re.search(rf"\b{re.escape(name)}\b", NAMES), f"docs/names.md does not name '{name}'"
