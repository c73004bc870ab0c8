"""Sweeps: random games by the thousand or the million, solved, written down, summarised."""

from hqre_jax.sweeps._config import Config, read_config, shown_tau
from hqre_jax.sweeps._report import Row, Summary, summarise
from hqre_jax.sweeps._run import Processes, run_shard, sweep

__all__ = ["Config", "Processes", "Row", "Summary", "read_config", "run_shard", "shown_tau", "summarise", "sweep"]
