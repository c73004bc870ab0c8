"""T9: an adversary with gradients finds no counterexample, and comes close to every constant that is sharp."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from proofs_check.adversary.attack import climbed, judged
from proofs_check.comparison import Comparison
from proofs_check.discovery import statements
from proofs_check.statement import Example, Target

# Games that a run of an adversary is worth: each is the last of a few hundred that were tried on the way.
_GAMES_PER_RUN, _LEAST_RUNS = 200, 10
_SHARP, _DOUBLED = ("T1", "T2", "T3", "T4"), ("T1", "T2")


def targets() -> dict[str, Target]:
    """The claim that each statement exposes to attack."""
    every = statements().values()
    return {statement.name: statement.target for statement in every if statement.target is not None}


def _judged(name: str, target: Target, positions: Any, key: Any, family: str, times: float = 1.0) -> Comparison:
    return replace(judged(target, positions, key, times), claim=f"{name} {target.claim}", family=family)


@dataclass(frozen=True)
class Attacks:
    """Every claim under attack, or some of them by a wrong constant.

    Attributes:
        doubled: Judge the first two as if the margin were twice what it is: a negative control.
    """

    doubled: bool = False

    def run(self, key: Any, num_games: int) -> tuple[list[Comparison], Counter[str]]:
        """The claims attacked, at the end of each run; two hundred games are worth one run, ten runs at least."""
        num_runs, attacked = max(_LEAST_RUNS, -(-num_games // _GAMES_PER_RUN)), targets()
        if self.doubled:
            plan = [(name, attacked[name], key, "κ doubled", 2.0) for name in _DOUBLED]
        else:
            keys = jax.random.split(key, len(attacked))
            plan = [(name, attacked[name], k, "adversary's", 1.0) for name, k in zip(attacked, keys, strict=True)]
        comparisons = [_judged(n, t, climbed(t, k, num_runs), k, family, times) for n, t, k, family, times in plan]
        return comparisons, Counter({comparison.claim: num_runs for comparison in comparisons})


def examples() -> tuple[Example, ...]:
    """The best of a few attacks on each of the constants that are sharp."""
    found = []
    for name in _SHARP:
        target, key = targets()[name], jax.random.key(0)
        comparison = _judged(name, target, climbed(target, key, _LEAST_RUNS), key, "adversary's")
        ratio = float(comparison.ratios[int(np.nanargmax(comparison.ratios))])
        found.append(Example(f"adversary of {comparison.claim}", "observed / bound", ratio, 1.0))
    return tuple(found)
