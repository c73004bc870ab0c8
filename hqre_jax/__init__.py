"""hqre_jax: heterogeneous quantal response equilibria of games with many learning agents, in JAX.

Pose a game and temperatures, get *one* stable way of playing it, with the evidence that it is one:
``hq.solve(game, tau)``. Independently specified after arXiv 2606.08068.
"""

from hqre_jax import plotting
from hqre_jax._batch import BatchSolution, BatchSolveError
from hqre_jax._branch import Branch, BranchError, Fold, trace_branch
from hqre_jax._certificates import Certificate, Verdict
from hqre_jax._certify import certify
from hqre_jax._empirical import (
    Bootstrap,
    Confidence,
    EmpiricalGame,
    RolloutPlan,
    bootstrap,
    confidence_region,
    plan_rollouts,
)
from hqre_jax._equilibrium import bayesian_regret, exploitability, logit_response, regularized_gap, residual
from hqre_jax._estimation import TemperatureFit, fit_temperatures
from hqre_jax._game import AbstractGame, Evaluation
from hqre_jax._games import (
    BayesianGame,
    ExtensiveFormGame,
    IncompleteInformationMarkovGame,
    MarkovGame,
    NormalFormGame,
    PolymatrixGame,
    PublicPrivateGame,
)
from hqre_jax._generators import (
    as_bayesian,
    as_incomplete_information,
    as_normal_form,
    manufactured,
    random_bayesian,
    random_extensive_form,
    random_incomplete_information_markov,
    random_markov,
    random_normal_form,
    random_policy,
    random_polymatrix,
    random_public_private,
    with_public_history,
)
from hqre_jax._least_temperatures import LeastTemperatures, least_temperatures
from hqre_jax._problem import Problem
from hqre_jax._results import RESULTS, SELECTIONS
from hqre_jax._rigorous import Proof, load_proof, prove, recheck
from hqre_jax._rollout_log import RolloutLog
from hqre_jax._sampled import AbstractHostSimulator, AbstractSimulator, Episodes, Estimate, SampledGame
from hqre_jax._solution import History, Solution, SolveError
from hqre_jax._solve import solve
from hqre_jax._solve_batch import solve_batch
from hqre_jax._solver import AbstractSolver, Evidence
from hqre_jax._solvers import (
    Extragradient,
    FixedPoint,
    MirrorDescent,
    Newton,
    PrincipalBranch,
    SoftValueIteration,
    StochasticMirror,
)
from hqre_jax._types import InputError, Labels
from hqre_jax.io import (
    CatalogueEntry,
    append_rollout_log,
    list_games,
    load_game,
    load_rollout_log,
    named_game,
    save_game,
    save_rollout_log,
)
from hqre_jax.sweep import sweep

__all__ = [
    "RESULTS",
    "SELECTIONS",
    "AbstractGame",
    "AbstractHostSimulator",
    "AbstractSimulator",
    "AbstractSolver",
    "BatchSolution",
    "BatchSolveError",
    "BayesianGame",
    "Bootstrap",
    "Branch",
    "BranchError",
    "CatalogueEntry",
    "Certificate",
    "Confidence",
    "EmpiricalGame",
    "Episodes",
    "Estimate",
    "Evaluation",
    "Evidence",
    "ExtensiveFormGame",
    "Extragradient",
    "FixedPoint",
    "Fold",
    "History",
    "IncompleteInformationMarkovGame",
    "InputError",
    "Labels",
    "LeastTemperatures",
    "MarkovGame",
    "MirrorDescent",
    "Newton",
    "NormalFormGame",
    "PolymatrixGame",
    "PrincipalBranch",
    "Problem",
    "Proof",
    "PublicPrivateGame",
    "RolloutLog",
    "RolloutPlan",
    "SampledGame",
    "SoftValueIteration",
    "Solution",
    "SolveError",
    "StochasticMirror",
    "TemperatureFit",
    "Verdict",
    "append_rollout_log",
    "as_bayesian",
    "as_incomplete_information",
    "as_normal_form",
    "bayesian_regret",
    "bootstrap",
    "certify",
    "confidence_region",
    "exploitability",
    "fit_temperatures",
    "least_temperatures",
    "list_games",
    "load_game",
    "load_proof",
    "load_rollout_log",
    "logit_response",
    "manufactured",
    "named_game",
    "plan_rollouts",
    "plotting",
    "prove",
    "random_bayesian",
    "random_extensive_form",
    "random_incomplete_information_markov",
    "random_markov",
    "random_normal_form",
    "random_policy",
    "random_polymatrix",
    "random_public_private",
    "recheck",
    "regularized_gap",
    "residual",
    "save_game",
    "save_rollout_log",
    "solve",
    "solve_batch",
    "sweep",
    "trace_branch",
    "with_public_history",
]
