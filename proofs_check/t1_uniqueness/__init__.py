"""T1: uniqueness."""

from proofs_check.statement import Statement
from proofs_check.t1_uniqueness.attack import TARGET
from proofs_check.t1_uniqueness.claims import CONTROL, EXPERIMENT
from proofs_check.t1_uniqueness.coordination import examples
from proofs_check.t1_uniqueness.figures import FIGURES

STATEMENT = Statement(
    name="T1",
    title="uniqueness",
    experiments=(EXPERIMENT,),
    control="half of every interaction is forgotten; κ doubled; w = 1",
    controls=(CONTROL,),
    examples=examples,
    target=TARGET,
    figures=FIGURES,
    control_share=1 / 2,
    seconds=55.0,
)
