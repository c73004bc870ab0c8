"""The embedded language model on the eleven tasks under five controls: ``python -m benchmarks.language_models``."""
