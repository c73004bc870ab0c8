"""sgamesolver's QRE homotopy for games with states, compiled, at tolerances that meet the residual."""

import importlib.util

import numpy as np

from benchmarks._case import Entrant, Prepared
from benchmarks._machine import package_version
from benchmarks._markov_case import MarkovCase

# A game of 5 states takes it a twentieth of a second, one of 200 a minute; more states than that, hours.
_MOST_STATES = 200
_TOL = 1e-10
# Steps after which it gives up: what ends takes a tenth of them.
_MOST_STEPS = 600


def _prepare(case: MarkovCase) -> Prepared:
    if not hasattr(np, "NaN"):
        setattr(np, "NaN", np.nan)  # noqa: B010 a name that numpy 2 dropped
    from sgamesolver import SGame
    from sgamesolver.homotopy import QRE

    count = max(1, min(case.num_games, 20, int(100 / case.num_states)))
    games = [SGame(list(case.payoffs[g]), list(case.transitions[g]), case.discount) for g in range(count)]

    def run() -> np.ndarray:
        answers = np.full((count, *case.payoffs.shape[1:4]), np.nan)
        for g, game in enumerate(games):
            homotopy = QRE(game)
            homotopy.solver_setup(target_lambda=1 / case.tau)
            homotopy.solver.set_parameters(convergence_tol=_TOL, corrector_tol=_TOL)
            homotopy.solver.max_steps, homotopy.solver.verbose = _MOST_STEPS, 0
            if homotopy.solver.start()["success"]:
                answers[g] = homotopy.equilibrium.strategies
        return answers

    return Prepared(run, count)


def entrants() -> tuple[Entrant, ...]:
    """One, which defines the principal branch."""
    missing = "" if importlib.util.find_spec("sgamesolver") else "sgamesolver is not installed"
    return (
        Entrant(
            "sgamesolver", package_version("sgamesolver"), _prepare, missing, reference=True,
            accepts=lambda case: isinstance(case, MarkovCase) and case.num_states <= _MOST_STATES,
        ),
    )  # fmt: skip
