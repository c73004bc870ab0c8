"""Recorded play: logs of rollouts, and what every estimator asks of them."""

from hqre_jax.rollouts._rollout_log import RolloutLog

__all__ = ["RolloutLog"]
