"""The stages: samples of dev, the policy, samples of test, the evaluation; each goes on where it was left."""

import contextlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.llm._protocol import Protocol, closed
from hqre_jax.bridge import models
from hqre_jax.bridge.baselines import find_methods
from hqre_jax.bridge.coordination import PublicStates, Samples, collect, load_tasks, read_policy
from hqre_jax.bridge.coordination._collect import BATCH, cells
from hqre_jax.bridge.evaluation import Evaluation, Plan, digest
from hqre_jax.bridge.models import AbstractModel, Failure
from hqre_jax.bridge.models._replay import ReplayModel
from hqre_jax.bridge.store import read_recorded
from hqre_jax.bridge.tasks import Item
from hqre_jax.bridge.tasks._interface import Split
from hqre_jax.cli import main as hqre
from hqre_jax.core._types import InputError

Say = Callable[[str], None]
POLICY, RESULTS, REHEARSAL = "policy.json", "results", "rehearsal"
# Lines of progress that a stage makes at most.
_LINES = 200


class Unfinished(Exception):
    """A stage came to no end: a budget is spent, or calls failed; the message says what, and what is done next time."""


class Refused(Exception):
    """A command of ``hqre`` ended otherwise than well; it has said why.

    Attributes:
        code: Its exit code.
    """

    def __init__(self, code: int):
        super().__init__(f"exit code {code}")
        self.code = code


def pool(protocol: Protocol, answering: Mapping[str, AbstractModel]) -> tuple[Samples, PublicStates]:
    """The sample pool of the protocol's team, and its public states."""
    tasks = load_tasks(protocol.team, protocol.team_path.parent)
    samples = Samples(protocol.team, answering, tasks, seed=protocol.seed)
    return samples, PublicStates.of(protocol.team, tasks)


def recorded(protocol: Protocol, archive: Path) -> dict[str, AbstractModel]:
    """The team's models as an archive has them; one that is not in it has said nothing."""
    recording, found = read_recorded(archive), dict[str, AbstractModel]()
    for name in dict.fromkeys(agent.model for agent in protocol.team.agents):
        if any(shown == name for shown, _ in recording.models()):
            found[name] = ReplayModel(recording, name)
        else:
            found[name] = models.from_python(lambda request: Failure("missing", "nothing is recorded"), name)
    return found


def questions(protocol: Protocol, samples: Samples, states: PublicStates, split: Split) -> dict[int, list[Item]]:
    """The questions of a split; those of test only where the protocol is frozen.

    Raises:
        Unfinished: The test questions are closed.
        InputError: They are, because the protocol was changed after it was frozen.
    """
    if split == "test" and (why := closed(protocol)) is not None:
        remedy = f"`{protocol.command} --freeze`, and commit what it writes"
        raise Unfinished(f"{why}: test questions stay closed ({remedy})")
    return states.items(split, samples.tasks, protocol.questions if split == "test" else None)


def fill(protocol: Protocol, samples: Samples, states: PublicStates, split: Split, say: Say) -> None:
    """Sample all that plays of a split draw from; what is recorded is not asked again.

    A few questions after the other, all their samples together: a model that reads prompts keeps what it has read.

    Raises:
        Unfinished: A budget is spent, or calls failed.
    """
    asked, lines = questions(protocol, samples, states, split), _lines(split, say)
    nothing = dict[int, list[Item]].fromkeys(asked, [])
    parts = [{**nothing, c: items[i : i + BATCH]} for c, items in asked.items() for i in range(0, len(items), BATCH)]
    done, total = 0, sum(len(wanted) for _, wanted in cells(samples, states, asked))
    for part in parts:
        before = done
        found = collect(samples, states, part, lambda what, n, _, before=before: lines(what, before + n, total))
        done += found.done
        if found.failures:
            first = found.failures[0]
            raise Unfinished(f"samples of {split}: {done} of {total}; {first.kind}: {first.detail}")
    say(f"samples of {split}: {done} of {total}")


def train(protocol: Protocol, store: Path, folder: Path, say: Say) -> Path:
    """The policy of the recorded dev samples, as ``hqre llm train`` makes it; one that is there is kept.

    Returns:
        Its file.
    """
    path = folder / POLICY
    if path.exists():
        known = read_policy(path).facts.get("team") or {}
        if known.get("digest") == protocol.team.digest:
            return path
        raise InputError(str(path), "is another team's: delete it and the results that follow from it, or name --out")
    say("policy: hqre llm train")
    words = ["llm", "train", str(protocol.team_path), "--store", str(store), "--out", str(path)]
    words += ["--seed", str(protocol.seed), "--temperatures", protocol.temperatures]
    with contextlib.redirect_stdout(sys.stderr):
        code = hqre(words)
    if code == 130:
        raise KeyboardInterrupt
    if code:
        raise Refused(code)
    return path


def evaluate(protocol: Protocol, samples: Samples, states: PublicStates, policy: Path, split: Split, say: Say) -> None:
    """Every method within every budget with every seed, as ``hqre llm eval`` does it.

    Raises:
        Unfinished: A budget is spent, or calls failed.
    """
    folder = policy.with_name(RESULTS if split == "test" else REHEARSAL)
    folder.mkdir(exist_ok=True)
    run = Evaluation(
        samples,
        ((policy.name, read_policy(policy)),),
        tuple(find_methods(protocol.baselines)),
        states.items("dev", samples.tasks),
        lambda: questions(protocol, samples, states, split),
        folder,
        protocol.retrain_prices,
    )
    result = run.run(_plan(protocol, run, states, policy, split), _lines(split, say))
    for note in result.notes:
        say(note)
    ended = result.stopped or result.broken
    if ended is None and result.missing:
        ended = f"{result.missing} plays are missing because a call failed: {result.why}"
    if ended is not None:
        raise Unfinished(f"evaluation on {split}: {ended}")


def _plan(protocol: Protocol, run: Evaluation, states: PublicStates, policy: Path, split: Split) -> Plan:
    assert split != "train"
    return Plan(
        team=protocol.team.title,
        team_digest=protocol.team.digest,
        policies=((policy.name, digest(policy)),),
        split=split,
        classes=states.classes,
        questions=protocol.questions if split == "test" else protocol.team.questions,
        dev=protocol.team.questions,
        budgets=protocol.token_budgets,
        methods=tuple(method.name for method in run.methods),
        families=tuple(method.family for method in run.methods),
        papers=tuple(method.paper for method in run.methods),
        seeds=protocol.seeds,
        seed=protocol.seed,
        plays=protocol.plays,
    )


def _lines(split: str, say: Say) -> Callable[[str, int, int], None]:
    """Lines of progress: one for every new thing, and of long ones every so often."""
    told = -1

    def show(what: str, done: int, total: int) -> None:
        nonlocal told
        part = _LINES * done // max(total, 1)
        if part != told:
            told = part
            say(f"{split}: {what}, {done} of {total}")

    return show
