"""What people use today to get answers out of a team of language models, and what DICE-PC is with a part taken away.

    for method in find_methods(["single", "debate"]):
        front = method.measure(dev, samples, budget=500, seed=0)
        best = front.within(500)                                   # Measured: setting, score, tokens
        outcomes = play_all(best.setting.player, test, samples, seed=0)

Every method is a small file of this room that follows one paper. Another one is one more file: an `AbstractBaseline`
whose `settings` yields players, and a tuple ``METHODS`` of its instances; the registry finds it by itself. All of them
use the team's models, prompts, worked examples and sample pool.
"""

from hqre_jax.bridge.baselines._interface import PUBLISHED as PUBLISHED
from hqre_jax.bridge.baselines._interface import AbstractBaseline as AbstractBaseline
from hqre_jax.bridge.baselines._interface import BudgetEnded as BudgetEnded
from hqre_jax.bridge.baselines._interface import CallsFailed as CallsFailed
from hqre_jax.bridge.baselines._interface import Family as Family
from hqre_jax.bridge.baselines._interface import Front as Front
from hqre_jax.bridge.baselines._interface import Measured as Measured
from hqre_jax.bridge.baselines._interface import NothingFits as NothingFits
from hqre_jax.bridge.baselines._interface import Setting as Setting
from hqre_jax.bridge.baselines._interface import by_class as by_class
from hqre_jax.bridge.baselines._interface import check_budget as check_budget
from hqre_jax.bridge.baselines._interface import outcome_known as outcome_known
from hqre_jax.bridge.baselines._interface import summarise as summarise
from hqre_jax.bridge.baselines._registry import find_methods as find_methods
from hqre_jax.bridge.baselines._registry import methods as methods
