"""What the protocol asks and what that costs, before anything is asked."""

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmarks.llm._protocol import Protocol
from hqre_jax.bridge.baselines import (
    best_of_n,
    class_blind_examples,
    debate,
    find_methods,
    mixture_of_agents,
    reconcile,
)
from hqre_jax.bridge.baselines._solvers import Solver, solvers
from hqre_jax.bridge.controls import find_control
from hqre_jax.bridge.coordination import PublicStates, Samples, load_tasks
from hqre_jax.bridge.coordination._collect import BATCH, cells
from hqre_jax.bridge.models import Request
from hqre_jax.bridge.tasks import Item

# Of the embedded model on two idle cores, thirty-two calls at a time; tokens a second.
PROMPT_RATE, COMPLETION_RATE = 900.0, 350.0
# Characters of a prompt that make a token, tokens that a message takes besides; within a tenth of what was recorded in
# benchmarks/language_models. Replies have more digits, and digits are tokens.
_CHARACTERS, _HEADER, _REPLY_CHARACTERS = 4.0, 9.0, 2.0
# Words of a method's own prompt around question and replies; a yes, a no, or a number.
_AROUND, _WORD = 40.0, 4.0
# Questions that the lengths of a class are looked up from.
_LOOKED_AT = 8


@dataclass(frozen=True)
class Cost:
    """What one part costs.

    Attributes:
        split: Of the questions.
        what: The part, in words.
        calls: Calls, at most.
        prompt: Tokens of prompts that are computed: what the prompts of a batch begin with is computed once.
        completion: Tokens generated, at most.
    """

    split: str
    what: str
    calls: float
    prompt: float
    completion: float

    @property
    def hours(self) -> float:
        """On two idle cores."""
        return (self.prompt / PROMPT_RATE + self.completion / COMPLETION_RATE) / 3600


@dataclass(frozen=True)
class _Own:
    """Calls of a method with prompts of its own, for one question and setting, at most.

    Attributes:
        settings: How many it tries on dev.
        before: Ordinary answers that are asked for first.
        fewest: Calls where those do not all agree, at least.
        calls: The same at most.
        questions: How often a prompt holds the question.
        replies: How often it holds a reply.
        says: Whether the calls' replies are answers; else they are a word.
        examples: Worked examples of each class that a prompt begins with.
        controls: Of so many controls it asks about every sample once, whichever plays draw it; None where what it asks
            depends on several replies.
    """

    settings: int
    before: int
    fewest: int
    calls: int
    questions: int = 1
    replies: int = 0
    says: bool = True
    examples: int = 0
    controls: int | None = None


_SOLVERS, _COUNTS = best_of_n._MOST_SOLVERS, best_of_n.COUNTS
_DEBATED = debate.AGENTS * (debate.ROUNDS - 1)
# The methods whose prompts hold what was said before, so that no other method's sample will do.
OWN: Mapping[str, _Own] = {
    "best_of_n_verifier": _Own(
        _SOLVERS * len(_COUNTS), min(_COUNTS), 2, max(_COUNTS), 1, 1, says=False, controls=_SOLVERS
    ),
    "debate": _Own(debate._MOST_SOLVERS, debate.AGENTS, _DEBATED, _DEBATED, 2, debate.AGENTS),
    "mixture_of_agents": _Own(
        mixture_of_agents._MOST_SOLVERS + 1, mixture_of_agents.PROPOSERS, 1, 1, 1, mixture_of_agents.PROPOSERS
    ),
    "reconcile": _Own(2, reconcile.AGENTS, 2, reconcile.AGENTS, 1, 1, says=False, controls=reconcile.AGENTS),
    "class_blind_examples": _Own(len(class_blind_examples.COUNTS), 0, 1, 1, examples=min(class_blind_examples.COUNTS)),
}


def costs(protocol: Protocol) -> list[Cost]:
    """Every part: the pools of samples, then the methods with prompts of their own.

    A method may keep another setting under every budget that it fits in: so many are counted. That samples of one
    question have equal words, and that methods with unanimous ones need no further call, is not counted on; with
    unanimous replies a setting may fit a smaller budget, too, but then it makes as few calls as that budget is small.
    """
    found = list[Cost]()
    samples = Samples(protocol.team, {}, load_tasks(protocol.team, protocol.team_path.parent), seed=protocol.seed)
    states = PublicStates.of(protocol.team, samples.tasks)
    sizes = {"dev": protocol.team.questions, "test": protocol.questions}
    # Lengths come from dev, whatever the split: the test questions stay closed.
    shown = states.items("dev", samples.tasks, _LOOKED_AT)
    questions = [statistics.mean(_tokens(item.question) for item in items) for items in shown.values()]
    replies = [statistics.mean(_reply(item) for item in items) for items in shown.values()]
    cheapest = min(_whole(samples, shown, solver) for solver in solvers(samples))
    for split, size in sizes.items():
        parts = list(_pools(samples, states, shown, size))
        found.append(Cost(split, f"samples, {protocol.team.samples} of each question and control",
                          *(sum(part) for part in zip(*parts, strict=True))))  # fmt: skip
    for split, size in sizes.items():
        for method in find_methods(protocol.baselines):
            own = OWN.get(method.name)
            if own is not None:
                least = _least(own, cheapest, questions, replies)
                kept = sum(budget >= least for budget in protocol.token_budgets)
                tried = own.settings if split == "dev" else min(own.settings, kept)
                calls = size * tried * (1 if split == "dev" else protocol.seeds) * own.calls
                if own.controls is not None:
                    calls = min(calls, size * own.controls * protocol.team.samples)
                found.append(_own_cost(split, f"{method.name}, {tried} settings", own, calls, questions, replies))
    return found


def _pools(
    samples: Samples, states: PublicStates, shown: Mapping[int, list[Item]], size: int
) -> Iterator[tuple[float, float, float]]:
    """Calls and tokens of every class and control: the first sample's prompts stand for all of them."""
    samples.size = 1
    for _, wanted in cells(samples, states, shown):
        ask = wanted[0][1]
        choice = samples.team.agent(ask.agent).choice(ask.choice)
        requests = [request for item, ask, index in wanted if (request := samples.request(item, ask, index))]
        times = size * (samples.team.samples if samples.varies(choice) else 1)
        fresh = statistics.mean(_tokens(request.messages[-1].content) for request in requests)
        begun = sum(_tokens(message.content) for message in requests[0].messages[:-1])
        asked = [samples.asked(item, choice) for item, _, _ in wanted]
        said = statistics.mean(_said(samples, one, choice.control, requests[0]) for one in asked)
        yield times, times * (fresh + begun / min(BATCH, size)), times * said


def _said(samples: Samples, item: Item, name: str, request: Request) -> float:
    """Tokens of a reply: as the examples have it; without examples, as many as it may."""
    control, most = find_control(name), float(request.controls.max_tokens)
    if not control.num_examples:
        return most
    return min(_reply(item) if control.with_solutions else _reply_tokens(item.answer or ""), most)


def _whole(samples: Samples, shown: Mapping[int, list[Item]], solver: Solver) -> float:
    """Tokens of an answer, its whole prompt counted; classes weigh alike."""
    control = samples.team.agent(solver.agent).choice(solver.choice).control
    found = list[float]()
    for items in shown.values():
        requests = [samples.request(item, solver.ask(), 0) for item in items]
        found += [
            sum(_tokens(message.content) for message in request.messages) + _said(samples, item, control, request)
            for item, request in zip(items, requests, strict=True)
            if request is not None
        ]
    return statistics.mean(found)


def _least(own: _Own, cheapest: float, questions: list[float], replies: list[float]) -> float:
    """Tokens a question of the method's cheapest setting, where its first replies do not all agree."""
    shown = own.examples * sum(q + r + _HEADER for q, r in zip(questions, replies, strict=True))
    one = statistics.mean(map(sum, zip(*_own_tokens(own, questions, replies), strict=True)))
    return own.before * cheapest + shown + own.fewest * one


def _own_tokens(own: _Own, questions: list[float], replies: list[float]) -> tuple[list[float], list[float]]:
    """Tokens of a call's prompt and reply, in each class."""
    prompt = [own.questions * q + own.replies * r + _AROUND for q, r in zip(questions, replies, strict=True)]
    return prompt, [r if own.says else _WORD for r in replies]


def _own_cost(split: str, what: str, own: _Own, calls: int, questions: list[float], replies: list[float]) -> Cost:
    prompt, completion = (calls * sum(part) for part in _own_tokens(own, questions, replies))
    return Cost(split, what, float(len(questions) * calls), prompt, completion)


def _reply(item: Item) -> float:
    return _reply_tokens(item.solution or item.answer or "")


def _reply_tokens(text: str) -> float:
    return len(text) / _REPLY_CHARACTERS + 1


def _tokens(text: str) -> float:
    return len(text) / _CHARACTERS + _HEADER


def described(protocol: Protocol, parts: list[Cost]) -> str:
    """The plan in words: what is asked, and what it costs."""
    team = protocol.team
    budgets = ", ".join(f"{one:g}" for one in protocol.token_budgets)
    sums = (sum(getattr(one, name) for one in parts) for name in ("calls", "prompt", "completion"))
    total = Cost("", "all of it", *sums)
    rows = [
        f"{one.split:5}{one.what:44}{one.calls:10,.0f}{one.prompt:15,.0f}{one.completion:12,.0f}{one.hours:7.2f}"
        for one in (*parts, total)
    ]
    verdict = "within" if total.hours <= protocol.hours else "MORE THAN"
    lines = [
        f"{team.title}: {len(team.agents)} agents, {team.rounds} rounds; of each class {team.questions} questions",
        f"of dev and {protocol.questions} of test; {protocol.seeds} seeds; budgets of {budgets} tokens a question; "
        f"{len(protocol.baselines)} baselines.",
        f"Digest of the protocol: {protocol.digest}",
        "",
        f"{'':5}{'at most':44}{'calls':>10}{'prompt tokens':>15}{'completion':>12}{'hours':>7}",
        *rows,
        "",
        f"Hours of two idle cores at {PROMPT_RATE:g} prompt and {COMPLETION_RATE:g} completion tokens a second:",
        f"{verdict} the {protocol.hours:g} of the protocol. Nothing was asked.",
    ]
    return "\n".join(lines) + "\n"
