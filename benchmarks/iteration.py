"""How near to memory speed one iteration in one large game runs: ``python -m benchmarks.iteration``.

An iteration reads every payoff once: two matrix-vector products in the game of W4. What the machine can do is measured
in the same run, by the same two products alone: numpy on one thread, and a compiled loop on all cores.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table

import hqre_jax as hq
from benchmarks._machine import describe_machine
from benchmarks.workloads import WORKLOADS

# Numbers of steps the difference of whose times is that of the iterations between: both before convergence.
_FEW, _MANY = 10, 60
_SOLVERS = ("fixed_point", "mirror_descent")
_GOAL = 0.5


def _products(matrices: np.ndarray) -> dict[str, Callable[[], object]]:
    """Ways to run as many pairs of products as there are iterations to be timed, and nothing else."""
    first, second = matrices
    vector = np.full(len(first), 1 / len(first))

    def numpy_loop() -> None:
        for _ in range(_MANY - _FEW):
            first @ vector
            vector @ second

    @jax.jit
    def compiled(a: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array]:
        # Each pair begins with what the last one gave, or the compiler would run it once.
        def pair(_, vectors):
            row, column = a @ vectors[1], vectors[0] @ b
            return row / jnp.max(jnp.abs(row)), column / jnp.max(jnp.abs(column))

        return jax.lax.fori_loop(0, _MANY - _FEW, pair, (jnp.asarray(vector), jnp.asarray(vector)))

    a, b = jnp.asarray(first), jnp.asarray(second)
    return {"numpy, one thread": numpy_loop, "compiled loop": lambda: jax.block_until_ready(compiled(a, b))}


def measure(repeats: int) -> dict[str, float]:
    """Bytes a second of the bare products and of each solver's iterations, medians.

    Args:
        repeats: Timed runs of each, in turns.

    Returns:
        By name.
    """
    (case,) = WORKLOADS["W4"](None)
    game, bytes_read = hq.NormalFormGame(case.payoffs[0]), case.payoffs.nbytes * (_MANY - _FEW)

    def steps(solver: str, count: int) -> Callable[[], object]:
        return lambda: np.asarray(hq.solve(game, case.tau, solver=solver, max_steps=count, throw=False).policy)

    calls = _products(case.payoffs[0])
    for solver in _SOLVERS:
        calls |= {f"{solver} {count}": steps(solver, count) for count in (_FEW, _MANY)}
    for call in calls.values():
        call()
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - began)
    for solver in _SOLVERS:
        few, many = seconds.pop(f"{solver} {_FEW}"), seconds.pop(f"{solver} {_MANY}")
        seconds[solver] = list(np.subtract(many, few))
    return {name: float(bytes_read / np.median(spent)) for name, spent in seconds.items()}


def main(argv: list[str] | None = None) -> int:
    """Measure, print a table, write JSON.

    Args:
        argv: Arguments; those of the command line by default.

    Returns:
        0, or 1 where the default solver's iterations run at less than half the speed of the bare products.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.iteration", description="W4: iterations, memory speed.")
    parser.add_argument("--repeats", type=int, default=9, metavar="R", help="timed runs of each (9)")
    parser.add_argument("--out", type=Path, default=Path("out/iteration.json"), metavar="FILE", help="where JSON goes")
    arguments = parser.parse_args(argv)
    jax.config.update("jax_enable_x64", True)
    speeds = measure(arguments.repeats)
    fastest = max(speed for name, speed in speeds.items() if name not in _SOLVERS)
    table = Table(title="W4: two matrix-vector products an iteration", title_justify="left")
    for name in ("what runs", "GB/s", "of the fastest bare products"):
        table.add_column(name, justify="left" if name == "what runs" else "right")
    for name, speed in speeds.items():
        table.add_row(name, f"{speed / 1e9:.1f}", f"{speed / fastest:.0%}")
    Console(width=120).print(table)
    document = {"machine": describe_machine(), "bytes_per_second": speeds, "goal": _GOAL}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return int(speeds["fixed_point"] < _GOAL * fastest)


if __name__ == "__main__":
    sys.exit(main())
