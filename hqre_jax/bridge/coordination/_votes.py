"""From the answers given to the team's answer, and to how far the team agrees: the same for one play and for millions.

Votes lie round by round, the agents in their order within a round: position ``round · num_agents + agent``. A vote is a
number that stands for a canonical answer, −1 where none was given.
"""

import numpy as np
from jaxtyping import Int

AGREEMENTS = ("none", "one", "agreed", "split")
NONE, ONE, AGREED, SPLIT = range(4)
WHOLE = 0


def plurality(votes: Int[np.ndarray, "*play vote"], num_agents: int) -> Int[np.ndarray, "*play"]:
    """Position of a vote for the answer that most were given for.

    Of answers with equally many votes, that of the latest round wins (its giver may have read the others); within a
    round, that of the first agent in the team's order.

    Args:
        votes: The votes so far.
        num_agents: Size of the team.

    Returns:
        The position; −1 where nobody gave an answer.
    """
    size = votes.shape[-1]
    if not size:
        return np.full(votes.shape[:-1], -1)
    place = np.arange(size)
    rank = place // num_agents * num_agents + (num_agents - 1 - place % num_agents)
    best = np.argmax(np.where(votes >= 0, _supporters(votes) * size + rank, -1), axis=-1)
    return np.where((votes >= 0).any(-1), best, -1)


def settle(
    votes: Int[np.ndarray, "*play vote"], slots: Int[np.ndarray, "*play vote"], num_slots: int, num_agents: int
) -> Int[np.ndarray, "*play slot"]:
    """Whose votes make the team's answer.

    A question has the slot 0, the whole, and, if it is divided, one for each part. Where every part was answered, the
    parts are the team's answer; otherwise the plurality of the answers to the whole is.

    Args:
        votes: The votes so far.
        slots: What each of them answers.
        num_slots: 1, or 1 + number of parts.
        num_agents: Size of the team.

    Returns:
        Position of the vote that speaks for each slot, −1 where none does: either slot 0 alone has one, or every
        part has one, or none has.
    """
    winners = np.stack(
        [plurality(np.where(slots == slot, votes, -1), num_agents) for slot in range(num_slots)], axis=-1
    )
    if num_slots == 1:
        return winners
    whole, parts = winners[..., :1], winners[..., 1:]
    complete = np.all(parts >= 0, axis=-1, keepdims=True)
    return np.concatenate([np.where(complete, -1, whole), np.where(complete, parts, -1)], axis=-1)


def agreement(
    votes: Int[np.ndarray, "*play vote"], slots: Int[np.ndarray, "*play vote"], num_slots: int
) -> Int[np.ndarray, "*play"]:
    """How far the team agrees, as a number of `AGREEMENTS`.

    ``none``: no answer yet. ``one``: one. ``agreed``: of two answers or more, more than half are the same, or every
    part of a divided question is answered. ``split``: anything else.

    Args:
        votes: The votes so far.
        slots: What each of them answers.
        num_slots: 1, or 1 + number of parts.
    """
    given = votes >= 0
    number = given.sum(-1)
    whole = np.where(slots == WHOLE, votes, -1)
    most = _supporters(whole).max(-1, initial=0)
    agreed = (most >= 2) & (2 * most > number)
    if num_slots > 1:
        agreed |= np.all([(given & (slots == part)).any(-1) for part in range(1, num_slots)], axis=0)
    return np.where(number == 0, NONE, np.where(number == 1, ONE, np.where(agreed, AGREED, SPLIT)))


def _supporters(votes: Int[np.ndarray, "*play vote"]) -> Int[np.ndarray, "*play vote"]:
    """How many votes are equal to each vote; 0 for those that were not given."""
    same = (votes[..., :, None] == votes[..., None, :]) & (votes[..., None, :] >= 0)
    return same.sum(-1)
