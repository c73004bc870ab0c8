"""T7: pathologies."""

from proofs_check.statement import Statement
from proofs_check.t7_pathologies.attack import TARGET
from proofs_check.t7_pathologies.experiments import CONTROL, EXPERIMENT, examples
from proofs_check.t7_pathologies.figures import FIGURES

STATEMENT = Statement(
    name="T7",
    title="pathologies",
    experiments=(EXPERIMENT,),
    control="HQRE play and large steps are judged as best response, agents without mistakes as if they erred, "
    "best response as HQRE play",
    controls=(CONTROL,),
    examples=examples,
    target=TARGET,
    figures=FIGURES,
    control_share=1.0,
)
