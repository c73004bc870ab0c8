"""The report of a fine-tuning run: a page, the numbers, and Markdown, all from what the run left in its folder."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hqre_jax.bridge.finetuning._run import PLAN, lines_of, read_plan
from hqre_jax.bridge.report._drawing import make_figure, to_svg
from hqre_jax.bridge.report._markdown import markdown
from hqre_jax.bridge.report._parts import document, figure, section, told
from hqre_jax.bridge.report._shown import Shown
from hqre_jax.core._text import harmless
from hqre_jax.core._types import InputError
from hqre_jax.io._files import write_whole
from hqre_jax.plotting._canvas import COLOURS, text

FORMAT, VERSION = "hqre-jax fine-tuning report", 1
_SCORE = (
    "Plays that the run learnt from (grey: each step; line: mean of the last five), and greedy plays of questions that "
)
_SCORE += "it did not learn from (points)."
_KINDS = "By role and type of token, nats a token: divergence from the model without adapter, and entropy."
_DISTANCE = "Mean KL to the exact mirror step at the decisions of the plays, before the gradient steps and after them."

Row = dict[str, Any]


def is_finetuning(folder: Path) -> bool:
    """Whether a folder is that of a fine-tuning run.

    Args:
        folder: Any folder.

    Returns:
        Whether a run left its plan there.

    Example:
        >>> import pathlib
        >>> import tempfile
        >>> from hqre_jax.bridge.finetuning import is_finetuning
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     print(is_finetuning(pathlib.Path(folder)))
        False
    """
    return (folder / PLAN).is_file()


def write_report(folder: Path) -> dict[str, Any]:
    """Write ``report.html``, ``report.json`` and ``report.md`` into the folder of a run.

    Args:
        folder: Where `Run` left its plan and lines.

    Returns:
        What ``report.json`` says.

    Raises:
        InputError: There is no run in the folder, it has taken no step yet, or the folder cannot be written to.

    Example:
        >>> import pathlib
        >>> import tempfile
        >>> from hqre_jax.bridge.evaluation import Lines, write_json
        >>> from hqre_jax.bridge.finetuning import write_report
        >>> plan = {"format": "hqre-jax fine-tuning", "version": 1, "question": "0a1b", "model": "m", "ended": "done"}
        >>> plan |= {"method": {"title": "DICE-FT", "paper": "2026"}, "config": {"title": "one solver", "steps": 1}}
        >>> learnt = {"distance": 0.01, "distance_before": 0.02, "gradients": [0.5]}
        >>> seen = {"answer": {"tokens": 96, "tau": 0.02, "kl": 0.1, "moved": 0.01, "entropy": 1.2}}
        >>> learnt |= {"roles": {"solver": {"reward": 0.25, "kinds": seen}}}
        >>> step = {"step": 1, "tokens": 96, "seconds": 3.0, "score": 0.25, "adapters": {"solver": learnt}}
        >>> with tempfile.TemporaryDirectory() as name:
        ...     folder = pathlib.Path(name)
        ...     write_json(folder / "finetuning.json", plan)
        ...     Lines(folder / "metrics.jsonl").add(step)
        ...     for line in write_report(folder)["story"]:
        ...         print(line)
        DICE-FT (2026), 1 of 1 steps, 96 tokens generated in 0.1 minutes.
        solver, answer: τ 0.02, KL to the model without adapter 0.100 and entropy 1.200 nats a token at the last step.
    """
    plan = read_plan(folder)
    if plan is None:
        raise InputError("DIR", f"{str(folder)!a} holds no fine-tuning run")
    steps, judged = (list(lines.read()) for lines in lines_of(folder))
    # The split may have been changed on the way: only what is judged on the same questions is compared.
    held_out = [line for line in judged if line["split"] == _judged_on(plan)]
    if not steps:
        raise InputError("DIR", f"{str(folder)!a} holds no step yet: let `hqre llm finetune` go on")
    title = plan["config"]["title"]
    rows = {"steps": _step_rows(steps), "kinds": list(_kind_rows(steps)), "held_out": held_out}
    story = _story(plan, steps, held_out)
    shown = _shown(rows)
    whole = plan["ended"] == "done"
    said = {"format": FORMAT, "version": VERSION, "whole": whole, "plan": plan, "story": story, "tables": rows}
    parts = [
        told(story),
        section("Score", figure(_score_plot(steps, held_out), _SCORE), shown["held_out"], shown["steps"]),
        section("What adapters became", figure(_kind_plot(rows["kinds"]), _KINDS), shown["kinds"]),
    ]
    if any(row["distance"] is not None for row in rows["steps"]):
        parts.append(section("The mirror step", figure(_distance_plot(rows["steps"]), _DISTANCE)))
    origin = f"Model {plan['model']}, question {plan['question'][:16]}. Every number is in report.json."
    page = document("DICE-FT", title, f"{title}: {plan['method']['title']}", parts, origin)
    written = {
        "report.json": json.dumps(said, indent=1, allow_nan=False) + "\n",
        "report.md": markdown(title, story, shown),
        "report.html": page,
    }
    for name, content in written.items():
        write_whole(folder / name, content.encode())
    return said


def _judged_on(plan: Row) -> str:
    """Where held-out questions are from; plans once said no more than the configuration does."""
    return plan.get("judged_on", plan["config"]["evaluation"]["split"])


def _step_rows(steps: list[Row]) -> list[Row]:
    """One row a step and adapter."""
    return [
        {
            "step": line["step"],
            "tokens": line["tokens"],
            "seconds": line["seconds"],
            "score": line["score"],
            "adapter": name,
            **{key: found[key] for key in ("distance", "distance_before")},
            "gradient": found["gradients"][0] if found["gradients"] else None,
        }
        for line in steps
        for name, found in line["adapters"].items()
    ]


def _kind_rows(steps: list[Row]) -> Iterator[Row]:
    """One row a step, role and type of token."""
    for line in steps:
        for found in line["adapters"].values():
            for role, own in found["roles"].items():
                for kind, seen in own["kinds"].items():
                    yield {"step": line["step"], "role": role, "reward": own["reward"], "type": kind, **seen}


def _story(plan: Row, steps: list[Row], held_out: list[Row]) -> list[str]:
    method, config = plan["method"], plan["config"]
    lines = [f"{method['title']} ({method['paper']}), {len(steps)} of {config['steps']} steps, "
             f"{steps[-1]['tokens']:,} tokens generated in {steps[-1]['seconds'] / 60:.1f} minutes."]  # fmt: skip
    if held_out:
        first, last, split = held_out[0], held_out[-1], config["evaluation"]["split"]
        where = f"the {split} split" if _judged_on(plan) == split else _judged_on(plan)
        lines.append(
            f"On {last['questions']} questions of {where}, which it did not learn "
            f"from: score {first['score']:.3f} at step {first['step']}, {last['score']:.3f} at step {last['step']}."
        )
    final = [row for row in _kind_rows(steps[-1:]) if row["kl"] is not None]
    for row in final:
        lines.append(f"{row['role']}, {row['type']}: τ {row['tau']:.3g}, KL to the model without adapter "
                     f"{row['kl']:.3f} and entropy {row['entropy']:.3f} nats a token at the last step.")  # fmt: skip
    if plan["ended"] == "diverged":
        lines.append("A step DIVERGED and was not taken; what is shown is the run before it.")
    elif plan["ended"] == "failed":
        lines.append("UNFINISHED: plays failed and ended the run; the same command goes on with it.")
    elif plan["ended"] != "done":
        lines.append("UNFINISHED: a budget or an interruption ended the run; the same command goes on with it.")
    return lines


def _shown(rows: dict[str, list[Row]]) -> dict[str, Shown]:
    held_out = [
        (str(row["step"]), f"{row['tokens']:,}", _number(row["score"]), _number(row["answered"]), str(row["questions"]))
        for row in rows["held_out"]
    ]
    steps = [
        (str(row["step"]), row["adapter"], f"{row['tokens']:,}", *map(_number, (row["score"], row["gradient"],
         row["distance_before"], row["distance"])))
        for row in rows["steps"]
    ]  # fmt: skip
    kinds = [
        (str(row["step"]), row["role"], row["type"], str(row["tokens"]),
         *map(_number, (row["tau"], row["reward"], row["kl"], row["moved"], row["entropy"])))
        for row in rows["kinds"]
    ]  # fmt: skip
    return {
        "held_out": Shown("Held-out questions", ("step", "tokens", "score", "answered", "questions"), held_out),
        "steps": Shown(
            "Steps", ("step", "adapter", "tokens", "score", "gradient", "distance before", "distance after"), steps
        ),
        "kinds": Shown(
            "Types of tokens", ("step", "role", "type", "tokens", "τ", "reward", "KL", "moved", "entropy"), kinds
        ),
    }


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _score_plot(steps: list[Row], held_out: list[Row]) -> str:
    shape, ax = make_figure(8.4, 3.6)
    tokens, scores = ([line[key] for line in steps] for key in ("tokens", "score"))
    ax.plot(tokens, scores, ".", color="#BBBBBB", markersize=4)
    smooth = [np.mean(scores[max(0, k - 4) : k + 1]) for k in range(len(scores))]
    ax.plot(tokens, smooth, color=COLOURS[0], linewidth=1.8, label="plays")
    if held_out:
        points = ([line[key] for line in held_out] for key in ("tokens", "score"))
        ax.plot(*points, "o-", color=COLOURS[1], linewidth=1, label="held out")
    ax.set_ylim(-0.03, 1.03)
    ax.set_xlabel("tokens generated")
    ax.set_ylabel("score")
    ax.legend(fontsize=8, frameon=False)
    return to_svg(shape, "score")


def _kind_plot(rows: list[Row]) -> str:
    shape, axes = make_figure(9.2, 3.4, 2)
    for number, (role, kind) in enumerate(dict.fromkeys((row["role"], row["type"]) for row in rows)):
        own = [row for row in rows if (row["role"], row["type"]) == (role, kind)]
        for ax, key in zip(axes, ("kl", "entropy"), strict=True):
            values = [np.nan if row[key] is None else row[key] for row in own]
            label = text(harmless(f"{role}: {kind}"), 40)
            ax.plot([row["step"] for row in own], values, color=COLOURS[number % len(COLOURS)], label=label)
    for ax, name in zip(axes, ("KL to the reference", "entropy"), strict=True):
        ax.set_xlabel("step")
        ax.set_ylabel(f"{name}, nats a token")
    axes[0].legend(fontsize=8, frameon=False)
    return to_svg(shape, "types")


def _distance_plot(rows: list[Row]) -> str:
    shape, ax = make_figure(8.4, 3.2)
    for number, name in enumerate(dict.fromkeys(row["adapter"] for row in rows)):
        own = [row for row in rows if row["adapter"] == name]
        for key, style in (("distance_before", ":"), ("distance", "-")):
            values = [row[key] or np.nan for row in own]
            label = text(harmless(f"{name}, {'after' if key == 'distance' else 'before'}"), 40)
            ax.plot([row["step"] for row in own], values, style, color=COLOURS[number % len(COLOURS)], label=label)
    ax.set_yscale("log")
    ax.set_xlabel("step")
    ax.set_ylabel("KL to the exact step, nats")
    ax.legend(fontsize=8, frameon=False)
    return to_svg(shape, "distance")
