"""The table: what is recorded of every class and control, and what the methods made of it."""

from pathlib import Path
from typing import Any

from benchmarks.language_models._measure import wilson
from benchmarks.llm._protocol import Protocol, closed
from benchmarks.llm._stages import questions
from hqre_jax.bridge.coordination import PublicStates, Samples
from hqre_jax.bridge.coordination._collect import cells
from hqre_jax.bridge.evaluation import read_plan
from hqre_jax.bridge.models._replay import ReplayModel
from hqre_jax.bridge.report import read_evaluation, write_report
from hqre_jax.bridge.tasks._interface import Split

_LEGEND = """\
The samples that all methods draw from, one row a class and control: how many replies there are of those wanted, mean
score of a reply (of a divided question, of its part) with Wilson's interval for as many questions as were asked, mean
tokens of prompt and reply."""


def build_table(protocol: Protocol, samples: Samples, states: PublicStates, results: Path) -> dict[str, Any]:
    """Measure what there is.

    Args:
        protocol: The protocol.
        samples: The recorded pool.
        states: The team's public states.
        results: The folder of the evaluation; one without results counts as none.

    Returns:
        A JSON-like document; what is not there is listed under "missing".
    """
    why = closed(protocol)
    splits: tuple[Split, ...] = ("dev",) if why else ("dev", "test")
    rows = [row for split in splits for row in _rows(protocol, samples, states, split)]
    missing = list[str]()
    for split in splits:
        there, wanted = (sum(row[name] for row in rows if row["split"] == split) for name in ("there", "wanted"))
        if there < wanted:
            missing.append(f"{wanted - there} of {wanted} samples of {split}")
    if why:
        missing.append(f"all samples of test: {why}")
    evaluation = _evaluation(results)
    if evaluation is None:
        missing.append("the evaluation")
    elif not evaluation["whole"]:
        missing.append("a part of the evaluation")
    return {
        "protocol": protocol.digest,
        "models": sorted({model.identity for model in samples.models.values() if isinstance(model, ReplayModel)}),
        "samples": rows,
        "evaluation": evaluation,
        "missing": missing,
    }


def _evaluation(results: Path) -> dict[str, Any] | None:
    """The report's tables, without what is of this run alone."""
    if read_plan(results) is None or not read_evaluation(results).plays:
        return None
    document = write_report(results)
    return {name: document[name] for name in ("whole", "level", "resamples", "story", "tables")}


def _rows(protocol: Protocol, samples: Samples, states: PublicStates, split: Split) -> list[dict[str, Any]]:
    items, found = questions(protocol, samples, states, split), dict[tuple[int, str, str], dict[str, Any]]()
    voices = {samples.voice(agent) for agent in samples.team.agents}
    for _, wanted in cells(samples, states, items):
        for (item, ask, _), sample in zip(wanted, samples.get(wanted), strict=True):
            place = states.class_of(item), ask.agent, ask.choice
            one = found.setdefault(place, {"wanted": 0, "scores": [], "prompt": 0, "completion": 0, "asked": set()})
            one["wanted"] += 1
            usage = sample.said.usage
            if sample.score is None or usage is None:
                continue
            one["scores"].append(sample.score)
            one["asked"].add(item.index)
            one["prompt"] += usage.prompt
            one["completion"] += usage.completion
    rows = []
    for (number, agent, choice), one in sorted(found.items(), key=lambda pair: pair[0][0]):
        task, name = states.classes[number]
        there = len(one["scores"])
        who = {"agent": agent} if len(voices) > 1 else {}
        row = {"split": split, "task": task, "class": name, **who, "control": choice}
        row |= {"wanted": one["wanted"], "there": there}
        if there:
            score, asked = sum(one["scores"]) / there, len(one["asked"])
            row |= {"questions": asked, "score": score, "interval": list(wilson(score * asked, asked))}
            row |= {"prompt": one["prompt"] / there, "completion": one["completion"] / there}
        rows.append(row)
    return rows


def markdown(protocol: Protocol, table: dict[str, Any], results: Path) -> str:
    """The document as Markdown; the report's own pages follow what was sampled."""
    budgets = ", ".join(f"{one:g}" for one in protocol.token_budgets)
    lines = [
        "# DICE-PC and its baselines at equal tokens",
        "",
        f"Protocol `{table['protocol'][:12]}`: {protocol.seeds} seeds, budgets of {budgets} tokens a question, "
        f"{protocol.questions} questions of each class of the test split, {protocol.team.questions} of dev.",
    ]
    if table["missing"]:
        lines += [
            "",
            f"Missing: {'; '.join(table['missing'])}.",
            "",
            f"    {protocol.command}",
            "",
            "goes on where this stopped.",
        ]
    lines += ["", "## Samples", "", _LEGEND, "", "| split | class | control | replies | score | prompt | reply |"]
    lines += ["|---|---|---|---|---|---|---|", *map(_line, table["samples"])]
    if table["evaluation"] is not None:
        lines += ["", (results / "report.md").read_text(encoding="utf-8").rstrip("\n")]
    return "\n".join(lines) + "\n"


def _line(row: dict[str, Any]) -> str:
    who = f" ({row['agent']})" if "agent" in row else ""
    where = f"| {row['split']} | `{row['task']}` / `{row['class']}` | {row['control']}{who} "
    there = f"{where}| {row['there']} of {row['wanted']} |"
    if not row["there"]:
        return f"{there} – | – | – |"
    low, high = row["interval"]
    return f"{there} {row['score']:.3f} [{low:.2f}, {high:.2f}] | {row['prompt']:.0f} | {row['completion']:.1f} |"
