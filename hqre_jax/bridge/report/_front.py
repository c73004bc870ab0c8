"""Does state help? What policies that see it are above the front of methods that stop by what they hear."""

import itertools
from typing import Any

import numpy as np
from jaxtyping import Float

from hqre_jax.bridge.report._data import Data
from hqre_jax.bridge.report._statistics import Resampling, gain, interval

# They ask on until answers agree, and so spend more where questions are hard.
ADAPTIVE = ("adaptive_self_consistency", "cascade")
# The policy, and what is left of it without the agreement, and without anything, in the state.
STATES = ("dice_pc", "agreement_off", "state_off")


def front(data: Data, resampling: Resampling) -> list[dict[str, Any]]:
    """How far policies lie above the front of adaptive methods at the tokens that they use themselves.

    Adaptive self-consistency and the cascade ask on until answers agree. The front is the least concave function above
    their points (tokens, score) of all budgets, and above the origin, where nothing is asked: what a mixture of them
    makes of so many tokens. It is found anew in every resample.

    Args:
        data: The evaluation.
        resampling: Of questions and seeds.

    Returns:
        A row for DICE-PC and for what is left of it without the agreement, and without anything, in the state, for each
        budget that was played; none where no adaptive method was.

    Example:
        >>> import dataclasses
        >>> import pathlib
        >>> import tempfile
        >>> from hqre_jax.bridge.evaluation import Lines, Plan, Record, write_json
        >>> from hqre_jax.bridge.report import Resampling, front, read_evaluation
        >>> what = {"policies": (), "split": "dev", "classes": (("arithmetic", "sum"),), "questions": 2, "dev": 2}
        >>> how = {"budgets": (99.0,), "methods": ("dice_pc", "cascade"), "families": ("ours", "cascade")}
        >>> plan = Plan("three solvers", "0a1b", **what, **how, papers=("", ""), seeds=1, seed=0, plays=0)
        >>> spent = {"prompt": (9, 9), "cached": (0, 0), "completion": (1, 1), "calls": (1, 1), "rounds": (1, 2)}
        >>> ours = Record("dice_pc", 0, 0, 0, 0, questions=(0, 1), scores=(1.0, 0.0), **spent, answers=("8", "9"))
        >>> cascade = dataclasses.replace(ours, method="cascade", prompt=(19, 19))  # as right, for twice the tokens
        >>> with tempfile.TemporaryDirectory() as name:
        ...     write_json((folder := pathlib.Path(name)) / "plan.json", plan.document())
        ...     Lines(folder / "records.jsonl").add(*map(dataclasses.asdict, (ours, cascade)))
        ...     data = read_evaluation(folder)
        >>> (row,) = front(data, Resampling(data.kinds, seeds=1, resamples=100))
        >>> row["score"], row["rounds"], row["front"], row["gain"]
        (0.5, 1.5, 0.25, 0.25)
    """
    budgets = range(len(data.plan.budgets))
    points = [
        (resampling.means(plays.tokens), resampling.means(plays.scores))
        for name in ADAPTIVE
        for place in budgets
        if (plays := data.plays.get((name, place))) is not None
    ]
    rows = []
    for method, place in itertools.product(STATES, budgets):
        plays = data.plays.get((method, place))
        if plays is None or not points:
            continue
        tokens, score = resampling.means(plays.tokens), resampling.means(plays.scores)
        others = concave([*points, (np.zeros_like(tokens), np.zeros_like(tokens))], tokens)
        row = {"method": method, "budget": data.plan.budgets[place], "score": float(score[0])}
        row |= {"tokens": float(tokens[0]), "rounds": float(resampling.means(plays.rounds)[0])}
        rows.append(row | {"front": float(others[0])} | interval("gain", gain(score, others)))
    return rows


def concave(
    points: list[tuple[Float[np.ndarray, " sample"], Float[np.ndarray, " sample"]]], at: Float[np.ndarray, " sample"]
) -> Float[np.ndarray, " sample"]:
    """The least concave, nondecreasing function above points (tokens, score), sample by sample.

    Args:
        points: Tokens and scores; one of them at 0 tokens.
        at: Tokens at which it is wanted.

    Returns:
        Its values.
    """
    best = np.max([np.where(tokens <= at, score, -np.inf) for tokens, score in points], axis=0)
    for (left, low), (right, high) in itertools.permutations(points, 2):
        between = (left <= at) & (at < right)
        share = np.where(between, at - left, 0.0) / np.where(between, right - left, 1.0)
        best = np.where(between, np.maximum(best, low + share * (high - low)), best)
    return best
