"""Debate: three agents answer, read each other's replies, and answer again; the most frequent answer at the end.

Du, Li, Torralba, Tenenbaum & Mordatch, Improving Factuality and Reasoning in Language Models through Multiagent Debate,
2023, arXiv 2305.14325: three agents, two rounds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hqre_jax.bridge.baselines._interface import AbstractBaseline, Setting
from hqre_jax.bridge.baselines._solvers import Solver, best_solvers, conversation, majority, quoted, sampled_solvers
from hqre_jax.bridge.coordination import AbstractPlayer, Ask, Course, Samples
from hqre_jax.bridge.models import Message
from hqre_jax.bridge.tasks import Item

AGENTS, ROUNDS = 3, 2
_MOST_SOLVERS = 2


@dataclass(frozen=True)
class Debate(AbstractBaseline):
    """Three agents of one voice and control, two rounds."""

    name: str = "debate"
    paper = "Du et al., Improving Factuality and Reasoning through Multiagent Debate, 2023, arXiv 2305.14325"
    family = "debate"
    trained_once = True

    def settings(self, dev: Sequence[Item], samples: Samples, seed: int) -> Iterator[Setting]:
        """See `AbstractBaseline`."""
        for solver, one in best_solvers(sampled_solvers(samples), dev, samples, seed)[:_MOST_SOLVERS]:
            least = AGENTS * ROUNDS * one.tokens  # later prompts hold the earlier ones
            yield Setting(f"{AGENTS} × {solver}, {ROUNDS} rounds", Debaters(samples, solver), least)


class Debaters(AbstractPlayer):
    """Each agent goes on with its own conversation; the others' replies are one turn of it."""

    def __init__(self, samples: Samples, solver: Solver, agents: int = AGENTS, rounds: int = ROUNDS):
        self.samples, self.solver, self.agents, self.rounds = samples, solver, agents, rounds

    def play(self, item: Item, rng: np.random.Generator) -> Course:
        """See `AbstractPlayer`."""
        said = yield [self.solver.ask(f"debater {k + 1}") for k in range(self.agents)]
        talks = [conversation(self.samples, item, self.solver)] * self.agents
        for number in range(1, self.rounds):
            talks = [
                (*talk, Message("assistant", said[k].text),
                 Message("user", _others(item, [one.text for j, one in enumerate(said) if j != k])))
                for k, talk in enumerate(talks)
            ]  # fmt: skip
            said = yield [
                Ask(self.solver.agent, self.solver.choice, messages=talk, is_answer=True,
                    why=f"debater {k + 1} has read the others, round {number + 1}")
                for k, talk in enumerate(talks)
            ]  # fmt: skip
        return majority(said)


def _others(item: Item, texts: Sequence[str]) -> str:
    shown = "\n".join(f"One agent's reply: {quoted(text)}" for text in texts)
    return (
        f"These are the replies of other agents to the question:\n{shown}\n\nUsing them as additional advice, give an "
        f"updated answer to the question: {item.question}"
    )


METHODS = (Debate(),)
