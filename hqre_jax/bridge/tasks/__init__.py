"""Tasks for language models: eleven benchmarks in four domains, judged exactly."""
