"""DICE-FT: adapters trained by mirror steps, a temperature for every type of token, and what that is compared with."""

from hqre_jax.bridge.finetuning._config import Config as Config
from hqre_jax.bridge.finetuning._config import read_config as read_config
from hqre_jax.bridge.finetuning._mirror import exact_step as exact_step
from hqre_jax.bridge.finetuning._mirror import mirror_distance as mirror_distance
from hqre_jax.bridge.finetuning._mirror import mirror_terms as mirror_terms
from hqre_jax.bridge.finetuning._report import is_finetuning as is_finetuning
from hqre_jax.bridge.finetuning._report import write_report as write_report
from hqre_jax.bridge.finetuning._run import Ended as Ended
from hqre_jax.bridge.finetuning._run import Run as Run
from hqre_jax.bridge.finetuning._run import read_plan as read_plan
