"""Rollout logs in files: JSON Lines, one episode a line, and ``.npz``. The format is docs/rollout_log.md."""

import io
import json
import os
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hqre_jax.core._types import InputError, checked_choice, checked_kind
from hqre_jax.io._document import GENERAL_NAME_KEYS, document_from_labels, labels_from_document
from hqre_jax.io._files import decode, display, read_bytes, reason, write_whole
from hqre_jax.io._json import parse_json
from hqre_jax.io._npz import parse_npz
from hqre_jax.rollouts._rollout_log import COLUMNS, RolloutLog

SCHEMA = "hqre-rollout-log"
VERSION = 1

_DEFAULTS: dict[str, Any] = {
    "run": 0,
    "step": 0,
    "information_state": 0,
    "log_propensity": None,
    "failed": False,
}
_HEADER_KEYS = ("schema", "version", "num_actions", *GENERAL_NAME_KEYS)
_WANTED = {np.int64: "a whole number", np.float64: "a number", np.bool_: "true or false"}
_ALLOWED: dict[type, set[type]] = {np.int64: {int}, np.float64: {int, float}, np.bool_: {bool}}
_LARGEST = 2**63 - 1

Incomplete = Literal["error", "skip"]


def load_rollout_log(path: str | os.PathLike[str], *, incomplete: Incomplete = "error") -> RolloutLog:
    """Reads a rollout log.

    Args:
        path: A ``.jsonl`` or ``.npz`` file in the format of docs/rollout_log.md.
        incomplete: What to do about a last line that a crash has cut off: ``"error"`` refuses the file,
            ``"skip"`` leaves that one episode out.

    Returns:
        The log.

    Raises:
        InputError: The file cannot be read, is of another schema or version, or a row is ill-formed; the field
            is ``FILE:LINE: column``, for syntax ``FILE:LINE:COLUMN``.

    Example:
        >>> import pathlib
        >>> import tempfile
        >>> import hqre_jax as hq
        >>> log = hq.RolloutLog(episode=[0, 1], agent=[0, 0], action=[1, 0], payoff=[2.0, 0.5])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     hq.io.save_rollout_log(log, path := pathlib.Path(folder, "plays.jsonl"))
        ...     _ = path.write_text(path.read_text()[:-9])  # as if the machine had crashed
        ...     print(hq.io.load_rollout_log(path, incomplete="skip").payoff)
        [2.]
    """
    path = _path(path)
    name = display(path)
    _check_incomplete(incomplete)
    extension = _extension(path)
    data = read_bytes(path)
    if extension == ".npz":
        return _from_npz(data, name)
    whole, rest = _split(data)
    if rest and not _is_json(rest):
        if incomplete == "error":
            line = whole.count(b"\n") + 1
            raise InputError(f"{name}:{line}", 'is cut off: pass incomplete="skip" to go on without that episode')
        rest = b""
    return _from_lines(decode(whole + rest, name), name)


def save_rollout_log(log: RolloutLog, path: str | os.PathLike[str]) -> None:
    """Writes a rollout log, whole or not at all.

    Args:
        log: The log.
        path: Where to; ``.jsonl`` or ``.npz``. A file that is there already is replaced.

    Returns:
        None.

    Raises:
        InputError: The format is unknown, or the file cannot be written.

    Example:
        >>> import tempfile
        >>> import hqre_jax as hq
        >>> log = hq.RolloutLog(episode=[0, 0], agent=[0, 1], action=[1, 0], payoff=[2.0, 0.5])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     hq.io.save_rollout_log(log, f"{folder}/plays.npz")
        ...     print(hq.io.load_rollout_log(f"{folder}/plays.npz").action)
        [1 0]
    """
    path = _path(path)
    checked_kind(log, RolloutLog, "log")
    if _extension(path) == ".jsonl":
        data = _line(_header(log)) + _episodes(log)
    else:
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, header=np.array(json.dumps(_header(log))), **log.columns())
        data = buffer.getvalue()
    write_whole(path, data)


def append_rollout_log(log: RolloutLog, path: str | os.PathLike[str], *, incomplete: Incomplete = "error") -> None:
    """Adds episodes to a JSON Lines file, all of them or none; a new file is begun where there is none.

    The lines go out in one write and are on the disk when the function returns. What a crash of the machine in
    between can leave is a last line that is cut off. There may be one writer at a time. Rows that the file has
    already are not looked for here: `load_rollout_log` refuses them.

    Args:
        log: Whole episodes.
        path: A ``.jsonl`` file.
        incomplete: What to do about a last line that an earlier crash has cut off: ``"error"`` refuses,
            ``"skip"`` removes it from the file.

    Returns:
        None.

    Raises:
        InputError: The file is none of this version, is of a game with other numbers of actions, ends in a line that
            is cut off, or cannot be written.

    Example:
        >>> import tempfile
        >>> import hqre_jax as hq
        >>> log = hq.RolloutLog(episode=[0, 0], agent=[0, 1], action=[1, 0], payoff=[2.0, 0.5])
        >>> later = hq.RolloutLog(episode=[1, 1], agent=[0, 1], action=[0, 0], payoff=[1.0, 1.0])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     hq.io.append_rollout_log(log, f"{folder}/plays.jsonl")
        ...     hq.io.append_rollout_log(later, f"{folder}/plays.jsonl")
        ...     print(hq.io.load_rollout_log(f"{folder}/plays.jsonl").payoff)
        [2.  0.5 1.  1. ]
    """
    path = _path(path)
    checked_kind(log, RolloutLog, "log")
    name = display(path)
    _check_incomplete(incomplete)
    if _extension(path) != ".jsonl":
        raise InputError(name, "cannot be appended to: append to a .jsonl file, and convert it at the end")
    if not path.exists():
        save_rollout_log(log, path)
        return
    data = read_bytes(path)
    whole, rest = _split(data)
    if b"\n" not in data:
        raise InputError(f"{name}:1", f"is no whole header of a rollout log; its schema is {SCHEMA!r}")
    head = _checked_header(_object(decode(data[: data.index(b"\n")], name), f"{name}:1"), f"{name}:1")
    # What either side does not say is no contradiction.
    theirs, own = head.get("num_actions"), _header(log).get("num_actions")
    if theirs is not None and own is not None and theirs != own:
        raise InputError(f"{name}:1: num_actions", "differs from the log's: they are of different games")
    added = _episodes(log)
    if rest and _is_json(rest):
        whole, added = data, b"\n" + added
    elif rest and incomplete == "error":
        line = whole.count(b"\n") + 1
        raise InputError(f"{name}:{line}", 'is cut off: pass incomplete="skip" to remove that episode')
    try:
        with open(path, "r+b", buffering=0) as file:
            file.truncate(len(whole))
            file.seek(0, os.SEEK_END)
            try:
                if file.write(added) != len(added):
                    raise OSError("the disk took only a part")
                os.fsync(file.fileno())
            except OSError:
                file.truncate(len(whole))
                raise
    except OSError as error:
        raise InputError(name, f"cannot be written: {reason(error)}") from None


def _header(log: RolloutLog) -> dict[str, Any]:
    head: dict[str, Any] = {"schema": SCHEMA, "version": VERSION}
    if log.num_actions is not None:
        head["num_actions"] = [list(row) for row in log.num_actions]
    return head | document_from_labels(log.labels)


def _episodes(log: RolloutLog) -> bytes:
    """One line per episode, in the order in which they first occur."""
    if not len(log):
        return b""
    _, first, which = np.unique(np.stack([log.run, log.episode]), axis=1, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))[which.reshape(-1)]
    order = np.argsort(rank, kind="stable")
    starts = np.flatnonzero(np.diff(rank[order])) + 1
    columns = {name: _plain(column[order]) for name, column in log.columns().items()}
    lines = []
    for begin, end in zip([0, *starts], [*starts, len(log)], strict=True):
        episode = {name: column[begin:end] for name, column in columns.items()}
        lines.append(_line(episode | {"run": episode["run"][0], "episode": episode["episode"][0]}))
    return b"".join(lines)


def _plain(column: np.ndarray) -> list:
    """A column as JSON can hold it: NaN is null."""
    values = column.tolist()
    return [None if value != value else value for value in values] if column.dtype.kind == "f" else values


def _line(document: dict[str, Any]) -> bytes:
    return (json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _split(data: bytes) -> tuple[bytes, bytes]:
    """What ends in a newline, and what comes after it."""
    end = data.rfind(b"\n") + 1
    return data[:end], data[end:]


def _is_json(line: bytes) -> bool:
    """Whether a line is a whole object: no proper beginning of an object is."""
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _from_lines(text: str, name: str) -> RolloutLog:
    lines = text.split("\n")
    head = _checked_header(_object(lines[0], f"{name}:1"), f"{name}:1")
    columns: dict[str, list] = {column: [] for column in COLUMNS}
    numbers: list[int] = []  # the line of each row
    for number, line in enumerate(lines[1:], start=2):
        if line.strip():
            place = f"{name}:{number}"
            rows = _rows(_object(line, place), place)
            for column, values in rows.items():
                columns[column].extend(values)
            numbers.extend([number] * len(rows["run"]))
    for column in ("log_propensity", "payoff"):
        columns[column] = [np.nan if value is None else value for value in columns[column]]
    arrays = {column: np.asarray(values, COLUMNS[column]) for column, values in columns.items()}

    def where(field: str) -> str:
        """``payoff[7]`` is row 7; a file has lines."""
        column, _, row = field.rstrip("]").partition("[")
        return f"{name}:{numbers[int(row)]}: {column}" if column in COLUMNS and row else f"{name}:1: {field}"

    return _built(arrays, head, where)


def _object(line: str, place: str) -> dict[str, Any]:
    """One line as an object; faults of syntax are at a line and a column of the file."""
    try:
        return parse_json(line, place)
    except InputError as error:
        # `parse_json` counts lines from 1 within its text, which is one line here.
        raise InputError(error.field.replace(f"{place}:1:", f"{place}:"), error.problem) from None


def _rows(document: dict[str, Any], place: str) -> dict[str, list]:
    for key in document:
        if key not in COLUMNS:
            raise InputError(f"{place}: {ascii(key)[1:-1]}", f"is no column; the columns are {', '.join(COLUMNS)}")
    values: dict[str, Any] = {}
    for column in COLUMNS:
        if column not in document and column not in _DEFAULTS:
            raise InputError(f"{place}: {column}", "is missing")
        values[column] = document.get(column, _DEFAULTS.get(column))
    lengths = {column: len(value) for column, value in values.items() if isinstance(value, list)}
    rows = next(iter(lengths.values()), 1)
    for column, length in lengths.items():
        if length != rows:
            raise InputError(f"{place}: {column}", f"has {length} entries, where {next(iter(lengths))} has {rows}")
    out = {column: value if isinstance(value, list) else [value] * rows for column, value in values.items()}
    for column, entries in out.items():
        _check_entries(column, entries, place)
    return out


def _check_entries(column: str, entries: list, place: str) -> None:
    dtype = COLUMNS[column]
    missing = {type(None)} if dtype is np.float64 else set()
    for entry in entries:
        if type(entry) not in _ALLOWED[dtype] | missing:
            wanted = _WANTED[dtype] + (" or null" if missing else "")
            raise InputError(f"{place}: {column}", f"is {json.dumps(entry)[:40]}, where {wanted} belongs")
        if type(entry) is int and not -_LARGEST <= entry <= _LARGEST:
            raise InputError(f"{place}: {column}", "is a whole number beyond 64 bits")


def _checked_header(head: dict[str, Any], place: str) -> dict[str, Any]:
    if head.get("schema") != SCHEMA:
        raise InputError(f"{place}: schema", f'must be "{SCHEMA}": this is no rollout log, or its header is missing')
    version = head.get("version")
    if type(version) is not int or version != VERSION:
        shown = json.dumps(version)[:40]
        raise InputError(
            f"{place}: version",
            f"is {shown}; only version {VERSION} can be read: convert the log, or use the release that wrote it",
        )
    for key in head:
        if key not in _HEADER_KEYS:
            known = ", ".join(_HEADER_KEYS)
            raise InputError(f"{place}: {ascii(key)[1:-1]}", f"is no key of the header; its keys are {known}")
    return head


def _built(columns: dict[str, Any], head: dict[str, Any], where: Any) -> RolloutLog:
    try:
        return RolloutLog(**columns, num_actions=head.get("num_actions"), labels=labels_from_document(head))
    except InputError as error:
        raise InputError(where(error.field), error.problem) from None


def _from_npz(data: bytes, name: str) -> RolloutLog:
    arrays = parse_npz(data, name)
    header = arrays.pop("header", None)
    if not isinstance(header, str):
        raise InputError(f"{name}: header", f"is missing: this is no rollout log of schema {SCHEMA}")
    head = _checked_header(parse_json(header, f"{name}: header"), f"{name}: header")
    for key in arrays:
        if key not in COLUMNS:
            raise InputError(f"{name}: {ascii(key)[1:-1]}", f"is no column; the columns are {', '.join(COLUMNS)}")
    for column in COLUMNS:
        if column not in arrays:
            raise InputError(f"{name}: {column}", "is missing")
    return _built(arrays, head, lambda field: f"{name}: {field}")


def _path(path: str | os.PathLike[str]) -> Path:
    try:
        return Path(path)
    except TypeError:
        raise InputError("path", f"is a {type(path).__name__}; the name of a file is wanted") from None


def _extension(path: Path) -> str:
    extension = path.suffix.lower()
    if extension not in (".jsonl", ".npz"):
        raise InputError(display(path), "has no extension of a rollout log; it must end in .jsonl or .npz")
    return extension


def _check_incomplete(incomplete: str) -> None:
    checked_choice(incomplete, ("error", "skip"), "incomplete")
