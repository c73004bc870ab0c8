"""What is done once for all statements: tasks, workers, the store, the ledger, counterexamples, the report."""
