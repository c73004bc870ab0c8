"""Processes that do tasks of work, and die with the one that started them."""

import multiprocessing
import os
import signal
import threading
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import connection
from pathlib import Path
from typing import Any

from proofs_check.discovery import statements
from proofs_check.numerics.kept import keep_programs
from proofs_check.runner.store import hash_of_sources
from proofs_check.runner.tasks import Record, Task, run_task

MAX_WORKERS = 2
# Every worker computes on one core and on the CPU: numbers then depend neither on how many there are nor on devices.
_SETTINGS = {
    "JAX_PLATFORMS": "cpu",
    "JAX_ENABLE_X64": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
    "NPROC": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


def num_workers() -> int:
    """Two, or one on a single core."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(MAX_WORKERS, cores)


def records(
    tasks: Sequence[Task],
    package: str,
    seed: int,
    programs: Path | None,
) -> Iterator[Record]:
    """Do tasks in worker processes.

    Tasks of one group go to one worker, as they share compiled programs; groups that take longest begin first.

    Args:
        tasks: What is to be done.
        package: Where the statements are; importable in a new process.
        seed: The ledger's seed.
        programs: Folder in which compiled programs are kept, for the other worker and for the next run, or None.

    Yields:
        Each record as soon as it is there, in no particular order.

    Raises:
        RuntimeError: A task failed, or a worker died.
    """
    groups: dict[str, deque[Task]] = {}
    for task in tasks:
        groups.setdefault(task.group, deque()).append(task)
    waiting = deque(sorted(groups.values(), key=lambda group: -group[0].seconds))
    busy: dict[connection.Connection, tuple[deque[Task], Task]] = {}

    def hand_out(channel: connection.Connection, group: deque[Task] | None) -> None:
        if not group:
            if not waiting:
                return
            group = waiting.popleft()
        task = group.popleft()
        channel.send((task, package, seed))
        busy[channel] = group, task

    with _workers(min(num_workers(), len(waiting)), package, programs) as channels:
        for channel in channels:
            hand_out(channel, None)
        while busy:
            for channel in connection.wait(list(busy)):
                assert isinstance(channel, connection.Connection)
                group, task = busy.pop(channel)
                try:
                    answer = channel.recv()
                except EOFError:
                    raise RuntimeError(f"{task.name}: the process that worked on it died; was memory short?") from None
                if isinstance(answer, str):
                    raise RuntimeError(f"{task.name} failed:\n{answer}")
                yield answer
                hand_out(channel, group)


@contextmanager
def _workers(number: int, package: str, programs: Path | None) -> Iterator[list[connection.Connection]]:
    """Processes waiting for work, each at the other end of a channel; killed on the way out."""
    context = multiprocessing.get_context("spawn")
    channels, processes = [], []
    # The hash of the sources is about no other statements.
    own = programs if package == __name__.partition(".")[0] else None
    before = {name: os.environ.get(name) for name in _SETTINGS}
    os.environ.update(_SETTINGS)
    try:
        for _ in range(number):
            here, there = context.Pipe()
            process = context.Process(target=_work, args=(there, own), daemon=True)
            process.start()
            there.close()
            channels.append(here)
            processes.append(process)
        for name, value in before.items():
            _restore(name, value)
        yield channels
    finally:
        for name, value in before.items():
            _restore(name, value)
        for process in processes:
            process.kill()
            process.join()
        for channel in channels:
            channel.close()


def _restore(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def _work(channel: Any, programs: Path | None) -> None:
    """Life of a worker: tasks in, records out, until the channel closes or the parent is gone."""
    # Ctrl-C goes to every process of a terminal; the parent decides what becomes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
    if programs is not None:
        keep_programs(programs, hash_of_sources())
    while True:
        try:
            task, package, seed = channel.recv()
        except EOFError:
            return
        try:
            channel.send(run_task(task, statements(package)[task.statement], seed))
        except Exception:
            channel.send(traceback.format_exc())
