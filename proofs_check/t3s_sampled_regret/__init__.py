"""T3s: regret on sampled payoffs."""

from proofs_check.statement import Statement
from proofs_check.t3s_sampled_regret.claims import CONTROL, EXPERIMENT
from proofs_check.t3s_sampled_regret.unpaid import examples

STATEMENT = Statement(
    name="T3s",
    title="regret on sampled payoffs",
    experiments=(EXPERIMENT,),
    control="noise understated a thousandfold; biased estimates",
    controls=(CONTROL,),
    examples=examples,
    one_move=True,
    share=0.05,
    control_share=1 / 6,
)
