"""The table of mutants: one wrong constant, inequality or decision each, and the test that must notice it."""

import ast
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLE = Path(__file__).with_name("mutants.toml")


@dataclass(frozen=True)
class Mutant:
    """One replacement in one file.

    Attributes:
        area: The part of the theory or of the program that it is about.
        name: A few words, unique in its area.
        breaks: What is no longer true.
        file: Path from the root.
        old: The text that is replaced; occurs once in the file.
        new: What stands there instead.
        test: The test that must fail, ``path::name`` or ``path::name[parameter]``.
    """

    area: str
    name: str
    breaks: str
    file: str
    old: str
    new: str
    test: str

    def applied(self, root: Path) -> str:
        """The file's text with the replacement made.

        Args:
            root: The tree whose file is read.

        Raises:
            ValueError: If the text does not occur exactly once, or is replaced by itself.
        """
        text = (root / self.file).read_text(encoding="utf-8")
        if text.count(self.old) != 1 or self.old == self.new:
            raise ValueError(f"{self.name}: {self.old!r} occurs {text.count(self.old)} times in {self.file}")
        return text.replace(self.old, self.new)


def load(path: Path = TABLE) -> list[Mutant]:
    """All mutants, in the order of the table."""
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    return [Mutant(area, **entry) for area, entries in content.items() for entry in entries]


def missing_test(mutant: Mutant, root: Path = ROOT) -> str | None:
    """Why `make test` would not run the mutant's test, or None if it would."""
    file, _, name = mutant.test.partition("::")
    if not (root / file).is_file():
        return f"{file} does not exist"
    tree = ast.parse((root / file).read_text(encoding="utf-8"))
    found = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name.partition("[")[0]]
    if len(found) != 1:
        return f"{file} has no test {name}"
    marks = [ast.unparse(node) for node in found[0].decorator_list]
    marks += [
        ast.unparse(n.value)
        for n in tree.body
        if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "pytestmark"
    ]
    skipped = any(mark.startswith(("pytest.mark.thorough", "[pytest.mark.thorough")) for mark in marks)
    return f"{mutant.test} runs only on request" if skipped else None
