"""Fine-tuning configurations for tests: a tiny random model, two roles, a few plays."""

import os
from pathlib import Path

from hqre_jax.bridge.evaluation import Lines
from hqre_jax.cli import main

ROOT = Path(__file__).parents[2]
TINY = Path(__file__).parent / "data" / "tiny_models" / "llama"
# A role of its own has one adapter: half of the work of two.
SOLVER = {"name": "solver", "max_tokens": 7, "price": 20.0, "tau": 0.05}

ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}


def run(capsys, *argv):
    capsys.readouterr()
    code = main(["llm", "finetune", *map(str, argv)])
    seen = capsys.readouterr()
    return code, seen.out, seen.err


def lines_of(folder, name="metrics.jsonl"):
    return list(Lines(folder / name).read())


def config(**changed):
    """The document of a configuration; tables are changed key by key."""
    document = {
        "version": 1,
        "model": f"hf:{TINY}",
        "steps": 2,
        "tasks": [{"name": "arithmetic", "classes": ["sum"]}],
        "roles": [
            {
                "name": "planner", "answers": False, "max_tokens": 5, "price": 20.0,
                "format": [{"type": "reasoning"}, {"type": "message", "after": "a"}],
                "tau": {"reasoning": 0.1, "message": 0.02},
            },
            {"name": "solver", "reads": ["planner"], "max_tokens": 7, "price": 20.0, "tau": 0.05},
        ],
        "plays": {"questions": 2, "plays": 3},
        "optimizer": {"learning_rate": 0.003, "groups": 2},
        "method_settings": {"inner_steps": 2},
        "evaluation": {"questions": 2, "every": 100},
    }  # fmt: skip
    for key, value in changed.items():
        if isinstance(value, dict) and isinstance(document.get(key), dict):
            document[key] = document[key] | value
        else:
            document[key] = value
    return document


def written(folder, **changed):
    """The file of such a configuration, its path as words of a command have it."""
    path = folder / "finetuning.toml"
    path.write_text(as_toml(config(**changed)))
    return str(path)


def as_toml(document):
    """The document as TOML: plain values first, then tables."""
    lines = [f"{key} = {_value(value)}" for key, value in document.items() if not isinstance(value, dict | list)]
    for key, value in document.items():
        for table in value if isinstance(value, list) else [value] if isinstance(value, dict) else []:
            lines.append(f"[[{key}]]" if isinstance(value, list) else f"[{key}]")
            lines += [f"{name} = {_value(inner)}" for name, inner in table.items()]
    return "\n".join(lines) + "\n"


def _value(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_value(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)
