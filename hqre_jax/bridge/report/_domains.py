"""Domain by domain: a mean over all classes can hide where a gain is from."""

from typing import Any

from hqre_jax.bridge.baselines import PUBLISHED
from hqre_jax.bridge.report._data import OURS, Data, number
from hqre_jax.bridge.report._statistics import Resampling, gain, interval
from hqre_jax.bridge.tasks import all_tasks

OWN = "own questions"
# Looked at together, too: what is judged by answers to questions, not by play or by an agreement.
TOGETHER = ("reasoning", "planning")


def domains(data: Data, resampling: Resampling) -> list[dict[str, Any]]:
    """What DICE-PC is above the best published baseline of each domain, the best one there.

    Args:
        data: The evaluation.
        resampling: Of questions and seeds.

    Returns:
        A row for each budget and domain, and for reasoning and planning together where there are both; the baseline
        with its tokens. None where all classes are of one domain.

    Example:
        >>> import dataclasses
        >>> import pathlib
        >>> import tempfile
        >>> from hqre_jax.bridge.evaluation import Lines, Plan, Record, write_json
        >>> from hqre_jax.bridge.report import Resampling, domains, read_evaluation
        >>> two = (("arithmetic", "sum"), ("itinerary", "total_cost"))
        >>> what = {"policies": (), "split": "dev", "classes": two, "questions": 2, "dev": 2}
        >>> how = {"budgets": (99.0,), "methods": ("dice_pc", "single"), "families": ("ours", "single")}
        >>> plan = Plan("three solvers", "0a1b", **what, **how, papers=("", ""), seeds=1, seed=0, plays=0)
        >>> spent = dict.fromkeys(("prompt", "cached", "completion", "calls", "rounds"), (9, 9))
        >>> ours = Record("dice_pc", 0, 0, 0, 0, questions=(0, 1), scores=(1.0, 1.0), **spent, answers=("8", "9"))
        >>> single = dataclasses.replace(ours, method="single", scores=(1.0, 0.0), answers=("8", "7"))
        >>> there = [dataclasses.replace(one, kind=1, scores=(0.0, 1.0)) for one in (ours, single)]
        >>> with tempfile.TemporaryDirectory() as name:
        ...     write_json((folder := pathlib.Path(name)) / "plan.json", plan.document())
        ...     Lines(folder / "records.jsonl").add(*map(dataclasses.asdict, (ours, single, *there)))
        ...     data = read_evaluation(folder)
        >>> rows = domains(data, Resampling(data.kinds, seeds=1, resamples=100))
        >>> [(row["domain"], row["gain"]) for row in rows]
        [('reasoning', 0.5), ('planning', 0.0), ('reasoning and planning', 0.25)]
    """
    parts = _parts(data)
    rows = []
    for place, budget in enumerate(data.plan.budgets if len(parts) > 1 else ()):
        ours = data.plays.get((OURS, place))
        published = [name for name in data.plan.methods if data.family[name] in PUBLISHED]
        known = {name: plays for name in published if (plays := data.plays.get((name, place))) is not None}
        if ours is None or not known:
            continue
        for domain, kinds in parts.items():
            mine, means = resampling.means(ours.scores, *kinds), dict[str, Any]()
            for name, plays in known.items():
                means[name] = resampling.means(plays.scores, *kinds)
            best = max(means, key=lambda name, means=means: means[name][0])
            row = {"budget": budget, "domain": domain, "classes": len(kinds), "method": best}
            row |= {"score": number(mine[0]), "tokens": number(resampling.means(ours.tokens, *kinds)[0])}
            row |= {"best": number(means[best][0])}
            row |= {"best_tokens": number(resampling.means(known[best].tokens, *kinds)[0])}
            rows.append(row | interval("gain", gain(mine, means[best])))
    return rows


def _parts(data: Data) -> dict[str, tuple[int, ...]]:
    """Numbers of the classes of each domain that something is known of."""
    tasks, parts = all_tasks(), dict[str, tuple[int, ...]]()
    for kind, (task, _) in enumerate(data.plan.classes):
        if (data.kinds == kind).any():
            domain = tasks[task].domain if task in tasks else OWN
            parts[domain] = (*parts.get(domain, ()), kind)
    if all(domain in parts for domain in TOGETHER):
        parts[" and ".join(TOGETHER)] = tuple(kind for domain in TOGETHER for kind in parts[domain])
    return parts
