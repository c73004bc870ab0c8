"""Value iteration with soft maxima for games that go on: no linear solve inside a step, or a nested stage solve."""

from typing import ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from hqre_jax.core._simplex import mirror_step
from hqre_jax.core._types import InputError, LogPolicy, StateValues
from hqre_jax.equilibrium._residual import soft_values
from hqre_jax.games._world_states import AbstractWorldStateGame, StageGame, world_states
from hqre_jax.problem import Problem
from hqre_jax.solvers._loop import iterate
from hqre_jax.solvers._solver import AbstractSolver, Iterate, look
from hqre_jax.solvers.newton import Newton

_INNER_STEPS = 50


class State(NamedTuple):
    """Current point, own values ``V_i(x)`` of the coupled form, continuation values at the targets."""

    iterate: Iterate
    values: StateValues
    targets: Float[Array, "player target"]


class SoftValueIteration(AbstractSolver):
    """Value iteration towards a stationary HQRE of a game with policy-independent beliefs.

    ``soft``: the coupled update of T4, ``z⁺ = (1−α)z + α(Q/τ + log ρ)`` and
    ``V⁺ = (1−α)V + α τ LSE(Q/τ + log ρ)`` with Q from V and ``π(z)``; it contracts with ``1 − α(1−q)`` where
    ``q = spr(γI + B diag(1/τ)) < 1``. ``plain``: the same with ``V⁺ = (1−α)V + α E_π[Q]``, without that
    guarantee. ``zero_sum``: nested; each step solves the regularised stage game and backs its value up, which
    contracts with γ at every temperature (Shapley's operator).

    Args:
        weight: α in (0, 1].
        inner: Solver of the stage games of the nested form.

    Example:
        >>> import numpy as np
        >>> import hqre_jax as hq
        >>> payoffs = np.stack([np.eye(2), 1 - np.eye(2)])[:, None]
        >>> game = hq.MarkovGame(payoffs, np.ones((1, 2, 2, 1)), 0.5)
        >>> hq.solve(game, 8.0, solver=hq.solvers.SoftValueIteration()).result
        <RESULTS.successful: 'successful'>
    """

    weight: float = eqx.field(static=True, default=1.0)
    inner: AbstractSolver = eqx.field(default_factory=Newton)

    name: ClassVar[str] = "soft_value_iteration"
    default_max_steps: ClassVar[int] = 20_000
    patience: ClassVar[int] = 1_000

    def __check_init__(self):
        if not 0 < self.weight <= 1:
            raise InputError("weight", f"is {self.weight:g}; it must be greater than 0 and at most 1")

    def init(self, problem: Problem, log_policy: LogPolicy) -> State:
        """See `AbstractSolver.init`."""
        _world_game(problem)
        evaluation = problem.evaluate(log_policy)
        targets = jnp.zeros_like(evaluation.continuation)
        return State(look(problem, log_policy), jnp.zeros_like(problem.tau), targets)

    def step(self, problem: Problem, state: State) -> State:
        """See `AbstractSolver.step`."""
        if problem.continuation == "zero_sum":
            return self._nested(problem, state)
        stage = self._stage(problem, state)
        here = state.iterate
        evaluation = stage.evaluate(stage.log_policy(here.logits))
        response = problem.response_to(evaluation.action_values)
        logits = mirror_step(here.logits, response, jnp.full_like(problem.tau, self._eta_tau))
        if problem.continuation == "soft":
            best = soft_values(evaluation.action_values, problem)
            values = (1 - self.weight) * state.values + self.weight * best
            game = _world_game(problem)
            targets = game.gather(game.at_worlds(values))
        else:
            values = state.values
            targets = (1 - self.weight) * state.targets + self.weight * evaluation.continuation
        return State(look(problem, logits, here), values, targets)

    def _nested(self, problem: Problem, state: State) -> State:
        stage = self._stage(problem, state)
        tol = jnp.asarray(1e-13 if state.targets.dtype == jnp.float64 else 1e-6, state.targets.dtype)
        log_policy = stage.log_policy(state.iterate.logits)
        inner, _, _ = iterate(self.inner, stage, log_policy, tol, _INNER_STEPS)
        logits = inner.iterate.logits
        targets = stage.evaluate(stage.log_policy(logits)).continuation
        return State(look(problem, logits, state.iterate), state.values, targets)

    @property
    def _eta_tau(self) -> float:
        """The mirror step whose convex weight is α."""
        return jnp.inf if self.weight == 1.0 else self.weight / (1.0 - self.weight)

    @staticmethod
    def _stage(problem: Problem, state: State) -> Problem:
        return eqx.tree_at(lambda p: p.game, problem, StageGame(_world_game(problem), state.targets))


def _world_game(problem: Problem) -> AbstractWorldStateGame:
    """The game, if value iteration means something for it."""
    game = world_states(problem.game)
    if game is not None and game.plays_on and game.policy_independent_beliefs:
        return game
    raise InputError(
        "solver",
        '"soft_value_iteration" needs a Markov game or one whose beliefs do not depend on the policy; use "auto" here',
    )
