"""The theorem ledger: a folder per statement, with its proof and with the numbers that could refute it.

``python -m proofs_check`` draws thousands of random games and compares, for every statement, what is observed with
what the statement promises. A statement's folder holds ``statement.md`` (the problem, the statement with its constants,
the proof in full, how tight it is, where it comes from) and ``claims.py``: each claim a pure function of one problem
with its certificate that returns the two sides of its inequality. Everything else is done once, for all statements.
"""

from proofs_check.comparison import Comparison, Outcome, Sides
from proofs_check.discovery import statements
from proofs_check.experiment import Experiment, Pooled
from proofs_check.statement import Example, Figure, Statement, Target

__all__ = [
    "Comparison",
    "Example",
    "Experiment",
    "Figure",
    "Outcome",
    "Pooled",
    "Sides",
    "Statement",
    "Target",
    "statements",
]
