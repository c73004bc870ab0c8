"""``python -m benchmarks.many_shapes``: a thousand games of different shapes in one process, their memory maps bounded.

Every shape is a program of its own to a compiler, and each program holds memory maps, of which Linux allows a process
65,530. Random trees, normal forms and batches go through one process; printed are, for each kind, how many
shapes were solved, processor seconds, and the most memory maps that were seen. Exit code 1 if something was not solved
or more maps were held than half of what Linux allows.
"""

import argparse
import itertools
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
from rich.console import Console
from rich.table import Table

import hqre_jax as hq

_MAPS = Path("/proc/self/maps")
_ALLOWED = 65_530
_TAU = 2.0
# Shapes between two lines of progress.
_SAID = 50


def random_tree(rng: np.random.Generator, moves: int) -> hq.ExtensiveFormGame:
    """Two players who move at ``moves`` nodes and see all: two or three actions each.

    Args:
        rng: Source of randomness.
        moves: Number of decision nodes.

    Returns:
        The game; payoffs are uniform between 0 and 1.
    """
    parent, branch, leaves, decisions = [-1], [-1], [0], {}
    while len(decisions) < moves:
        node = leaves.pop(rng.integers(len(leaves)))
        decisions[node] = int(rng.integers(2))
        for action in range(int(rng.integers(2, 4))):
            leaves.append(len(parent))
            parent.append(node)
            branch.append(action)
    count = itertools.count(), itertools.count()
    player = [decisions.get(node, -2) for node in range(len(parent))]
    sets = [next(count[p]) if p >= 0 else -1 for p in player]
    paid = np.where(np.array(player) == -2, rng.random((2, len(parent))), 0.0)
    return hq.ExtensiveFormGame(parent, player, sets, branch, np.ones(len(parent)), paid)


def trees(number: int) -> Iterator[bool]:
    """Trees of 3 to 60 moves."""
    rng = np.random.default_rng(0)
    for _ in range(number):
        yield bool(hq.solve(random_tree(rng, int(rng.integers(3, 61))), _TAU, throw=False).successful)


def normal_forms(number: int) -> Iterator[bool]:
    """Two players with 2 to 33 actions each."""
    rng = np.random.default_rng(1)
    for first, second in itertools.islice(_sizes(), number):
        game = hq.NormalFormGame(rng.random((2, first, second)))
        yield bool(hq.solve(game, _TAU, throw=False).successful)


def batches(number: int) -> Iterator[bool]:
    """Ten games of each of these shapes."""
    rng = np.random.default_rng(2)
    for first, second in itertools.islice(_sizes(), number):
        solutions = hq.solve_batch(rng.random((10, 2, first, second)), _TAU, throw=False)
        yield bool(np.asarray(solutions.successful).all())


def _sizes() -> Iterator[tuple[int, int]]:
    return ((total - k, k) for total in itertools.count(4) for k in range(2, total - 1))


def main(argv: list[str] | None = None) -> int:
    """Run, print; 1 where something was not solved or maps were many."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.many_shapes", description=__doc__)
    parser.add_argument("--trees", type=int, default=1_000)
    parser.add_argument("--normal-forms", type=int, default=200)
    parser.add_argument("--batches", type=int, default=100)
    arguments = parser.parse_args(argv)
    jax.config.update("jax_enable_x64", True)
    if not _MAPS.exists():
        sys.exit("memory maps are counted in /proc, which is not there")
    kinds = {"trees": trees, "normal forms": normal_forms, "batches": batches}
    table = Table("kind", "shapes", "not solved", "processor s", "of these the slowest", "most memory maps")
    bad = False
    for name, run in kinds.items():
        number = getattr(arguments, name.replace(" ", "_"))
        failed, most, slowest, begin = 0, 0, 0.0, time.process_time()
        last = begin
        for count, solved in enumerate(run(number), 1):
            failed += not solved
            most = max(most, _MAPS.read_bytes().count(b"\n"))
            now = time.process_time()
            slowest, last = max(slowest, now - last), now
            if count % _SAID == 0:
                print(f"{name}: {count} of {number}, {now - begin:.0f} s", file=sys.stderr, flush=True)
        bad |= failed > 0 or most > _ALLOWED // 2
        table.add_row(
            name, f"{number:,}", str(failed), f"{time.process_time() - begin:.0f}", f"{slowest:.1f}", f"{most:,}"
        )
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
