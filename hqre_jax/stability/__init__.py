"""Stability diagnostics from rollouts (theory.md, T6): payoffs observed under a few policies, and no game."""

from hqre_jax.stability._controller import ControllerState, TemperatureController
from hqre_jax.stability._directional import (
    LEAST_RATIO,
    Directional,
    directional,
    effective_temperature,
    soft_gap,
)
from hqre_jax.stability._estimates import ActionValueEstimates, linear_interval
from hqre_jax.stability._interactions import InteractionEstimates
from hqre_jax.stability._intervals import Interval, interval, student_quantile
from hqre_jax.stability._logs import diagnose_logs
from hqre_jax.stability._path import drift_index, oscillation_index
from hqre_jax.stability._plays import Plays, mask_of
from hqre_jax.stability._report import Alarm, Stability, StabilityReport, diagnose

__all__ = [
    "LEAST_RATIO",
    "ActionValueEstimates",
    "Alarm",
    "ControllerState",
    "Directional",
    "InteractionEstimates",
    "Interval",
    "Plays",
    "Stability",
    "StabilityReport",
    "TemperatureController",
    "diagnose",
    "diagnose_logs",
    "directional",
    "drift_index",
    "effective_temperature",
    "interval",
    "linear_interval",
    "mask_of",
    "oscillation_index",
    "soft_gap",
    "student_quantile",
]
