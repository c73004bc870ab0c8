"""T8: heterogeneity pays."""

from proofs_check.statement import Statement
from proofs_check.t8_heterogeneity.attack import TARGET
from proofs_check.t8_heterogeneity.experiments import CONTROL, EXPERIMENT, examples
from proofs_check.t8_heterogeneity.figures import FIGURES

STATEMENT = Statement(
    name="T8",
    title="heterogeneity pays",
    experiments=(EXPERIMENT,),
    control="half of S; n for n + 1; v = 1; regular graphs as if heterogeneity gained one per cent; the reference "
    "forgotten",
    controls=(CONTROL,),
    examples=examples,
    target=TARGET,
    figures=FIGURES,
    control_share=3 / 5,
)
