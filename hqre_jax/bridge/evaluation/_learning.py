"""Learning curves on bandit feedback: the mirror update with DICE-PC's temperatures, with one, and with τ → 0."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from hqre_jax.bridge.baselines._training import Visits, train
from hqre_jax.bridge.baselines.mirror import ZERO, MirrorLearner
from hqre_jax.bridge.coordination import PublicStates, Samples, TeamPolicy
from hqre_jax.bridge.evaluation._plan import Plan
from hqre_jax.bridge.evaluation._policies import own_temperatures
from hqre_jax.bridge.tasks import Item
from hqre_jax.stability import drift_index, oscillation_index

# Policies of a run that are kept for pictures.
KEPT = 33
RULES = ("DICE-PC's temperatures", "one temperature", "τ → 0")


def learning_curves(
    samples: Samples, policy: TeamPolicy, dev: list[Item], plan: Plan, say: Callable[[str, int, int], None]
) -> list[dict[str, Any]]:
    """Train with every rule and seed, and look at how policies moved.

    Args:
        samples: The sample pool.
        policy: Its temperatures and reference are DICE-PC's.
        dev: Questions.
        plan: Seeds, and how many training plays.
        say: Told what is being done.

    Returns:
        One document for each run: plays, mean score of each batch, some policies, and indices of the second half.
    """
    states, runs = PublicStates.of(samples.team, samples.tasks), list[dict[str, Any]]()
    for seed in range(plan.seeds):
        for number, (rule, tau) in enumerate(temperatures(policy).items()):
            say(f"learning curve: {rule}, seed {seed + 1}", seed * len(RULES) + number, plan.seeds * len(RULES))
            learner = MirrorLearner(states, tau, policy.reference)
            runs.append({"rule": rule, "seed": seed, **_run(learner, samples, dev, plan.plays, plan.seed + seed)})
    return runs


def temperatures(policy: TeamPolicy) -> Mapping[str, Any]:
    """Those of the three rules; the one is the mean of DICE-PC's."""
    own = own_temperatures(policy)
    return dict(zip(RULES, (own, float(own.mean()), ZERO), strict=True))


def _run(learner: MirrorLearner, samples: Samples, dev: list[Item], plays: int, seed: int) -> dict[str, Any]:
    path, after, scores = [learner.policy()], [0], list[float | None]()

    def watch(done: int, visits: Visits) -> None:
        path.append(learner.policy())
        after.append(done)
        scores.append(float(visits.scores.mean()) if visits.scores.size else None)

    broken = train(learner, samples, dev, plays, seed, watch=watch)
    late = np.stack(path[len(path) // 2 :])
    moved = np.ptp(late, axis=0).max(-1)
    enough = len(late) >= 3
    kept = np.unique(np.linspace(0, len(path) - 1, min(KEPT, len(path))).round().astype(int))
    return {
        "plays": after[1:],
        "scores": scores,
        "broken": broken,
        # In the second half: largest less least probability; cosine of successive steps; path over displacement.
        "swing": moved.tolist(),
        "oscillation": np.asarray(oscillation_index(late)).tolist() if enough else None,
        "drift": _finite(np.asarray(drift_index(late))) if enough else None,
        "kept": [after[k] for k in kept],
        "policies": [np.round(path[k], 4).tolist() for k in kept],
        "final": path[-1].tolist(),
    }


def _finite(values: np.ndarray) -> list[Any]:
    return [[float(one) if np.isfinite(one) else None for one in row] for row in values]
