"""The published table: DICE-PC beside every baseline at equal tokens: ``python -m benchmarks.llm``."""
