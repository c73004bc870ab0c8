"""``hqre llm collect`` and ``train``: from a team file and a store to a policy."""

import json
import shlex
import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from hqre_jax.cli._inputs import check_folder, number
from hqre_jax.cli._interrupts import goes_on_with
from hqre_jax.cli._llm_options import (
    budget_of,
    paths_of_models,
    progress,
    same_again,
    say,
    stored_models,
    whole,
)
from hqre_jax.cli._llm_parser import BUDGETS
from hqre_jax.cli._tables import facts, rendered, table
from hqre_jax.core._text import harmless
from hqre_jax.core._types import InputError

if TYPE_CHECKING:
    from hqre_jax.bridge.coordination import PublicStates, Samples, TeamPolicy
    from hqre_jax.bridge.models import AbstractModel
    from hqre_jax.bridge.store import Store
    from hqre_jax.bridge.tasks import AbstractTask, Item
    from hqre_jax.bridge.team import Team


def collect(arguments: Namespace) -> int:
    """Sample what the empirical game needs."""
    from hqre_jax.bridge.coordination import Samples
    from hqre_jax.bridge.coordination import collect as sample_all

    team = _team(arguments)
    tasks, states, items = _questions(arguments, team)
    _check_samples(arguments, Samples(team, {}, tasks))
    with stored_models(team, arguments) as (store, models):
        samples = Samples(team, dict(models), tasks, seed=whole(arguments, "seed"))
        goes_on_with(same_again(arguments))
        with progress() as show:
            found = sample_all(samples, states, items, show)
        run = next(iter(models.values())).run
        stopped = next((model.stopped for model in models.values() if model.stopped), None)
        spent = _spent(store, run)
    kinds = sorted({failure.kind for failure in found.failures if failure.kind != "budget"})
    failed = sum(failure.kind != "budget" for failure in found.failures)
    ended = f"what was bought is kept in {arguments.store}, and the same command goes on"
    document = {"samples": found.done, "wanted": found.total, "failed": failed, "stopped": stopped, "bought": spent}
    if arguments.format == "json":
        sys.stdout.write(json.dumps(document) + "\n")
    else:
        tokens = "{calls} calls, {prompt} prompt and {completion} completion tokens".format(**spent)
        rows = {"samples": f"{found.done} of {found.total}", "bought now": tokens, "failed": f"{failed}"}
        sys.stdout.write(rendered([facts(rows)]))
    if stopped:
        further = ended if spent["calls"] else "nothing was bought: raise it"
        say(f"budget: the budget of {stopped} allows no more calls; {further}")
    elif found.unreachable:
        say(f"connection: {found.failures[0].detail}; is it running? {ended[0].upper()}{ended[1:]}")
    elif failed:
        say(f"{', '.join(kinds)}: {failed} calls failed for good and are missing observations; the same command tries "
            f"them again: {found.failures[0].detail}")  # fmt: skip
    else:
        following = ["hqre", "llm", "train", arguments.team, "--store", arguments.store, "--out", "policy.json"]
        say(f"next: {shlex.join(following)}")
    return 1 if stopped or failed else 0


def train(arguments: Namespace) -> int:
    """Learn a policy and write it."""
    for name in () if arguments.online else ("tol", *(f"budget_{limit}" for limit in BUDGETS)):
        if getattr(arguments, name) is not None:
            raise InputError(name, "goes with --online: all else is computed from the samples of the store")
    team = _team(arguments)
    out = Path(arguments.out)
    if out.is_dir():
        raise InputError("out", f"{arguments.out!a} is a folder; name a file, policy.json")
    check_folder(out.parent, "out")
    goes_on_with(same_again(arguments))
    policy, ended = (_online if arguments.online else _offline)(arguments, team)
    from hqre_jax.bridge.coordination import policy_document, write_policy

    write_policy(policy, out)
    if arguments.format == "json":
        sys.stdout.write(json.dumps(policy_document(policy), allow_nan=False) + "\n")
    else:
        sys.stdout.write(rendered(_policy_tables(policy)))
    task = team.tasks[0].name
    following = ["hqre", "llm", "play", arguments.team, "--task", task, "--policy", arguments.out]
    following += ["--store", arguments.store]
    endpoint = any(agent.model.startswith("openai:") for agent in team.agents)
    say(f"{arguments.out} is written; next: {shlex.join(following)}{' --base-url …' if endpoint else ''}")
    if ended == "budget":
        say(
            f"budget: the budget is spent, and the policy is what was learnt by then; {arguments.store} keeps all calls"
        )
    return 1 if ended == "budget" else 0


def _offline(arguments: Namespace, team: "Team") -> tuple["TeamPolicy", str]:
    from hqre_jax.bridge.coordination import (
        Samples,
        TeamGame,
        available,
        bootstrap_team,
        needed,
        stability_of,
        train_offline,
    )
    from hqre_jax.bridge.store import Store

    if not Path(arguments.store).is_file():
        raise InputError("store", f"{arguments.store!a} is not there; `hqre llm collect` makes it")
    tasks, states, items = _questions(arguments, team)
    with Store(arguments.store, read_only=True) as store, progress() as show:
        samples = Samples(team, _recorded(arguments, team, store), tasks, seed=whole(arguments, "seed"))
        _check_samples(arguments, samples)
        samples.size = min(team.samples, available(samples, states, items))
        if samples.size < needed(samples):
            raise InputError(
                arguments.store,
                f"holds {samples.size} samples of each question and control, and a play may need "
                f"{needed(samples)}: hqre llm collect {arguments.team} --store {arguments.store} goes on",
            )
        game = TeamGame.from_samples(samples, items, seed=samples.seed, say=lambda what: show(what, 0, 0))
        trained = train_offline(game, _temperatures(arguments), seed=samples.seed, say=lambda what: show(what, 0, 0))
        show("stability", 0, 0)
        report = stability_of(trained, seed=samples.seed)
        show("intervals", 0, 0)
        sure = bootstrap_team(trained.game, trained.policy, trained.tau, seed=samples.seed)
        return trained.to_policy(report, sure, **_origin(arguments, team, store, samples, items, None)), "done"


def _recorded(arguments: Namespace, team: "Team", store: "Store") -> "dict[str, AbstractModel]":
    """The team's models, as the store has recorded them."""
    from hqre_jax.bridge.models import AbstractModel, load
    from hqre_jax.bridge.models._replay import ReplayModel

    there, found = store.models(), dict[str, AbstractModel]()
    for name in dict.fromkeys(agent.model for agent in team.agents):
        if name.startswith("replay:"):
            found[name] = load(name, folder=paths_of_models(arguments))
            continue
        own = [identity for shown, identity in there if shown == name]
        if arguments.base_url is not None and name.startswith("openai:"):
            own = [identity for identity in own if identity == f"{name} at {arguments.base_url.rstrip('/')}"]
        if not own:
            held = ", ".join(identity for _, identity in there) or "none at all"
            command = f"hqre llm collect {arguments.team} --store {arguments.store}"
            raise InputError(arguments.store, f"has no replies of {name} (there are: {held}); `{command}` buys them")
        if len(own) > 1:
            remedy = "--base-url U" if name.startswith("openai:") else f"--model 'replay:{arguments.store}#IDENTITY'"
            raise InputError(arguments.store, f"has replies of {' and of '.join(own)}; say which is meant: {remedy}")
        found[name] = ReplayModel(arguments.store, own[0])
    return found


def _online(arguments: Namespace, team: "Team") -> tuple["TeamPolicy", str]:
    from hqre_jax.bridge.coordination import Samples, train_online

    tau = _temperatures(arguments)
    tasks, states, items = _questions(arguments, team)
    options: dict[str, Any] = {} if arguments.tol is None else {"tol": number(arguments.tol, "tol", float, "a number")}
    if isinstance(tau, float):
        options |= {"tau": tau, "controlled": False}
    with stored_models(team, arguments) as (store, models), progress() as show:
        samples = Samples(team, dict(models), tasks, seed=whole(arguments, "seed"))
        learnt = train_online(
            samples, states, items, seed=samples.seed, say=lambda what: show(what, 0, 0),
            stopped=lambda: next((model.stopped for model in models.values() if model.stopped), None), **options,
        )  # fmt: skip
        run = next(iter(models.values())).run
        return learnt.to_policy(**_origin(arguments, team, store, samples, items, run)), learnt.ended


def _team(arguments: Namespace) -> "Team":
    from hqre_jax.bridge.team import read_team

    if arguments.store is None:
        raise InputError("--store", "is missing: a file that keeps the samples")
    if arguments.data is not None:
        raise InputError("data", "holds test questions; a game is learnt from dev questions: leave --data out")
    budget_of(arguments)
    return read_team(arguments.team, arguments.model)


def _questions(
    arguments: Namespace, team: "Team"
) -> "tuple[dict[str, AbstractTask], PublicStates, dict[int, list[Item]]]":
    """The team's tasks, public states, and the questions of dev by class."""
    from hqre_jax.bridge.coordination import PublicStates, load_tasks

    tasks = load_tasks(team, Path(arguments.team).parent)
    states = PublicStates.of(team, tasks)
    return tasks, states, states.items("dev", tasks)


def _check_samples(arguments: Namespace, samples: "Samples") -> None:
    """Nothing is bought that is too little for a game."""
    from hqre_jax.bridge.coordination import needed

    if samples.size < needed(samples):
        raise InputError(f"{arguments.team}: samples", f"is {samples.size}, and a play may need {needed(samples)}: one "
                         "for each round and each agent that draws from the same samples")  # fmt: skip


def _temperatures(arguments: Namespace) -> Any:
    """A number, or the word for how they are to be found."""
    given = arguments.temperatures
    if given is None or (given in ("grid", "least", "controller") and not arguments.online):
        return given or "grid"
    wanted = "a number above 0" if arguments.online else "grid, least, controller, or a number above 0"
    tau = number(given, "temperatures", float, wanted)
    if not (tau > 0 and tau < float("inf")):
        raise InputError("temperatures", f"is {given!a}; {wanted} is wanted")
    return tau


def _origin(
    arguments: Namespace, team: "Team", store: "Store", samples: "Samples", items: "dict[int, list[Item]]",
    run: str | None,
) -> dict[str, Any]:  # fmt: skip
    """Digests of what the policy was learnt from, and what it cost."""
    limits = {name: getattr(arguments, f"budget_{name}") for name in ("calls", "tokens", "seconds", "money")}
    questions = [len(items[c]) for c in sorted(items)]
    return {
        "team": {"title": team.title, "digest": team.digest},
        "store": {"digest": store.digest(), "calls": len(store)},
        "budgets": {
            "limits": {name: value for name, value in limits.items() if value is not None},
            "bought": None if run is None else _spent(store, run),
            "store": _spent(store, None),
            "questions": questions,
            "samples": samples.size,
        },
    }


def _spent(store: "Store", run: str | None) -> dict[str, int]:
    """Calls that were answered, and tokens, of a run; of all runs for None."""
    total = {"calls": 0, "prompt": 0, "cached": 0, "completion": 0}
    for spent in store.spent(run):
        for name, value in spent.tally._asdict().items():
            total[name] += int(value)
        total["calls"] -= spent.failed
    return total


def _policy_tables(policy: "TeamPolicy") -> list[Any]:
    """What everybody does in every state, then where it comes from."""
    rows = []
    for x, state in enumerate(policy.states):
        for i, agent in enumerate(policy.agents):
            chances = [
                f"{name} {policy.probabilities[i, x, k]:.2f}"
                for k, name in enumerate(policy.menus[i])
                if policy.probabilities[i, x, k] >= 0.005
            ]
            tau = policy.tau[i, x]
            rows.append((harmless(str(state)), harmless(agent), f"{tau:.4g}", harmless(", ".join(chances))))
    known, certificate = policy.facts, policy.facts["certificate"]
    stability = known.get("stability")
    lines = {
        "method": f"{known['method']}: {known['result']}, residual {_shown(known['residual'])}, {known['selection']}",
        "certificate": f"{certificate['verdict']}: {certificate['reason']}",
        "stability": "not judged" if stability is None else stability["text"].partition("\n")[0],
    }
    if known.get("worth") is not None:
        worth = known["worth"]
        low, high = worth["score_interval"]
        lines["on dev"] = (
            f"score {worth['score']:.3f} [{low:.3f}, {high:.3f}], less what the tokens cost {worth['team']:.3f}"
        )
    shown = {name: harmless(text) for name, text in lines.items()}
    return [table(("state", "agent", "τ", "controls"), rows, ("τ",)), Text(""), facts(shown)]


def _shown(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3g}"
