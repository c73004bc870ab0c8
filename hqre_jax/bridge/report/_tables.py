"""The tables: plain rows of numbers, from which ``report.json``, ``report.md`` and the page are written alike."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from hqre_jax.bridge.baselines import PUBLISHED
from hqre_jax.bridge.report._data import OURS, Data, Plays, number
from hqre_jax.bridge.report._domains import domains
from hqre_jax.bridge.report._front import front
from hqre_jax.bridge.report._statistics import Estimate, Resampling, gain, interval, over_runs

Row = dict[str, Any]
# Entropy and recall mean something where answers come back.
_FEW_ANSWERS = 12


def tables(data: Data, resampling: Resampling) -> dict[str, list[Row]]:
    """All tables.

    Args:
        data: The evaluation.
        resampling: Of questions and seeds.

    Returns:
        accuracy (by method and budget), gains (of DICE-PC, by budget), training (gains of DICE-PC online over what was
        trained on as many plays), front (see `front`), domains (see `domains`), classes (by method, budget and class),
        settings (what dev chose), learning (by rule), margins (by state).

    Example:
        >>> import dataclasses
        >>> import pathlib
        >>> import tempfile
        >>> from hqre_jax.bridge.evaluation import Lines, Plan, Record, write_json
        >>> from hqre_jax.bridge.report import Resampling, read_evaluation, tables
        >>> what = {"policies": (), "split": "dev", "classes": (("arithmetic", "sum"),), "questions": 2, "dev": 2}
        >>> how = {"budgets": (99.0,), "methods": ("dice_pc", "single"), "families": ("ours", "single")}
        >>> plan = Plan("three solvers", "0a1b", **what, **how, papers=("", ""), seeds=1, seed=0, plays=0)
        >>> spent = dict.fromkeys(("prompt", "cached", "completion", "calls", "rounds"), (9, 9))
        >>> ours = Record("dice_pc", 0, 0, 0, 0, questions=(0, 1), scores=(1.0, 1.0), **spent, answers=("8", "9"))
        >>> single = dataclasses.replace(ours, method="single", scores=(1.0, 0.0), answers=("8", "7"))
        >>> with tempfile.TemporaryDirectory() as name:
        ...     write_json((folder := pathlib.Path(name)) / "plan.json", plan.document())
        ...     Lines(folder / "records.jsonl").add(*map(dataclasses.asdict, (ours, single)))
        ...     data = read_evaluation(folder)
        >>> found = tables(data, Resampling(data.kinds, seeds=1, resamples=100))
        >>> [(row["against"], row["gain"]) for row in found["gains"]]
        [('best published', 0.5), ('best published, found anew', 0.5), ('single', 0.5)]
    """
    return {
        "accuracy": accuracy(data, resampling),
        "gains": gains(data, resampling),
        "training": training(data, resampling),
        "front": front(data, resampling),
        "domains": domains(data, resampling),
        "classes": classes(data, resampling),
        "settings": settings(data),
        "learning": learning(data),
        "margins": list((data.margins or {}).get("states", [])),
    }


def accuracy(data: Data, resampling: Resampling) -> list[Row]:
    """Score and tokens actually used, of every method within every budget.

    Args:
        data: The evaluation.
        resampling: Of questions and seeds.

    Returns:
        A row for each method and budget; one that was not played says why not.

    Example:
        >>> import dataclasses
        >>> import pathlib
        >>> import tempfile
        >>> from hqre_jax.bridge.evaluation import Lines, Plan, Record, write_json
        >>> from hqre_jax.bridge.report import Resampling, accuracy, read_evaluation
        >>> what = {"policies": (), "split": "dev", "classes": (("arithmetic", "sum"),), "questions": 2, "dev": 2}
        >>> how = {"budgets": (99.0,), "methods": ("dice_pc", "single"), "families": ("ours", "single")}
        >>> plan = Plan("three solvers", "0a1b", **what, **how, papers=("", ""), seeds=1, seed=0, plays=0)
        >>> spent = dict.fromkeys(("prompt", "cached", "completion", "calls", "rounds"), (9, 9))
        >>> ours = Record("dice_pc", 0, 0, 0, 0, questions=(0, 1), scores=(1.0, 1.0), **spent, answers=("8", "9"))
        >>> single = dataclasses.replace(ours, method="single", scores=(1.0, 0.0), answers=("8", "7"))
        >>> with tempfile.TemporaryDirectory() as name:
        ...     write_json((folder := pathlib.Path(name)) / "plan.json", plan.document())
        ...     Lines(folder / "records.jsonl").add(*map(dataclasses.asdict, (ours, single)))
        ...     data = read_evaluation(folder)
        >>> rows = accuracy(data, Resampling(data.kinds, seeds=1, resamples=100))
        >>> [(row["method"], row["score"], row["tokens"]) for row in rows]
        [('dice_pc', 1.0, 18.0), ('single', 0.5, 18.0)]
    """
    rows = []
    for method in data.plan.methods:
        for place, budget in enumerate(data.plan.budgets):
            plays = data.plays.get((method, place))
            row: Row = {"method": method, "family": data.family[method], "budget": budget}
            if plays is None:
                rows.append({**row, "why_not": _why_not(data, method, place)})
                continue
            row |= interval("score", resampling.estimate(plays.scores))
            row |= interval("tokens", resampling.estimate(plays.tokens))
            rows.append({**row, "missing": int(_played(plays).sum() - np.isfinite(plays.scores).sum())})
    return rows


def gains(data: Data, resampling: Resampling) -> list[Row]:
    """What DICE-PC is above each method, above the best published one, and above the best of them found anew."""
    rows = []
    for place, budget in enumerate(data.plan.budgets):
        ours = data.plays.get((OURS, place))
        if ours is None:
            continue
        mine, means = resampling.means(ours.scores), dict[str, np.ndarray]()
        for method in data.plan.methods:
            plays = data.plays.get((method, place))
            if method != OURS and plays is not None:
                means[method] = resampling.means(plays.scores)
        published = [name for name in means if data.family[name] in PUBLISHED]
        if published:
            best = max(published, key=lambda name: means[name][0])
            row: Row = {"budget": budget, "against": "best published", "method": best, "family": data.family[best]}
            rows.append(row | interval("gain", gain(mine, means[best])))
            anew = gain(mine, *(means[name] for name in published))
            rows.append({**row, "against": "best published, found anew"} | interval("gain", anew))
        for name, others in means.items():
            row: Row = {"budget": budget, "against": name, "method": name, "family": data.family[name]}
            rows.append(row | interval("gain", gain(mine, others)))
    return rows


def training(data: Data, resampling: Resampling) -> list[Row]:
    """What DICE-PC online is above methods that were trained on as many plays."""
    rows = []
    for place, budget in enumerate(data.plan.budgets):
        for size in ("small", "large"):
            ours = data.plays.get((f"{OURS}_online_{size}", place))
            for method in data.plan.methods if ours else ():
                others = data.plays.get((method, place))
                if others is None or method.startswith(OURS) or not method.endswith(f"_{size}"):
                    continue
                row: Row = {"budget": budget, "plays": size, "against": method, "method": method}
                above = gain(resampling.means(ours.scores), resampling.means(others.scores))  # type: ignore[union-attr]
                rows.append(row | {"family": data.family[method]} | interval("gain", above))
    return rows


def classes(data: Data, resampling: Resampling) -> list[Row]:
    """Score, balanced score and prediction entropy in each class."""
    rows = []
    for (method, place), plays in data.plays.items():
        for kind, (task, name) in enumerate(data.plan.classes):
            here = data.kinds == kind
            if here.any():
                row: Row = {"method": method, "budget": data.plan.budgets[place], "task": task, "class": name}
                row |= interval("score", resampling.estimate(plays.scores, kind))
                row["tokens"] = number(resampling.means(plays.tokens, kind)[0])
                rows.append(row | _prediction(data, plays, here))
    return rows


def _prediction(data: Data, plays: Plays, here: np.ndarray) -> Row:
    right = np.array(data.right, object)[here]
    answers, scores = plays.answers[:, here], plays.scores[:, here]
    known = np.isfinite(scores)
    counts = np.array(list(Counter(answers[known].tolist()).values()), float)
    shares = counts / counts.sum() if counts.size else counts
    kinds = set(right.tolist()) - {None}
    balanced = None
    if None not in right.tolist() and 1 < len(kinds) <= _FEW_ANSWERS:
        recalls = [scores[:, right == one][known[:, right == one]] for one in sorted(kinds)]
        balanced = number(float(np.mean([own.mean() if own.size else np.nan for own in recalls])))
    return {"balanced": balanced, "entropy_bits": float(-(shares * np.log2(shares)).sum()) if counts.size else None}


def settings(data: Data) -> list[Row]:
    """What dev chose for every method and budget with the first seed, and what it came to there."""
    rows = []
    for method in data.plan.methods:
        own = data.settings.get((method, 0))
        for place, budget in enumerate(data.plan.budgets if own else ()):
            chosen = own["chosen"][place]  # type: ignore[index]
            row: Row = {"method": method, "budget": budget, "tried": len(own["settings"])}  # type: ignore[index]
            if chosen is not None:
                one = own["settings"][chosen]  # type: ignore[index]
                row |= {"setting": one["label"], "dev_score": one["score"], "dev_tokens": one["tokens"]}
            rows.append(row)
    return rows


def learning(data: Data) -> list[Row]:
    """How each rule's runs moved in their second half, and what they came to; intervals are over runs."""
    rows, runs = [], data.learning or []
    for rule in dict.fromkeys(run["rule"] for run in runs):
        own = [run for run in runs if run["rule"] == rule]
        row: Row = {"rule": rule, "runs": len(own), "plays": own[0]["plays"][-1] if own[0]["plays"] else 0}
        row |= interval("score", over_runs(np.array([_late(run["scores"]) for run in own])))
        row |= interval("swing", over_runs(np.array([np.mean(run["swing"]) for run in own])))
        for name in ("oscillation", "drift"):
            values = [_mean(run[name]) for run in own if run[name] is not None]
            row |= interval(name, over_runs(np.array(values)) if values else Estimate(math.nan, math.nan, math.nan))
        ends = {tuple(np.argmax(np.array(run["final"]), axis=-1).ravel().tolist()) for run in own}
        rows.append({**row, "conventions": len(ends)})
    return rows


def _late(scores: Sequence[float | None]) -> float:
    """Mean of the last quarter."""
    known = [one for one in scores[-max(1, len(scores) // 4) :] if one is not None]
    return float(np.mean(known)) if known else math.nan


def _mean(values: Sequence[Sequence[float | None]]) -> float:
    known = [one for row in values for one in row if one is not None]
    return float(np.mean(known)) if known else math.nan


def _played(plays: Plays) -> np.ndarray:
    """Seeds of which anything is known count whole."""
    return np.broadcast_to(np.isfinite(plays.scores).any(1, keepdims=True), plays.scores.shape)


def _why_not(data: Data, method: str, place: int) -> str:
    for (name, _), own in data.settings.items():
        if name == method and own["why"][place]:
            return own["why"][place]
    return "not played yet"
