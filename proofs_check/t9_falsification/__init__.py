"""T9: falsification."""

from proofs_check.statement import Statement
from proofs_check.t9_falsification.claims import Attacks, examples

STATEMENT = Statement(
    name="T9",
    title="falsification",
    experiments=(Attacks(),),
    control="the adversary attacks twice the margin",
    controls=(Attacks(doubled=True),),
    examples=examples,
    borrowed=True,
    group="adversary",
)
