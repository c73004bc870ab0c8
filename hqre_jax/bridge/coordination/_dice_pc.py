"""DICE-PC as a method among others: the empirical game's HQRE, its prices scaled until the budget is kept."""

from collections.abc import Sequence

import numpy as np

from hqre_jax.bridge.coordination._game import TeamGame
from hqre_jax.bridge.coordination._offline import Temperatures, Trained, train_offline
from hqre_jax.bridge.coordination._plays import AbstractMethod, AbstractPlayer, Outcome, play_all
from hqre_jax.bridge.coordination._policy import PolicyPlayer
from hqre_jax.bridge.coordination._samples import Samples
from hqre_jax.bridge.coordination._states import PublicStates
from hqre_jax.bridge.tasks import Item
from hqre_jax.core._types import InputError

# Factors on the team file's prices: dearer tokens, fewer of them.
PRICES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)


class DicePC(AbstractMethod):
    """Play of the HQRE of a team's empirical game.

    Args:
        temperatures: As in `train_offline`.
        prices: Factors on the team file's prices that are tried, where a budget is to be kept.

    Attributes:
        trained: What `fit` found last.
    """

    name = "DICE-PC"
    paper = "arXiv 2606.08068"

    def __init__(self, temperatures: Temperatures | float = "grid", prices: Sequence[float] = PRICES):
        self.temperatures: Temperatures | float = temperatures
        self.prices = tuple(prices)
        self.trained: Trained | None = None

    def fit(self, dev: Sequence[Item], samples: Samples, budget: float, seed: int) -> AbstractPlayer:
        """See `AbstractMethod`: of the prices that keep the budget on dev, those with the best score.

        Raises:
            InputError: Too little was sampled, or no price keeps the budget.
        """
        states = PublicStates.of(samples.team, samples.tasks)
        items: dict[int, list[Item]] = {c: [] for c in range(len(states.classes))}
        for item in dev:
            items[states.class_of(item)].append(item)
        game = TeamGame.from_samples(samples, items, seed=seed)
        best: tuple[float, Trained] | None = None
        for scale in self.prices if np.isfinite(budget) else (1.0,):
            trained = train_offline(game.priced(scale), self.temperatures, seed=seed)
            outcomes = play_all(PolicyPlayer(states, trained.policy), dev, samples, seed)
            score, tokens = mean_score(outcomes), mean_tokens(outcomes)
            if tokens <= budget and (best is None or score > best[0]):
                best = score, trained
        if best is None:
            raise InputError("budget", f"of {budget:g} tokens a question is kept at no price")
        self.trained = best[1]
        return PolicyPlayer(states, self.trained.policy)


def mean_score(outcomes: Sequence[Outcome]) -> float:
    """Mean score over the questions whose calls did not fail; not a number where all failed."""
    known = [outcome.score for outcome in outcomes if outcome.score is not None]
    return float(np.mean(known)) if known else np.nan


def mean_tokens(outcomes: Sequence[Outcome]) -> float:
    """Mean tokens over the questions whose calls did not fail; infinite where a model does not say them."""
    known = [outcome.tokens for outcome in outcomes if outcome.score is not None]
    return float(np.mean([np.inf if tokens is None else tokens for tokens in known])) if known else np.nan
