"""Stability from rollout logs."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hqre_jax.core._types import InputError
from hqre_jax.rollouts._observations import check_within, checked_number, checked_range
from hqre_jax.rollouts._rollout_log import RolloutLog
from hqre_jax.stability._plays import Plays, mask_of
from hqre_jax.stability._report import StabilityReport, diagnose, listed


def diagnose_logs(
    logs: Sequence[RolloutLog],
    tau: Any,
    *,
    policies: Any = None,
    discount: float = 0.0,
    payoff_range: Any = None,
    action_mask: Any = None,
    **options: Any,
) -> StabilityReport:
    """`diagnose` for rollout logs, one log for each policy that was followed.

    Args:
        logs: Logs of the plays under π^0, …, π^K, in this order. Episodes are independent of each other.
        tau: Temperatures as in `solve`, units of payoff.
        policies: The policies, ``(time, player, information state, action)``; by default as logged propensities tell,
            actions that were never drawn sharing what is left.
        discount: Factor on later payoffs of an episode, in [0, 1]; 0 where each step is a game of its own.
        payoff_range: Least and largest possible payoff of a step, if known. It is needed for "stable" where pairs of
            actions always paid the same, or may pay something large and rare, and bounds what failed rows might
            have paid; without it they are taken to have paid something between the least and the largest seen.
        action_mask: Valid actions, ``(player, information state, action)``; by default those that the logs declare, or
            those that were ever played. Logs declare numbers of actions: where valid actions do not come first, they
            cannot.
        **options: As in `diagnose`.

    Returns:
        `StabilityReport`. Interactions are those of the payoffs of single steps.

    Raises:
        InputError: On bad input, or if a log mixes policies, is of another game or holds a payoff outside the range.

    Example:
        >>> import numpy as np
        >>> import hqre_jax as hq
        >>> draw = np.random.default_rng(0)
        >>> def log():
        ...     plays = draw.integers(2, size=(4000, 2))
        ...     met = (plays[:, :1] == plays[:, 1:]) * [1.0, 1.0]
        ...     return hq.RolloutLog.from_plays(plays, met, log_propensities=np.log(0.5), num_actions=[[2], [2]])
        >>> hq.diagnose_logs([log(), log(), log()], 2.0).verdict
        <Stability.not_enough_data: 'not_enough_data'>
    """
    logs = listed(logs, "logs", RolloutLog)
    if len(logs) < 2:
        raise InputError("logs", "must be two or more, one for each policy that was followed")
    if checked_number(discount, "discount", up_to=1.0) < 0:
        raise InputError("discount", f"is {discount!r}; it must lie between 0 and 1")
    mask = mask_of(logs, action_mask)
    known_range = checked_range(payoff_range)
    for k, log in enumerate(logs):
        check_within(log.payoff, known_range, f"logs[{k}].payoff")
    plays = [Plays.of(log, len(mask), discount) for log in logs]
    if policies is None:
        policies = np.stack([part.policy(mask, f"logs[{k}]") for k, part in enumerate(plays)])
    pairs = [part.interactions(mask, known_range) for part in plays]
    options = {"labels": logs[0].labels, "interactions": sum(pairs[1:], pairs[0])} | options
    # The range of a sum of payoffs to come is not stated.
    each = None if discount else known_range
    return diagnose(policies, [part.estimates(mask, each) for part in plays], tau, action_mask=mask, **options)
