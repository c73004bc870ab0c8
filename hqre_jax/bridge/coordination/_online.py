"""DICE-PC online: stochastic mirror descent on what real plays pay, while a controller sees to the temperatures."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from hqre_jax.bridge.coordination._game import team_labels
from hqre_jax.bridge.coordination._policy import TeamPolicy
from hqre_jax.bridge.coordination._samples import Samples
from hqre_jax.bridge.coordination._simulator import TeamSimulator
from hqre_jax.bridge.coordination._stability import PLAYS, heard_by, judge, stability_document
from hqre_jax.bridge.coordination._states import PublicStates
from hqre_jax.bridge.tasks import Item
from hqre_jax.rollouts._rollout_log import RolloutLog
from hqre_jax.sampled import SampledGame
from hqre_jax.solvers import StochasticMirror
from hqre_jax.solving._solution import Solution
from hqre_jax.solving._solve import solve
from hqre_jax.stability import StabilityReport
from hqre_jax.stability._controller import TemperatureController

# Temperature to begin with, and residual at which it is enough, upper confidence limit.
FIRST_TAU, TOL = 0.25, 0.2
# Probes of a mirror step; steps of the first stretch.
BATCH, FIRST_ROUNDS = 64, 8


@dataclass(frozen=True)
class Learnt:
    """A policy learnt from bandit feedback.

    Attributes:
        states: The public states.
        solution: The last stretch's solution; its residual is the upper end of a confidence interval. None where the
            budget ended before anything was learnt: the policy is uniform then.
        tau: Temperatures, ``(agent, state)``, units of score.
        policies: After each stretch, the first one uniform, ``(stretch, agent, state, choice)``.
        taus: Temperatures of each stretch, ``(stretch, agent, state)``.
        logs: What was played under each policy.
        report: Verdict on stability.
        plays: Plays in all.
        ended: Why it ended: "confidence", "budget" or "rounds".

    Example:
        >>> from hqre_jax.bridge.coordination import PublicStates, Samples, train_online
        >>> from hqre_jax.bridge.models import Reply, Usage, from_python
        >>> from hqre_jax.bridge.team import read_team
        >>> told = {"version": 1, "model": "eight", "price": {"prompt": 0.2, "completion": 2.0}}
        >>> told |= {"tasks": [{"name": "arithmetic", "classes": ["sum"]}]}
        >>> told |= {"agents": [{"name": "first"}, {"name": "second"}]}
        >>> team = read_team(told | {"menu": [{"control": "abstain"}, {"control": "direct"}]})
        >>> eight = from_python(lambda request: Reply("It is 8.", "stop", Usage(50, 0, 5)), "eight")
        >>> samples = Samples(team, {"eight": eight})
        >>> states = PublicStates.of(team, samples.tasks)
        >>> items = states.items("dev", samples.tasks, count=1)
        >>> learnt = train_online(samples, states, items, plays=16, controlled=False, stopped=lambda: "calls")
        >>> learnt.to_policy().facts["result"], learnt.solution
        ('not_begun', None)
    """

    states: PublicStates
    solution: Solution | None
    tau: Float[np.ndarray, "agent state"]
    policies: Float[np.ndarray, "stretch agent state choice"]
    taus: Float[np.ndarray, "played agent state"]
    logs: tuple[RolloutLog, ...]
    report: StabilityReport | None
    plays: int
    ended: str

    def to_policy(self, **facts: Any) -> TeamPolicy:
        """The policy with what is known of it.

        Args:
            **facts: Digests and budgets.

        Returns:
            The policy, as `write_policy` writes it.
        """
        found = self.solution
        evidence = None if found is None else found.evidence
        return TeamPolicy.of(
            self.states, self.policies[-1], self.tau,
            method="online",
            residual=None if found is None else float(found.residual),
            result="not_begun" if found is None else str(found.result),
            selection="unselected" if found is None else str(found.selection),
            certificate={"verdict": "undecided", "reason": "the game is known by its plays only"},
            training={
                "ended": self.ended,
                "stretches": len(self.policies) - 1,
                "plays": self.plays,
                "confidence": None if evidence is None else float(evidence.level),
            },
            stability=None if self.report is None else stability_document(self.report),
            **facts,
        )  # fmt: skip


def train_online(
    samples: Samples,
    states: PublicStates,
    items: dict[int, list[Item]],
    *,
    tau: float = FIRST_TAU,
    controlled: bool = True,
    tol: float = TOL,
    plays: int = PLAYS,
    batch: int = BATCH,
    max_stretches: int = 6,
    seed: int = 0,
    stopped: Callable[[], str | None] = lambda: None,
    say: Callable[[str], None] = lambda what: None,
) -> Learnt:
    """Learn a policy by playing: each stretch plays, sets temperatures, and takes twice the mirror steps of the last.

    Args:
        samples: The sample pool, its models behind a store and a budget.
        states: The public states.
        items: Questions of each class.
        tau: Temperature to begin with, units of score.
        controlled: Whether a controller sees to the temperatures, or they are kept.
        tol: Residual, upper confidence limit, at which it is enough.
        plays: Plays of the policy before each stretch, for the controller and the verdict on stability.
        batch: Probes of a mirror step.
        max_stretches: Most stretches.
        seed: Of all plays.
        stopped: Says which limit ended the run; None while it goes on.
        say: Told what is being done.

    Returns:
        The policy, and why it ended there.

    Example:
        >>> from hqre_jax.bridge.coordination import PublicStates, Samples, train_online
        >>> from hqre_jax.bridge.models import Reply, Usage, from_python
        >>> from hqre_jax.bridge.team import read_team
        >>> told = {"version": 1, "model": "eight", "price": {"prompt": 0.2, "completion": 2.0}}
        >>> told |= {"tasks": [{"name": "arithmetic", "classes": ["sum"]}]}
        >>> told |= {"agents": [{"name": "first"}, {"name": "second"}]}
        >>> team = read_team(told | {"menu": [{"control": "abstain"}, {"control": "direct"}]})
        >>> eight = from_python(lambda request: Reply("It is 8.", "stop", Usage(50, 0, 5)), "eight")
        >>> samples = Samples(team, {"eight": eight})
        >>> states = PublicStates.of(team, samples.tasks)
        >>> items, told = states.items("dev", samples.tasks, count=1), []
        >>> learnt = train_online(samples, states, items, plays=16, stopped=lambda: "calls", say=told.append)
        >>> told, learnt.ended, learnt.plays  # the budget ended before the first mirror step: play is uniform
        (['stretch 1 of 6: 0 plays so far'], 'budget', 16)
        >>> print(learnt.policies[-1][:, 0])
        [[0.5 0.5]
         [0.5 0.5]]
    """
    simulator = TeamSimulator(samples, states, items, team_labels(states))
    game = SampledGame(simulator, num_workers=1)
    mask = np.asarray(states.mask)
    policy = np.where(mask, 1.0 / np.maximum(mask.sum(-1, keepdims=True), 1), 0.0)
    controller = TemperatureController()
    state = controller.init(mask, tau)
    key, policies, taus, logs = jax.random.key(seed), [policy], list[np.ndarray](), list[RolloutLog]()
    solution: Solution | None = None
    ended = "rounds"
    for number in range(max_stretches):
        first, second = jax.random.split(jax.random.fold_in(key, number))
        say(f"stretch {number + 1} of {max_stretches}: {simulator.num_plays} plays so far")
        episodes = game.play(policy, plays, first)
        logs.append(episodes.to_log(game))
        if controlled:
            state = heard_by(controller, state, policy, episodes, mask)
        taus.append(np.asarray(state.tau))
        if stopped() is not None:
            ended = "budget"
            break
        solver = StochasticMirror(batch_size=batch, check_every=FIRST_ROUNDS)
        rounds = FIRST_ROUNDS * 2**number
        solution = solve(game, taus[-1], solver=solver, initial_policy=policy, max_steps=rounds, tol=tol,
                         key=second, throw=False)  # fmt: skip
        policy = np.asarray(solution.policy)
        policies.append(policy)
        if stopped() is not None:
            ended = "budget"
            break
        if float(solution.residual) <= tol:
            ended = "confidence"
            break
    if ended != "budget" and len(logs) < len(policies):
        logs.append(game.play(policy, plays, jax.random.fold_in(key, max_stretches)).to_log(game))
    report = judge(policies, logs, taus[-1], mask)
    return Learnt(
        states, solution, taus[-1], np.stack(policies), np.stack(taus), tuple(logs), report,
        simulator.num_plays, ended,
    )  # fmt: skip
