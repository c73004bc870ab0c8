"""T7s: pathologies on sampled payoffs."""

from proofs_check.statement import Statement
from proofs_check.t7s_sampled_pathologies.experiments import CONTROL, EXPERIMENT, examples

STATEMENT = Statement(
    name="T7s",
    title="pathologies on sampled payoffs",
    experiments=(EXPERIMENT,),
    control="too few samples are judged as if they were many; agents who look every second time, as if always; best "
    "responses, as if they were HQRE play",
    controls=(CONTROL,),
    examples=examples,
    share=0.1,
    control_share=1.0,
)
