"""T3: bounded regret."""

from proofs_check.statement import Statement
from proofs_check.t3_bounded_regret.attack import TARGET
from proofs_check.t3_bounded_regret.claims import CONTROL, EXPERIMENT
from proofs_check.t3_bounded_regret.extremes import examples

STATEMENT = Statement(
    name="T3",
    title="bounded regret",
    experiments=(EXPERIMENT,),
    control="steps so large that all are best replies; the gap a round late; the reference forgotten",
    controls=(CONTROL,),
    examples=examples,
    target=TARGET,
    one_move=True,
    seconds=30.0,
)
