"""T4: Markov games."""

from proofs_check.statement import Statement
from proofs_check.t4_markov.attack import TARGET
from proofs_check.t4_markov.experiments import CONTROLS, EXPERIMENTS
from proofs_check.t4_markov.extremes import examples

STATEMENT = Statement(
    name="T4",
    title="Markov games",
    experiments=EXPERIMENTS,
    control="half of B; on-policy backup; e of a later iterate; γ counted twice; replies of the others forgotten",
    controls=CONTROLS,
    examples=examples,
    target=TARGET,
    control_share=1 / 5,
    seconds=50.0,
)
