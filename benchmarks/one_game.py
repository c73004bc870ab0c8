"""What one small game costs when games come one after the other: ``python -m benchmarks.one_game``.

The games of W1, a call for each: a loop in which every answer is wanted before the next question is known. What JAX
takes to begin a compiled program and to hand its result out is measured apart, by a program that gives back a part of
its argument. Batches are what this library is made for; this says what it costs not to have one.
"""

import argparse
import importlib.util
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from rich.console import Console
from rich.table import Table

import hqre_jax as hq
from benchmarks._machine import describe_machine
from benchmarks._normal_form_case import NormalFormCase
from benchmarks.workloads import WORKLOADS

_GAMES, _MOST_STEPS = 200, 10_000
_NOTHING = "a compiled program that does nothing"

Answer = Callable[[np.ndarray], np.ndarray]


def _ways(case: NormalFormCase) -> dict[str, Answer]:
    """Ways to answer one game, compiled."""

    def policy(payoffs: jax.Array) -> jax.Array:
        return hq.solve(hq.NormalFormGame(payoffs), case.tau, solver="principal_branch", throw=False).policy[:, 0]

    def batch_of_one(payoffs: np.ndarray) -> np.ndarray:
        return np.asarray(hq.solve_batch(payoffs[None], case.tau, throw=False).arrays.policy)[0, :, 0]

    compiled = jax.jit(policy).lower(case.payoffs[0]).compile()
    nothing = jax.jit(lambda payoffs: payoffs[:, 0]).lower(case.payoffs[0]).compile()
    ways: dict[str, Answer] = {
        _NOTHING: lambda payoffs: np.asarray(nothing(payoffs)),
        "hqre solve, compiled with jax.jit": lambda payoffs: np.asarray(compiled(payoffs)),
        "hqre solve_batch, a batch of one": batch_of_one,
    }
    if importlib.util.find_spec("numba"):
        from benchmarks.entrants import _numba_loops

        ways["numba continuation"] = lambda payoffs: _numba_loops.homotopy_loop(payoffs[None], case.tau, _MOST_STEPS)[0]
    return ways


def measure(repeats: int, games: int = _GAMES) -> dict[str, dict[str, dict[str, float]]]:
    """Seconds a game, and games whose answer is none, by case and way.

    Args:
        repeats: Loops over all games, in turns; the median counts.
        games: How many.

    Returns:
        ``{case: {way: {"seconds": …, "wrong": …}}}``; a program that does nothing is never wrong.
    """
    found = {}
    for case in WORKLOADS["W1"](games):
        ways = _ways(case)
        answers = {name: np.stack([way(payoffs) for payoffs in case.payoffs]) for name, way in ways.items()}
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(repeats):
            for name, way in ways.items():
                began = time.perf_counter()
                for payoffs in case.payoffs:
                    way(payoffs)
                seconds[name].append((time.perf_counter() - began) / games)
        found[f"τ = {case.tau:g}"] = {
            name: {
                "seconds": float(np.median(spent)),
                "wrong": 0 if name == _NOTHING else int(np.sum(~(case.residuals(answers[name]) <= case.residual_tol))),
            }
            for name, spent in seconds.items()
        }
    return found


def main(argv: list[str] | None = None) -> int:
    """Measure, print a table, write JSON.

    Args:
        argv: Arguments; those of the command line by default.

    Returns:
        0, or 1 where an answer of this library is none.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.one_game", description="W1, a call for each game.")
    parser.add_argument("--repeats", type=int, default=9, metavar="R", help="loops over all games (9)")
    parser.add_argument("--out", type=Path, default=Path("out/one_game.json"), metavar="FILE", help="where JSON goes")
    arguments = parser.parse_args(argv)
    jax.config.update("jax_enable_x64", True)
    found = measure(arguments.repeats)
    table = Table(title="W1, one game at a time", title_justify="left")
    for name in ("what is called", *(f"{case}, µs" for case in found), "wrong"):
        table.add_column(name, justify="left" if name == "what is called" else "right")
    for name in next(iter(found.values())):
        wrong = sum(int(own[name]["wrong"]) for own in found.values())
        table.add_row(name, *(f"{1e6 * own[name]['seconds']:.1f}" for own in found.values()), str(wrong))
    Console(width=120).print(table)
    document = {"machine": describe_machine(), "games": _GAMES, "cases": found}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return int(any(one["wrong"] for own in found.values() for name, one in own.items() if name.startswith("hqre")))


if __name__ == "__main__":
    sys.exit(main())
