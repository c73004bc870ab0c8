"""W3: how the time of `solve` grows with the number of states: ``python -m benchmarks.states``.

Beside it stands one pass over the transitions, ``Σ_w P(w|s, a) v(w)`` for all s and a: the least that any method reads.
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import jax
import numpy as np
from rich.console import Console
from rich.table import Table

import hqre_jax as hq
from benchmarks._markov_case import MarkovCase
from benchmarks.growth import growth_exponent
from benchmarks.workloads.w3_markov import DISCOUNT, TEMPERATURES, random_game

_PLAYERS, _ACTIONS = 2, 3
_SIZES = [250, 500, 1_000, 2_000]


@dataclass(frozen=True)
class Size:
    """Medians at one number of states.

    Attributes:
        num_states: S.
        tau: Temperature.
        pass_seconds: One pass over the transitions.
        solve_seconds: `solve`, compiled before.
        failed: Whether the harness's own residual fails.
    """

    num_states: int
    tau: float
    pass_seconds: float
    solve_seconds: float
    failed: bool


def measure_states(num_states: int, tau: float, repeats: int) -> Size:
    """Solve the game of seed 0 and pass over its transitions, in turns.

    Args:
        num_states: S.
        tau: Temperature.
        repeats: Timed runs of both.

    Returns:
        The `Size`.
    """
    payoffs, transitions = random_game(0, num_states, _PLAYERS, _ACTIONS)
    case = MarkovCase(
        workload="W3",
        label=f"S = {num_states}",
        tau=tau,
        payoffs=payoffs[None],
        transitions=transitions[None],
        discount=DISCOUNT,
    )
    game = hq.MarkovGame(np.moveaxis(payoffs, 1, 0), transitions, DISCOUNT)
    rows, vector = transitions.reshape(-1, num_states), np.linspace(0.0, 1.0, num_states)

    def solve() -> np.ndarray:
        solution = hq.solve(game, tau, continuation="plain", tol=case.residual_tol, throw=False)
        return np.moveaxis(np.asarray(solution.policy), 0, 1)[None]

    failed = bool(case.residuals(solve())[0] > case.residual_tol)
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for spent, run in zip(times, (lambda: rows @ vector, solve), strict=True):
            spent.append(_seconds(run))
    return Size(num_states, tau, float(np.median(times[0])), float(np.median(times[1])), failed)


def _seconds(run: Callable[[], np.ndarray]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def main(argv: list[str] | None = None) -> int:
    """Measure all sizes, print a table and the exponents.

    Args:
        argv: Arguments; those of the command line by default.

    Returns:
        0, or 1 where a game was not solved.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.states", description="W3: growth with the states.")
    parser.add_argument("--sizes", type=int, nargs="+", default=_SIZES, metavar="S")
    parser.add_argument("--repeats", type=int, default=5, metavar="R", help="timed runs of each size (5)")
    arguments = parser.parse_args(argv)
    jax.config.update("jax_enable_x64", True)
    table = Table(title=f"W3 N = {_PLAYERS}, A = {_ACTIONS}, γ = {DISCOUNT:g}", title_justify="left")
    for name in ("λ", "S", "one pass ms", "solve ms (median)", "passes", "fails"):
        table.add_column(name, justify="right")
    sizes = [measure_states(states, tau, arguments.repeats) for tau in TEMPERATURES for states in arguments.sizes]
    for size in sizes:
        table.add_row(
            f"{1 / size.tau:g}",
            f"{size.num_states:,}",
            f"{1e3 * size.pass_seconds:.2f}",
            f"{1e3 * size.solve_seconds:.1f}",
            f"{size.solve_seconds / size.pass_seconds:.0f}",
            str(int(size.failed)),
        )
    Console(width=120).print(table)
    for tau in TEMPERATURES:
        of_tau = [size for size in sizes if size.tau == tau]
        states = [size.num_states for size in of_tau]
        solve, once = (
            growth_exponent(states, [getattr(size, name) for size in of_tau])
            for name in ("solve_seconds", "pass_seconds")
        )
        print(f"λ = {1 / tau:g}: solve grows as S^{solve:.2f}, one pass over the transitions as S^{once:.2f}.")
    return int(any(size.failed for size in sizes))


if __name__ == "__main__":
    sys.exit(main())
