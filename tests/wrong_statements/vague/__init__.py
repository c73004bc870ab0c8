"""1 times the margin."""

from wrong_statements.mirror_descent import statement

STATEMENT = statement("vague", 1, 0.5)
