"""How a statement meets games: families, what is drawn besides, both sides of its claims, and the tally of it all."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np

import hqre_jax as hq
from hqre_jax.games.random._draws import generator
from proofs_check.comparison import Comparison, Outcome, Sides
from proofs_check.games.certified import Family, certified
from proofs_check.numerics.compiled import each_game as each_game
from proofs_check.numerics.compiled import split_keys

# Games in flight at once: bounds memory.
BATCH = 500


class Drawing(NamedTuple):
    """One batch that is to be drawn.

    Attributes:
        family: Where from.
        rng: Source of randomness, of this batch alone.
        num: Number of games.
        index: Which batch it is.
        total: Games of all batches.
        key: Typed key of all batches together.
    """

    family: Any
    rng: np.random.Generator
    num: int
    index: int
    total: int
    key: Any

    def keys(self) -> Any:
        """A typed key for each game."""
        return split_keys(jax.random.key(int(self.rng.integers(2**31))), self.num)


class Pooled(NamedTuple):
    """A claim about all games of a family together: what one batch adds to it.

    Attributes:
        part: What this batch has to say.
        conclude: Both sides from the parts of all batches.
        family: What the family is called, if not as that of the batch.
    """

    part: Any
    conclude: Callable[[list[Any]], Sides]
    family: str = ""


Claims = Mapping[str, Sides | Pooled]


class Mistaken(NamedTuple):
    """What is drawn besides the games of a negative control, and how they are judged wrongly.

    Attributes:
        sample: As an experiment's.
        mistake: Its name, if it is one of few claims; empty where games or sample are wrong and all claims are judged.
    """

    sample: Any
    mistake: str = ""


def draw_certified(drawing: Drawing) -> Any:
    """Games at heterogeneous temperatures with a positive margin."""
    return certified(drawing.family, drawing.rng, drawing.num)


def keys_only(cases: Any, drawing: Drawing) -> Any:
    """Nothing random besides the games but one key for each."""
    del cases
    return drawing.keys()


def unchanged(cases: Any, sample: Any, drawing: Drawing) -> dict[str, tuple[Any, Any]]:
    """The games as they were drawn, under the name of their family."""
    return {drawing.family.name: (cases, sample)}


def named(mistake: str) -> Callable[[Any, Any, Drawing], dict[str, tuple[Any, Any]]]:
    """The games of a negative control as they were drawn, under the name of the mistake that is made of them."""
    return lambda cases, sample, drawing: {mistake: (cases, sample)}


def share_of_key(index: int, of: int) -> Callable[[Any], Any]:
    """The stream of one experiment of several."""
    return lambda key: jax.random.split(key, of)[index]


@dataclass(frozen=True, eq=False)
class Experiment:
    """Random games, and what is claimed of each.

    Attributes:
        families: Where games come from, each a `Family` or more; each gives the same share.
        sides: ``(cases, sample) -> {claim: sides}`` of a batch; the claims are pure functions of one game each.
        sample: ``(cases, drawing) -> sample``: starts, noise, keys; leading axis (game).
        draw: ``drawing -> cases``: problems (``cases.problem``) with what is certified of them, leading axis (game).
        variants: ``(cases, sample, drawing) -> {name: (cases, sample)}``: what a negative control pretends.
        given: ``problems -> cases`` for problems that nobody drew, or None where this says nothing of their kind.
        stream: The experiment's own key, from that of the whole check.
    """

    families: tuple[Any, ...]
    sides: Callable[[Any, Any], Claims]
    sample: Callable[[Any, Drawing], Any] = keys_only
    draw: Callable[[Drawing], Any] = draw_certified
    variants: Callable[[Any, Any, Drawing], Mapping[str, tuple[Any, Any]]] = unchanged
    given: Callable[[hq.Problem], Any] | None = None
    stream: Callable[[Any], Any] = lambda key: key

    def run(self, key: Any, num_games: int) -> tuple[list[Comparison], Counter[str]]:
        """Draw games and compare.

        Args:
            key: Typed key of the whole check.
            num_games: Games over all families; a few more may be drawn.

        Returns:
            The comparisons, and for each claim the number of games drawn for it.
        """
        comparisons, drawn = [], Counter()
        pooled: dict[tuple[str, str], tuple[Callable[[list[Any]], Sides], list[Any]]] = {}
        for drawing in drawings(self.stream(key), num_games, self.families):
            cases = self.draw(drawing)
            claimed = set()
            for name, (case, sample) in self.variants(cases, self.sample(cases, drawing), drawing).items():
                for claim, sides in self.sides(case, sample).items():
                    claimed.add(claim)
                    if isinstance(sides, Pooled):
                        pooled.setdefault((claim, sides.family or name), (sides.conclude, []))[1].append(sides.part)
                    else:
                        comparisons.append(Comparison.of(claim, name, sides, case.problem))
            drawn.update(dict.fromkeys(claimed, drawing.num))
        for (claim, name), (conclude, parts) in pooled.items():
            comparisons.append(Comparison.of(claim, name, conclude(parts), None))
        return comparisons, drawn

    def measure(self, problem: hq.Problem, key: Any) -> list[Comparison]:
        """The claims for given problems.

        Args:
            problem: Problems of one shape; leading axis (game).
            key: Typed key of what is random besides.

        Returns:
            The comparisons: none where this is not about such games, empty ones where the hypothesis fails.
        """
        cases = None if self.given is None else self.given(problem)
        if cases is None:
            return []
        num = len(cases.problem.tau)
        family = Family("given", lambda rng, num: (), lambda: problem.game)
        sample = self.sample(cases, Drawing(family, generator(key), num, 0, num, key))
        claims = self.sides(cases, sample)
        return [
            Comparison.of(claim, family.name, sides, cases.problem)
            for claim, sides in claims.items()
            if isinstance(sides, Sides)
        ]


def outcome_of(experiments: tuple[Any, ...], key: Any, num_games: int) -> Outcome:
    """All comparisons of several experiments, by claim; drawn are the games of the claim for which most were."""
    comparisons, drawn = [], Counter()
    for experiment in experiments:
        found, of_claims = experiment.run(key, num_games)
        comparisons += found
        drawn.update(of_claims)
    # A claim that applies somewhere need not be mentioned where it does not.
    applying = {comparison.claim for comparison in comparisons if len(comparison.observed)}
    comparisons = [c for c in comparisons if len(c.observed) or c.claim not in applying]
    return Outcome(tuple(sorted(comparisons, key=lambda c: c.claim)), max(drawn.values(), default=0))


def drawings(key: Any, num_games: int, families: tuple[Any, ...]) -> Iterator[Drawing]:
    """Split ``num_games`` evenly over families, and each share into batches.

    Args:
        key: Typed key.
        num_games: Games in all.
        families: Where to draw from.

    Yields:
        The batches, as large for every batch of a family, the last included: a few more games than asked for may be
        drawn.
    """
    share = -(-num_games // len(families))
    count = -(-share // BATCH)
    size = -(-share // count)
    total = size * count * len(families)
    for f, family in enumerate(families):
        for b in range(count):
            rng = generator(jax.random.fold_in(jax.random.fold_in(key, f), b))
            yield Drawing(family, rng, size, f * count + b, total, key)
