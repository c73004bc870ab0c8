"""``hqre llm eval``: a policy beside its baselines, within token budgets, on questions that nothing was chosen on."""

import json
import sys
from argparse import Namespace
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hqre_jax.cli._inputs import check_folder, number
from hqre_jax.cli._interrupts import goes_on_with
from hqre_jax.cli._llm_options import data_files, progress, refuse_folder_of, same_again, say, stored_models, whole
from hqre_jax.cli._tables import rendered, table
from hqre_jax.core._text import harmless
from hqre_jax.core._types import InputError

if TYPE_CHECKING:
    from hqre_jax.bridge.baselines import AbstractBaseline
    from hqre_jax.bridge.coordination import PublicStates, Samples, TeamPolicy
    from hqre_jax.bridge.evaluation import Evaluation, Plan
    from hqre_jax.bridge.store import StoredModel
    from hqre_jax.bridge.tasks import Item
    from hqre_jax.bridge.team import Team


def evaluate(arguments: Namespace) -> int:
    """Run the evaluation; a table of what every method came to.

    Returns:
        0, or 1 where a call failed for good or a budget ended the run.
    """
    from hqre_jax.bridge.team import read_team

    if arguments.store is None:
        raise InputError("--store", "is missing: the file that keeps the samples")
    team, folder = read_team(arguments.team, arguments.model), Path(arguments.out)
    refuse_folder_of("finetuning.json", folder, "a fine-tuning run")
    with ExitStack() as opened:
        run, plan, models = _prepared(arguments, team, folder, opened)
        goes_on_with(same_again(arguments))
        with progress() as show:
            result = run.run(plan, show)
        stopped = next((model.stopped for model in models.values() if model.stopped), None) or result.stopped
        bought = any(model.store.charged(model.run) for model in models.values())
    rows = _rows(folder)
    if arguments.format == "json":
        left = {"missing": result.missing, "stopped": stopped, "broken": result.broken, "notes": result.notes}
        document = {"plan": result.plan.document(), "accuracy": rows, **left}
        sys.stdout.write(json.dumps(document, allow_nan=False) + "\n")
    else:
        sys.stdout.write(rendered([_table(rows)]))
    for note in result.notes:
        say(note)
    if stopped:
        kept = f"what was bought is kept in {arguments.store} and what was judged in {arguments.out}"
        further = "and the same command goes on" if bought else "and nothing was bought now: raise it"
        say(f"budget: {stopped}; {kept}, {further}")
    elif result.broken:
        say(f"{result.broken}; what was bought is kept in {arguments.store}, and the same command goes on")
    elif result.missing:
        why = "" if result.why is None else f": {result.why}"
        say(f"{result.missing} plays are missing because a call failed; the same command tries them again{why}")
    elif all("why_not" in row for row in rows):
        say("no method keeps these budgets, the table says what each would need: "
            "raise --token-budgets, with another --out")  # fmt: skip
    else:
        say(f"next: hqre llm report {arguments.out}")
    return 1 if stopped or result.broken or result.missing or result.notes else 0


def _prepared(
    arguments: Namespace, team: "Team", folder: Path, opened: ExitStack
) -> "tuple[Evaluation, Plan, dict[str, StoredModel]]":
    """Everything is read and checked before anything is asked or written."""
    from hqre_jax.bridge.baselines import find_methods
    from hqre_jax.bridge.coordination import PublicStates, Samples, load_tasks, read_policy
    from hqre_jax.bridge.evaluation import Evaluation, Plan, digest

    names = [] if arguments.baselines == "none" else [name.strip() for name in arguments.baselines.split(",")]
    methods: tuple[AbstractBaseline, ...] = tuple(find_methods(names))
    seeds, questions, plays = (_some(arguments, name) for name in ("seeds", "questions", "plays"))
    budgets, prices = _budgets(arguments), _prices(arguments)
    tasks = load_tasks(team, Path(arguments.team).parent)
    states = PublicStates.of(team, tasks)
    policies: list[tuple[str, TeamPolicy]] = []
    for name in arguments.policy:
        policy = read_policy(name)
        policy.check(states)
        policies.append((Path(name).name, policy))
    _, models = opened.enter_context(stored_models(team, arguments))
    samples = Samples(team, dict(models), tasks, seed=whole(arguments, "seed"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise InputError("out", f"{arguments.out!a} cannot be made: {getattr(error, 'strerror', error)}") from None
    check_folder(folder, "out")
    run = Evaluation(
        samples, tuple(policies), methods, states.items("dev", tasks),
        lambda: _judged(arguments, samples, states, questions), folder, prices,
    )  # fmt: skip
    plan = Plan(
        team=team.title,
        team_digest=team.digest,
        policies=tuple((Path(name).name, digest(Path(name))) for name in arguments.policy),
        split=arguments.split,
        classes=states.classes,
        questions=questions,
        dev=team.questions,
        budgets=budgets,
        methods=tuple(method.name for method in run.methods),
        families=tuple(method.family for method in run.methods),
        papers=tuple(method.paper for method in run.methods),
        seeds=seeds,
        seed=samples.seed,
        plays=plays,
    )
    return run, plan, models


def _judged(
    arguments: Namespace, samples: "Samples", states: "PublicStates", questions: int
) -> "dict[int, list[Item]]":
    """The questions that are judged; official data files replace the test questions of their tasks."""
    found = states.items(arguments.split, samples.tasks, questions)
    if arguments.data is None:
        return found
    for task, file in data_files(arguments.data, list(samples.tasks)).items():
        found = {c: items for c, items in found.items() if states.classes[c][0] != task}
        for item in samples.tasks[task].load(file)[:questions]:
            found.setdefault(states.class_of(item), []).append(item)
    return found


def _rows(folder: Path) -> list[dict[str, Any]]:
    from hqre_jax.bridge.report import accuracy_rows

    # What ended before there was a plan has no rows.
    return accuracy_rows(folder) if (folder / "plan.json").exists() else []


def _table(rows: list[dict[str, Any]]) -> Any:
    numeric = ("budget", "score", "tokens used")
    cells = []
    for row in rows:
        score, tokens = "–", row.get("why_not", "")
        if row.get("score") is not None:
            score = f"{row['score']:.3f} [{row['score_low']:.3f}, {row['score_high']:.3f}]"
            tokens = f"{row['tokens']:.1f}"
        cells.append((harmless(row["method"]), f"{row['budget']:g}", score, harmless(tokens)))
    return table(("method", *numeric), cells, numeric[:2])


def _some(arguments: Namespace, name: str) -> int:
    value = whole(arguments, name)
    if not value:
        raise InputError(name, "is 0; a whole number, 1 or more, is wanted")
    return value


def _budgets(arguments: Namespace) -> tuple[float, ...]:
    """Rising numbers of tokens; nothing where none are given."""
    if arguments.token_budgets is None:
        return ()
    found = _numbers(arguments.token_budgets, "token_budgets")
    if any(low >= high for low, high in zip((0.0, *found), found, strict=False)):
        raise InputError(
            "token_budgets", f"are {arguments.token_budgets!a}; rising numbers above 0 are wanted: 100,200"
        )
    return found


def _prices(arguments: Namespace) -> tuple[float, ...]:
    if arguments.retrain_prices == "none":
        return ()
    found = _numbers(arguments.retrain_prices, "retrain_prices")
    if any(one < 0 for one in found):
        raise InputError("retrain_prices", f"are {arguments.retrain_prices!a}; numbers, 0 or more, are wanted: 0.25,4")
    return found


def _numbers(text: str, field: str) -> tuple[float, ...]:
    found = tuple(number(part, field, float, "numbers with commas between them") for part in text.split(","))
    if not all(abs(one) < float("inf") for one in found):
        raise InputError(field, f"is {text!a}; finite numbers are wanted")
    return found
