"""T5: sampled payoffs."""

from proofs_check.statement import Statement
from proofs_check.t5_sampled_payoffs.claims import CONTROL, EXPERIMENT
from proofs_check.t5_sampled_payoffs.unpaid import examples

STATEMENT = Statement(
    name="T5",
    title="sampled payoffs",
    experiments=(EXPERIMENT,),
    control="biased estimates; steps sixteen times too large; σ² understated sixteenfold",
    controls=(CONTROL,),
    examples=examples,
    one_move=True,
    share=0.1,
    control_share=1 / 6,
    seconds=35.0,
)
