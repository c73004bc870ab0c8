"""What a statement's folder declares: its experiments and controls, where constants are attained, and whom to fear."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import hqre_jax as hq
from proofs_check.comparison import Comparison, Outcome, Sides
from proofs_check.experiment import outcome_of


@dataclass(frozen=True)
class Example:
    """A game that shows how good the constant is: ``observed`` comes as close to ``bound`` as the statement says."""

    name: str
    quantity: str
    observed: float
    bound: float

    @property
    def ratio(self) -> float:
        """Observed/bound."""
        return self.observed / self.bound


@dataclass(frozen=True, eq=False)
class Target:
    """A claim under attack: positions are games, temperatures, starts and steps, all as unbounded numbers.

    Attributes:
        claim: The claim.
        draw: ``(rng, num) -> positions``: random ones, not chosen with regard to the claim.
        remember: What the score wants to remember of each position at the start.
        score: ``(position, memory) -> (ratio, memory)``, for `ascend`.
        cases: Problems at given positions, with what the library proves of them.
        sides: ``(cases, positions, key) -> sides``: the claim there.
    """

    claim: str
    draw: Callable[[np.random.Generator, int], Any]
    remember: Callable[[Any], Any]
    score: Callable[[Any, Any], tuple[Any, Any]]
    cases: Callable[[Any], Any]
    sides: Callable[[Any, Any, Any], Sides]


@dataclass(frozen=True)
class Figure:
    """A picture that belongs to a statement.

    Attributes:
        name: Name of its file, without ending.
        caption: What one sees.
        measure: ``key -> arrays``.
        draw: Puts the arrays into axes.
    """

    name: str
    caption: str
    measure: Callable[[Any], dict[str, np.ndarray]]
    draw: Callable[[dict[str, np.ndarray], Any], None]

    def picture(self, arrays: dict[str, np.ndarray]) -> Any:
        """The matplotlib figure."""
        from matplotlib.figure import Figure as Canvas

        figure = Canvas(figsize=(6.6, 4.4), dpi=150, layout="constrained")
        self.draw(arrays, figure.add_subplot())
        return figure


@dataclass(frozen=True, eq=False)
class Statement:
    """A theorem together with what could refute it. The text with its proof stands beside it in ``statement.md``.

    Attributes:
        name: "T1", "T2", …
        title: A few words.
        experiments: Random games that satisfy the hypothesis: a violation refutes the statement.
        control: What the negative control changes.
        controls: The same measurements with a hypothesis dropped or a constant wrong: violations are wanted, of every
            claim in one of them at least.
        examples: Games in which the constant is attained, or nearly.
        target: The claim that an adversary attacks by gradient ascent. None where there is none.
        figures: Pictures.
        one_move: Whether it is about games in which everybody moves once, at the same time, and about no others.
        share: Part of the ledger's games that this statement draws: less where one game means thousands of plays.
        control_share: What part of a piece of the check the control draws.
        control_least: How many games it draws at least, lest chance spare a claim; programs run on as many anyway.
        borrowed: Whether the claims are those of other statements, each of which has a control of its own: then only
            the claims that the controls here are about have to fail in them.
        seconds: About what its work takes on one core, compiling included; the longest begins first.
        group: Tasks of one group share compiled programs; the statement's own by default.
        text: Statement and proof, in Markdown; read from the folder.
    """

    name: str
    title: str
    experiments: tuple[Any, ...]
    control: str
    controls: tuple[Any, ...]
    examples: Callable[[], tuple[Example, ...]]
    target: Target | None = None
    figures: tuple[Figure, ...] = ()
    one_move: bool = False
    share: float = 1.0
    control_share: float = 1 / 4
    control_least: int = 50
    borrowed: bool = False
    seconds: float = 20.0
    group: str = ""
    text: str = ""

    def check(self, key: Any, num_games: int) -> Outcome:
        """The statement on random games."""
        return outcome_of(self.experiments, key, num_games)

    def negative_control(self, key: Any, num_games: int) -> Outcome:
        """The control on random games."""
        return outcome_of(self.controls, key, num_games)

    @property
    def about_single_games(self) -> bool:
        """Whether `measure` has anything to say."""
        return any(getattr(experiment, "given", None) is not None for experiment in self.experiments)

    def measure(self, problem: hq.Problem, key: Any) -> tuple[Comparison, ...]:
        """The claims for a batch of problems of one shape, whatever family they come from.

        Args:
            problem: Problems; leading axis (game).
            key: Typed key of starts and noise.

        Returns:
            Comparisons of the games that satisfy the hypothesis, in their order; empty where none does.
        """
        about = (experiment for experiment in self.experiments if getattr(experiment, "given", None) is not None)
        return tuple(comparison for experiment in about for comparison in experiment.measure(problem, key))
