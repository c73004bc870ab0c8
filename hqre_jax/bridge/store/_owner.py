"""Who is buying a call, and whether that process still lives."""

import os
import uuid
from pathlib import Path

# A claim of a process on the same machine ends with the process; of any other it ends when its lease does.
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACE = Path("/proc/self/ns/pid")


def new_owner() -> str:
    """A name for a buyer in this process: machine, process, and a word of its own."""
    return f"{_machine()} {os.getpid()} {_started(os.getpid())} {uuid.uuid4().hex}"


def known_dead(owner: str) -> bool:
    """Whether the process of an owner has certainly ended; False where that cannot be known from here."""
    machine, process, started, _ = owner.split(" ")
    return machine != "elsewhere" and machine == _machine() and _started(int(process)) != started


def _machine() -> str:
    """This boot of this machine, as this process numbers processes; "elsewhere" where that has no name."""
    try:
        return f"{_BOOT.read_text().strip()}/{os.readlink(_NAMESPACE)}".replace(" ", "")
    except OSError:
        return "elsewhere"


def _started(process: int) -> str:
    """When a process began, in the kernel's ticks: process numbers are used again, a number and its start are not."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "ended"
    # A process that was killed and not yet collected by its parent does nothing any more.
    return "ended" if fields[0] in "ZX" else fields[19]
