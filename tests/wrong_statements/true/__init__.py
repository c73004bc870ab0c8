"""1 times the margin."""

from wrong_statements.mirror_descent import statement

STATEMENT = statement("true", 1, 2)
