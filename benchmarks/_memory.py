"""How much memory a call takes while it runs: resident pages of this process, looked at every few milliseconds."""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

_STATUS, _BETWEEN_LOOKS = Path("/proc/self/statm"), 0.002


def added_bytes(call: Callable[[], Any]) -> tuple[Any, int | None]:
    """What a call returns, and by how much resident memory stood above where it began, at most.

    Args:
        call: Without arguments.

    Returns:
        The result; bytes, or None where the system does not say (it is Linux that does). Memory that was freed before
        and is used again is not counted: a lower bound.
    """
    if not _STATUS.exists():
        return call(), None
    before, done = _resident(), threading.Event()
    seen = [before]

    def watch() -> None:
        while not done.wait(_BETWEEN_LOOKS):
            seen.append(_resident())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        result = call()
        seen.append(_resident())
    finally:
        done.set()
        watcher.join()
    return result, max(seen) - before


def _resident() -> int:
    return int(_STATUS.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
