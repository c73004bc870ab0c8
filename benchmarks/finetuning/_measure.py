"""From recorded runs to numbers with intervals."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.stats
from jaxtyping import Float

from benchmarks.finetuning._entries import Entry, all_entries
from hqre_jax.rollouts import RolloutLog
from hqre_jax.stability import diagnose_logs, drift_index, oscillation_index

SEEDS, EVERY = 5, 4
# Policies that are diagnosed, numbers of recorded steps, and plays of each.
DIAGNOSED = {"inspection": (50, 54, 58, 62, 66, 70), "who_answers": (0, 2, 4, 6, 8, 10)}
DIAGNOSED_PLAYS = 4096
_LEAST_TAU = 0.01  # what a method without temperatures is judged at: the theory knows none of 0
_FLOOR = 1e-9

Record = Mapping[str, np.ndarray]


def measure(entry: Entry, record: Record, diagnosed: bool = True) -> dict[str, Any]:
    """The row of an entry.

    Args:
        entry: The entry.
        record: policies ``(seed, step, role, state, token)``, right ``(seed, step)``, gaps ``(seed, step, role)``.
        diagnosed: Whether T6 has a say, which takes seconds.
    """
    policies, gaps = (record[f"{entry.name}:{field}"].astype(float) for field in ("policies", "gaps"))
    half = policies.shape[1] // 2
    late = policies[:, half:]
    right, swing = _right_and_swing(entry, record)
    first = next(one for one in all_entries() if one.game == entry.game)
    beside = _right_and_swing(first, record)
    row: dict[str, Any] = {
        "game": entry.game.name, "method": entry.method, "tau": list(entry.tau), "remark": entry.remark,
        "right": _interval(right),
        "right_beside_first": _interval(right - beside[0]),
        "regret": _interval(gaps[:, half:].sum(-1).mean(1)),
        "swing": _interval(swing),
        "swing_beside_first": _interval(swing - beside[1]),
        "oscillation": _interval(np.array([np.asarray(oscillation_index(one)).mean() for one in late])),
    }  # fmt: skip
    if entry.game.name == "signalling":
        row["drift"] = _interval(np.array([_drift(one) for one in policies]))
        row["conventions"] = float(np.mean([_is_convention(one[-1]) for one in policies]))
    elif diagnosed and entry.method in ("dice", "dice_zero"):
        row["diagnosis"] = [diagnosis(entry, policies[seed], seed) for seed in range(len(policies))]
    return row


def _right_and_swing(entry: Entry, record: Record) -> tuple[np.ndarray, np.ndarray]:
    """P(right) and swing in the second half of each seed's run."""
    policies, right = (record[f"{entry.name}:{field}"].astype(float) for field in ("policies", "right"))
    late = policies[:, policies.shape[1] // 2 :]
    swing = (late.max(1) - late.min(1)).max(-1).mean((-1, -2))
    return right[:, right.shape[1] // 2 :].mean(1), swing


def diagnosis(entry: Entry, policies: Float[np.ndarray, "step role state token"], seed: int) -> dict[str, Any]:
    """What T6 says of some of a run's policies, from plays of them alone."""
    rng, path, logs = np.random.default_rng(seed), policies[list(DIAGNOSED[entry.game.name])], []
    for policy in path:
        question = np.arange(DIAGNOSED_PLAYS) % entry.game.questions
        tokens = np.stack([(rng.random(len(question)) < one[question, 1]).astype(int) for one in policy], -1)
        place = (question, tokens[:, 0], tokens[:, 1])
        score = (rng.random(len(question)) < entry.game.right[place]).astype(float)  # type: ignore[union-attr]
        paid = score - entry.game.costs[:, *place]  # type: ignore[union-attr]
        logs.append(
            RolloutLog(
                run=0, episode=np.tile(np.arange(len(question)), 2), step=0, agent=np.repeat([0, 1], len(question)),
                information_state=np.tile(question, 2), action=tokens.T.reshape(-1), payoff=paid.reshape(-1),
                num_actions=((2, 2), (2, 2)),
            )
        )  # fmt: skip
    inner = np.maximum(path, _FLOOR)
    tau = np.maximum(np.repeat(np.array(entry.tau)[:, None], 2, 1), _LEAST_TAU)
    report = diagnose_logs(logs, tau, policies=inner / inner.sum(-1, keepdims=True), step=entry.eta)
    contraction = None if report.contraction is None else float(report.contraction.upper)
    return {
        "verdict": str(report.verdict),
        "alarms": sorted({alarm.kind for alarm in report.alarms}),
        "contraction": None if contraction is None or not np.isfinite(contraction) else contraction,
    }


def _drift(policies: Float[np.ndarray, "step role state token"]) -> float:
    """Path over displacement of the sender's states, those that moved."""
    found = np.asarray(drift_index(policies))[0]
    return float(np.median(found[np.isfinite(found)])) if np.isfinite(found).any() else float("nan")


def _is_convention(policy: Float[np.ndarray, "role state token"]) -> bool:
    """Whether every target has a word of its own that is understood, nine times in ten at least."""
    return bool((np.sum(policy[0] * policy[1].T, -1) > 0.9).all())


def _interval(values: Float[np.ndarray, " seed"]) -> dict[str, float]:
    """Mean over seeds with Student's interval at 95 %."""
    half = scipy.stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5
    return {"mean": float(np.mean(values)), "low": float(np.mean(values) - half), "high": float(np.mean(values) + half)}
