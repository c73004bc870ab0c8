"""What reads files, and what is asked of it: something comes back, or one `InputError` of one line; nothing else.

An input of the fuzzer is the number of a reader, one byte, and then the content of the file. Archives carry checksums
that no mutation gets right: for them the content is a list of members that `pack` puts into an archive, so that what
is mutated is what stands in them. Damaged archives as such have a reader of their own.
"""

import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from hqre_jax.certificates.rigorous import load_proof
from hqre_jax.core._checkpoint import load_checkpoint
from hqre_jax.core._types import InputError
from hqre_jax.io import load_game, load_rollout_log
from hqre_jax.sweeps import read_config

QUESTION = "0" * 64


def checkpoint_like() -> tuple[Any, Any]:
    """The structure of a checkpoint: a policy, a step size, a key, and the steps taken."""
    return {"policy": jnp.full((2, 1, 2), 0.5), "size": jnp.asarray(1.0), "key": jax.random.key(0)}, jnp.asarray(3)


def _checkpoint(path: Path) -> None:
    like = checkpoint_like()
    read = load_checkpoint(path, like, QUESTION)
    for ours, theirs in zip(jax.tree.leaves(like), jax.tree.leaves(read), strict=True):
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype), "a leaf of another kind came back"


def _skipping(path: Path) -> None:
    load_rollout_log(path, incomplete="skip")


@dataclass(frozen=True)
class Reader:
    """One way to read one kind of file.

    Attributes:
        suffix: What the file's name ends in.
        read: What reads it.
        packed: Whether the fuzzer's content is a list of members of an archive.
    """

    suffix: str
    read: Callable[[Path], Any]
    packed: bool = False

    def check(self, content: bytes, folder: Path) -> str | None:
        """Reads a file of this content; what it is refused for, None where it is read.

        Raises:
            Exception: What the reader should not have raised.
        """
        path = folder / f"input{self.suffix}"
        path.write_bytes(pack(content) if self.packed else content)
        try:
            self.read(path)
        except InputError as error:
            message = str(error)
            assert "\n" not in message, "a message of several lines"
            assert len(message) < 1000, "a message that is too long"
            return message
        return None


READERS: dict[str, Reader] = {
    "nfg": Reader(".nfg", load_game),
    "efg": Reader(".efg", load_game),
    "json": Reader(".json", load_game),
    "npz": Reader(".npz", load_game),
    "npz, members": Reader(".npz", load_game, packed=True),
    "log": Reader(".jsonl", load_rollout_log),
    "log, last line cut off": Reader(".jsonl", _skipping),
    "log as npz, members": Reader(".npz", load_rollout_log, packed=True),
    "sweep": Reader(".toml", read_config),
    "proof": Reader(".json", load_proof),
    "checkpoint": Reader(".npz", _checkpoint),
    "checkpoint, members": Reader(".npz", _checkpoint, packed=True),
}


def check(data: bytes, folder: Path) -> str | None:
    """Does with an input of the fuzzer what its first byte says."""
    if not data:
        return None
    reader = list(READERS.values())[data[0] % len(READERS)]
    return reader.check(data[1:], folder)


def encode(name: str, content: bytes) -> bytes:
    """The fuzzer's input that makes the named reader read a file of this content."""
    if READERS[name].packed:
        content = b"".join(
            bytes([len(key)]) + key + len(value).to_bytes(2, "big") + value for key, value in members(content)
        )
    return bytes([list(READERS).index(name)]) + content


def members(archive: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Names and contents of the members of an archive."""
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        for name in file.namelist():
            yield name.encode(), file.read(name)


def pack(content: bytes) -> bytes:
    """The archive of the members listed: length of the name, name, length of the member (two bytes), member."""
    buffer, file = io.BytesIO(), io.BytesIO(content)
    with zipfile.ZipFile(buffer, "w") as archive:
        names: set[str] = set()
        while head := file.read(1):
            name = file.read(head[0]).decode("latin-1").partition("\0")[0]
            value = file.read(int.from_bytes(file.read(2), "big"))
            if name and name not in names:
                archive.writestr(name, value)
            names.add(name)
    return buffer.getvalue()
