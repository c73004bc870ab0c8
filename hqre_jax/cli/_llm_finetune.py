"""``hqre llm finetune``: adapters of a frozen model, trained by mirror steps or by what they are compared with."""

import json
import shlex
import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hqre_jax.cli._inputs import check_folder, number
from hqre_jax.cli._interrupts import goes_on_with
from hqre_jax.cli._llm_options import data_files, progress, refuse_folder_of, say, whole
from hqre_jax.cli._tables import facts, rendered
from hqre_jax.core._text import harmless
from hqre_jax.core._types import InputError, checked_choice

if TYPE_CHECKING:
    from jax.sharding import Mesh

    from hqre_jax.bridge.models._endpoint import EndpointModel

# Models whose weights are here.
_HERE = ("smollm2-135m", "hf:")


def finetune(arguments: Namespace) -> int:
    """Run the fine-tuning.

    Returns:
        0, or 1 where a budget ended the run, a step diverged or plays failed.
    """
    import jax

    from hqre_jax.bridge.finetuning import Run, read_config
    from hqre_jax.bridge.finetuning.methods import METHODS
    from hqre_jax.bridge.models import LocalModel, by_first, join_processes, load

    join_processes()
    limits = _limits(arguments)
    if arguments.method is not None:
        checked_choice(arguments.method, tuple(METHODS), "method")
    options = {
        name: None if getattr(arguments, name) is None else whole(arguments, name, least)
        for name, least in (("seed", 0), ("steps", 1))
    }
    config = read_config(arguments.config, limits, method=arguments.method, model=arguments.model, **options)
    folder = Path(arguments.out)
    # What is missing on the way there is made once nothing is left to be refused.
    by_first(lambda: check_folder(next(above for above in folder.parents if above.exists()), "out"))
    by_first(lambda: refuse_folder_of("plan.json", folder, "an evaluation"))
    beside = Path(arguments.config).parent
    near = beside if arguments.model is None else Path()
    where = "model" if arguments.model is not None else f"{arguments.config}: model"
    if not config.model.startswith(_HERE):
        wanted = "only weights that are here can be trained: smollm2-135m, hf:PATH"
        raise InputError(where, f"is {config.model!a}; {wanted}")
    try:
        model = load(config.model, folder=near, dtype=config.dtype)
    except InputError as error:
        raise InputError(where if error.field == "model" else error.field, error.problem) from None
    assert isinstance(model, LocalModel)
    official = {} if arguments.data is None else data_files(arguments.data, [task.name for task in config.tasks])
    try:
        run = Run(config, model, folder, beside, _grid(arguments), _rollouts(arguments), official)
    except InputError as error:
        if error.field.startswith(("tasks", "plays")):
            raise InputError(f"{arguments.config}: {error.field}", error.problem) from None
        raise
    by_first(lambda: check_folder(folder, "out"))
    goes_on_with(_same_again(arguments))
    if jax.process_index() > 0:  # the first process says everything
        return 0 if run.run().how == "done" else 1
    with progress() as show:
        ended = run.run(show)
    document = {
        "how": ended.how,
        "why": ended.why,
        "steps": ended.step,
        "tokens": ended.tokens,
        "held_out": ended.held_out,
    }
    if arguments.format == "json":
        sys.stdout.write(json.dumps(document, allow_nan=False) + "\n")
    else:
        rows = {"steps": f"{ended.step} of {config.steps}", "tokens": f"{ended.tokens:,} generated"}
        if ended.held_out is not None:
            rows["held out"] = f"score {ended.held_out['score']:.3f} on {ended.held_out['questions']} questions"
        rows["adapters"] = harmless(str(folder / "adapters"))
        sys.stdout.write(rendered([facts(rows)]))
    if ended.how == "budget":
        say(f"budget: {ended.why}; what was learnt is kept in {arguments.out}, and a larger budget goes on from there")
    elif ended.how == "diverged":
        say(f"diverged: {ended.why}; the policy before that step is kept in {arguments.out}")
    elif ended.how == "failed":
        say(f"plays: {ended.why}; what was learnt is kept in {arguments.out}, and the same command goes on")
    else:
        say(f"next: hqre llm report {shlex.quote(arguments.out)}")
    return 0 if ended.how == "done" else 1


def _grid(arguments: Namespace) -> "Mesh | None":
    """All devices, where there are several."""
    import jax

    from hqre_jax.bridge.models import device_grid

    tensor = whole(arguments, "tensor")
    return device_grid(tensor) if jax.device_count() > 1 or tensor != 1 else None


def _rollouts(arguments: Namespace) -> "EndpointModel | None":
    """The server that plays, where one is named."""
    from hqre_jax.bridge.models import load
    from hqre_jax.bridge.models._endpoint import EndpointModel

    if arguments.rollouts is None:
        if arguments.base_url is not None:
            raise InputError("base_url", "is the address of --rollouts openai:NAME, which is missing")
        return None
    if not arguments.rollouts.startswith("openai:"):
        raise InputError("rollouts", f"is {arguments.rollouts!a}; openai:NAME, a server's name of the model, is wanted")
    found = load(arguments.rollouts, base_url=arguments.base_url)
    assert isinstance(found, EndpointModel)
    return found


def _limits(arguments: Namespace) -> dict[str, Any]:
    """Budgets of the command line; they replace the file's."""
    found = {
        "tokens": number(arguments.budget_tokens, "budget_tokens", int, "a whole number, 1 or more,"),
        "minutes": number(arguments.budget_minutes, "budget_minutes", float, "a number above 0"),
    }
    for name, value in found.items():
        if value is not None and not 0 < value < float("inf"):
            raise InputError(f"budget_{name}", f"is {value}; a number above 0 is wanted")
    return {name: value for name, value in found.items() if value is not None}


def _same_again(arguments: Namespace) -> str:
    """The command as it would be typed."""
    words = ["hqre", "llm", "finetune", arguments.config]
    where = "out", "method", "model", "rollouts", "base_url", "data"
    for name in (*where, "seed", "steps", "budget_tokens", "budget_minutes", "tensor"):
        if (value := getattr(arguments, name)) is not None and (name, value) != ("tensor", "1"):
            words.append(f"--{name.replace('_', '-')}={value}")
    return shlex.join(words)
