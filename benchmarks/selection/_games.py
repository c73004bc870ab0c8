"""The games: what they are made of, and every outcome that the recorded replies give them."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

import hqre_jax as hq
from hqre_jax.bridge.coordination import Ask, PublicStates, Samples
from hqre_jax.bridge.coordination._counterfactuals import begin, evaluate, hear
from hqre_jax.bridge.coordination._game import REPLICATES
from hqre_jax.bridge.coordination._replies import Replies
from hqre_jax.bridge.coordination._worth import profile_chances
from hqre_jax.bridge.models import AbstractModel
from hqre_jax.bridge.tasks import Item
from hqre_jax.bridge.team import Choice, Team, TeamTask, TokenPrice
from hqre_jax.core._types import Labels

Policy = Float[np.ndarray, "agent choice"]
Record = Mapping[str, np.ndarray]
# What a file keeps of a game's outcomes, and as what it is computed with.
_FIELDS = {"mask": bool, "scores": float, "prompt": int, "completion": int, "question": int, "price": float,
           "wanted": int}  # fmt: skip
# Questions without which there is no game.
LEAST = 30
# Recorded on dev, where it was the best control of no class, and left out of the published table's menu.
_DIRECT = Choice("direct", "direct", temperature=0.7, max_tokens=24, part=None)


@dataclass(frozen=True)
class Setting:
    """A game of one round about one class of questions.

    Attributes:
        name: What it is called.
        task: Name of the task.
        task_class: Name of the class.
        menus: For each agent its menu: names of entries of the team's, or "direct".
        prices: For each agent the factor on the team's price of a token.
        about: One sentence.
    """

    name: str
    task: str
    task_class: str
    menus: tuple[tuple[str, ...], ...]
    prices: tuple[float, ...]
    about: str

    def team(self, team: Team) -> Team:
        """The team that plays it, its menu and price being those of another team's first agent."""
        whole = team.agents[0]
        agents = tuple(
            replace(
                whole,
                name=f"agent {k + 1}",
                choices=tuple(_DIRECT if name == _DIRECT.name else whole.choice(name) for name in menu),
                price=TokenPrice(*(factor * one for one in vars(whole.price).values())),
            )
            for k, (menu, factor) in enumerate(zip(self.menus, self.prices, strict=True))
        )
        tasks = (TeamTask(self.task, (self.task_class,)),)
        return replace(team, title=self.name, rounds=1, sees=("class",), stops=(), tasks=tasks, agents=agents)


# Factor on the team's price at which an answer costs about a quarter of what the best control scores: one is worth it,
# two are not.
_DEAR = 8.0
_ANSWER = ("abstain", "two_examples")
_PARTS = {"order": ("fetch", "cook"), "package": ("first_half", "second_half")}
SETTINGS = (
    Setting("who_answers", "arithmetic", "sum", (_ANSWER, _ANSWER), (_DEAR, _DEAR),
            "own costs: each of two agents answers or abstains"),
    Setting("who_answers_unequal", "arithmetic", "sum", (_ANSWER, _ANSWER), (_DEAR, 1.5 * _DEAR),
            "the same, the second agent's tokens being dearer by half"),
    Setting("who_answers_cheap", "arithmetic", "sum", (_ANSWER, _ANSWER), (1.0, 1.0),
            "the same at the team's own price: an answer too many costs hardly anything"),
    Setting("menus", "arithmetic", "sum", (("abstain", "direct", "answers_only", "two_examples"), _ANSWER),
            (_DEAR, _DEAR), "own costs and roles with other menus: the first agent has two poor controls besides"),
    Setting("order", "cooking", "order", (_PARTS["order"],) * 2, (1.0, 1.0),
            "divided questions: each of two agents fetches or cooks, at the team's own price"),
    Setting("generalist", "cooking", "order", (_PARTS["order"], ("abstain", "fetch"), ("abstain", "cook")),
            (1.0,) * 3,
            "divided questions at the team's own price: one agent fetches or cooks, two do one of it or abstain"),
    Setting("package", "negotiation", "package", (_PARTS["package"],) * 2, (1.0, 1.0),
            "divided questions: each of two agents takes the first or the second half, at the team's own price"),
)  # fmt: skip


@dataclass(frozen=True)
class Recorded:
    """All outcomes of a game: what every joint profile would have done in every recorded play.

    Attributes:
        setting: The game.
        mask: Valid choices.
        scores: Of the team's answer, the first agent's choice changing slowest among profiles.
        prompt: Tokens of the prompt that an agent pays for.
        completion: Tokens of its reply.
        question: Number of the question.
        price: Of the team, units of score for 1,000 tokens: of prompts, of replies.
        wanted: How many questions are to be recorded.
    """

    setting: Setting
    mask: Bool[np.ndarray, "agent choice"]
    scores: Float[np.ndarray, "play profile"]
    prompt: Int[np.ndarray, "play agent choice"]
    completion: Int[np.ndarray, "play agent choice"]
    question: Int[np.ndarray, " play"]
    price: tuple[float, float]
    wanted: int

    @classmethod
    def from_record(cls, setting: Setting, record: Record) -> "Recorded | None":
        """The outcomes as `to_record` wrote them; None where there are none."""
        if f"{setting.name}:scores" not in record:
            return None
        found = {name: record[f"{setting.name}:{name}"] for name in _FIELDS}
        price, wanted = tuple(found.pop("price").tolist()), int(found.pop("wanted"))
        arrays = {name: array.astype(_FIELDS[name]) for name, array in found.items()}
        return cls(setting, **arrays, price=price, wanted=wanted)

    @property
    def questions(self) -> int:
        """How many questions there are."""
        return int(self.question.max()) + 1

    def to_record(self) -> dict[str, np.ndarray]:
        """The outcomes as arrays, for a file."""
        return {f"{self.setting.name}:{name}": np.asarray(getattr(self, name)) for name in _FIELDS}

    @cached_property
    def costs(self) -> Float[np.ndarray, "play agent choice"]:
        """What agents pay, units of score."""
        factor = np.array(self.setting.prices)[:, None] / 1000
        return factor * (self.price[0] * self.prompt + self.price[1] * self.completion)

    @cached_property
    def profiles(self) -> Int[np.ndarray, "profile agent"]:
        """All joint profiles, those outside of the menus included."""
        agents, choices = self.mask.shape
        return np.array(list(itertools.product(range(choices), repeat=agents)))

    @cached_property
    def score(self) -> Float[np.ndarray, " profile"]:
        """Mean score of each joint profile."""
        return self.scores.mean(0)

    @cached_property
    def game(self) -> hq.NormalFormGame:
        """The empirical game: mean payoffs over all recorded plays."""
        return self.estimated(np.ones(len(self.scores)))

    def estimated(self, times: Float[np.ndarray, " play"]) -> hq.NormalFormGame:
        """The empirical game of other plays: each so many times."""
        return self.of_means(np.average(self.scores, 0, times), np.average(self.costs, 0, times))

    def of_means(
        self, score: Float[np.ndarray, " profile"], cost: Float[np.ndarray, "agent choice"]
    ) -> hq.NormalFormGame:
        """The game with these menus, of mean scores and mean costs."""
        agents, choices = self.mask.shape
        payoffs = score - cost[np.arange(agents), self.profiles].T
        labels = Labels(title=self.setting.name, actions=tuple((menu,) for menu in self.setting.menus))
        shape = agents, *(choices,) * agents
        return hq.NormalFormGame(payoffs.reshape(shape), action_mask=self.mask[:, None], labels=labels)

    def pay(self, plays: Int[np.ndarray, " played"], choices: Int[np.ndarray, "played agent"]) -> tuple[Any, Any]:
        """What recorded plays come to when these choices are made.

        Returns:
            Scores ``(played,)`` and what each agent is paid ``(played, agent)``.
        """
        profile = np.ravel_multi_index(tuple(choices.T), (self.mask.shape[1],) * len(self.mask))
        score = self.scores[plays, profile]
        return score, score[:, None] - self.costs[plays[:, None], np.arange(len(self.mask)), choices]

    def right(self, policies: Float[np.ndarray, "*run agent choice"]) -> Float[np.ndarray, "*run"]:
        """P(right): expected score."""
        return _chances(policies) @ self.score

    def tokens(self, policies: Float[np.ndarray, "*run agent choice"]) -> Float[np.ndarray, "*run"]:
        """Expected tokens of a play, prompts and replies of all agents together."""
        return np.sum(policies * (self.prompt + self.completion).mean(0), axis=(-2, -1))

    def utility(self, policies: Float[np.ndarray, "*run agent choice"]) -> Float[np.ndarray, "*run"]:
        """Expected score less what all agents pay."""
        return self.right(policies) - np.sum(policies * self.costs.mean(0), axis=(-2, -1))

    def regret(self, policies: Float[np.ndarray, "*run agent choice"]) -> Float[np.ndarray, "*run agent"]:
        """What each agent's best response would gain, without entropy, units of score."""
        values = self.values(policies)
        best = np.where(self.mask, values, -np.inf).max(-1)
        return best - np.sum(policies * values, axis=-1)

    def values(self, policies: Float[np.ndarray, "*run agent choice"]) -> Float[np.ndarray, "*run agent choice"]:
        """Payoff of every choice against what the others play."""
        agents, paid = range(len(self.mask)), np.asarray(self.game.payoffs)
        names = "abcdefgh"[: len(agents)]
        found = []
        for i in agents:
            others = [j for j in agents if j != i]
            terms = ",".join([names, *(f"...{names[j]}" for j in others)])
            found.append(np.einsum(f"{terms}->...{names[i]}", paid[i], *(policies[..., j, :] for j in others)))
        return np.stack(found, axis=-2)

    @cached_property
    def conventions(self) -> Int[np.ndarray, "convention agent"]:
        """The strict equilibria in pure strategies of the empirical game."""
        pure = np.eye(self.mask.shape[1])[self.profiles]
        valid = self.mask[np.arange(len(self.mask)), self.profiles].all(1)
        values = np.where(self.mask, self.values(pure), -np.inf)
        own = np.take_along_axis(values, self.profiles[..., None], -1)
        others = np.where(pure > 0, -np.inf, values).max(-1, keepdims=True)
        return self.profiles[valid & (own > others + 1e-9).all((1, 2))]

    def named(self, profile: Sequence[int]) -> str:
        """A joint profile in words."""
        return ", ".join(menu[k] for menu, k in zip(self.setting.menus, profile, strict=True))


def _chances(policies: Float[np.ndarray, "*run agent choice"]) -> Float[np.ndarray, "*run profile"]:
    flat = policies.reshape(-1, *policies.shape[-2:])
    return profile_chances(np.moveaxis(flat, 0, 1)).reshape(*policies.shape[:-2], -1)


def read_outcomes(setting: Setting, team: Team, model: AbstractModel, seed: int) -> Recorded | None:
    """Put a game's outcomes together from recorded replies.

    Args:
        setting: The game.
        team: The team whose samples are recorded.
        model: The recording.
        seed: Of the samples.

    Returns:
        The outcomes of the first questions, as far as all their replies are there; None where that are fewer than
        `LEAST`, or than are wanted at all.
    """
    own = setting.team(team)
    samples = Samples(own, {agent.model: model for agent in own.agents}, seed=seed)
    states = PublicStates.of(own, samples.tasks)
    wanted = states.items("dev", samples.tasks)[0]
    usage = _usage(samples, wanted)
    items = wanted[: usage.shape[2]]
    if len(items) < min(LEAST, len(wanted)):
        return None
    parts = [_outcomes(samples, states, items, usage, order, seed) for order in _alike(setting)]
    scores, *counted = (np.concatenate(part) for part in zip(*parts, strict=True))
    prompt, completion, question = (array.astype(np.uint16) for array in counted)
    price = team.agents[0].price
    mask, prices = states.mask[:, 0], (price.prompt, price.completion)
    return Recorded(setting, mask, scores.astype(np.float32), prompt, completion, question, prices, len(wanted))


def _alike(setting: Setting) -> list[tuple[int, ...]]:
    """The orders of the agents that leave their menus where they are."""
    menus = setting.menus
    return [order for order in itertools.permutations(range(len(menus))) if all(
        menus[i] == menus[j] for i, j in enumerate(order))]  # fmt: skip


def _outcomes(
    samples: Samples, states: PublicStates, items: Sequence[Item],
    usage: Int[np.ndarray, "agent choice question sample kind"], order: tuple[int, ...], seed: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Scores, tokens of prompts and of replies, numbers of questions, where agents draw each other's samples.

    Agents with one voice and one menu could have drawn each other's samples: all orders together make a game that is as
    symmetric as the truth, whatever chance gave to whom.
    """
    replies = Replies.read(samples, states, 0, items)
    histories = begin(replies, REPLICATES, seed)
    histories = replace(histories, order=histories.order[:, list(order)])
    outcomes = evaluate(replies, histories, hear(replies, histories, 0), 0)
    assert outcomes.known.all(), "every sample has an answer or none, and is there"
    agents, choices = np.indices(usage.shape[:2])
    used = usage[agents, choices, histories.question[:, None, None], histories.order[..., 0]]
    return outcomes.rise, used[..., 0], used[..., 1], histories.question


def _usage(samples: Samples, items: Sequence[Item]) -> Int[np.ndarray, "agent choice question sample kind"]:
    """Tokens of prompt and reply of every sample, up to the first question of which one is missing."""
    agents, width = samples.team.agents, max(len(agent.choices) for agent in samples.team.agents)
    found = np.zeros((len(agents), width, len(items), samples.size, 2), int)
    for q, item in enumerate(items):
        for i, agent in enumerate(agents):
            for k, choice in enumerate(agent.choices):
                said = samples.get([(item, Ask(agent.name, choice.name), m) for m in range(samples.size)])
                counts = [(one.said.usage.prompt, one.said.usage.completion) for one in said if one.said.usage]
                if len(counts) < len(said):
                    return found[:, :, :q]
                found[i, k, q] = counts
    return found
