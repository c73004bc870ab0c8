"""The folder of a ledger: one file per finished task, and what the ledger is of."""

import contextlib
import hashlib
import io
import json
import os
import platform
import secrets
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

import hqre_jax as hq
from proofs_check.comparison import Judged
from proofs_check.runner.shrink import Counterexample
from proofs_check.runner.tasks import Record, Task
from proofs_check.statement import Example

_MANIFEST, _TASKS = "manifest.json", "tasks"


@dataclass(frozen=True)
class Configuration:
    """What decides the numbers of a ledger. Which statements are asked about does not: tasks are the same.

    Attributes:
        seed: Seed of all randomness.
        games: Games per statement.
        versions: Of what computes.
        sources: Hash of the sources of the library and the statements.
    """

    seed: int
    games: int
    versions: dict[str, str]
    sources: str

    @staticmethod
    def of(seed: int, games: int) -> "Configuration":
        """The configuration of here and now."""
        versions = {"python": platform.python_version(), "jax": jax.__version__, "numpy": np.__version__}
        return Configuration(seed, games, versions | {"machine": platform.machine()}, hash_of_sources())


def hash_of_sources() -> str:
    """Of all that could change a number: the library and the statements."""
    digest = hashlib.sha256()
    folders = (Path(hq.__file__).parent, Path(__file__).parents[1])
    for folder in folders:
        for file in sorted(folder.rglob("*.py")):
            digest.update(str(file.relative_to(folder)).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


class Store:
    """The folder of one ledger.

    Args:
        folder: Where; made if need be.
        configuration: Of the ledger that is to be stored there.
        fresh: Forget what the folder holds of any ledger.

    Raises:
        InputError: The folder cannot be written to, or holds a ledger of another configuration.
    """

    def __init__(self, folder: Path, configuration: Configuration, *, fresh: bool = False):
        self.folder = folder
        try:
            (folder / _TASKS).mkdir(parents=True, exist_ok=True)
            if fresh:
                (folder / _MANIFEST).unlink(missing_ok=True)
                for file in (folder / _TASKS).glob("*.npz"):
                    file.unlink()
            for leftover in [*folder.glob(".*.tmp"), *(folder / _TASKS).glob(".*.tmp")]:
                leftover.unlink()
            wanted, found = asdict(configuration), None
            with contextlib.suppress(FileNotFoundError, ValueError):
                found = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
            if found is None and not (folder / _MANIFEST).exists() and not any((folder / _TASKS).glob("*.npz")):
                self.write(_MANIFEST, json.dumps(wanted, indent=1).encode())
                return
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise hq.InputError("out", f"cannot write into {str(folder)!a}: {str(reason).lower()}") from None
        if not isinstance(found, dict):
            raise hq.InputError(
                "out",
                f"{str(folder)!a} holds a ledger whose {_MANIFEST}, which says what it is of, is missing or "
                "cannot be read: name another folder, or begin again with --fresh",
            )
        differing = [name for name in wanted if found.get(name) != wanted[name]]
        if differing:
            raise hq.InputError(
                "out",
                f"{str(folder)!a} holds a ledger of other {' and '.join(differing)}: "
                "name another folder, or begin again with --fresh",
            )

    def write(self, name: str, data: bytes) -> Path:
        """A file of the folder, whole or not at all."""
        target = self.folder / name
        temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
        return target

    def save(self, record: Record) -> None:
        """Keep a finished task."""
        header: dict[str, Any] = {
            "task": asdict(record.task),
            "judged": [[judged.claim, judged.family] for judged in record.judged],
            "drawn": record.drawn,
            "examples": [asdict(example) for example in record.examples],
            "attack": None if record.attack is None else record.attack[0],
            "found": [asdict(found) for found in record.found],
            "seconds": record.seconds,
        }
        arrays = {f"figure_{name}": np.asarray(array) for name, array in record.figure.items()}
        for j, judged in enumerate(record.judged):
            arrays |= {f"ratios_{j}": judged.ratios, f"violated_{j}": judged.violated}
        if record.attack is not None:
            arrays["attack"] = record.attack[1]
        buffer = io.BytesIO()
        np.savez(buffer, header=np.array(json.dumps(header)), **arrays)
        self.write(_file(record.task), buffer.getvalue())

    def load(self, task: Task) -> Record | None:
        """A task that was finished before, or None."""
        # A file that cannot be read is as good as none: the task is done again.
        with contextlib.suppress(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            with np.load(self.folder / _file(task), allow_pickle=False) as data:
                arrays = dict(data)
            header = json.loads(str(arrays["header"]))
            if header["task"] != asdict(task):
                return None
            return Record(
                task,
                tuple(
                    Judged(claim, family, arrays[f"ratios_{j}"], arrays[f"violated_{j}"])
                    for j, (claim, family) in enumerate(header["judged"])
                ),
                header["drawn"],
                tuple(Example(**example) for example in header["examples"]),
                None if header["attack"] is None else (header["attack"], arrays["attack"]),
                {name.removeprefix("figure_"): a for name, a in arrays.items() if name.startswith("figure_")},
                tuple(Counterexample(**found) for found in header["found"]),
                tuple(header["seconds"]),
            )
        return None


def _file(task: Task) -> str:
    return f"{_TASKS}/{task.name}.npz"
