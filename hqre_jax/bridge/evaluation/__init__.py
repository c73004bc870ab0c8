"""Evaluation: every method within token budgets, hyper-parameters from dev, raw records of every question.

A folder holds ``plan.json`` (written before a question of the test split is opened), ``settings.jsonl`` (every setting
of every method, measured on dev, and which of them each budget picks), ``records.jsonl`` (scores, tokens and calls of
every method, budget, seed and question), ``transcripts.jsonl``, ``learning.json`` and ``margins.json``. All tables and
pictures are computed from these.
"""

from hqre_jax.bridge.evaluation._plan import Plan as Plan
from hqre_jax.bridge.evaluation._plan import digest as digest
from hqre_jax.bridge.evaluation._plan import labels as labels
from hqre_jax.bridge.evaluation._plan import read_plan as read_plan
from hqre_jax.bridge.evaluation._plan import write_json as write_json
from hqre_jax.bridge.evaluation._records import Lines as Lines
from hqre_jax.bridge.evaluation._records import Record as Record
from hqre_jax.bridge.evaluation._records import read_records as read_records
from hqre_jax.bridge.evaluation._run import Evaluated as Evaluated
from hqre_jax.bridge.evaluation._run import Evaluation as Evaluation
