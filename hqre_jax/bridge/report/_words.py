"""What the numbers say, in words: short lines that stand above tables and pictures."""

from hqre_jax.bridge.report._data import OURS, Data
from hqre_jax.bridge.report._tables import Row


def story(data: Data, tables: dict[str, list[Row]]) -> list[str]:
    """The evaluation in a few sentences.

    Args:
        data: The evaluation.
        tables: The rows of all tables, see `tables`.

    Returns:
        The sentences.

    Example:
        >>> import dataclasses
        >>> import pathlib
        >>> import tempfile
        >>> from hqre_jax.bridge.evaluation import Lines, Plan, Record, write_json
        >>> from hqre_jax.bridge.report import Resampling, read_evaluation, story, tables
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
        >>> print(story(data, tables(data, Resampling(data.kinds, seeds=1, resamples=100)))[1])
        DEVELOPMENT: judged on the questions that everything was chosen on. No result.
    """
    plan, lines = data.plan, list[str]()
    questions = f"{len(data.kinds)} questions of the {plan.split} split in {len(plan.classes)} classes"
    lines.append(f"{questions}, {plan.seeds} seeds, budgets of {', '.join(f'{one:g}' for one in plan.budgets)} tokens "
                 "a question; hyper-parameters from dev; classes weigh alike.")  # fmt: skip
    if plan.split == "dev":
        lines.append("DEVELOPMENT: judged on the questions that everything was chosen on. No result.")
    if not data.whole:
        lines.append("UNFINISHED: the evaluation was interrupted; what is there is shown.")
    used = {(row["method"], row["budget"]): row.get("tokens") or 0.0 for row in tables["accuracy"]}
    for row in tables["gains"]:
        if row["against"] == "best published":
            spent = {name: used[method, row["budget"]] for method, name in ((OURS, "DICE-PC"), (row["method"],) * 2)}
            over = ", ".join(f"{name} used {each:.1f}" for name, each in spent.items() if each > row["budget"])
            lines.append(f"Up to {row['budget']:g} tokens DICE-PC is {verdict(row)} the best published baseline, "
                         f"{row['method']}: {points(row, 'gain')} points{f' ({over})' if over else ''}.")  # fmt: skip
    for row in tables["domains"]:
        if row["budget"] == plan.budgets[-1]:
            where = f"in {row['domain']} ({row['classes']} classes)" if row["classes"] > 1 else f"in {row['domain']}"
            spent = f"with {row['tokens']:.0f} tokens beside {row['best_tokens']:.0f}"
            about = f"{verdict(row)} {row['method']}: {points(row, 'gain')} points, {spent}."
            lines.append(f"Up to {row['budget']:g} tokens, {where}, DICE-PC is {about}")
    bandits = [row for row in tables["gains"] if row["family"] == "bandit" and row["against"] == row["method"]]
    for row in [one for one in bandits if one["budget"] == plan.budgets[-1]]:
        about = f"{verdict(row)} {row['method']}: {points(row, 'gain')} points."
        lines.append(f"Up to {row['budget']:g} tokens DICE-PC is {about}")
    states = [row for row in tables["margins"] if row["margin"] is not None]
    if states and data.margins:
        own, low = (sum(row[name] > 1 for row in states) for name in ("equilibria", "equilibria_low"))
        sized = [row for row in states if row["low"] is not None]
        sure = sum(row["low"] > 0 for row in sized)
        how = "interval and all, in " if sized else "without an interval (too few samples), in "
        count = sure if sized else sum(row["margin"] > 0 for row in states)
        lines.append(f"The margin is positive, {how}{count} of {len(states)} public states; "
                     f"several HQRE were found in {own} at the policy's temperatures and in "
                     f"{low} at τ = {data.margins['low_tau']:g}.")  # fmt: skip
    missing = sum(row.get("missing", 0) for row in tables["accuracy"])
    if missing:
        lines.append(f"{missing} plays are missing because a call failed; they are no zeros.")
    lines.append("Intervals (95 %) resample questions within classes, and seeds: samples come from one pool, and every "
                 "seed draws anew from it.")  # fmt: skip
    return lines


def verdict(row: Row) -> str:
    """Whether a gain is one."""
    if row["gain_low"] is None or row["gain_low"] <= 0 <= row["gain_high"]:
        return "level with"
    return "above" if row["gain_low"] > 0 else "below"


def span(row: Row, name: str, low: str | None = None, high: str | None = None) -> str:
    """A number with its interval."""
    value, least, most = row[name], row[low or f"{name}_low"], row[high or f"{name}_high"]
    if value is None:
        return "–"
    return f"{value:.3f}" if least is None else f"{value:.3f} [{least:.3f}, {most:.3f}]"


def points(row: Row, name: str) -> str:
    """A difference of scores in points, with its interval."""
    if row[name] is None:
        return "–"
    value, low, high = (100 * (row[key] or 0.0) for key in (name, f"{name}_low", f"{name}_high"))
    return f"{value:+.1f} [{low:+.1f}, {high:+.1f}]"


def tokens(row: Row) -> str:
    """Tokens used."""
    return "–" if row["tokens"] is None else f"{row['tokens']:.1f}"
