"""What a user's first contact costs: ``python -m benchmarks.first_answer``.

Seconds of processors, user and system, of fresh processes; medians, and ratios to *bare* JAX in the same run: importing
it and adding one. A ratio says the same on a busy machine and on a quiet one, nearly.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks._machine import describe_machine

_BARE = "import jax, jax.numpy as jnp; jax.jit(lambda x: x + 1)(jnp.ones(3))"
_SOLVE = ("solve", "stag_hunt", "--tau", "0.5")
_LOOKS = (("--help",), ("--version",), ("games",), ("solve", "stag_hunt", "--entropy", "none"))
# Two players, so many actions each: twenty shapes.
_SHAPES = [(a, b) for a in range(2, 7) for b in range(2, 6)]
_NUM_TREES, _DEEPEST, _TAU = 100, 60, 0.5
# Seconds of compiling from which on a program is a long one.
_LONG = 0.5


class Line(NamedTuple):
    """A line of the table.

    Attributes:
        name: As in F1, what is measured.
        seconds: One number for each repetition.
        wanted: Most times the seconds of bare JAX; None where that is not what is asked.
        about: What else was counted.
    """

    name: str
    seconds: list[float]
    wanted: float | None
    about: str = ""


def cpu_seconds(command: list[str], cache: Path) -> tuple[float, str]:
    """Seconds of processors that a process and its own took, and what it printed; it may refuse its input.

    Args:
        command: What to run.
        cache: The user's cache folder, as far as the process knows.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        command, env=environment | {"XDG_CACHE_HOME": str(cache)}, capture_output=True, text=True, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 2):
        raise RuntimeError(f"{command} ended with {done.returncode}: {done.stderr}")
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, done.stdout


def _python(*words: str) -> list[str]:
    return [sys.executable, *words]


def _hqre(*words: str) -> list[str]:
    return _python("-m", "hqre_jax", *words)


def _measure(command: Callable[[Path], list[str]], repeats: int, known: list[str] | None = None) -> list[float]:
    """Seconds of fresh processes, each with a cache of its own, in which a first command may have left something."""
    seconds = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            if known is not None:
                cpu_seconds(known, Path(folder))
            seconds.append(cpu_seconds(command(Path(folder)), Path(folder))[0])
    return seconds


def _inside(part: str, repeats: int) -> list[dict[str, list[float]]]:
    """What fresh processes say of what they measured themselves."""
    found = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            printed = cpu_seconds(_python("-m", "benchmarks.first_answer", "--inside", part), Path(folder))[1]
        found.append(json.loads(printed.splitlines()[-1]))
    return found


def solve_shapes() -> dict[str, list[float]]:
    """Solve games of twenty shapes in this process; seconds of each, and of compiling each program."""
    import jax

    import hqre_jax as hq

    jax.config.update("jax_enable_x64", True)
    compiling: list[float] = []

    def hear(event: str, duration_secs: float, **about: str | int) -> None:
        if event.endswith("backend_compile_duration"):
            compiling.append(duration_secs)

    jax.monitoring.register_event_duration_secs_listener(hear)
    rng, seconds = np.random.RandomState(5000), []
    for shape in _SHAPES:
        payoffs = rng.rand(2, *shape)
        began = time.process_time()
        hq.solve(hq.NormalFormGame(payoffs), _TAU).residual.block_until_ready()
        seconds.append(time.process_time() - began)
    return {"seconds": seconds, "compiling": compiling}


def solve_trees() -> dict[str, list[float]]:
    """Read and solve trees of different shapes in this process, the deepest last; seconds of each."""
    import jax

    import hqre_jax as hq

    jax.config.update("jax_enable_x64", True)
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        for k, text in enumerate(tree_files()):
            file = Path(folder) / f"{k}.efg"
            file.write_text(text, encoding="utf-8")
            began = time.process_time()
            hq.solve(hq.load_game(file), _TAU, continuation="plain").residual.block_until_ready()
            seconds.append(time.process_time() - began)
    return {"seconds": seconds}


def tree_files(num_trees: int = _NUM_TREES) -> Iterator[str]:
    """Gambit files of trees in which everybody sees everything: random ones, and a chain of sixty moves.

    Args:
        num_trees: How many, the chain included.
    """
    for k in range(num_trees):
        rng, sets, chain = np.random.RandomState(7000 + k), [0, 0], k == num_trees - 1
        lines = [f'EFG 2 R "{"chain" if chain else f"tree {k}"}" {{ "first" "second" }}', '""']

        def grow(depth: int, rng=rng, sets=sets, lines=lines, chain=chain) -> None:
            if depth > (_DEEPEST if chain else 4) or (depth > 1 and not chain and rng.rand() < 0.4):
                first, second = rng.randint(0, 10, 2)
                lines.append(f't "" {sum(line[0] == "t" for line in lines) + 1} "" {{ {first}, {second} }}')
                return
            player, moves = depth % 2, 2 if chain else rng.randint(2, 4)
            sets[player] += 1
            names = " ".join(f'"{move}"' for move in "abc"[:moves])
            lines.append(f'p "" {player + 1} {sets[player]} "" {{ {names} }} 0')
            for move in range(moves):
                grow(_DEEPEST + 1 if chain and move == 0 else depth + 1)

        grow(1)
        yield "\n".join(lines) + "\n"


_INSIDE = {"shapes": solve_shapes, "trees": solve_trees}


def _lines(wanted: list[str], repeats: int) -> Iterator[Line]:
    bare = _measure(lambda _: _python("-c", _BARE), repeats)
    yield Line("bare JAX", bare, None)
    name = " ".join(_SOLVE)
    if "F1" in wanted:
        yield Line(f"F1 hqre {name}, empty cache", _measure(lambda _: _hqre(*_SOLVE), repeats), 3.0)
    if "F2" in wanted:
        yield Line("F2 the same again", _measure(lambda _: _hqre(*_SOLVE), repeats, known=_hqre(*_SOLVE)), 2.0)
    if "F3" in wanted:
        jax = statistics.median(_measure(lambda _: _python("-c", "import jax"), repeats))
        seconds = _measure(lambda _: _python("-c", "import hqre_jax"), repeats)
        yield Line("F3 import hqre_jax", seconds, 1.3, f"import jax: {jax:.2f} s")
    if "F4" in wanted:
        seconds = [s for words in _LOOKS for s in _measure(lambda _, words=words: _hqre(*words), repeats)]
        yield Line("F4 --help, --version, games, a bad argument", seconds, 0.3, f"worst {max(seconds):.2f} s")
    if "F5" in wanted:
        found = _inside("shapes", repeats)
        long = statistics.median(sum(s > _LONG for s in part["compiling"]) for part in found)
        about = (
            f"{len(found[0]['compiling'])} programs, {long:g} of them took more than {_LONG:g} s (wanted: 3 or less)"
        )
        yield Line("F5 solve, twenty shapes in one process", [sum(part["seconds"]) for part in found], None, about)
    if "F6" in wanted:
        yield Line("F6 hqre demo", _measure(lambda at: _hqre("demo", "--out", str(at / "demo")), 1), None, "one run")
    if "F7" in wanted:
        each = _inside("trees", 1)[0]["seconds"]
        about = f"a file: median {statistics.median(each):.2f} s (wanted: 0.2), worst {max(each):.2f} s, "
        about += f"the one of {_DEEPEST} moves {each[-1]:.2f} s (wanted: 2); one run"
        yield Line(f"F7 {len(each)} trees from files, one process", [sum(each)], None, about)
    if "F8" in wanted:
        words = ("verify", "--games", "200", "--format", "json")
        with tempfile.TemporaryDirectory() as folder:
            for seed, name, most in ((0, "F8 hqre verify --games 200", 180), (1, "F8 the same with another seed", 60)):
                command = _hqre(*words, "--seed", str(seed), "--out", str(Path(folder) / f"ledger_{seed}"))
                yield Line(name, [cpu_seconds(command, Path(folder))[0]], None, f"one run (wanted: {most} s)")


def main(argv: list[str] | None = None) -> int:
    """Measure, print a table, write JSON.

    Args:
        argv: Arguments; those of the command line by default.

    Returns:
        0.
    """
    names = [f"F{k}" for k in range(1, 9)]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.first_answer", description="The first answer.")
    parser.add_argument(
        "--only", nargs="+", choices=names, default=names[:-1], help="(all but F8, which takes minutes)"
    )
    parser.add_argument("--repeats", type=int, default=5, metavar="R", help="fresh processes of each line (5)")
    parser.add_argument("--inside", choices=list(_INSIDE), help="measure this in this process, JSON to stdout")
    parser.add_argument("--out", type=Path, default=Path("out/first_answer.json"), metavar="FILE", help="JSON")
    arguments = parser.parse_args(argv)
    if arguments.inside is not None:
        print(json.dumps(_INSIDE[arguments.inside]()))
        return 0
    table = Table(title="First answer, CPU seconds of fresh processes", title_justify="left")
    for name in ("line", "s", "× bare JAX", "wanted", "also"):
        table.add_column(name, justify="left" if name in ("line", "also") else "right")
    lines = list(_lines(arguments.only, arguments.repeats))
    bare = statistics.median(lines[0].seconds)
    for line in lines:
        median = statistics.median(line.seconds)
        wanted = "" if line.wanted is None else f"{line.wanted:g}"
        table.add_row(line.name, f"{median:.2f}", f"{median / bare:.2f}", wanted, line.about)
    Console(width=150).print(table)
    document = {"machine": describe_machine(), "lines": [line._asdict() for line in lines]}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
