"""Statements are found, not listed: every folder with a ``statement.md`` is one."""

import pkgutil
import re
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from proofs_check.statement import Statement


def statements(package: str = "proofs_check") -> dict[str, Statement]:
    """The statements of a package, in the order of their numbers.

    A folder ``t2_linear_convergence`` with a ``statement.md`` and a module that says ``STATEMENT`` is one; nothing else
    need know of it.

    Args:
        package: Where to look; importable in any process that does the work.

    Returns:
        Name to `Statement`: "T2", "T3", "T3s", "T10", …
    """
    found = []
    for module in pkgutil.iter_modules(import_module(package).__path__):
        text = Path(getattr(module.module_finder, "path", "")) / module.name / "statement.md"
        if text.is_file():
            statement = import_module(f"{package}.{module.name}").STATEMENT
            found.append(replace(statement, text=text.read_text(encoding="utf-8")))
    return {statement.name: statement for statement in sorted(found, key=_order)}


def _order(statement: Statement) -> list[Any]:
    """Numbers as numbers: T2 before T3, T3 before T3s, T3s before T10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", statement.name)]
