"""What sampled means prove without a word about normality: bounds by betting, for variables that are never negative."""

import numpy as np
from jaxtyping import Float

# Shares of the stake that are bet, each against every mean; bisections of the mean.
_SHARES, _BISECTIONS = (0.25, 0.5, 1.0), 50


def betting_lower_bound(runs: Float[np.ndarray, "*b run"], alarm: float) -> Float[np.ndarray, "*b"]:
    """What an expectation is at least, given independent copies of a variable that is never negative.

    If ``E X ≤ m``, a gambler whose wealth is multiplied by ``1 + λ(X_j/m − 1) ≥ 0`` in round j gains nothing on
    average, so that by Markov's inequality it ever multiplies by 1/α with probability at most α. Every m at which it
    did is refuted; the wealth falls with m, and bisection finds the last one. This holds for any number of copies and
    any law. λ = 1 is the best bet for runs that hardly differ, small ones for runs that do: α is split evenly among
    three.

    Args:
        runs: The copies, last axis.
        alarm: α, probability of a value above the expectation.

    Returns:
        The lower ends of one-sided intervals, 0 at least; nan where a run is.
    """
    goal = np.log(len(_SHARES) / alarm)
    # Wealth is at most (Σ X/(nm))^n: nothing beyond the mean is ever refuted.
    top = runs.mean(axis=-1)
    best = np.where(np.isnan(top), np.nan, 0.0)
    scaled = runs / np.where(top > 0, top, 1.0)[..., None]
    for share in _SHARES:
        low, high = np.zeros_like(top), np.ones_like(top)
        for _ in range(_BISECTIONS):
            middle = 0.5 * (low + high)
            with np.errstate(divide="ignore"):
                wealth = np.log1p(share * (scaled / middle[..., None] - 1)).sum(axis=-1)
            low, high = np.where(wealth >= goal, middle, low), np.where(wealth >= goal, high, middle)
        best = np.maximum(best, low * top)
    return best
