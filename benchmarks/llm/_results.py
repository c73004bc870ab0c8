"""What an evaluation has come to, in one file beside the recording: a later run goes on from there, on any machine."""

import io
import lzma
import tarfile
from pathlib import Path

from benchmarks.llm._stages import POLICY, RESULTS
from hqre_jax.core._types import InputError
from hqre_jax.io._files import write_whole

PACKED = "results.tar.xz"
# Of what is in the folder all else follows from these.
_NAMES = (POLICY, *(f"{RESULTS}/{name}" for name in (
    "plan.json", "settings.jsonl", "records.jsonl", "transcripts.jsonl", "learning.json", "margins.json"
)))  # fmt: skip


def pack(folder: Path) -> None:
    """Put policy and results of a folder into its `PACKED`: of the same files the same bytes.

    Args:
        folder: Where the stages work.
    """
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name in _NAMES:
            if (folder / name).exists():
                content = (folder / name).read_bytes()
                entry = tarfile.TarInfo(name)  # nobody's, and of no time
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    write_whole(folder / PACKED, lzma.compress(packed.getvalue()))


def unpack(packed: Path, folder: Path) -> None:
    """Lay out what was packed, where there is neither a policy nor results yet.

    Args:
        packed: The file; nothing happens where there is none.
        folder: Where the stages work.

    Raises:
        InputError: It is not as it was written.
    """
    if not packed.exists() or (folder / POLICY).exists() or (folder / RESULTS).exists():
        return
    try:
        with tarfile.open(fileobj=io.BytesIO(lzma.decompress(packed.read_bytes()))) as archive:
            files = {entry.name: archive.extractfile(entry) for entry in archive}
            found = {name: file.read() for name, file in files.items() if file is not None}
    except (OSError, EOFError, tarfile.TarError, lzma.LZMAError) as error:
        raise InputError(str(packed), f"is damaged: {error}") from None
    for name in found.keys() - set(_NAMES):
        raise InputError(str(packed), f"holds {name!a}, which is no part of an evaluation")
    (folder / RESULTS).mkdir(parents=True)
    for name, content in found.items():
        write_whole(folder / name, content)
