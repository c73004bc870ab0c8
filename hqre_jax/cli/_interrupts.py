"""Ctrl-C: one line that says how to go on, and an end soon, even while compiled code runs."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

INTERRUPTED = 130
_GRACE_SECONDS = 2.0
_BARE = "interrupted"
_words = _BARE


def goes_on_with(command: str | None) -> None:
    """From now on an interruption names the command that goes on with what is finished.

    Args:
        command: As it would be typed; None where nothing is kept.
    """
    global _words
    _words = _BARE if command is None else f"{_BARE}; finished work is kept, and this goes on with it: {command}"


def interruption() -> str:
    """What to say of an interruption now."""
    return _words


@contextmanager
def quitting_at_once(wanted: bool = True) -> Iterator[None]:
    """While nothing is begun yet, Ctrl-C ends the process there and then.

    Args:
        wanted: Whether the process is the command's own; another's is left alone.
    """
    before = signal.getsignal(signal.SIGINT)
    # Whoever has interrupts ignored, or answered otherwise, goes on having that.
    wanted = wanted and before is signal.default_int_handler

    def quit_now(*_: Any) -> None:
        os.write(2, f"hqre: {interruption()}\n".encode())
        os._exit(INTERRUPTED)

    if wanted:
        signal.signal(signal.SIGINT, quit_now)
    try:
        yield
    finally:
        if wanted:
            signal.signal(signal.SIGINT, before)


def hear_interrupts() -> None:
    """End the process soon after Ctrl-C even while compiled code runs, in which Python hears nothing."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(os, "pipe"):
        return
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    shown = sys.unraisablehook

    def quiet(unraisable: Any) -> None:
        # An interrupt that comes where Python cannot raise it is answered below.
        if not isinstance(unraisable.exc_value, KeyboardInterrupt):
            shown(unraisable)

    sys.unraisablehook = quiet

    def watch() -> None:
        while os.read(read, 1)[0] != signal.SIGINT:
            pass
        time.sleep(_GRACE_SECONDS)  # Python's own way out comes first, if it is heard.
        os.write(2, f"hqre: {interruption()}\n".encode())
        os._exit(INTERRUPTED)

    threading.Thread(target=watch, daemon=True).start()
