"""What is compared: rules of learning, temperatures, and equilibria."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

import hqre_jax as hq
from benchmarks.selection._games import Record, Recorded
from hqre_jax.bridge.baselines._training import AbstractLearner
from hqre_jax.bridge.baselines.exp3 import EXPLORATION, ExponentialLearner
from hqre_jax.bridge.baselines.independent_ucb import EXPLORATION as WIDTHS
from hqre_jax.bridge.baselines.independent_ucb import IndependentLearner
from hqre_jax.bridge.baselines.mirror import STEP, ZERO, MirrorLearner
from hqre_jax.bridge.coordination import PublicStates

Tau = Float[np.ndarray, "agent 1"]
# The margin that is asked for, in units of the least common temperature with hardly any.
MARGIN = 0.1
# Temperatures without a certificate, in units of the roles' own with one.
FACTORS = (0.5, 0.25)


@dataclass(frozen=True)
class Temperatures:
    """Least temperatures of a game that are certified for a margin of `MARGIN` of the least common one.

    Attributes:
        common: The least common temperature, once for each agent, units of score.
        roles: The least temperatures, each role's own.
        steps: η = κ/(2L²) at either, the largest step of T5, 1/score.
    """

    common: Tau
    roles: Tau
    steps: tuple[float, float]

    @classmethod
    def of(cls, recorded: Recorded) -> "Temperatures":
        """Those of a game."""
        game = recorded.game
        found = hq.least_temperatures(game, margin=MARGIN * hq.least_temperatures(game).common)
        common, roles = np.full((len(recorded.mask), 1), found.common), np.asarray(found.tau)
        known = [hq.bounds.bounds(hq.Problem(game, tau)) for tau in (common, roles)]
        return cls(common, roles, (0.5 * float(known[0].max_step), 0.5 * float(known[1].max_step)))

    @classmethod
    def from_record(cls, name: str, record: Record) -> "Temperatures":
        """Those that `to_record` wrote."""
        common, roles, steps = (record[f"{name}:{part}"] for part in ("common", "roles", "steps"))
        return cls(common, roles, (float(steps[0]), float(steps[1])))

    def to_record(self, name: str) -> dict[str, np.ndarray]:
        """The temperatures as arrays, for a file."""
        return {f"{name}:{part}": np.asarray(value) for part, value in vars(self).items()}

    @property
    def differ(self) -> bool:
        """Whether roles' temperatures are other ones than the common, by one in a hundred at least."""
        return not np.allclose(self.roles, self.common, rtol=0.01)


@dataclass(frozen=True)
class Entry:
    """A row of the table.

    Attributes:
        name: What is done.
        tau: Temperatures; None where it has none.
        certified: Whether these come with a certificate.
        learner: What makes a learner; None for best responses and for equilibria.
        step: η of mirror steps, 1/score.
    """

    name: str
    tau: Tau | None = None
    certified: bool = False
    learner: Callable[[PublicStates], AbstractLearner] | None = None
    step: float | None = None

    @property
    def learns(self) -> bool:
        """Whether there is a path of policies, and not only an equilibrium."""
        return not self.name.startswith("HQRE")


def entries(temperatures: Temperatures) -> list[Entry]:
    """The rows of a game, in order."""
    common, roles = temperatures.common, temperatures.roles
    step, own = temperatures.steps

    def mirror(tau: Tau | float, step: float) -> Callable[[PublicStates], AbstractLearner]:
        return lambda states: MirrorLearner(states, tau, step=step)

    found = [
        Entry("best response"),
        *(Entry(f"UCB, width {w:g}", learner=lambda states, w=w: IndependentLearner(states, w)) for w in WIDTHS),
        *(Entry(f"EXP3, γ {g:g}", learner=lambda states, g=g: ExponentialLearner(states, g)) for g in EXPLORATION),
        Entry("mirror, τ → 0, long steps", learner=mirror(ZERO, STEP), step=STEP),
        Entry("mirror, τ → 0", learner=mirror(ZERO, step), step=step),
        Entry("mirror, common τ", common, True, mirror(common, step), step),
    ]
    if temperatures.differ:
        found.append(Entry("mirror, roles' τ", roles, True, mirror(roles, own), own))
    found.append(Entry("HQRE, common τ", common, True))
    if temperatures.differ:
        found.append(Entry("HQRE, roles' τ", roles, True))
    return [*found, *(Entry(f"HQRE, τ × {factor:g}", factor * roles) for factor in FACTORS)]
