"""T2: linear convergence."""

from proofs_check.statement import Statement
from proofs_check.t2_linear_convergence.attack import TARGET
from proofs_check.t2_linear_convergence.claims import CONTROL, EXPERIMENTS
from proofs_check.t2_linear_convergence.figures import FIGURES
from proofs_check.t2_linear_convergence.pennies import examples

STATEMENT = Statement(
    name="T2",
    title="linear convergence",
    experiments=EXPERIMENTS,
    control="steps four times too large; κ doubled; steps beyond the measured stability boundary; w = 1; "
    "r taken from κ; no extrapolation",
    controls=(CONTROL,),
    examples=examples,
    target=TARGET,
    figures=FIGURES,
    one_move=True,
    control_share=1 / 2,
    seconds=65.0,
)
