"""From a configuration to adapters that do what they were trained for, with a model that says anything at first."""

import finetuning
import numpy as np
import pytest

from hqre_jax.bridge.evaluation import Lines
from hqre_jax.cli import main

THOROUGH = ("raft", "sft", "reinforce", "grpo", "cotrain", "dice_zero")


@pytest.mark.parametrize("method", ["dice", *(pytest.param(name, marks=pytest.mark.thorough) for name in THOROUGH)])
def test_a_random_model_learns_what_the_verifier_wants(monkeypatch, tmp_path, method):
    """Questions whose answer is 0, which the model says once in twenty times, and nine in ten when it was trained."""
    monkeypatch.chdir(tmp_path)
    rows = [f"What is {k} - {k}?,0,{'train' if k < 30 else 'dev'}" for k in range(40)]
    (tmp_path / "questions.csv").write_text("\n".join(["question,answer,split", *rows]) + "\n")
    document = finetuning.config(
        steps=30 if method != "reinforce" else 90,  # one gradient step for each batch, not two
        tasks=[{"name": "questions.csv"}],
        roles=[{"name": "solver", "max_tokens": 1, "tau": 0.02}],
        plays={"questions": 8, "plays": 4, "pool": 30},
        optimizer={"learning_rate": 0.01, "groups": 8},
        method_settings={"eta": 2.0},
        evaluation={"questions": 10},
    )
    (tmp_path / "finetuning.toml").write_text(finetuning.as_toml(document))
    assert main(["llm", "finetune", "finetuning.toml", "--out", "out", "--method", method]) == 0
    lines = list(Lines(tmp_path / "out" / "metrics.jsonl").read())
    scores = [line["score"] for line in lines]
    assert np.mean(scores[:3]) < 0.2
    if method != "sft":  # whose plays are the untrained model's to the end
        assert np.mean(scores[-5:]) > 0.8
    held_out = list(Lines(tmp_path / "out" / "evaluations.jsonl").read())
    assert held_out[0]["score"] < 0.5
    assert held_out[-1]["score"] > 0.9
    if method == "dice":
        solver = [line["adapters"]["solver"] for line in lines]
        # Gradient steps come nearer to the mirror step of their plays; temperatures leave some of the first policy.
        gained = [one["distance_before"] - one["distance"] for one in solver]
        assert np.mean(np.array(gained) > 0) > 0.8
        assert 0.3 < solver[-1]["roles"]["solver"]["kinds"]["answer"]["entropy"] < 2.0
