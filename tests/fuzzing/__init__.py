"""Every reader of files under coverage-guided fuzzing: ``make fuzz``, and for a moment in the suite."""
