"""T6: diagnostics from rollouts."""

from proofs_check.statement import Statement
from proofs_check.t6_diagnostics.experiments import CONTROL, EXPERIMENT, Pathologies, examples

STATEMENT = Statement(
    name="T6",
    title="diagnostics from rollouts",
    experiments=(EXPERIMENT, Pathologies()),
    control="half of every interaction; ratios are never negative; standard errors of all rollouts; alarms raised by "
    "point estimates; moves too small for so few rollouts",
    controls=(CONTROL,),
    examples=examples,
    share=0.2,
    control_share=1 / 20,
    control_least=8,
    seconds=40.0,
)
