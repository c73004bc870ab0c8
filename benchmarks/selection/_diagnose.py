"""T6 on the learners' policies: from rollouts alone, does it sound the alarm where play moves away from itself?"""

from collections import Counter
from typing import Any

import numpy as np
from jaxtyping import Float

from benchmarks.selection._entries import Entry
from benchmarks.selection._games import Recorded
from benchmarks.selection._measure import Paths
from hqre_jax.bounds import bounds
from hqre_jax.problem import Problem
from hqre_jax.rollouts import RolloutLog
from hqre_jax.stability import ActionValueEstimates, diagnose, diagnose_logs

# Rounds whose policies are judged, an odd number apart, lest what goes to and fro seem to rest; plays of each; runs.
ROUNDS = (0, 17, 34, 51, 68, 85)
PLAYS, RUNS = 2048, 8
# Part of those plays that is uniform: what is never played shows nothing.
TREMBLE = 0.1
# What a rule without temperatures is judged at: the theory knows none of 0.
LEAST_TAU = 0.01
# As many plays as an exact value is worth.
_EXACT = 1e9


def diagnoses(entry: Entry, recorded: Recorded, paths: Paths) -> dict[str, Any]:
    """Verdicts and alarms of the first runs, beside the truth.

    Args:
        entry: The entry.
        recorded: The game, of which the diagnosis sees plays alone.
        paths: Policies of every run.

    Returns:
        Verdicts and kinds of alarms with their numbers; of the runs in which exact action values sound an alarm, how
        many there are and in how many the plays sounded one; of the others the same.
    """
    found = [diagnosis(entry, recorded, path, seed) for seed, path in enumerate(paths[:RUNS])]
    return {
        "verdicts": dict(sorted(Counter(one["verdict"] for one in found).items())),
        "alarms": dict(sorted(Counter(alarm for one in found for alarm in one["alarms"]).items())),
        "wrong": _heard([one for one in found if one["truth"]]),
        "sound": _heard([one for one in found if not one["truth"]]),
    }


def _heard(found: list[dict[str, Any]]) -> dict[str, int]:
    return {"runs": len(found), "alarms": sum(bool(one["alarms"]) for one in found)}


def temperatures_of(entry: Entry) -> Any:
    """What the entry is judged at."""
    return LEAST_TAU if entry.tau is None else entry.tau


def diagnosis(
    entry: Entry, recorded: Recorded, path: Float[np.ndarray, "round agent choice"], seed: int
) -> dict[str, Any]:
    """What T6 says of some of a run's policies, from plays of them alone; and what it would say with exact values."""
    rng, mask, tau = np.random.default_rng([seed, 4]), recorded.mask[:, None], temperatures_of(entry)
    policies = (1 - TREMBLE) * path[list(ROUNDS)] + TREMBLE * recorded.mask / recorded.mask.sum(-1, keepdims=True)
    step = np.inf if entry.step is None else entry.step
    logs = [_log(recorded, policy, rng) for policy in policies]
    report = diagnose_logs(logs, tau, policies=policies[:, :, None], step=step, action_mask=mask)
    exact = [
        ActionValueEstimates.independent(value[:, None], np.ones(mask.shape) / _EXACT, np.full(mask.shape, _EXACT))
        for value in np.where(recorded.mask, recorded.values(policies), 0.0)
    ]
    truth = {alarm.kind for alarm in diagnose(policies[:, :, None], exact, tau, step=step, action_mask=mask).alarms}
    # Where the logit map contracts, play that swings converges all the same.
    if float(bounds(Problem(recorded.game, tau)).contraction) < 1:
        truth -= {"overshooting"}
    return {
        "verdict": str(report.verdict),
        "alarms": sorted({alarm.kind for alarm in report.alarms}),
        "truth": sorted(truth),
    }


def _log(recorded: Recorded, policy: Float[np.ndarray, "agent choice"], rng: np.random.Generator) -> RolloutLog:
    plays = rng.integers(len(recorded.scores), size=PLAYS)
    choices = np.stack([rng.choice(len(own), size=PLAYS, p=own) for own in policy], axis=1)
    return RolloutLog.from_plays(choices, recorded.pay(plays, choices)[1])


def is_judged(entry: Entry) -> bool:
    """Whether T6 speaks of the rule: best responses are mirror steps of infinite length, bandits are none."""
    return entry.name == "best response" or entry.step is not None
