"""Time in bare evaluations: ``python -m benchmarks.evaluations [--workload W1] [--games B]``.

A solver cannot do with less than the logit response of every game, once. How many of those would have fitted into the
time that `solve_batch` takes says how near it comes to the least there is to do, on any machine. The response is
compiled for the case, with games and policies ready on the device, the axis of games last so that one instruction
serves several of them: as fast as a batch of responses gets. Both are timed in turns.
"""

import argparse
import itertools
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table

import hqre_jax as hq
from benchmarks._normal_form_case import NormalFormCase, residuals
from benchmarks.workloads.w1_bimatrix import w1_cases
from benchmarks.workloads.w2_many_players import w2_cases

_WORKLOADS = {"W1": w1_cases, "W2": w2_cases}
# Evaluations that a solve of W1 may take at most, at each temperature.
_GOALS = {("W1", 1.0): 12, ("W1", 0.1): 80}


class Evaluations(NamedTuple):
    """A solve and a bare evaluation of one batch.

    Attributes:
        solve_seconds: Median time of `solve_batch`, answers in numpy.
        evaluation_seconds: Median time of one logit response of the whole batch.
        failures: Games whose residual exceeds the case's tolerance, by the harness's own count.
    """

    solve_seconds: float
    evaluation_seconds: float
    failures: int

    @property
    def evaluations(self) -> float:
        """Evaluations that take as long as the solve."""
        return self.solve_seconds / self.evaluation_seconds


def measure_evaluations(case: NormalFormCase, repeats: int = 15) -> Evaluations:
    """Time `solve_batch` on a case against its logit response.

    Args:
        case: Games in normal form at one temperature.
        repeats: Timed runs of both, in turns.

    Returns:
        The `Evaluations`.
    """

    def solve() -> np.ndarray:
        solution = hq.solve_batch(case.payoffs, case.tau, tol=case.residual_tol, throw=False)
        return np.asarray(solution.policy)[:, :, 0]

    respond = logit_response(case)
    failures = int((residuals(case.payoffs, solve(), case.tau) > case.residual_tol).sum())
    times: tuple[list[float], list[float]] = ([], [])
    respond()
    for _ in range(repeats):
        for spent, run in zip(times, (solve, respond), strict=True):
            began = time.perf_counter()
            run()
            spent.append(time.perf_counter() - began)
    return Evaluations(float(np.median(times[0])), float(np.median(times[1])), failures)


def logit_response(case: NormalFormCase) -> Callable[[], jax.Array]:
    """The logit response of every game of a case to the uniform policy, compiled, with nothing left to move.

    Args:
        case: Games in normal form at one temperature.

    Returns:
        A function that evaluates the batch once and waits for the ``(player, action, game)`` it gets.
    """
    num_games, players, actions = case.num_games, case.payoffs.shape[1], case.payoffs.shape[2]
    games = jnp.asarray(np.ascontiguousarray(np.moveaxis(case.payoffs, 0, -1)) / case.tau)
    uniform = jnp.full((players, actions, num_games), 1 / actions)

    def responses(games: jax.Array, policy: jax.Array) -> jax.Array:
        values = []
        for i in range(players):
            rest = games[i]
            # The last axis of actions belongs to the last of the others, and so on.
            for j in reversed([j for j in range(players) if j != i]):
                axis = rest.ndim - 2 if j > i else 0
                weight = policy[j].reshape(*(1,) * axis, actions, *(1,) * (rest.ndim - 2 - axis), num_games)
                rest = _sum_of_few(rest * weight, axis)
            values.append(rest)
        weights = [jnp.exp(value - _largest(value)) for value in values]
        return jnp.stack([weight * (1 / _sum_of_few(weight, 0)) for weight in weights])

    # With the axis of games last, what a game has one of meets what it has several of by promotion of the rank.
    with jax.numpy_rank_promotion("allow"):
        compiled = jax.jit(responses).lower(games, uniform).compile()
    return lambda: compiled(games, uniform).block_until_ready()


def _sum_of_few(x: jax.Array, axis: int) -> jax.Array:
    """A sum spelt out: compilers make one loop over the games of it."""
    terms = [jax.lax.index_in_dim(x, k, axis, keepdims=False) for k in range(x.shape[axis])]
    return list(itertools.accumulate(terms))[-1]


def _largest(x: jax.Array) -> jax.Array:
    return list(itertools.accumulate(list(x), jnp.maximum))[-1]


def main(argv: list[str] | None = None) -> int:
    """Measure, print a table.

    Args:
        argv: Arguments; those of the command line by default.

    Returns:
        0, or 1 where a game was not solved.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evaluations", description="Time in bare evaluations.")
    parser.add_argument("--workload", action="append", choices=list(_WORKLOADS), metavar="W", help="W1, W2 (W1)")
    parser.add_argument("--games", type=int, default=10_000, metavar="B", help="games per batch (10000)")
    parser.add_argument("--repeats", type=int, default=15, metavar="R", help="timed runs of both (15)")
    arguments = parser.parse_args(argv)
    jax.config.update("jax_enable_x64", True)
    table = Table(title="solve_batch in bare evaluations of the batch", title_justify="left")
    table.add_column("case")
    for name in ("solve ms", "evaluation ms", "evaluations", "goal", "residual fails"):
        table.add_column(name, justify="right")
    failures = 0
    for name in arguments.workload or ["W1"]:
        for case in _WORKLOADS[name](arguments.games):
            measured = measure_evaluations(case, arguments.repeats)
            failures += measured.failures
            goal = _GOALS.get((name, case.tau))
            table.add_row(
                case.label,
                f"{1e3 * measured.solve_seconds:.2f}",
                f"{1e3 * measured.evaluation_seconds:.3f}",
                f"{measured.evaluations:.1f}",
                "–" if goal is None else f"≤ {goal}",
                str(measured.failures),
            )
    Console(width=120).print(table)
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
