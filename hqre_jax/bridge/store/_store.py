"""The store: claims, finished calls and failures in one SQLite file that several processes share."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from hqre_jax.bridge.models import Failure, Reply, Request, Usage
from hqre_jax.bridge.store._encoding import decode_reply, decode_request, encode_reply, key_of, seal
from hqre_jax.bridge.store._file import damaged, memory_database, open_database, refusing, writing
from hqre_jax.bridge.store._owner import known_dead
from hqre_jax.bridge.store._prices import Spent, Tally

# A claim lives this long after its owner last said that it is at work.
LEASE_SECONDS = 60.0

# What becomes of a reply that comes second, because a claim had run out: it was paid for, and is counted.
_SECOND = Failure("model", "another process recorded this call first, and its reply is the one that is used")

_COLUMNS = "key, model, identity, request, reply, prompt, cached, completion, known, run, began, seconds, seal"
_EVERYTHING = """
SELECT model, prompt, cached, completion FROM calls WHERE run = :run
UNION ALL SELECT model, prompt, cached, completion FROM failures WHERE run = :run
UNION ALL SELECT model, prompt, cached, completion FROM claims WHERE run = :run
"""


@dataclass(frozen=True)
class Call:
    """A finished call.

    Attributes:
        key: Its digest, `call_key`.
        model: Name of the model.
        identity: What its texts depend on beyond the request.
        request: What was asked.
        reply: What was said.
        run: The run that made it.
        began: When, in seconds since 1970.
        seconds: How long it took, with others of its batch.

    Example:
        >>> from hqre_jax.bridge.models import Message, Request, from_python
        >>> from hqre_jax.bridge.store import Store, StoredModel
        >>> store = Store(None)
        >>> model = StoredModel(from_python(lambda request: "hello", "parrot"), store, run="first")
        >>> _ = model.generate([Request((Message("user", "who are you?"),))])
        >>> call = next(iter(store.calls()))
        >>> call.run, call.request.messages[-1].content, call.reply.text
        ('first', 'who are you?', 'hello')
    """

    key: str
    model: str
    identity: str
    request: Request
    reply: Reply
    run: str
    began: float
    seconds: float


@dataclass(frozen=True)
class FailedCall:
    """A call that failed for good: kept for audits, and tried again when it is asked for again.

    Attributes:
        key: Its digest, `call_key`.
        model: Name of the model.
        request: What was asked.
        failure: What happened.
        run: The run that made it.
        began: When, in seconds since 1970.

    Example:
        >>> from hqre_jax.bridge.models import Message, Request, from_python
        >>> from hqre_jax.bridge.store import Store, StoredModel
        >>> store = Store(None)
        >>> model = StoredModel(from_python(lambda request: 1 / 0, "broken"), store)
        >>> _ = model.generate([Request((Message("user", "hello"),))])
        >>> [(call.model, call.failure.kind) for call in store.failures()]
        [('broken', 'model')]
    """

    key: str
    model: str
    request: Request
    failure: Failure
    run: str
    began: float


class Wanted(NamedTuple):
    """A call that somebody wants to make: its key, who is asked, what, and the most that it can cost."""

    key: str
    model: str
    identity: str
    request: str
    most: Tally


class Claims(NamedTuple):
    """What became of the calls somebody wants to make.

    Attributes:
        found: Replies that are there already.
        mine: Those to be made now, by the caller and nobody else.
        theirs: Those that another is making.
        refusal: Why the next one is not allowed; None where all are.
        under_way: Calls of the run that are being made, by whomever.
    """

    found: dict[str, Reply]
    mine: list[Wanted]
    theirs: list[str]
    refusal: str | None
    under_way: int


class Store:
    """Calls to language models, kept in one SQLite file.

    A call is claimed before it is made and recorded, in one transaction each, before its reply is used: what is
    recorded survives the end of the process by whatever means, and no two processes make the same call. Claims of a
    process that ended are void at once on the same machine, and after a minute elsewhere.

    Args:
        path: The file; made where there is none. None for a store in memory.
        read_only: The file must exist and is not written to.

    Raises:
        InputError: The file is damaged, belongs to another program, or was written by a newer hqre-jax.

    Example:
        >>> from hqre_jax.bridge.models import Message, Request, from_python
        >>> from hqre_jax.bridge.store import Store, StoredModel
        >>> store = Store(None)
        >>> model = StoredModel(from_python(lambda request: "hello", "parrot"), store)
        >>> _ = model.generate([Request((Message("user", "hello"),))])
        >>> [(call.model, call.reply.text) for call in store.calls()]
        [('parrot', 'hello')]
    """

    def __init__(self, path: str | Path | None, *, read_only: bool = False):
        self.name = "memory" if path is None else str(path)
        self.read_only = read_only
        self._lock = threading.RLock()
        self._connection = memory_database() if path is None else open_database(Path(path), read_only)

    def __enter__(self) -> "Store":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()

    def __len__(self) -> int:
        """Number of finished calls."""
        return int(self._rows("SELECT count(*) FROM calls")[0][0])

    def digest(self) -> str:
        """SHA-256 of all finished calls with their replies, whatever the order in which they were made."""
        total = hashlib.sha256()
        for key, sealed in self._rows("SELECT key, seal FROM calls ORDER BY key"):
            total.update(f"{key} {sealed}\n".encode("ascii"))
        return total.hexdigest()

    def models(self) -> list[tuple[str, str]]:
        """Name and identity of every model with a finished call."""
        return [(row[0], row[1]) for row in self._rows("SELECT DISTINCT model, identity FROM calls ORDER BY 1, 2")]

    def reply(self, key: str) -> Reply | None:
        """The recorded reply of a call; None where there is none."""
        rows = self._rows(f"SELECT {_COLUMNS} FROM calls WHERE key = ?", key)
        return self._reply(rows[0]) if rows else None

    def calls(self) -> Iterator[Call]:
        """Every finished call, in the order in which they were recorded."""
        last = 0
        while rows := self._rows(f"SELECT rowid, {_COLUMNS} FROM calls WHERE rowid > ? ORDER BY rowid LIMIT 500", last):
            last = rows[-1][0]
            yield from (self._call(row[1:]) for row in rows)

    def failures(self) -> Iterator[FailedCall]:
        """Every failure, in the order in which they were recorded."""
        columns = "key, model, request, kind, detail, prompt, cached, completion, known, run, began"
        for key, model, request, kind, detail, *usage, known, run, began in self._rows(
            f"SELECT {columns} FROM failures ORDER BY rowid"
        ):
            failure = Failure(kind, detail, Usage(*usage) if known else None)
            yield FailedCall(key, model, decode_request(request), failure, run, began)

    def spent(self, run: str | None = None) -> list[Spent]:
        """Raw token counts of calls and failures per model and day.

        Args:
            run: Of this run alone; of all by default.

        Returns:
            One entry per model and day; a call whose tokens are not known is counted, its tokens are not.
        """
        part = "SELECT model, prompt, cached, completion, known, run, began"
        rows = self._rows(
            "SELECT model, date(began, 'unixepoch'), count(*), sum(prompt * known), sum(cached * known), "
            f"sum(completion * known), sum(1 - known), sum(failed) "
            f"FROM ({part}, 0 AS failed FROM calls UNION ALL {part}, 1 FROM failures) "
            "WHERE ?1 IS NULL OR run = ?1 GROUP BY 1, 2 ORDER BY 1, 2",
            run,
        )
        return [
            Spent(model, date.fromisoformat(day), Tally(*tally), unknown, failed)
            for model, day, *tally, unknown, failed in rows
        ]

    def charged(self, run: str) -> dict[str, Tally]:
        """What a budget counts of a run, per model: finished and failed calls, and the most of those under way."""
        rows = self._connection.execute(
            f"SELECT model, count(*), sum(prompt), sum(cached), sum(completion) FROM ({_EVERYTHING}) GROUP BY model",
            {"run": run},
        )
        return {model: Tally(*tally) for model, *tally in rows}

    def claim(
        self,
        wanted: Sequence[Wanted],
        owner: str,
        run: str,
        refusal: Callable[[Mapping[str, Tally]], str | None],
        most: int,
    ) -> Claims:
        """Say who makes which calls, in one transaction.

        Args:
            wanted: Calls with different keys.
            owner: Who asks, ``new_owner``.
            run: What the calls are counted for.
            refusal: Given what the run would have spent per model: why that is too much, or None.
            most: Largest number of calls to claim.

        Returns:
            What was found and what was claimed; the rest is to be asked for again.
        """
        found: dict[str, Reply] = {}
        for call in wanted:
            if (reply := self.reply(call.key)) is not None:
                found[call.key] = reply
        if len(found) == len(wanted):
            return Claims(found, [], [], None, 0)
        mine: list[Wanted] = []
        theirs: list[str] = []
        reason = None
        with self._lock, refusing(self.name), writing(self._connection):
            self._forget_the_dead()
            spent = self.charged(run)
            for call in wanted:
                if call.key in found:
                    continue
                if self._holds("calls", call.key) or self._holds(
                    "claims", call.key
                ):  # finished since we looked: found the next time
                    theirs.append(call.key)
                elif len(mine) < most:
                    after = {**spent, call.model: spent.get(call.model, Tally()).plus(call.most)}
                    if reason := refusal(after):
                        break
                    spent = after
                    mine.append(call)
            expires = time.time() + LEASE_SECONDS
            self._connection.executemany(
                "INSERT INTO claims VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [(call.key, call.model, owner, expires, run, *call.most[1:]) for call in mine],
            )
            under_way = self._connection.execute("SELECT count(*) FROM claims WHERE run = ?", (run,)).fetchone()[0]
        return Claims(found, mine, theirs, reason, under_way)

    def record(self, call: Wanted, result: Reply | Failure, run: str, began: float) -> Reply | Failure:
        """Keep the result of a claimed call and give the claim back.

        Returns:
            What is in the store now: the result, or what another recorded first because the claim had run out.
        """
        seconds = time.time() - began
        # What was answered without counts is charged at the most it can have cost, whatever the answer was worth.
        answered = isinstance(result, Reply) or result.kind == "malformed"
        unknown = call.most[1:] if answered else (0, 0, 0)
        usage, known = result.usage, result.usage is not None
        counts = (usage.prompt, usage.cached, usage.completion) if usage else unknown
        head, tail = (call.key, call.model, call.identity, call.request), (*counts, known, run, began, seconds)
        with self._lock, refusing(self.name), writing(self._connection):
            self._connection.execute("DELETE FROM claims WHERE key = ?", (call.key,))
            failure = result
            if isinstance(result, Reply):
                text = encode_reply(result)
                row = (*head, text, *tail, seal(call.key, text, counts, known))
                kept = self._connection.execute(f"INSERT OR IGNORE INTO calls VALUES ({_marks(row)})", row).rowcount
                failure = None if kept else _SECOND
            if isinstance(failure, Failure):
                row = (*head, failure.kind, failure.detail, *tail)
                self._connection.execute(f"INSERT INTO failures VALUES ({_marks(row)})", row)
        return (self.reply(call.key) or result) if isinstance(result, Reply) else result

    def renew(self, owner: str) -> None:
        """Say that an owner is still at work on all that it claimed."""
        with self._lock, refusing(self.name), writing(self._connection):
            self._connection.execute(
                "UPDATE claims SET expires = ? WHERE owner = ?", (time.time() + LEASE_SECONDS, owner)
            )

    def release(self, owner: str) -> None:
        """Give back all that an owner claimed and did not record."""
        with self._lock, refusing(self.name), writing(self._connection):
            self._connection.execute("DELETE FROM claims WHERE owner = ?", (owner,))

    def insert(self, rows: Sequence[tuple[Any, ...]]) -> int:
        """Add finished calls recorded elsewhere, in the order of the table's columns without the seal.

        Returns:
            How many of them were not there before.
        """
        sealed = [(*row, seal(row[0], row[4], (row[5], row[6], row[7]), bool(row[8]))) for row in rows]
        with self._lock, refusing(self.name), writing(self._connection):
            before = self._connection.total_changes
            self._connection.executemany(f"INSERT OR IGNORE INTO calls VALUES ({', '.join('?' * 13)})", sealed)
            return self._connection.total_changes - before

    def freeze(self) -> None:
        """From now on refuse every change."""
        self.read_only = True
        self._rows("PRAGMA query_only = 1")

    def _forget_the_dead(self) -> None:
        self._connection.execute("DELETE FROM claims WHERE expires < ?", (time.time(),))
        for (owner,) in self._connection.execute("SELECT DISTINCT owner FROM claims").fetchall():
            if known_dead(owner):
                self._connection.execute("DELETE FROM claims WHERE owner = ?", (owner,))

    def _holds(self, table: str, key: str) -> bool:
        return self._connection.execute(f"SELECT 1 FROM {table} WHERE key = ?", (key,)).fetchone() is not None

    def _rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock, refusing(self.name):
            return self._connection.execute(statement, values).fetchall()

    def _call(self, row: tuple[Any, ...]) -> Call:
        key, model, identity, request, *_, run, began, seconds, _ = row
        return Call(key, model, identity, decode_request(request), self._reply(row), run, began, seconds)

    def _reply(self, row: tuple[Any, ...]) -> Reply:
        key, _, identity, request, reply, prompt, cached, completion, known, *_, sealed = row
        whole = (
            key_of(identity, request) == key and seal(key, reply, (prompt, cached, completion), bool(known)) == sealed
        )
        if not whole:
            raise damaged(self.name, f"call {key[:12]} is not as it was written")
        return decode_reply(reply, Usage(prompt, cached, completion) if known else None)


def _marks(row: Sequence[object]) -> str:
    return ", ".join("?" * len(row))
