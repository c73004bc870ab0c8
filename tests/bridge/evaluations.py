"""A small evaluation of scripted agents, as tests of records, resumption and reports want it."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from teams import samples_of, team_file

from hqre_jax.bridge.baselines import find_methods
from hqre_jax.bridge.coordination import PublicStates, Samples, TeamPolicy, uniform_law
from hqre_jax.bridge.evaluation import Evaluation, Plan
from hqre_jax.bridge.models import Failure, Reply, Request, Usage

MENU = [
    {"control": "abstain"},
    {"control": "direct", "temperature": 1.0},
    {"control": "step_by_step", "temperature": 1.0},
]
METHODS = ("single", "self_consistency_3", "cascade", "joint_ucb_small", "debate")


def skilled(request: Request) -> Reply | Failure:
    """Easy questions are answered right either way, hard ones nearly only by steps, which take more words."""
    steps, hard = "step by step" in request.messages[0].content, "hard" in request.messages[1].content
    right = random.Random(repr(request)).random() < (0.9 if steps or not hard else 0.3)
    return Reply("A" if right else "B", "stop", Usage(10, 0, 30 if steps else 5), log_probs=(-0.1,))


def small_team(**more: Any) -> dict[str, Any]:
    both = {"tasks": [{"name": "letters", "classes": ["easy", "hard"]}], "samples": 6, "questions": 4}
    return team_file(MENU, **(both | more))


def policy_of(samples: Samples) -> TeamPolicy:
    """One agent answers directly where that is enough and by steps where not; the other is silent, nearly always."""
    states = PublicStates.of(samples.team, samples.tasks)
    law = 0.1 * uniform_law(states)
    for x, state in enumerate(states.states):
        law[0, x, 2 if "hard" in str(state) else 1] += 0.9
        law[1, x, 0] += 0.9
    return TeamPolicy.of(states, law, np.full(states.mask.shape[:2], 0.2))


def evaluation(
    folder: Path, says: Callable[[Request], Any] = skilled, methods: Sequence[str] = METHODS, questions: int = 6
) -> tuple[Evaluation, Plan, Any]:
    """An evaluation, its plan, and the model that is asked."""
    samples, model = samples_of(small_team(), says)
    states = PublicStates.of(samples.team, samples.tasks)
    policy, found = policy_of(samples), tuple(find_methods(methods))
    folder.mkdir(exist_ok=True)
    run = Evaluation(
        samples, (("policy.json", policy),), found, states.items("dev", samples.tasks),
        lambda: states.items("test", samples.tasks, questions), folder,
    )  # fmt: skip
    plan = Plan(
        team=samples.team.title, team_digest=samples.team.digest, policies=(("policy.json", "digest"),), split="test",
        classes=states.classes, questions=questions, dev=4, budgets=(30.0, 60.0, 200.0),
        methods=tuple(method.name for method in run.methods), families=tuple(method.family for method in run.methods),
        papers=tuple(method.paper for method in run.methods), seeds=2, seed=0, plays=48,
    )  # fmt: skip
    return run, plan, model


def silent(what: str, done: int, total: int) -> None:
    """Nobody is told."""
