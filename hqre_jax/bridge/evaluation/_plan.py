"""The plan of an evaluation: written down before a test question is opened, and kept to."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from hqre_jax.core._types import InputError
from hqre_jax.io._files import write_whole

FORMAT, VERSION = "hqre-jax evaluation", 1


@dataclass(frozen=True)
class Plan:
    """What is evaluated, on what, within which budgets.

    Attributes:
        team: Title of the team.
        team_digest: Of the team file.
        policies: For each policy its name and digest.
        split: What is judged: "test", or "dev" while one develops.
        classes: Task and class.
        questions: Most that are judged of a class.
        dev: Most that hyper-parameters are chosen on.
        budgets: Most tokens a question, rising.
        methods: Names, DICE-PC's first.
        families: The class of methods that each belongs to.
        papers: What each follows.
        seeds: How many.
        seed: Of worked examples, sampling and training: seeds count from it.
        plays: Training plays of the learning curves.

    Example:
        >>> from hqre_jax.bridge.evaluation import Plan
        >>> what = {"policies": (), "split": "dev", "classes": (("arithmetic", "sum"),), "questions": 10, "dev": 10}
        >>> how = {"budgets": (500.0,), "methods": ("single",), "families": ("one agent",), "papers": ("",)}
        >>> plan = Plan("three solvers", "0a1b", **what, **how, seeds=2, seed=0, plays=0)
        >>> plan.document()["budgets"], plan.document()["classes"]
        ([500.0], [['arithmetic', 'sum']])
    """

    team: str
    team_digest: str
    policies: tuple[tuple[str, str], ...]
    split: Literal["dev", "test"]
    classes: tuple[tuple[str, str], ...]
    questions: int
    dev: int
    budgets: tuple[float, ...]
    methods: tuple[str, ...]
    families: tuple[str, ...]
    papers: tuple[str, ...]
    seeds: int
    seed: int
    plays: int

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"format": FORMAT, "version": VERSION, **json.loads(json.dumps(asdict(self)))}


# What may grow when an evaluation goes on: everything else is kept to.
_MAY_GROW = ("methods", "families", "papers", "seeds")


def read_plan(folder: Path) -> Plan | None:
    """The plan of a folder; None where nothing was begun there.

    Args:
        folder: Of an evaluation.

    Returns:
        The plan, as it was written.

    Raises:
        InputError: There is something else, or a newer program's.

    Example:
        >>> import pathlib
        >>> import tempfile
        >>> from hqre_jax.bridge.evaluation import Plan, read_plan, write_json
        >>> what = {"policies": (), "split": "dev", "classes": (("arithmetic", "sum"),), "questions": 10, "dev": 10}
        >>> how = {"budgets": (500.0,), "methods": ("single",), "families": ("one agent",), "papers": ("",)}
        >>> plan = Plan("three solvers", "0a1b", **what, **how, seeds=2, seed=0, plays=0)
        >>> with tempfile.TemporaryDirectory() as name:
        ...     before = read_plan(folder := pathlib.Path(name))
        ...     write_json(folder / "plan.json", plan.document())
        ...     print(before, read_plan(folder) == plan)
        None True
    """
    path = folder / "plan.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(str(path), f"cannot be read: {error}") from None
    if not isinstance(document, dict) or document.pop("format", None) != FORMAT:
        raise InputError(str(path), "is no plan of an evaluation: name another folder")
    if (version := document.pop("version", None)) != VERSION:
        raise InputError(f"{path}: version", f"is {version!a}, this one reads {VERSION}")
    try:
        return Plan(**{key: _frozen(value) for key, value in document.items()})
    except TypeError as error:
        raise InputError(str(path), f"is not as it was written: {error}") from None


def agree(before: Plan | None, now: Plan) -> Plan:
    """The plan to go on with.

    Args:
        before: What the folder says.
        now: What is asked for.

    Raises:
        InputError: The folder holds another evaluation.
    """
    if before is None:
        return now
    for name, value in vars(now).items():
        if name not in _MAY_GROW and getattr(before, name) != value:
            said = f"{getattr(before, name)!a:.80} there, {value!a:.80} here"
            raise InputError("out", f"holds another evaluation ({name}: {said}): name another folder")
    known = {name: (family, paper) for plan in (before, now)
             for name, family, paper in zip(plan.methods, plan.families, plan.papers, strict=True)}  # fmt: skip
    return replace(
        now,
        methods=tuple(known),
        families=tuple(family for family, _ in known.values()),
        papers=tuple(paper for _, paper in known.values()),
        seeds=max(before.seeds, now.seeds),
    )


def write_json(path: Path, document: Any) -> None:
    """Write a file that is there whole or as it was.

    Args:
        path: The file.
        document: What JSON can say; numbers are finite.

    Raises:
        InputError: It cannot be written.

    Example:
        >>> import pathlib
        >>> import tempfile
        >>> from hqre_jax.bridge.evaluation import write_json
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_json(path := pathlib.Path(folder, "score.json"), {"score": 0.5})
        ...     print("".join(path.read_text().split()))
        {"score":0.5}
    """
    write_whole(path, f"{json.dumps(document, indent=1, allow_nan=False)}\n".encode())


def digest(path: Path) -> str:
    """SHA-256 of a file.

    Args:
        path: The file.

    Returns:
        64 hexadecimal digits.

    Example:
        >>> import pathlib
        >>> import tempfile
        >>> from hqre_jax.bridge.evaluation import digest
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "empty.toml")
        ...     path.touch()
        ...     print(digest(path)[:8])
        e3b0c442
    """
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _frozen(value: Any) -> Any:
    return tuple(_frozen(one) for one in value) if isinstance(value, list) else value


def labels(plan: Plan) -> Sequence[str]:
    """Task and class in one word, class by class.

    Args:
        plan: The plan of an evaluation.

    Returns:
        A word for each class, in the plan's order.

    Example:
        >>> from hqre_jax.bridge.evaluation import Plan, labels
        >>> what = {"policies": (), "split": "dev", "classes": (("arithmetic", "sum"),), "questions": 10, "dev": 10}
        >>> how = {"budgets": (500.0,), "methods": ("single",), "families": ("one agent",), "papers": ("",)}
        >>> labels(Plan("three solvers", "0a1b", **what, **how, seeds=2, seed=0, plays=0))
        ['arithmetic/sum']
    """
    return [f"{task}/{name}" for task, name in plan.classes]
