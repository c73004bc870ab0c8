"""hqre_jax: heterogeneous quantal response equilibria of games with many learning agents, in JAX.

Pose a game and temperatures, get *one* stable way of playing it, with the evidence that it is one:
``hq.solve(game, tau)``. Independently specified after arXiv 2606.08068.
"""

from hqre_jax import plotting
from hqre_jax.bounds._certificates import Certificate, Verdict
from hqre_jax.certificates._certify import certify
from hqre_jax.certificates._least_temperatures import LeastTemperatures, least_temperatures
from hqre_jax.certificates.rigorous import Proof, load_proof, prove, recheck
from hqre_jax.core._results import RESULTS, SELECTIONS
from hqre_jax.core._types import InputError, Labels
from hqre_jax.empirical import (
    Bootstrap,
    Confidence,
    EmpiricalGame,
    RolloutPlan,
    bootstrap,
    confidence_region,
    plan_rollouts,
)
from hqre_jax.equilibrium._residual import bayesian_regret, exploitability, logit_response, regularized_gap, residual
from hqre_jax.estimation import TemperatureFit, fit_temperatures
from hqre_jax.games import (
    BayesianGame,
    ExtensiveFormGame,
    IncompleteInformationMarkovGame,
    MarkovGame,
    NormalFormGame,
    PolymatrixGame,
    PublicPrivateGame,
)
from hqre_jax.games._game import AbstractGame, Evaluation
from hqre_jax.games.conversions import as_bayesian, as_incomplete_information, as_normal_form, with_public_history
from hqre_jax.games.manufactured import manufactured
from hqre_jax.games.random import (
    random_bayesian,
    random_extensive_form,
    random_incomplete_information_markov,
    random_markov,
    random_normal_form,
    random_policy,
    random_polymatrix,
    random_public_private,
)
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
from hqre_jax.learning import (
    AbstractDynamics,
    BestResponse,
    FictitiousPlay,
    LogitDynamics,
    MirrorPlay,
    MultiplicativeWeights,
    Pathology,
    Play,
    PolicyGradient,
    QLearning,
    pathology,
    play,
)
from hqre_jax.problem import Problem
from hqre_jax.rollouts._rollout_log import RolloutLog
from hqre_jax.sampled import (
    AbstractHostSimulator,
    AbstractSimulator,
    Episodes,
    Estimate,
    SampledGame,
    action_values_from_log,
    estimate_action_values,
)
from hqre_jax.solvers import (
    Extragradient,
    FixedPoint,
    KrylovBranch,
    MarkovBranch,
    MirrorDescent,
    Newton,
    PrincipalBranch,
    SoftValueIteration,
    StochasticMirror,
)
from hqre_jax.solvers._solver import AbstractSolver, Evidence
from hqre_jax.solving._branch import Branch, BranchError, Fold, trace_branch
from hqre_jax.solving._solution import History, Solution, SolveError
from hqre_jax.solving._solve import solve
from hqre_jax.solving.batch._solution import BatchSolution, BatchSolveError
from hqre_jax.solving.batch._solve_batch import solve_batch
from hqre_jax.stability import (
    ActionValueEstimates,
    Alarm,
    Directional,
    InteractionEstimates,
    Interval,
    Stability,
    StabilityReport,
    diagnose,
    diagnose_logs,
    directional,
    drift_index,
    effective_temperature,
    oscillation_index,
    soft_gap,
)
from hqre_jax.stability._controller import (
    ControllerState,
    TemperatureController,
)
from hqre_jax.sweeps import sweep

__all__ = [
    "RESULTS",
    "SELECTIONS",
    "AbstractDynamics",
    "AbstractGame",
    "AbstractHostSimulator",
    "AbstractSimulator",
    "AbstractSolver",
    "ActionValueEstimates",
    "Alarm",
    "BatchSolution",
    "BatchSolveError",
    "BayesianGame",
    "BestResponse",
    "Bootstrap",
    "Branch",
    "BranchError",
    "CatalogueEntry",
    "Certificate",
    "Confidence",
    "ControllerState",
    "Directional",
    "EmpiricalGame",
    "Episodes",
    "Estimate",
    "Evaluation",
    "Evidence",
    "ExtensiveFormGame",
    "Extragradient",
    "FictitiousPlay",
    "FixedPoint",
    "Fold",
    "History",
    "IncompleteInformationMarkovGame",
    "InputError",
    "InteractionEstimates",
    "Interval",
    "KrylovBranch",
    "Labels",
    "LeastTemperatures",
    "LogitDynamics",
    "MarkovBranch",
    "MarkovGame",
    "MirrorDescent",
    "MirrorPlay",
    "MultiplicativeWeights",
    "Newton",
    "NormalFormGame",
    "Pathology",
    "Play",
    "PolicyGradient",
    "PolymatrixGame",
    "PrincipalBranch",
    "Problem",
    "Proof",
    "PublicPrivateGame",
    "QLearning",
    "RolloutLog",
    "RolloutPlan",
    "SampledGame",
    "SoftValueIteration",
    "Solution",
    "SolveError",
    "Stability",
    "StabilityReport",
    "StochasticMirror",
    "TemperatureController",
    "TemperatureFit",
    "Verdict",
    "action_values_from_log",
    "append_rollout_log",
    "as_bayesian",
    "as_incomplete_information",
    "as_normal_form",
    "bayesian_regret",
    "bootstrap",
    "certify",
    "confidence_region",
    "diagnose",
    "diagnose_logs",
    "directional",
    "drift_index",
    "effective_temperature",
    "estimate_action_values",
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
    "oscillation_index",
    "pathology",
    "plan_rollouts",
    "play",
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
    "soft_gap",
    "solve",
    "solve_batch",
    "sweep",
    "trace_branch",
    "with_public_history",
]
