"""How often confidence regions from few plays hold the truth, and where they say not to trust them.

``python -m benchmarks.small_samples``: games and laws of payoffs of several families, each solved from n plays of every
profile, many times. An interval counts where the region calls its level trusted; the goal is a coverage of 93 % at
level 95 % in every family where it ever does, as a mean over trials and probabilities: at each number of plays at
which 200 trials or more are trusted, and over the other numbers of plays together. Exit code 1 if one is missed.
"""

import argparse
import sys
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table

import hqre_jax as hq

LEVEL, GOAL = 0.95, 0.93
# Trusted trials from which a number of plays is judged by itself; those of fewer are pooled.
_ALONE = 200

Law = Callable[[np.random.Generator, np.ndarray, tuple[int, ...]], np.ndarray]


def _normal(deviation: float) -> Law:
    return lambda rng, u, plays: u + deviation * rng.standard_normal((*plays, *u.shape))


def _exponential(rng: np.random.Generator, u: np.ndarray, plays: tuple[int, ...]) -> np.ndarray:
    return u + 0.5 * (rng.exponential(size=(*plays, *u.shape)) - 1)


def _pareto(index: float) -> Law:
    return lambda rng, u, plays: u + 0.5 * (rng.pareto(index, (*plays, *u.shape)) - 1 / (index - 1))


def _two_values(rng: np.random.Generator, u: np.ndarray, plays: tuple[int, ...]) -> np.ndarray:
    """The least or the largest payoff of the game and 5 % beyond, with the right mean."""
    low, width = u.min(), np.ptp(u)
    drawn = rng.random((*plays, *u.shape)) < 0.05 + 0.9 * (u - low) / width
    return low + width * (drawn - 0.05) / 0.9


def _rare(rng: np.random.Generator, u: np.ndarray, plays: tuple[int, ...]) -> np.ndarray:
    """All that is paid is paid in one play of 25."""
    return 25 * u * (rng.random((*plays, *u.shape)) < 0.04)


class Family(NamedTuple):
    """A game, its temperatures, and the law of its payoffs.

    Attributes:
        payoffs: ``(player, *profile)``.
        tau: Per player, units of payoff.
        law: Plays around these payoffs.
    """

    payoffs: np.ndarray
    tau: np.ndarray
    law: Law


_STAG = np.array([[[3.0, 0.0], [1.0, 2.0]], [[2.0, 1.0], [0.0, 1.5]]])
_STAG_TAU = np.array([0.8, 1.1])
_ALIKE = np.array([[[1.05, 0.0], [0.0, 1.0]]] * 2)
_APART = np.array([[[2.0, -1.0], [-1.0, 1.0]], [[-1.5, 1.0], [1.0, -0.5]]])

FAMILIES = {
    "stag hunt, normal .5": Family(_STAG, _STAG_TAU, _normal(0.5)),
    "stag hunt, normal 1": Family(_STAG, _STAG_TAU, _normal(1.0)),
    "stag hunt, exponential": Family(_STAG, _STAG_TAU, _exponential),
    "stag hunt, Pareto 2.5": Family(_STAG, _STAG_TAU, _pareto(2.5)),
    "stag hunt, Pareto 1.5": Family(_STAG, _STAG_TAU, _pareto(1.5)),
    "stag hunt, two values": Family(_STAG, _STAG_TAU, _two_values),
    "stag hunt, rare": Family(_STAG, _STAG_TAU, _rare),
    "coordination at the threshold": Family(_ALIKE, np.array([0.52, 0.52]), _normal(0.5)),
    "coordination below it": Family(_ALIKE, np.array([0.45, 0.45]), _normal(0.5)),
    "matching pennies, normal": Family(_APART, np.array([0.5, 0.5]), _normal(1.0)),
    "3×3, uniform payoffs, normal": Family(
        np.random.RandomState(1000).rand(2, 3, 3), np.array([0.3, 0.3]), _normal(0.5)
    ),
    "matching pennies, two values": Family(_APART, np.array([0.5, 0.5]), _two_values),
}


@eqx.filter_jit
def _judged(counts, means, covariances, third, truth, tau):
    """For each trial: which intervals cover, whether the region does, whether the level is trusted."""

    def trial(sample):
        mean, covariance, cube = sample
        empirical = hq.EmpiricalGame.from_moments(counts, mean, covariance, third=cube)
        solution = hq.solve(empirical.game, tau, solver="principal_branch", throw=False)
        region = hq.empirical.confidence_region(empirical, solution, LEVEL)
        good = solution.successful
        return region.covers(truth) & good, region.contains(truth) & good, region.trusted & good

    return jax.lax.map(trial, (means, covariances, third), batch_size=50)


class Coverage(NamedTuple):
    """What became of the trials of one family.

    Attributes:
        intervals: Share of intervals that cover, of all trials.
        trusted: Share of trials in which the level is trusted.
        intervals_trusted: Share of intervals that cover in these; not a number if there are none.
        joint_trusted: Share of joint regions that do.
        error: Standard error of `intervals_trusted`, trials being independent.
    """

    intervals: float
    trusted: float
    intervals_trusted: float
    joint_trusted: float
    error: float


def coverage(family: Family, plays: int, trials: int, seed: int = 0) -> Coverage:
    """One family at one number of plays.

    Args:
        family: A value of `FAMILIES`.
        plays: Plays of each profile, 3 or more.
        trials: Independent repetitions.
        seed: Of the plays.

    Returns:
        The `Coverage`.
    """
    game = hq.NormalFormGame(family.payoffs)
    truth = hq.solve(game, family.tau, solver="principal_branch").policy
    sample = family.law(np.random.default_rng(seed), family.payoffs, (trials, plays))
    means = sample.mean(1)
    off = sample - means[:, None]
    covariances = np.einsum("tki...,tkj...->tij...", off, off) / (plays - 1)
    counts = jnp.full(family.payoffs.shape[1:], float(plays))
    judged = _judged(counts, means, covariances, (off**3).mean(1), truth, jnp.asarray(family.tau))
    covers, joint, trusted = map(np.asarray, judged)
    each = covers.reshape(trials, -1).mean(1)
    good = each[trusted]
    some = len(good) > 0
    return Coverage(
        float(each.mean()),
        float(trusted.mean()),
        float(good.mean()) if some else float("nan"),
        float(joint[trusted].mean()) if some else float("nan"),
        float(np.sqrt(max(good.var(), GOAL * (1 - GOAL) / 2) / len(good))) if some else float("inf"),
    )


def main(argv: list[str] | None = None) -> int:
    """Run and print.

    Args:
        argv: Arguments; those of the command line by default.

    Returns:
        0, or 1 where a family misses the goal.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.small_samples", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--trials", type=int, default=1_000, help="repetitions of each family (1000)")
    parser.add_argument("--seed", type=int, default=0, help="of the plays (0)")
    parser.add_argument("--plays", type=int, nargs="+", default=[5, 20, 50, 100], help="plays of each profile")
    parser.add_argument("--families", nargs="+", default=list(FAMILIES), help="names of families, or their beginnings")
    arguments = parser.parse_args(argv)
    jax.config.update("jax_enable_x64", True)
    console = Console(width=None if sys.stdout.isatty() else 150)
    table = Table(title=f"coverage at level {LEVEL:g}, {arguments.trials} trials")
    for name in ("family", "plays", "all trials", "trusted", "where trusted", "joint", "standard error"):
        table.add_column(name)
    missed = []
    chosen = {name: family for name, family in FAMILIES.items() if name.startswith(tuple(arguments.families))}
    for name, family in chosen.items():
        rest = []
        for k, plays in enumerate(arguments.plays):
            got = coverage(family, plays, arguments.trials, seed=arguments.seed + k)
            shown = (got.intervals, got.trusted, got.intervals_trusted, got.joint_trusted, got.error)
            table.add_row(name, str(plays), *(f"{value:.3f}" for value in shown))
            count = round(got.trusted * arguments.trials)
            if count >= _ALONE:
                missed += [f"{name}, {plays} plays"] if got.intervals_trusted < GOAL else []
            elif count:
                rest.append((count, got.intervals_trusted))
        if rest:
            counts, shares = map(np.array, zip(*rest, strict=True))
            pooled = float(np.average(shares, weights=counts))
            table.add_row(name, "pooled", "", str(counts.sum()), f"{pooled:.3f}")
            missed += [f"{name}, pooled over {counts.sum()} trials"] if pooled < GOAL else []
    console.print(table)
    for name in missed:
        console.print(f"below {GOAL:g}: {name}")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
