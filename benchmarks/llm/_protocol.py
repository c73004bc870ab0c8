"""The protocol: what is asked of whom, within which budgets and with which hyper-parameters, fixed before test."""

import ast
import hashlib
import importlib
import inspect
import json
import pkgutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from hqre_jax.bridge import baselines
from hqre_jax.bridge._toml import Table, amount, mapping, one_of, read_document, text, whole, words
from hqre_jax.bridge.coordination import _offline
from hqre_jax.bridge.team import Team, read_team
from hqre_jax.core._types import InputError

SHIPPED = Path(__file__).with_name("protocol.toml")
COMMAND = "python -m benchmarks.llm"


@dataclass(frozen=True)
class Protocol:
    """A protocol file.

    Attributes:
        path: The file.
        team_path: The team file that it names.
        team: What that says: menu, prices, rounds, classes, questions of dev, samples.
        questions: Of each class of the test split.
        token_budgets: Most tokens a question, rising.
        seeds: How many, from ``seed`` on.
        seed: Of worked examples, sampling and training.
        plays: Training plays of the learning curves.
        temperatures: How DICE-PC finds its own.
        retrain_prices: Factors on the team's prices at which its game is solved again.
        baselines: Names of the methods that DICE-PC is compared with.
        hours: Most hours that asking everything may take, by the estimate of ``--plan``.
        grids: Every number that the code of a method is made with, by module and name.
    """

    path: Path
    team_path: Path
    team: Team
    questions: int
    token_budgets: tuple[float, ...]
    seeds: int
    seed: int
    plays: int
    temperatures: str
    retrain_prices: tuple[float, ...]
    baselines: tuple[str, ...]
    hours: float
    grids: dict[str, Any]

    @property
    def digest(self) -> str:
        """SHA-256 of all that the protocol and its team file say, however they are spelt."""
        said = {name: value for name, value in vars(self).items() if name not in ("path", "team_path", "team")}
        text = json.dumps(said | {"team": self.team.digest}, sort_keys=True)
        return hashlib.sha256(text.encode("ascii")).hexdigest()

    @property
    def command(self) -> str:
        """What is typed to go on with it."""
        return COMMAND if self.path == SHIPPED else f"{COMMAND} --protocol {self.path}"

    @property
    def frozen_path(self) -> Path:
        """Where the digest is kept that opens the test questions."""
        return self.path.with_name("frozen.json")

    @property
    def recording(self) -> Path:
        """The calls that ship beside the protocol."""
        return self.path.with_name("calls.jsonl.xz")


def read_protocol(path: str | Path = SHIPPED) -> Protocol:
    """A protocol from its file.

    Args:
        path: The file.

    Raises:
        InputError: Naming the file and the key at fault; also where the code has other hyper-parameters.
    """
    path = Path(path)
    table = read_document(path, "protocol")
    table.take("version", lambda value: whole(value, 1, 1), "the number 1")
    team_path = path.parent / table.take("team", text, "the name of a team file")
    protocol = Protocol(
        path=path,
        team_path=team_path,
        team=read_team(team_path),
        questions=table.take("questions", lambda value: whole(value, 1), "a whole number, 1 or more,"),
        token_budgets=table.take("token_budgets", _rising, "a list of rising numbers above 0"),
        seeds=table.take("seeds", lambda value: whole(value, 1), "a whole number, 1 or more,"),
        seed=table.take("seed", lambda value: whole(value, 0), "a whole number, 0 or more,"),
        plays=table.take("plays", lambda value: whole(value, 1), "a whole number, 1 or more,"),
        temperatures=table.take("temperatures", one_of(("grid", "least", "controller")), "grid, least or controller"),
        retrain_prices=table.take("retrain_prices", _amounts, "a list of numbers, 0 or more,"),
        baselines=table.take("baselines", words, "a list of methods"),
        hours=table.take("hours", amount, "a number, 0 or more,"),
        grids=_grids(path, table),
    )
    table.finish()
    baselines.find_methods(protocol.baselines)
    for name, there, here in _differences(protocol.grids, code_grids()):
        raise InputError(f"{path}: grids.{name}", f"is {there} there and {here} in the code: make them agree")
    return protocol


def _grids(path: Path, table: Table) -> dict[str, Any]:
    """The protocol's own tables, or those of another protocol that it names."""
    if not isinstance(table.values.get("grids"), str):
        return table.take("grids", mapping, "tables [grids.MODULE]")
    other = path.parent / table.take("grids", text, "tables [grids.MODULE], or the name of a protocol that has them")
    return read_document(other, "protocol").take("grids", mapping, "tables [grids.MODULE]")


def code_grids() -> dict[str, dict[str, Any]]:
    """Every number, and tuple of numbers, that a module of the methods writes down in capitals, as TOML has it."""
    names = sorted(info.name for info in pkgutil.iter_modules(baselines.__path__))
    rooms = [*(importlib.import_module(f"{baselines.__name__}.{name}") for name in names), _offline]
    found = {room.__name__.rpartition(".")[2]: dict(_numbers(room)) for room in rooms}
    return {name: values for name, values in found.items() if values}


def freeze(protocol: Protocol) -> None:
    """Write the protocol's digest down: from now on its test questions may be opened."""
    document = {"protocol": protocol.digest, "team": protocol.team.digest}
    protocol.frozen_path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def closed(protocol: Protocol) -> str | None:
    """Why the test questions may not be opened yet; None where they may.

    Raises:
        InputError: The protocol was changed after it was frozen.
    """
    try:
        frozen = json.loads(protocol.frozen_path.read_text(encoding="utf-8"))["protocol"]
    except FileNotFoundError:
        return "the protocol is not frozen"
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(str(protocol.frozen_path), f"is not as --freeze writes it: {error}") from None
    if frozen != protocol.digest:
        raise InputError(
            str(protocol.path),
            f"or its team file was changed after {protocol.frozen_path.name} was written: the test questions stay "
            "closed to it; undo the change, or freeze it anew and say so where the table is published",
        )
    return "the frozen protocol is not committed" if _uncommitted(protocol) else None


def _uncommitted(protocol: Protocol) -> bool:
    """Whether a Git repository holds the files and its last commit does not; without Git nobody can tell."""
    names = [path.name for path in (protocol.path, protocol.frozen_path)] + [str(protocol.team_path.resolve())]
    try:
        told = subprocess.run(["git", "status", "--porcelain", "--", *names], cwd=protocol.path.parent,
                              capture_output=True, text=True, check=False)  # fmt: skip
    except OSError:
        return False
    return told.returncode == 0 and bool(told.stdout.strip())


def _numbers(room: ModuleType) -> Iterator[tuple[str, Any]]:
    """Constants that the module itself assigns, not those that it imports."""
    for statement in ast.parse(inspect.getsource(room)).body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        for target in targets:
            for part in target.elts if isinstance(target, ast.Tuple) else [target]:
                if isinstance(part, ast.Name) and part.id.isupper():
                    value = getattr(room, part.id)
                    if _numeric(value):
                        yield part.id, json.loads(json.dumps(value))


def _numeric(value: Any) -> bool:
    if isinstance(value, tuple):
        return bool(value) and all(map(_numeric, value))
    return isinstance(value, int | float) and not isinstance(value, bool)


def _differences(there: dict[str, Any], here: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for module in sorted({*there, *here}):
        own, code = there.get(module, {}), here.get(module, {})
        for name in sorted({*mapping(own), *code}):
            if own.get(name) != code.get(name):
                yield f"{module}.{name}", own.get(name, "missing"), code.get(name, "missing")


def _amounts(value: Any) -> tuple[float, ...]:
    if not isinstance(value, list):
        raise TypeError
    return tuple(map(amount, value))


def _rising(value: Any) -> tuple[float, ...]:
    found = _amounts(value)
    if not found or any(low >= high for low, high in zip((0.0, *found), found, strict=False)):
        raise ValueError
    return found
