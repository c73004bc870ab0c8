"""The theorem ledger: one file per statement, each with its proof and with the numbers that could refute it.

``python -m proofs_check`` draws thousands of random games and compares, for every statement, what is observed with
what the statement promises. A statement file holds, in this order: the problem, the statement with its
constants, the proof in full, how tight it is, where it comes from; then the functions that measure it.
"""

from proofs_check._statement import Attack, Comparison, Example, Outcome, Statement
from proofs_check.t1_uniqueness import T1
from proofs_check.t2_linear_convergence import T2
from proofs_check.t3_bounded_regret import T3
from proofs_check.t3s_sampled_regret import T3S
from proofs_check.t4_markov import T4
from proofs_check.t5_sampled_payoffs import T5
from proofs_check.t6_diagnostics import T6
from proofs_check.t7_pathologies import T7
from proofs_check.t7s_sampled_pathologies import T7S
from proofs_check.t8_heterogeneity import T8
from proofs_check.t9_adversary import T9, armed

STATEMENTS: dict[str, Statement] = {s.name: armed(s) for s in (T1, T2, T3, T3S, T4, T5, T6, T7, T7S, T8, T9)}

# The other statements of docs/theory.md: what they are called, and why they are not here.
_ELSEWHERE = {
    "T5": ("sampled payoffs", "comes with sampled games"),
    "T6": ("diagnostics from rollouts", "comes with sampled games"),
}
NOT_AVAILABLE = {name: why for name, why in _ELSEWHERE.items() if name not in STATEMENTS}

__all__ = ["NOT_AVAILABLE", "STATEMENTS", "Attack", "Comparison", "Example", "Outcome", "Statement"]
