"""A recorded store as one compressed text file: to be shipped, read, replayed and taken in again.

XZ-compressed lines of JSON: a heading, one finished call a line in an order of their own (equal calls give equal
bytes), and a last line with the digest of all before it. Nothing in it is executed, whatever it says.
"""

import hashlib
import json
import lzma
from dataclasses import replace
from pathlib import Path
from typing import Any

from hqre_jax.bridge.store._encoding import decode_reply, decode_request, encode_reply, encode_request, key_of, to_json
from hqre_jax.bridge.store._file import damaged
from hqre_jax.bridge.store._store import Store
from hqre_jax.core._types import InputError

VERSION = 1
_HEADING = "hqre-jax store archive"
_FIELDS = ("model", "identity", "request", "reply", "usage", "began")


def export_archive(store: Store, path: str | Path, *, log_probs: bool = True) -> int:
    """Write all finished calls of a store into an archive.

    Args:
        store: The store.
        path: The file, by custom ``NAME.jsonl.xz``; it is there whole or not at all.
        log_probs: Whether log-probabilities go with the replies: they are most of a large archive.

    Returns:
        The number of calls.

    Raises:
        InputError: The file cannot be written.

    Example:
        >>> import tempfile
        >>> from hqre_jax.bridge.models import Message, Request, from_python
        >>> from hqre_jax.bridge.store import Store, StoredModel, export_archive
        >>> store = Store(None)
        >>> model = StoredModel(from_python(lambda request: "hello", "parrot"), store)
        >>> _ = model.generate([Request((Message("user", "hello"),))])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     print(export_archive(store, f"{folder}/calls.jsonl.xz"))
        1
    """
    rows = []
    for call in store.calls():
        reply = call.reply if log_probs else replace(call.reply, log_probs=None)
        usage = reply.usage
        counts = None if usage is None else [usage.prompt, usage.cached, usage.completion]
        row = (call.model, call.identity, encode_request(call.request), encode_reply(reply), counts, call.began)
        rows.append(to_json(dict(zip(_FIELDS, (*row[:5], round(row[5])), strict=True))))
    rows.sort()
    lines = [to_json({"format": _HEADING, "version": VERSION, "calls": len(rows)}), *rows]
    body = "".join(line + "\n" for line in lines).encode("ascii")
    seal = to_json({"sha256": hashlib.sha256(body).hexdigest()}).encode("ascii") + b"\n"
    target = Path(path)
    part = target.with_name(target.name + ".part")
    try:
        part.write_bytes(lzma.compress(body + seal, preset=7))
        part.replace(target)
    except OSError as error:
        raise InputError(str(path), f"cannot be written: {(error.strerror or str(error)).lower()}") from None
    return len(rows)


def import_archive(path: str | Path, store: Store) -> int:
    """Add the calls of an archive to a store; those it has stay as they are.

    Args:
        path: The archive.
        store: The store.

    Returns:
        The number of calls added.

    Raises:
        InputError: The archive is damaged, or newer than this program.

    Example:
        >>> import tempfile
        >>> from hqre_jax.bridge.models import Message, Request, from_python
        >>> from hqre_jax.bridge.store import Store, StoredModel, export_archive, import_archive
        >>> store, another = Store(None), Store(None)
        >>> model = StoredModel(from_python(lambda request: "hello", "parrot"), store)
        >>> _ = model.generate([Request((Message("user", "hello"),))])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = export_archive(store, f"{folder}/calls.jsonl.xz")
        ...     print([import_archive(f"{folder}/calls.jsonl.xz", another) for _ in range(2)])
        [1, 0]
    """
    return store.insert(_read(path))


def read_recorded(path: str | Path) -> Store:
    """A recorded store to read: an archive, or a store's own file.

    Args:
        path: The file.

    Returns:
        The store; it refuses every change.

    Raises:
        InputError: There is no such file, or it is damaged, foreign, or newer than this program.

    Example:
        >>> import tempfile
        >>> from hqre_jax.bridge.models import Message, Request, from_python
        >>> from hqre_jax.bridge.store import Store, StoredModel, export_archive, read_recorded
        >>> store = Store(None)
        >>> model = StoredModel(from_python(lambda request: "hello", "parrot"), store)
        >>> _ = model.generate([Request((Message("user", "hello"),))])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = export_archive(store, f"{folder}/calls.jsonl.xz")
        ...     print([call.reply.text for call in read_recorded(f"{folder}/calls.jsonl.xz").calls()])
        ['hello']
    """
    try:
        with Path(path).open("rb") as file:
            archive = file.read(6) == b"\xfd7zXZ\x00"
    except OSError as error:
        raise InputError(str(path), f"cannot be read: {(error.strerror or str(error)).lower()}") from None
    if not archive:
        return Store(path, read_only=True)
    store = Store(None)
    store.insert(_read(path))
    store.name = str(path)
    store.freeze()
    return store


def _read(path: str | Path) -> list[tuple[Any, ...]]:
    try:
        text = lzma.decompress(Path(path).read_bytes())
    except OSError as error:
        raise InputError(str(path), f"cannot be read: {(error.strerror or str(error)).lower()}") from None
    except (lzma.LZMAError, EOFError) as error:
        raise damaged(path, str(error) or "it ends too soon") from None
    body, _, last = text.removesuffix(b"\n").rpartition(b"\n")
    body += b"\n"
    try:
        heading = json.loads(body.partition(b"\n")[0])
        seal = json.loads(last)
        if heading["format"] != _HEADING:
            raise KeyError
        if heading["version"] > VERSION:
            raise InputError(
                str(path),
                f"was written by a newer hqre-jax (format {heading['version']}, this one reads {VERSION}): "
                "upgrade hqre-jax",
            )
        if seal["sha256"] != hashlib.sha256(body).hexdigest():
            raise damaged(path, "its digest does not fit")
        return [_row(json.loads(line)) for line in body.splitlines()[1:]]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        if isinstance(error, InputError):
            raise
        raise damaged(path, "it is not as an archive is written") from None


def _row(entry: dict[str, Any]) -> tuple[Any, ...]:
    """A line as a row of the table of calls; what it says is read and written again, so it is what it seems."""
    model, identity, request, reply, counts, began = (entry[field] for field in _FIELDS)
    request, reply = encode_request(decode_request(request)), encode_reply(decode_reply(reply, None))
    known = counts is not None
    prompt, cached, completion = (int(count) for count in (counts or (0, 0, 0)))
    key = key_of(identity, request)
    return (key, model, identity, request, reply, prompt, cached, completion, known, "imported", float(began), 0.0)
