"""The database file: made, opened, and refused where it is damaged, foreign or newer than this program."""

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from hqre_jax.core._types import InputError

FORMAT = 1
_APPLICATION = 0x48515245  # "HQRE": tells a store from other programs' SQLite files
_BUSY_SECONDS = 60.0

# Token counts are what the model said where `known`, otherwise upper bounds: a budget counts either.
_SCHEMA = """
CREATE TABLE calls (
    key TEXT PRIMARY KEY, model TEXT NOT NULL, identity TEXT NOT NULL, request TEXT NOT NULL, reply TEXT NOT NULL,
    prompt INTEGER NOT NULL, cached INTEGER NOT NULL, completion INTEGER NOT NULL, known INTEGER NOT NULL,
    run TEXT NOT NULL, began REAL NOT NULL, seconds REAL NOT NULL, seal TEXT NOT NULL
);
CREATE TABLE failures (
    key TEXT NOT NULL, model TEXT NOT NULL, identity TEXT NOT NULL, request TEXT NOT NULL,
    kind TEXT NOT NULL, detail TEXT NOT NULL,
    prompt INTEGER NOT NULL, cached INTEGER NOT NULL, completion INTEGER NOT NULL, known INTEGER NOT NULL,
    run TEXT NOT NULL, began REAL NOT NULL, seconds REAL NOT NULL
);
CREATE TABLE claims (
    key TEXT PRIMARY KEY, model TEXT NOT NULL, owner TEXT NOT NULL, expires REAL NOT NULL, run TEXT NOT NULL,
    prompt INTEGER NOT NULL, cached INTEGER NOT NULL, completion INTEGER NOT NULL
);
CREATE INDEX calls_of_run ON calls (run, model, prompt, cached, completion);
CREATE INDEX failures_of_run ON failures (run, model, prompt, cached, completion);
"""


def open_database(path: Path, read_only: bool) -> sqlite3.Connection:
    """Connect to a store, which is made where there is none.

    Args:
        path: The file.
        read_only: It must exist and is not written to.

    Returns:
        A connection in autocommit mode that any thread may use, one at a time.

    Raises:
        InputError: The file cannot be opened, is damaged, belongs to another program, or is newer than this one.
    """
    if path.is_dir():
        raise InputError(str(path), "is a folder; name a file")
    if read_only and not path.is_file():
        raise InputError(str(path), "there is no such store")
    if not path.parent.is_dir():
        raise InputError(str(path), f"the folder {str(path.parent)!a} does not exist")
    # Without a log beside it, a file in a folder that cannot be written to is read as it is.
    still = read_only and not os.access(path.parent, os.W_OK) and not Path(f"{path}-wal").exists()
    uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}{'&immutable=1' if still else ''}"
    with refusing(path):
        connection = sqlite3.connect(
            uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            _prepare(connection, path, read_only)
        except BaseException:
            connection.close()
            raise
    return connection


def memory_database() -> sqlite3.Connection:
    """An empty store in memory."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    _create(connection)
    return connection


@contextlib.contextmanager
def refusing(path: Path | str) -> Iterator[None]:
    """Turns what SQLite says of a file into one line that says what to do."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise InputError(str(path), f"cannot be used: {error}; is it writable, and is the disk full?") from None
    except sqlite3.DatabaseError as error:
        raise damaged(path, str(error)) from None


def damaged(path: Path | str, what: str) -> InputError:
    """The refusal of a file whose content is not what was written."""
    return InputError(
        str(path),
        f"is damaged or no store ({what}): restore a copy, or begin another; "
        "`sqlite3 STORE .recover` saves what can be read",
    )


@contextlib.contextmanager
def writing(connection: sqlite3.Connection) -> Iterator[None]:
    """One transaction: all of it happens, or nothing does; other writers wait."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _prepare(connection: sqlite3.Connection, path: Path, read_only: bool) -> None:
    application, version, tables = _what_it_is(connection)
    new = (application, version, tables) == (0, 0, 0)
    if new and not read_only:
        _journal(connection)
        with writing(connection):
            # Another process may have made it in the meantime.
            if _what_it_is(connection)[2] == 0:
                _create(connection)
        application, version, tables = _what_it_is(connection)
    if application != _APPLICATION:
        raise InputError(str(path), "is no store of language-model calls: it is empty or another program's file")
    if version > FORMAT:
        raise InputError(
            str(path), f"was written by a newer hqre-jax (format {version}, this one reads {FORMAT}): upgrade hqre-jax"
        )
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise damaged(path, found.splitlines()[-1])
    if not read_only:
        _journal(connection)
        # What is paid for must survive a power failure too, not only the end of the process.
        connection.execute("PRAGMA synchronous = FULL")


def _what_it_is(connection: sqlite3.Connection) -> tuple[int, int, int]:
    """Application, version and number of tables, all at one moment: another process may be making the file."""
    if not connection.in_transaction:
        connection.execute("BEGIN")
        try:
            return _what_it_is(connection)
        finally:
            connection.execute("COMMIT")
    one = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
    return one[0], one[1], connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]


def _create(connection: sqlite3.Connection) -> None:
    for statement in filter(str.strip, _SCHEMA.split(";")):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {_APPLICATION}")
    connection.execute(f"PRAGMA user_version = {FORMAT}")


def _journal(connection: sqlite3.Connection) -> None:
    """Write-ahead logging; the switch to it does not wait for others by itself."""
    until = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.01)
