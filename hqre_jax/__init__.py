"""hqre_jax: heterogeneous quantal response equilibria of games with many learning agents, in JAX.

Pose a game and temperatures, get *one* stable way of playing it, with the evidence that it is one:
``hq.solve(game, tau)``. Independently specified after arXiv 2606.08068.

What most people need is here; everything else is reached through its room: ``hq.learning``, ``hq.stability``,
``hq.solvers``, ``hq.games.random``, … Both are loaded when they are first asked for.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hqre_jax import bounds as bounds
    from hqre_jax import bridge as bridge
    from hqre_jax import certificates as certificates
    from hqre_jax import empirical as empirical
    from hqre_jax import equilibrium as equilibrium
    from hqre_jax import estimation as estimation
    from hqre_jax import games as games
    from hqre_jax import io as io
    from hqre_jax import learning as learning
    from hqre_jax import plotting as plotting
    from hqre_jax import rollouts as rollouts
    from hqre_jax import sampled as sampled
    from hqre_jax import solvers as solvers
    from hqre_jax import solving as solving
    from hqre_jax import stability as stability
    from hqre_jax import sweeps as sweeps
    from hqre_jax.certificates import Certificate, certify, least_temperatures, prove, recheck
    from hqre_jax.core import RESULTS, SELECTIONS, InputError, Labels
    from hqre_jax.empirical import EmpiricalGame
    from hqre_jax.equilibrium import exploitability, logit_response, regularized_gap, residual
    from hqre_jax.estimation import fit_temperatures
    from hqre_jax.games import (
        AbstractGame,
        BayesianGame,
        ExtensiveFormGame,
        IncompleteInformationMarkovGame,
        MarkovGame,
        NormalFormGame,
        PolymatrixGame,
        PublicPrivateGame,
    )
    from hqre_jax.io import list_games, load_game, named_game, save_game
    from hqre_jax.learning import play
    from hqre_jax.problem import Problem
    from hqre_jax.rollouts import RolloutLog
    from hqre_jax.sampled import SampledGame
    from hqre_jax.solvers import AbstractSolver
    from hqre_jax.solving import BatchSolution, Branch, Solution, SolveError, solve, solve_batch, trace_branch
    from hqre_jax.stability import diagnose, diagnose_logs
    from hqre_jax.sweeps import sweep

__all__ = [
    "RESULTS",
    "SELECTIONS",
    "AbstractGame",
    "AbstractSolver",
    "BatchSolution",
    "BayesianGame",
    "Branch",
    "Certificate",
    "EmpiricalGame",
    "ExtensiveFormGame",
    "IncompleteInformationMarkovGame",
    "InputError",
    "Labels",
    "MarkovGame",
    "NormalFormGame",
    "PolymatrixGame",
    "Problem",
    "PublicPrivateGame",
    "RolloutLog",
    "SampledGame",
    "Solution",
    "SolveError",
    "certify",
    "diagnose",
    "diagnose_logs",
    "exploitability",
    "fit_temperatures",
    "least_temperatures",
    "list_games",
    "load_game",
    "logit_response",
    "named_game",
    "play",
    "plotting",
    "prove",
    "recheck",
    "regularized_gap",
    "residual",
    "save_game",
    "solve",
    "solve_batch",
    "sweep",
    "trace_branch",
]

_ROOMS = (
    "bounds",
    "bridge",
    "certificates",
    "empirical",
    "equilibrium",
    "estimation",
    "games",
    "io",
    "learning",
    "plotting",
    "rollouts",
    "sampled",
    "solvers",
    "solving",
    "stability",
    "sweeps",
)
# Where each name is at home (a test holds this to what type checkers are told above).
_HOMES = {
    name: room
    for room, names in {
        "certificates": "Certificate certify least_temperatures prove recheck",
        "core": "RESULTS SELECTIONS InputError Labels",
        "empirical": "EmpiricalGame",
        "equilibrium": "exploitability logit_response regularized_gap residual",
        "estimation": "fit_temperatures",
        "games": "AbstractGame BayesianGame ExtensiveFormGame IncompleteInformationMarkovGame MarkovGame "
        "NormalFormGame PolymatrixGame PublicPrivateGame",
        "io": "list_games load_game named_game save_game",
        "learning": "play",
        "problem": "Problem",
        "rollouts": "RolloutLog",
        "sampled": "SampledGame",
        "solvers": "AbstractSolver",
        "solving": "BatchSolution Branch Solution SolveError solve solve_batch trace_branch",
        "stability": "diagnose diagnose_logs",
        "sweeps": "sweep",
    }.items()
    for name in names.split()
}


def __getattr__(name: str) -> Any:
    """A name or a room, loaded now (PEP 562); it stays in the package's namespace."""
    if name in _ROOMS:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; rooms hold more: {', '.join(_ROOMS)}")
    value = globals()[name] = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *_ROOMS})
