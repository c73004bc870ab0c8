"""Running an evaluation: hyper-parameters from dev, then the questions that are judged, seed by seed."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hqre_jax.bridge.baselines import (
    AbstractBaseline,
    BudgetEnded,
    CallsFailed,
    Front,
    NothingFits,
    outcome_known,
    summarise,
)
from hqre_jax.bridge.baselines._learned import LARGE, SMALL
from hqre_jax.bridge.coordination import Outcome, PolicyPlayer, PublicStates, Samples, TeamPolicy, play_all
from hqre_jax.bridge.evaluation._learning import learning_curves
from hqre_jax.bridge.evaluation._margins import margins
from hqre_jax.bridge.evaluation._plan import Plan, agree, read_plan, write_json
from hqre_jax.bridge.evaluation._policies import Online, Policies
from hqre_jax.bridge.evaluation._records import Lines, Record, read_records, record_document, transcript_of
from hqre_jax.bridge.tasks import Item
from hqre_jax.core._types import InputError
from hqre_jax.solving._solution import SolveError

Say = Callable[[str, int, int], None]
# Transcripts of a class that are kept of a baseline; of DICE-PC all are.
SHOWN = 3
# The budgets, where none are given, in units of what the policy uses on dev.
BUDGETS = (1.0, 2.0, 4.0)


@dataclass
class Evaluated:
    """What came of it.

    Attributes:
        plan: The plan.
        missing: Plays in which a call failed.
        why: What the first of these calls met with; None where none failed.
        stopped: The budget that ended it early; None where none did.
        broken: What ended it early where calls failed without which nothing can be said; None where none did.
        notes: What could not be computed, and why.

    Example:
        >>> from hqre_jax.bridge.evaluation import Evaluated, Plan
        >>> what = {"policies": (), "split": "dev", "classes": (("arithmetic", "sum"),), "questions": 10, "dev": 10}
        >>> how = {"budgets": (500.0,), "methods": ("single",), "families": ("one agent",), "papers": ("",)}
        >>> found = Evaluated(Plan("three solvers", "0a1b", **what, **how, seeds=2, seed=0, plays=0), stopped="budget")
        >>> found.missing, found.stopped
        (0, 'budget')
    """

    plan: Plan
    missing: int = 0
    why: str | None = None
    stopped: str | None = None
    broken: str | None = None
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Evaluation:
    """An evaluation of a team and its policies.

    Attributes:
        samples: The sample pool.
        policies: Trained policies with the names of their files; they share a place in the tables.
        baselines: The methods that they are compared with.
        dev: Questions of each class that hyper-parameters are chosen on.
        judged: Opens the questions that are judged: called once everything is chosen.
        folder: Where everything is kept.
        prices: Factors on the team's prices at which DICE-PC is trained again on dev, for budgets to pick from.

    Example:
        >>> import pathlib
        >>> import tomllib
        >>> from hqre_jax.bridge.baselines import find_methods
        >>> from hqre_jax.bridge.coordination import PublicStates, Samples, TeamPolicy, uniform_law
        >>> from hqre_jax.bridge.evaluation import Evaluation
        >>> from hqre_jax.bridge.models import from_python
        >>> from hqre_jax.bridge.team import default_team, read_team
        >>> team = read_team(tomllib.loads(default_team()))
        >>> samples = Samples(team, {"smollm2-135m": from_python(lambda request: "It is 8.", "eight")})
        >>> states = PublicStates.of(team, samples.tasks)
        >>> policy = TeamPolicy.of(states, uniform_law(states), tau=0.1)
        >>> dev = states.items("dev", samples.tasks, count=2)
        >>> baselines = tuple(find_methods(["single", "joint_ucb_small"]))
        >>> run = Evaluation(samples, (("policy.json", policy),), baselines, dev, lambda: dev, pathlib.Path("results"))
        >>> [method.name for method in run.methods]  # beside a bandit DICE-PC learns from as many plays
        ['dice_pc', 'dice_pc_online_small', 'single', 'joint_ucb_small']
    """

    samples: Samples
    policies: tuple[tuple[str, TeamPolicy], ...]
    baselines: tuple[AbstractBaseline, ...]
    dev: Mapping[int, Sequence[Item]]
    judged: Callable[[], Mapping[int, Sequence[Item]]]
    folder: Path
    prices: tuple[float, ...] = ()

    @property
    def methods(self) -> tuple[AbstractBaseline, ...]:
        """All methods, DICE-PC first; beside bandits, DICE-PC with as much training as they get."""
        sizes = sorted({size for size in map(training, self.baselines) if size is not None})
        online = tuple(Online(f"dice_pc_online_{name}", self.policies[0][1], plays) for plays, name in sizes)
        return (Policies(self.policies, self.prices), *online, *self.baselines)

    @property
    def dev_items(self) -> list[Item]:
        """The questions of dev in one list."""
        return [item for own in self.dev.values() for item in own]

    def run(self, plan: Plan, say: Say) -> Evaluated:
        """Do what is not done yet.

        Args:
            plan: What is asked for; its budgets may be empty: then they follow from what the policy uses on dev.
            say: Told what is being done, how much is done, and of how much.

        Returns:
            What came of it. An interruption loses what is under way and nothing else; calls to models are kept by the
            store.

        Raises:
            InputError: The folder holds another evaluation, or the policy is another team's.
        """
        states = PublicStates.of(self.samples.team, self.samples.tasks)
        for _, policy in self.policies:
            policy.check(states)
        result = Evaluated(plan)
        try:
            before = read_plan(self.folder)
            if not plan.budgets:
                plan = replace(plan, budgets=before.budgets if before else self._budgets(plan))
            result.plan = plan = agree(before, plan)
            write_json(self.folder / "plan.json", plan.document())
            fronts, policy = self._fronts(plan, say), self.policies[0][1]
            self._judge(plan, fronts, self.judged(), result, say)
            self._once(
                "learning", result, say, lambda: learning_curves(self.samples, policy, self.dev_items, plan, say)
            )
            self._once("margins", result, say, lambda: margins(self.samples, policy, self.dev, say))
        except BudgetEnded as ended:
            result.stopped = str(ended)
        except CallsFailed as failed:
            result.broken = str(failed)
        return result

    def _once(self, name: str, result: Evaluated, say: Say, make: Callable[[], Any]) -> None:
        """Write a file that is not there yet."""
        path = self.folder / f"{name}.json"
        if path.exists():
            return
        say(name, 0, 1)
        try:
            write_json(path, make())
        except (InputError, SolveError) as error:
            result.notes.append(f"{name}: {error}")

    def _budgets(self, plan: Plan) -> tuple[float, ...]:
        """Whole numbers of tokens that the cheapest policy fits in once, twice, four times.

        Raises:
            CallsFailed: Plays are missing: what they cost is not known, and budgets are fixed once and for all.
        """
        states, costs = PublicStates.of(self.samples.team, self.samples.tasks), list[float]()
        for _, policy in self.policies:
            outcomes = play_all(PolicyPlayer(states, policy.probabilities), self.dev_items, self.samples, plan.seed)
            _, tokens, missing = summarise(outcomes)
            if missing:
                why = next(outcome.failure.detail for outcome in outcomes if outcome.failure is not None)
                raise CallsFailed(f"{missing} plays on dev, which token budgets follow from, failed: {why}")
            costs.append(tokens)
        return tuple(float(math.ceil(factor * min(costs))) for factor in BUDGETS)

    def _fronts(self, plan: Plan, say: Say) -> dict[tuple[str, int], Front]:
        """Every method's settings, measured on dev with every seed."""
        lines, finished = self._settings, self._finished()
        known = {(document["method"], document["seed"]): document for document in lines.read()}
        fronts, total = dict[tuple[str, int], Front](), plan.seeds * len(self.methods)
        for seed in range(plan.seeds):
            for number, method in enumerate(self.methods):
                if (method.name, seed) in finished:
                    continue
                say(f"{method.name}, seed {seed + 1}, settings on dev", seed * len(self.methods) + number, total)
                first = 0 if method.trained_once else seed
                front = fronts.get((method.name, first))
                if front is None:
                    front = method.measure(self.dev_items, self.samples, plan.budgets[-1], plan.seed + first)
                fronts[method.name, seed] = front
                document = _front_document(front, seed, plan.budgets)
                if known.get((method.name, seed)) != document:  # a call that failed before may have come through
                    lines.add(document)
        return fronts

    @property
    def _settings(self) -> Lines:
        return Lines(self.folder / "settings.jsonl", "method", "seed", "chosen")

    def _finished(self) -> set[tuple[str, int]]:
        """Methods and seeds of which nothing is left to do."""
        done, found = read_records(self.folder), set[tuple[str, int]]()
        whole, kinds = {key for key, record in done.items() if not record.missing}, {key[-1] for key in done}
        latest = {(one["method"], one["seed"]): one for one in self._settings.read()}
        for (method, seed), document in latest.items():
            wanted = [number for number, chosen in enumerate(document["chosen"]) if chosen is not None]
            if not wanted or (kinds and all((method, n, seed, kind) in whole for n in wanted for kind in kinds)):
                found.add((method, seed))
        return found

    def _judge(
        self, plan: Plan, fronts: Mapping[tuple[str, int], Front], judged: Mapping[int, Sequence[Item]],
        result: Evaluated, say: Say,
    ) -> None:  # fmt: skip
        """Every method's plays of the questions that are judged."""
        done = read_records(self.folder)
        records, talks = (Lines(self.folder / name) for name in ("records.jsonl", "transcripts.jsonl"))
        total, count = plan.seeds * len(self.methods) * len(plan.budgets), 0
        for seed in range(plan.seeds):
            for method in self.methods:
                if (method.name, seed) not in fronts:
                    count += len(plan.budgets)
                    continue
                front, played = fronts[method.name, seed], dict[tuple[int, int], list[Outcome]]()
                for number, budget in enumerate(plan.budgets):
                    say(f"{method.name}, seed {seed + 1}, {budget:g} tokens", count, total)
                    count += 1
                    try:
                        best = front.within(budget)
                    except NothingFits:
                        continue
                    place = front.measured.index(best)
                    for kind, items in judged.items():
                        old = done.get((method.name, number, seed, kind))
                        if old is not None and not old.missing:
                            continue
                        if (place, kind) not in played:
                            outcomes = play_all(best.setting.player, items, self.samples, plan.seed + seed)
                            played[place, kind] = outcomes
                        outcomes = played[place, kind]
                        if not any(map(outcome_known, outcomes)):
                            task, name = plan.classes[kind]
                            why = outcomes[0].failure and outcomes[0].failure.detail
                            raise CallsFailed(f"every call about {task}/{name} failed: {why}")
                        result.missing += sum(not outcome_known(outcome) for outcome in outcomes)
                        failed = (outcome.failure.detail for outcome in outcomes if outcome.failure is not None)
                        result.why = result.why or next(failed, None)
                        record = Record.of(method.name, number, seed, kind, place, outcomes)
                        if not seed:
                            talks.add(self._talks(method, number, kind, outcomes))
                        records.add(record_document(record))

    def _talks(self, method: AbstractBaseline, budget: int, kind: int, outcomes: Sequence[Outcome]) -> dict[str, Any]:
        shown = outcomes if method.family == "ours" else outcomes[:SHOWN]
        plays = [transcript_of(self.samples, outcome) for outcome in shown]
        return {"method": method.name, "budget": budget, "kind": kind, "plays": plays}


def _front_document(front: Front, seed: int, budgets: Sequence[float]) -> dict[str, Any]:
    """A front as JSON has it, with what each budget picks."""
    chosen, why = list[int | None](), list[str | None]()
    for budget in budgets:
        try:
            chosen.append(front.measured.index(front.within(budget)))
            why.append(None)
        except NothingFits as error:
            chosen.append(None)
            why.append(str(error))
    return {
        "method": front.method,
        "seed": seed,
        "settings": [
            {"label": one.setting.label, "score": one.score, "tokens": one.tokens, "missing": one.missing}
            for one in front.measured
        ],
        "chosen": chosen,
        "why": why,
    }


def training(method: AbstractBaseline) -> tuple[int, str] | None:
    """How much a method is trained by play, in plays and in a word; None where it is not."""
    word = method.name.rpartition("_")[2]
    return {"small": (SMALL, word), "large": (LARGE, word)}.get(word)
