"""Is play stable at these temperatures? The verdict on a path of policies, from plays of the team."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from hqre_jax.rollouts._rollout_log import RolloutLog
from hqre_jax.sampled import Episodes, SampledGame
from hqre_jax.stability import StabilityReport, diagnose_logs
from hqre_jax.stability._controller import ControllerState, TemperatureController

# Plays of each policy that is judged.
PLAYS = 256
# Diagnosis wants interior policies; what is rarer than this was hardly ever played.
_FLOOR = 1e-9


def judge(
    policies: Sequence[Float[np.ndarray, "agent state choice"]],
    logs: Sequence[RolloutLog],
    tau: Float[np.ndarray, "agent state"],
    mask: Any,
) -> StabilityReport | None:
    """The verdict on a path of policies.

    Args:
        policies: In the order in which they were played.
        logs: What each of them paid.
        tau: Temperatures.
        mask: Valid choices.

    Returns:
        The report; None with fewer than two policies.
    """
    count = min(len(policies), len(logs))
    if count < 2:
        return None
    path = np.where(mask, np.maximum(np.stack(policies[:count]), _FLOOR), 0.0)
    path /= path.sum(-1, keepdims=True)
    # Where entries of the menu fit some states alone, the logs cannot say which.
    return diagnose_logs(logs[:count], tau, policies=path, discount=1.0, action_mask=np.asarray(mask))


def plays_of(
    game: SampledGame, policies: Sequence[Float[np.ndarray, "agent state choice"]], seed: int, plays: int = PLAYS
) -> list[RolloutLog]:
    """Logs of plays of each policy.

    Args:
        game: A team's simulator as a game.
        policies: The policies.
        seed: Of the plays.
        plays: Of each policy.
    """
    key = jax.random.key(seed)
    return [
        game.play(policy, plays, jax.random.fold_in(key, number)).to_log(game) for number, policy in enumerate(policies)
    ]


def heard_by(
    controller: TemperatureController, state: ControllerState, policy: Float[np.ndarray, "agent state choice"],
    episodes: Episodes, mask: Any,
) -> ControllerState:  # fmt: skip
    """What a controller makes of plays; those that broke down say nothing.

    Args:
        controller: The controller.
        state: What it remembers.
        policy: What was played.
        episodes: The plays.
        mask: Valid choices.
    """
    good = ~np.asarray(episodes.failed)
    actions, rewards, states = (
        np.asarray(part)[good].reshape(-1, np.shape(mask)[0])
        for part in (episodes.actions, episodes.rewards, episodes.states)
    )
    acted = (states >= 0).all(-1)
    if not acted.any():
        return state
    return controller.step(state, policy, actions[acted], rewards[acted], mask, information_states=states[acted])


def stability_document(report: StabilityReport) -> dict[str, Any]:
    """What a stability report says, as JSON has it."""
    margin = report.margin
    return {
        "verdict": str(report.verdict),
        "alarms": [alarm.kind for alarm in report.alarms],
        "reasons": list(report.reasons),
        "margin": None if margin is None else {"estimate": _number(margin.estimate), "at_least": _number(margin.lower)},
        "least_temperatures": None if report.least_tau is None else np.asarray(report.least_tau).tolist(),
        "level": report.level,
        "text": str(report),
    }


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(float(value)) else None
