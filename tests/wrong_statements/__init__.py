"""Statements for tests of the ledger, a folder each: found there like those of the project."""
