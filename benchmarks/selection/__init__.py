"""Does selection help? Learners and equilibria in games made of recorded replies: ``python -m benchmarks.selection``."""
