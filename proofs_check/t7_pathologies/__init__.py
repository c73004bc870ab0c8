"""T7: pathologies."""

from proofs_check.statement import Statement
from proofs_check.t7_pathologies.attack import TARGET
from proofs_check.t7_pathologies.experiments import CONTROL, EXPERIMENT, examples
from proofs_check.t7_pathologies.figures import FIGURES

STATEMENT = Statement(
    name="T7",
    title="pathologies",
    experiments=(EXPERIMENT,),
    control="HQRE play at a positive margin is judged as if it were best response",
    controls=(CONTROL,),
    examples=examples,
    target=TARGET,
    figures=FIGURES,
    control_share=1.0,
)
