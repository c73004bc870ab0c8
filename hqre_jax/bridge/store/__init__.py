"""Every call to a language model, kept: cache, resume, audit, replay, budgets and costs in one file."""

from hqre_jax.bridge.store._archive import export_archive as export_archive
from hqre_jax.bridge.store._archive import import_archive as import_archive
from hqre_jax.bridge.store._archive import read_recorded as read_recorded
from hqre_jax.bridge.store._budget import Budget as Budget
from hqre_jax.bridge.store._encoding import call_key as call_key
from hqre_jax.bridge.store._prices import PriceTable as PriceTable
from hqre_jax.bridge.store._prices import Tally as Tally
from hqre_jax.bridge.store._prices import read_prices as read_prices
from hqre_jax.bridge.store._store import Call as Call
from hqre_jax.bridge.store._store import FailedCall as FailedCall
from hqre_jax.bridge.store._store import Store as Store
from hqre_jax.bridge.store._stored_model import StoredModel as StoredModel
