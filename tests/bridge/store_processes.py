"""Processes that share a store and are killed: run as a program, for it forks before any thread is there.

The model writes what it sells into a file, the buyer what it uses into another, each line at once. From them and the
store it is seen what was lost and what was bought twice.
"""

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from scripted import Scripted, request

from hqre_jax.bridge.models import Reply, Usage
from hqre_jax.bridge.store import Budget, Store, StoredModel, call_key

KILLS = 50
ASKED = [request(f"q{k}") for k in range(4000)]
KEYS = {call_key("s1", asked): k for k, asked in enumerate(ASKED)}


class Seller(Scripted):
    """One reply at a time; each is written down when it is made."""

    def __init__(self, book: Path):
        super().__init__(lambda asked: Reply(f"re: {asked.messages[0].content}", "stop", Usage(1, 0, 1)))
        self.book = os.open(book, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def as_completed(self, requests):
        for place, asked in enumerate(requests):
            time.sleep(0.0002)
            os.write(self.book, f"{asked.messages[0].content[1:]}\n".encode())
            yield place, *self.generate([asked])


def child(work: Callable[[], None]) -> int:
    """Work in a process of its own; returns its number."""
    number = os.fork()
    if number:
        return number
    code = 1
    try:
        work()
        code = 0
    finally:
        os._exit(code)


def buy(folder: Path, asked: list, budget: Budget | None = None) -> None:
    """Use the replies, one after the other."""
    used = os.open(folder / "used", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    with Store(folder / "store.sqlite") as store:
        for place, reply in StoredModel(Seller(folder / "sold"), store, budget, batch=5).as_completed(asked):
            if isinstance(reply, Reply):
                assert reply.text == f"re: {asked[place].messages[0].content}"
                os.write(used, f"{asked[place].messages[0].content[1:]}\n".encode())


def numbers(file: Path) -> list[int]:
    """Whole lines of a file."""
    return [int(line) for line in file.read_bytes().split(b"\n")[:-1]] if file.exists() else []


def finished(folder: Path) -> set[int]:
    """What the store has; its file is opened and checked anew."""
    with Store(folder / "store.sqlite") as store:
        return {KEYS[call.key] for call in store.calls()}


def killed_many_times(folder: Path) -> str:
    chance, before, midway = random.Random(14), set(), 0
    for k in range(KILLS):
        sold = len(numbers(folder / "sold"))
        first = max(0, len(before) - 50)
        worker = child(lambda first=first: buy(folder, ASKED[first : first + 200]))
        while k % 5 and len(numbers(folder / "sold")) == sold:  # four in five while calls are made, whatever the load
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.02))
        os.kill(worker, signal.SIGKILL)
        os.waitpid(worker, 0)
        now = finished(folder)
        again = set(numbers(folder / "sold")[sold:]) & before
        assert not again, f"bought although finished: {sorted(again)}"
        assert before <= now, "finished calls are lost"
        assert set(numbers(folder / "used")) <= now, "calls were used that are not kept"
        midway += len(now) > len(before)
        before = now
    assert midway >= KILLS / 2, f"only {midway} of the kills came while calls were made"
    sales = numbers(folder / "sold")
    assert len(sales) <= len(before) + KILLS, "more than the one call under way was bought again"
    # And it goes on, at once, with what is left.
    worker = child(lambda: buy(folder, ASKED[: len(before) + 100], Budget(calls=20)))
    assert os.waitpid(worker, 0)[1] == 0
    assert len(finished(folder)) == len(before) + 20
    return f"{KILLS} kills, {midway} while calls were made, {len(before)} calls kept, {len(sales)} made"


def two_share(folder: Path, kill: bool) -> str:
    asked = ASKED[:150]
    workers = [child(lambda: buy(folder, asked)) for _ in range(2)]
    if kill:
        while len(numbers(folder / "sold")) < 20:
            time.sleep(0.001)
        os.kill(workers.pop(), signal.SIGKILL)
        os.wait()
    for worker in workers:
        assert os.waitpid(worker, 0)[1] == 0
    sold, used = numbers(folder / "sold"), numbers(folder / "used")
    assert set(sold) == set(range(150))
    assert len(sold) <= 150 + kill, "the two bought a call twice"
    if not kill:
        assert sorted(used) == sorted([*range(150)] * 2), "each of the two has every reply"
    return f"two processes, {len(sold)} calls for {len(used)} uses"


if __name__ == "__main__":
    root = Path(sys.argv[1])
    for name in ("killed", "two", "one_of_two"):
        (root / name).mkdir()
    print(killed_many_times(root / "killed"))
    print(two_share(root / "two", kill=False))
    print(two_share(root / "one_of_two", kill=True))
