"""What is known of the payoffs of a one-shot game: sample moments, and the game of their means."""

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from hqre_jax.core._module import AbstractModule
from hqre_jax.core._types import Labels
from hqre_jax.games import BayesianGame, NormalFormGame


class AbstractEmpiricalGame(AbstractModule):
    """Sample moments of the payoffs of each joint profile; what they are is said by `EmpiricalGame`.

    Confidence regions, plans and resampling need no more than this, and so may be known to the game itself.
    """

    counts: Float[Array, "*profile"]
    failures: Float[Array, "*profile"]
    means: Float[Array, "player *profile"]
    covariances: Float[Array, "player player *profile"]
    third: Float[Array, "player *profile"]
    width: Float[Array, ""]
    unknown: Float[Array, "player *profile"]
    prior: Float[Array, "*types"] | None
    prior_plays: Float[Array, ""]
    missing: str = eqx.field(static=True)
    pseudo_plays: float = eqx.field(static=True)
    failed_payoff: float | None = eqx.field(static=True)
    labels: Labels = eqx.field(static=True)

    @property
    def game(self) -> NormalFormGame | BayesianGame:
        """The game of mean payoffs."""
        if self.prior is None:
            return NormalFormGame(self.means, labels=self.labels)
        return BayesianGame(self.prior, self.means, labels=self.labels)

    @property
    def num_plays(self) -> Float[Array, ""]:
        """Plays in all, failed ones included."""
        return jnp.sum(self.counts) + (jnp.sum(self.failures) if self.failed_payoff is None else 0.0)

    def __repr__(self) -> str:
        if not eqx.is_array(self.counts) or self.means.shape[1:] != self.counts.shape:
            return f"{type(self).__name__}(batch {self.counts.shape})"
        c = np.asarray(self.counts)
        treated = "left out" if self.failed_payoff is None else f"paid {self.failed_payoff:g}"
        return (
            f"{type(self).__name__}({self.means.shape[0]} players, profiles {c.shape}, plays per profile "
            f"{c.min():g} to {c.max():g}, {float(np.sum(self.failures)):g} failed plays ({treated}), "
            f"missing={self.missing!r})"
        )

    @abc.abstractmethod
    def solve(self, tau: Any, **options: Any) -> Any:
        """The HQRE of the mean payoffs, with what the plays say of it."""
