"""Mixture of agents: proposers answer, an aggregator reads all proposals and answers.

Wang, Wang, Athiwaratkun, Zhang & Zou, Mixture-of-Agents Enhances Large Language Model Capabilities, 2024,
arXiv 2406.04692.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hqre_jax.bridge.baselines._interface import AbstractBaseline, Setting
from hqre_jax.bridge.baselines._solvers import Solver, best_solvers, conversation, quoted, sampled_solvers
from hqre_jax.bridge.coordination import AbstractPlayer, Ask, Course, Samples
from hqre_jax.bridge.models import Message
from hqre_jax.bridge.tasks import Item

PROPOSERS = 3
_MOST_SOLVERS = 2


@dataclass(frozen=True)
class MixtureOfAgents(AbstractBaseline):
    """One layer of proposers, all of one control or of the best controls, and the best control as aggregator."""

    name: str = "mixture_of_agents"
    paper = "Wang et al., Mixture-of-Agents Enhances Large Language Model Capabilities, 2024, arXiv 2406.04692"
    family = "mixture"
    trained_once = True

    def settings(self, dev: Sequence[Item], samples: Samples, seed: int) -> Iterator[Setting]:
        """See `AbstractBaseline`."""
        best = best_solvers(sampled_solvers(samples), dev, samples, seed)[:_MOST_SOLVERS]
        for aggregator, one in best:
            label = f"{PROPOSERS} × {aggregator}, then {aggregator}"
            yield Setting(label, Mixture(samples, (aggregator,) * PROPOSERS, aggregator), (PROPOSERS + 1) * one.tokens)
        if len(best) > 1:
            mixed = tuple(best[k % len(best)] for k in range(PROPOSERS))
            names = " + ".join(str(solver) for solver, _ in mixed)
            least = sum(one.tokens for _, one in mixed) + best[0][1].tokens
            player = Mixture(samples, tuple(solver for solver, _ in mixed), best[0][0])
            yield Setting(f"{names}, then {best[0][0]}", player, least)


class Mixture(AbstractPlayer):
    """The aggregator is shown all proposals with the question; its answer is the team's."""

    def __init__(self, samples: Samples, proposers: tuple[Solver, ...], aggregator: Solver):
        self.samples, self.proposers, self.aggregator = samples, proposers, aggregator

    def play(self, item: Item, rng: np.random.Generator) -> Course:
        """See `AbstractPlayer`."""
        said = yield [solver.ask(f"proposer {k + 1}") for k, solver in enumerate(self.proposers)]
        *opening, question = conversation(self.samples, item, self.aggregator)
        shown = "\n".join(f"{k}. {quoted(one.text)}" for k, one in enumerate(said, 1))
        asked = (
            f"{question.content}\n\nYou have been provided with replies of other models. Some of them may be wrong; "
            f"judge them, and give your own, refined answer.\n{shown}"
        )
        messages = (*opening, Message("user", asked))
        last = Ask(self.aggregator.agent, self.aggregator.choice, messages=messages, is_answer=True, why="aggregator")
        answer = yield [last]
        return answer


METHODS = (MixtureOfAgents(),)
