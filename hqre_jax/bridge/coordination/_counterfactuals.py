"""What every joint profile would have done in every public state, from one store of samples.

Given the question, controls that do not read the stream act independently: so the votes of any joint profile are put
together from samples that were taken of each agent and control by itself, each used at most once in a play. The first
round needs nothing else, and its estimate is unbiased for every profile. A later round is met by *histories*: plays of
the rounds before whose choices a known law drew, in each of which again every profile is evaluated; controls that read
the stream are sampled for the stream of the history. Under another law the same histories have other weights.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from hqre_jax.bridge.controls import find_control
from hqre_jax.bridge.coordination._replies import MISSING, NO_ANSWER, Replies, generator, price
from hqre_jax.bridge.coordination._samples import Ask, Samples
from hqre_jax.bridge.coordination._votes import AGREED, NONE, agreement
from hqre_jax.bridge.models import Failure

# Votes that are compared with each other at once: bounds memory.
_CHUNK = 4_000_000

Law = Float[np.ndarray, "agent state choice"]


@dataclass(frozen=True)
class Histories:
    """Plays up to the beginning of a round.

    Attributes:
        question: Number of the question.
        weight: Of the history, less the law of its choices.
        states: The public states it went through, ``(history, round)``.
        choices: What was chosen there, ``(history, round, agent)``.
        votes: ``(history, vote)``; `MISSING` is never among them.
        slots: What they answer.
        value: Score of the team's answer so far.
        agreement: How far the team agrees.
        stream: What was said.
        order: Which samples it uses, ``(history, agent, choice, round)``.
    """

    question: Int[np.ndarray, " history"]
    weight: Float[np.ndarray, " history"]
    states: Int[np.ndarray, "history round"]
    choices: Int[np.ndarray, "history round agent"]
    votes: Int[np.ndarray, "history vote"]
    slots: Int[np.ndarray, "history vote"]
    value: Float[np.ndarray, " history"]
    agreement: Int[np.ndarray, " history"]
    stream: tuple[tuple[str, ...], ...]
    order: Int[np.ndarray, "history agent choice later"]

    def weights(self, law: Law, drawn: Law) -> Float[np.ndarray, " history"]:
        """Weights under a law of choices where the choices were drawn by another."""
        agents = np.arange(law.shape[0])
        ratio = np.where(drawn > 0, law / np.where(drawn > 0, drawn, 1.0), 0.0)
        return self.weight * ratio[agents, self.states[..., None], self.choices].prod(axis=(1, 2))


@dataclass(frozen=True)
class Heard:
    """A round of all histories: what every agent would say under every choice.

    Attributes:
        votes: ``(history, agent, choice)``; `MISSING` where unknown.
        costs: What it pays, same shape, units of score; not a number where unknown.
        texts: What it says, same shape.
        failures: Calls that were made for this round and failed.
    """

    votes: Int[np.ndarray, "history agent choice"]
    costs: Float[np.ndarray, "history agent choice"]
    texts: np.ndarray
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True)
class Outcomes:
    """What every joint profile does in a round of every history.

    Attributes:
        state: Public state in which the round is played.
        rise: What the score of the team's answer rises by, ``(history, profile)``.
        target: The next public state; −1 where the play ends.
        known: Whether no sample of the profile is missing.
    """

    state: Int[np.ndarray, " history"]
    rise: Float[np.ndarray, "history profile"]
    target: Int[np.ndarray, "history profile"]
    known: Bool[np.ndarray, "history profile"]


def begin(replies: Replies, replicates: int, seed: int) -> Histories:
    """The beginnings of plays: every question, several times over, each with samples of its own.

    Args:
        replies: The replies.
        replicates: Beginnings of each question.
        seed: Of the order in which samples are used.
    """
    team, questions = replies.samples.team, len(replies.answers)
    agents, choices = replies.slots.shape
    order = np.zeros((questions, replicates, agents, choices, team.rounds), int)
    for q, one in enumerate(replies.answers):
        rng = generator(seed, one.item)
        for members in pools(replies.samples):
            # Agents of one voice share a pool: none of its samples is used twice in a play.
            drawn = rng.random((replicates, replies.votes.shape[-1])).argsort(axis=1)
            for place, (i, k) in enumerate(members):
                order[q, :, i, k] = drawn[:, place * team.rounds : (place + 1) * team.rounds]
    n = questions * replicates
    empty = np.zeros((n, 0), int)
    return Histories(
        np.repeat(np.arange(questions), replicates), np.full(n, 1 / replicates), empty, np.zeros((n, 0, agents), int),
        empty, empty, np.zeros(n), np.full(n, NONE), ((),) * n, order.reshape(n, *order.shape[2:]),
    )  # fmt: skip


def pools(samples: Samples) -> list[list[tuple[int, int]]]:
    """Agents and choices that draw from one pool of samples that differ, pool by pool."""
    found = dict[tuple[str, str], list[tuple[int, int]]]()
    for i, agent in enumerate(samples.team.agents):
        for k, choice in enumerate(agent.choices):
            if samples.varies(choice) and not find_control(choice.control).reads_stream:
                found.setdefault((samples.voice(agent), choice.name), []).append((i, k))
    return list(found.values())


def needed(samples: Samples) -> int:
    """How many samples of a control a play may need: one for each agent of a voice and round.

    Args:
        samples: The sample pool.

    Returns:
        The number; 0 where no control's samples differ.

    Example:
        >>> import tomllib
        >>> from hqre_jax.bridge.coordination import Samples, needed
        >>> from hqre_jax.bridge.models import from_python
        >>> from hqre_jax.bridge.team import default_team, read_team
        >>> team = read_team(tomllib.loads(default_team()))
        >>> parrot = from_python(lambda request: "The answer is 10.", "parrot")
        >>> len(team.agents), team.rounds, needed(Samples(team, {"smollm2-135m": parrot}))
        (3, 2, 6)
    """
    return samples.team.rounds * max(map(len, pools(samples)), default=0)


def hear(replies: Replies, histories: Histories, number: int) -> Heard:
    """What all agents would say in a round, under every choice that they have.

    Args:
        replies: The replies.
        histories: Plays up to the round.
        number: Of the round, from 0 on.
    """
    samples, team, states = replies.samples, replies.samples.team, replies.states
    shape = len(histories.question), *replies.slots.shape
    votes, costs, texts = np.full(shape, NO_ANSWER), np.zeros(shape), np.full(shape, "", object)
    x = states.table[replies.task_class, number, histories.agreement]
    wanted, places = [], []
    for i, agent in enumerate(team.agents):
        twin = sum(samples.voice(other) == samples.voice(agent) for other in team.agents[:i])
        for k, choice in enumerate(agent.choices):
            if find_control(choice.control).reads_stream:
                for h in np.flatnonzero(states.mask[i, x, k]):
                    ask = Ask(agent.name, choice.name, histories.stream[h])
                    wanted.append((replies.answers[histories.question[h]].item, ask, twin))
                    places.append((h, i, k))
            else:
                cells = i, k, histories.question, histories.order[:, i, k, number]
                for here, there in ((votes, replies.votes), (costs, replies.costs), (texts, replies.texts)):
                    here[:, i, k] = there[cells]
    heard = samples.get(wanted)
    for (h, i, k), found in zip(places, heard, strict=True):
        votes[h, i, k] = replies.answers[histories.question[h]].number(found, int(replies.slots[i, k]))
        costs[h, i, k], texts[h, i, k] = price(team.agents[i], found), found.said.text
    return Heard(votes, costs, texts, tuple(one.said.failure for one in heard if one.said.failure is not None))


def evaluate(replies: Replies, histories: Histories, heard: Heard, number: int) -> Outcomes:
    """What every joint profile does in a round.

    Args:
        replies: The replies.
        histories: Plays up to the round.
        heard: What would be said in it.
        number: Of the round, from 0 on.
    """
    team, table = replies.samples.team, replies.states.table
    agents, choices = replies.slots.shape
    profiles = joint_profiles(agents, choices)
    shape = len(histories.question), len(profiles)
    rise, target, known = np.zeros(shape), np.full(shape, -1), np.zeros(shape, bool)
    step = max(1, _CHUNK // (len(profiles) * (histories.votes.shape[1] + agents) ** 2))
    for start in range(0, shape[0], step):
        part = np.arange(start, min(start + step, shape[0]))
        votes, slots = _joined(replies, histories, heard, part, profiles)
        known[part] = (votes != MISSING).all(-1)
        flat = np.maximum(votes, NO_ANSWER).reshape(-1, votes.shape[-1]), slots.reshape(-1, slots.shape[-1])
        about = np.repeat(histories.question[part], len(profiles))
        now = replies.scores(about, *flat).reshape(len(part), -1)
        rise[part] = now - histories.value[part, None]
        if number + 1 < team.rounds:
            after = agreement(*flat, replies.num_slots).reshape(len(part), -1)
            over = _over(replies, after, votes[..., -agents:])
            target[part] = np.where(over, -1, table[replies.task_class, number + 1, after])
    return Outcomes(table[replies.task_class, number, histories.agreement], rise, target, known)


def joint_profiles(agents: int, choices: int) -> Int[np.ndarray, "profile agent"]:
    """All joint profiles, the first agent's choice changing slowest."""
    return np.array(list(itertools.product(range(choices), repeat=agents)))


def _joined(
    replies: Replies, histories: Histories, heard: Heard, part: Int[np.ndarray, " history"],
    profiles: Int[np.ndarray, "profile agent"],
) -> tuple[Int[np.ndarray, "history profile vote"], Int[np.ndarray, "history profile vote"]]:  # fmt: skip
    """The votes after a round, for each history and profile, and what they answer."""
    agents = np.arange(profiles.shape[1])
    new = heard.votes[part][:, agents, profiles]
    fresh = np.broadcast_to(replies.slots[agents, profiles], new.shape)
    wide = (len(part), len(profiles), histories.votes.shape[1])
    old, about = (np.broadcast_to(array[part][:, None], wide) for array in (histories.votes, histories.slots))
    return np.concatenate([old, new], axis=-1), np.concatenate([about, fresh], axis=-1)


def _over(replies: Replies, after: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Whether a play ends here, before its last round: the team file says what ends it."""
    stops = replies.samples.team.stops
    agreed, silent = after == AGREED, (new == NO_ANSWER).all(-1)
    return (agreed & ("agreed" in stops)) | (silent & ("silent" in stops))


def go_on(
    replies: Replies, histories: Histories, heard: Heard, number: int, law: Law, per_question: int, seed: int
) -> Histories:
    """The histories of the next round: of each question some plays, whose choices a law draws.

    Args:
        replies: The replies.
        histories: Those of this round.
        heard: What would be said in it.
        number: Of this round, from 0 on.
        law: By which choices are drawn.
        per_question: How many plays of a question are drawn; those that end or miss a sample do not go on.
        seed: Of the draws.
    """
    agents = np.arange(replies.slots.shape[0])
    x = replies.states.table[replies.task_class, number, histories.agreement]
    part, profile = np.zeros(0, int), np.zeros((0, len(agents)), int)
    for q, one in enumerate(replies.answers):
        own = np.flatnonzero(histories.question == q)
        if not len(own):
            continue
        rng = generator(seed, one.item, number + 1)
        picked = np.resize(rng.permutation(own), per_question)  # each as often as another, as far as that goes
        below = np.cumsum(law[agents, x[picked][:, None]], axis=-1)
        drawn = np.minimum((rng.random((per_question, len(agents), 1)) >= below).sum(-1), law.shape[-1] - 1)
        part, profile = np.concatenate([part, picked]), np.concatenate([profile, drawn])
    rows = np.arange(len(part))[:, None]
    new = heard.votes[part][rows, agents, profile]
    votes = np.concatenate([histories.votes[part], new], axis=1)
    slots = np.concatenate([histories.slots[part], replies.slots[agents, profile]], axis=1)
    valid = np.maximum(votes, NO_ANSWER)
    after = agreement(valid, slots, replies.num_slots)
    said = heard.texts[part][rows, agents, profile]
    keep = np.flatnonzero((votes != MISSING).all(1) & ~_over(replies, after, new))
    share = np.bincount(histories.question, minlength=len(replies.answers))[histories.question[part]] / per_question
    everything = Histories(
        question=histories.question[part],
        weight=histories.weight[part] * share,
        states=np.concatenate([histories.states[part], x[part][:, None]], axis=1),
        choices=np.concatenate([histories.choices[part], profile[:, None]], axis=1),
        votes=votes,
        slots=slots,
        value=replies.scores(histories.question[part], valid, slots),
        agreement=after,
        stream=(),
        order=histories.order[part],
    )
    arrays = {name: array[keep] for name, array in vars(everything).items() if name != "stream"}
    stream = tuple((*histories.stream[part[h]], *(text for text in said[h] if text)) for h in keep)
    return Histories(**arrays, stream=stream)
