"""LiteEFG's magnetic mirror descent on action values, whose fixed point is the agent form's equilibrium.

Kuhn poker only: in Leduc poker it does not arrive (η = 0.01: residual 0.5 after 16,000 iterations, 30 seconds). Reading
the game is not timed. LiteEFG is built from source by ``pip install --no-deps LiteEFG``; it needs pandas and OpenSpiel.
"""

import contextlib
import importlib.util
import io
import os
import tempfile
from unittest import mock

import numpy as np

from benchmarks._case import Entrant, Prepared
from benchmarks._machine import package_version
from benchmarks._tree_case import TreeCase

# Steps among which the entrant may choose, untimed, and how often it looks whether it is there.
_STEPS, _BETWEEN_LOOKS, _MOST_ITERATIONS = (0.1, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5), 25, 4_000
_MOST_ACTIONS = 1_000


class Descent:
    """One step size, ready to start from uniform play as often as wanted.

    Args:
        case: The game.
        step: η.
    """

    def __init__(self, case: TreeCase, step: float):
        import pyspiel

        # Built from source, so absent from most machines.
        lite, mmd = importlib.import_module("LiteEFG"), importlib.import_module("LiteEFG.baselines.MMD")
        # It keeps a copy of the game in the home folder, and announces itself.
        with (
            tempfile.TemporaryDirectory() as home,
            mock.patch.dict(os.environ, HOME=home),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            self.environment = lite.OpenSpielEnv(pyspiel.load_game(case.name), traverse_type="Enumerate")
            self.graph = mmd.graph(eta=step, tau=case.tau, gamma=0.0, feedback="Q")
        self.environment.set_graph(self.graph)
        # Players are counted from 1.
        self.players = range(1, len(case.tree[1]) + 1)
        self.uniform, self.places = [], []
        for player, states in zip(self.players, case.tree[1], strict=True):
            numbers = {name: number for number, name in enumerate(states)}
            values = self.environment.get_value(player, self.graph.u)
            self.places.append([numbers[name] for name, _ in values])
            self.uniform.append([[1.0 / len(row)] * len(row) for _, row in values])
        self.shape = (*case.num_actions.shape, case.num_actions.max())

    def start(self) -> None:
        """Back to uniform play."""
        for player, rows in zip(self.players, self.uniform, strict=True):
            self.environment.set_value(player, self.graph.u, rows)

    def go(self, iterations: int) -> None:
        """Some iterations."""
        for _ in range(iterations):
            self.graph.update_graph(self.environment)

    def answer(self) -> np.ndarray:
        """The policy, ``(1, player, information state, action)``."""
        policy = np.zeros(self.shape)
        for player, places in zip(self.players, self.places, strict=True):
            for place, (_, row) in zip(places, self.environment.get_value(player, self.graph.u), strict=True):
                policy[player - 1, place, : len(row)] = row
        return policy[None]


def _prepare(case: TreeCase) -> Prepared:
    best, chosen = _MOST_ITERATIONS + 1, None
    for step in _STEPS:
        descent = Descent(case, step)
        descent.start()
        for count in range(_BETWEEN_LOOKS, min(best, _MOST_ITERATIONS + 1), _BETWEEN_LOOKS):
            descent.go(_BETWEEN_LOOKS)
            if case.residuals(descent.answer())[0] <= case.residual_tol:
                best, chosen = count, descent
                break
    if chosen is None:
        raise RuntimeError(f"no step brings LiteEFG to {case.residual_tol:g} in {case.label}")

    def run() -> np.ndarray:
        chosen.start()
        chosen.go(best)
        return chosen.answer()

    return Prepared(run, case.num_games)


def entrants() -> tuple[Entrant, ...]:
    """One, at the best of seven steps."""
    present = all(importlib.util.find_spec(name) for name in ("LiteEFG", "pyspiel", "pandas"))
    return (
        Entrant(
            "LiteEFG MMD",
            package_version("LiteEFG"),
            _prepare,
            "" if present else "LiteEFG is not installed",
            accepts=lambda case: isinstance(case, TreeCase) and case.num_actions.sum() <= _MOST_ACTIONS,
        ),
    )
