"""2 times the margin."""

from wrong_statements.mirror_descent import statement

STATEMENT = statement("wrong", 2, 4)
