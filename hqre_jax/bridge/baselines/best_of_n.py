"""Best of N: several samples of one control; the team's verifier, or the model's own probability, says which is taken.

By verifier: Cobbe, Kosaraju, Bavarian, Chen et al., Training Verifiers to Solve Math Word Problems, 2021,
arXiv 2110.14168, where the verifier is a role of the team that is asked about each distinct answer.
By log-probability: Adiwardana, Luong, So et al., Towards a Human-like Open-Domain Chatbot, 2020, arXiv 2001.09977
("sample and rank"). Neither sees the task's own verdict.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hqre_jax.bridge.baselines._interface import AbstractBaseline, NothingFits, Setting
from hqre_jax.bridge.baselines._solvers import Solver, best_solvers, majority, quoted, sampled_solvers, solvers
from hqre_jax.bridge.coordination import AbstractPlayer, Ask, Course, Said, Samples, play_all
from hqre_jax.bridge.models import Message
from hqre_jax.bridge.tasks import Item

COUNTS = (3, 5)
# Solvers that the verifier's answers are paid for.
_MOST_SOLVERS = 2
_VERIFY = "You check answers. Say whether the answer to the question is right: reply with yes or no."
_VERDICT = re.compile(r"\b(yes|no)\b", re.IGNORECASE)


@dataclass(frozen=True)
class BestOfVerifier(AbstractBaseline):
    """The answer that the verifier says yes to; of several, and of none, the most frequent."""

    name: str = "best_of_n_verifier"
    paper = "Cobbe et al., Training Verifiers to Solve Math Word Problems, 2021, arXiv 2110.14168"
    family = "best-of-n"
    trained_once = True

    def settings(self, dev: Sequence[Item], samples: Samples, seed: int) -> Iterator[Setting]:
        """See `AbstractBaseline`."""
        verifier = _verifier(samples)
        for solver, one in best_solvers(sampled_solvers(samples), dev, samples, seed)[:_MOST_SOLVERS]:
            for count in COUNTS:
                label = f"best of {count} × {solver}, by {verifier.agent}"
                yield Setting(label, Verified(solver, count, verifier), count * one.tokens)


class Verified(AbstractPlayer):
    """Samples of one control; a verifier is asked once about each distinct answer."""

    def __init__(self, solver: Solver, count: int, verifier: Solver):
        self.solver, self.count, self.verifier = solver, count, verifier

    def play(self, item: Item, rng: np.random.Generator) -> Course:
        """See `AbstractPlayer`."""
        said = yield [self.solver.ask(f"candidate {k + 1} of {self.count}") for k in range(self.count)]
        answers = list(dict.fromkeys(one.answer for one in said if one.answer is not None))
        if len(answers) < 2:
            return majority(said)
        verdicts = yield [
            Ask(self.verifier.agent, self.verifier.choice, messages=_question(item, answer), why=f"is {answer} right?")
            for answer in answers
        ]
        right = [answer for answer, one in zip(answers, verdicts, strict=True) if _says_yes(one)]
        return majority([one for one in said if one.answer in right] or said)


def _question(item: Item, answer: str) -> tuple[Message, ...]:
    asked = f"Question: {item.question}\n\nAnswer: {quoted(answer)}\n\nIs the answer right? Reply with yes or no."
    return (Message("system", _VERIFY), Message("user", asked))


def _says_yes(said: Said) -> bool:
    found = _VERDICT.search(said.text)
    return found is not None and found[1].lower() == "yes"


def _verifier(samples: Samples) -> Solver:
    """The agent whose role is verifier; else the last one. It answers under its shortest control."""
    agents = samples.team.agents
    chosen = next((agent for agent in agents if agent.role.lower() == "verifier"), agents[-1])
    own = [solver for solver in solvers(samples) if solver.agent == samples.voice(chosen)]
    if not own:
        raise NothingFits(f"{chosen.name} has no control to check answers under")
    names = [choice.name for choice in chosen.choices]
    first = min(own, key=lambda solver: (chosen.choice(solver.choice).max_tokens or 0, names.index(solver.choice)))
    return Solver(chosen.name, first.choice, first.varies)


@dataclass(frozen=True)
class BestOfLogProbability(AbstractBaseline):
    """The reply that the model itself thinks likeliest, in all or per token."""

    name: str = "best_of_n_log_probability"
    paper = "Adiwardana et al., Towards a Human-like Open-Domain Chatbot, 2020, arXiv 2001.09977"
    family = "best-of-n"

    def settings(self, dev: Sequence[Item], samples: Samples, seed: int) -> Iterator[Setting]:
        """See `AbstractBaseline`."""
        for solver in sampled_solvers(samples):
            known = play_all(Likeliest(solver, 1, "total"), dev[:1], samples, seed)[0].trace
            if known and known[0].said[0].failure is None and known[0].said[0].log_probs is None:
                raise NothingFits(f"the model of {solver.agent} gives no log-probabilities")
            for count in COUNTS:
                for rank in ("per token", "total"):
                    yield Setting(f"likeliest ({rank}) of {count} × {solver}", Likeliest(solver, count, rank))


class Likeliest(AbstractPlayer):
    """Samples of one control; of those that hold an answer the likeliest."""

    def __init__(self, solver: Solver, count: int, rank: Literal["per token", "total"]):
        self.solver, self.count, self.rank = solver, count, rank

    def play(self, item: Item, rng: np.random.Generator) -> Course:
        """See `AbstractPlayer`."""
        said = yield [self.solver.ask(f"candidate {k + 1} of {self.count}") for k in range(self.count)]
        given = [one for one in said if one.answer is not None]
        return [max(given, key=self._likelihood)] if given else []

    def _likelihood(self, said: Said) -> float:
        if not said.log_probs:
            return -math.inf
        return math.fsum(said.log_probs) / (len(said.log_probs) if self.rank == "per token" else 1)


METHODS = (BestOfVerifier(), BestOfLogProbability())
