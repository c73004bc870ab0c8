"""Does selection help? Learners and equilibria in games of recorded replies: ``python -m benchmarks.selection``."""
