"""What confidence regions and plans of rollouts are worth: ``python -m benchmarks.rollouts [coverage] [allocation]``.

Exact games are wrapped as simulators of noisy play; the library sees the plays alone.

* coverage: how often the regions of `hqre_jax.empirical.confidence_region` hold the equilibrium of the exact game.
* allocation: plays until every probability is known to ±ε, `hqre_jax.empirical.plan_rollouts` against equal plays of
  all profiles, both with the same stopping rule and re-estimated on the way (W1 games).

Exit code 1 if a figure misses what the project asks: coverage within 2 % of nominal; at most 60 % of the plays at
τ = 0.1 (median over games); never more than 1.05 times the plays at τ = 1.
"""

import argparse
import sys
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table

import hqre_jax as hq

LEVELS = (0.9, 0.95)
_TOLERANCE = 0.02
_MOST_PLAYS, _NEVER_WORSE = 0.6, 1.05
_SOLVER = "principal_branch"


def normal_plays(rng: np.random.Generator, payoffs: np.ndarray, plays: tuple[int, ...]) -> np.ndarray:
    """Payoffs plus independent normal noise of standard deviation 0.5, ``(*plays, *payoffs.shape)``."""
    return payoffs + 0.5 * rng.standard_normal((*plays, *payoffs.shape))


def bernoulli_plays(rng: np.random.Generator, payoffs: np.ndarray, plays: tuple[int, ...]) -> np.ndarray:
    """Success or failure; the payoffs are the probabilities of success."""
    return (rng.random((*plays, *payoffs.shape)) < payoffs).astype(float)


def skewed_plays(rng: np.random.Generator, payoffs: np.ndarray, plays: tuple[int, ...]) -> np.ndarray:
    """Payoffs plus skewed noise of each player's own, and a common shock that helps one and harms the other."""
    sign = np.where(np.arange(payoffs.shape[0]) % 2, -0.8, 1.0).reshape(-1, *[1] * (payoffs.ndim - 1))
    common = 0.4 * rng.standard_normal((*plays, 1, *payoffs.shape[1:])) * sign
    return payoffs + common + 0.5 * (rng.exponential(size=(*plays, *payoffs.shape)) - 1.0)


NOISE: dict[str, Callable[[np.random.Generator, np.ndarray, tuple[int, ...]], np.ndarray]] = {
    "normal": normal_plays,
    "bernoulli": bernoulli_plays,
    "skewed": skewed_plays,
}


@eqx.filter_jit
def _covered(counts, means, covariances, truth, tau):
    """For each trial: success, whether intervals and region hold the truth at each level, half-width."""

    def trial(mean, covariance):
        empirical = hq.EmpiricalGame.from_moments(counts, mean, covariance)
        solution = hq.solve(empirical.game, tau, solver=_SOLVER, throw=False)
        regions = [hq.empirical.confidence_region(empirical, solution, level) for level in LEVELS]
        intervals = jnp.stack([region.covers(truth) for region in regions])
        joint = jnp.stack([region.contains(truth) for region in regions])
        return solution.successful, intervals, joint, regions[-1].half_width

    return jax.vmap(trial)(means, covariances)


def coverage(
    payoffs: np.ndarray, tau: float, noise: str, plays: int, trials: int, seed: int = 0
) -> dict[str, np.ndarray]:
    """Simulated play of one game, solved and judged ``trials`` times.

    Args:
        payoffs: ``(player, *profile)``.
        tau: Temperature.
        noise: A key of `NOISE`.
        plays: Plays of each profile.
        trials: Independent repetitions.
        seed: Of the noise.

    Returns:
        ``intervals``: share of trials in which each interval covers, ``(level, player, information state, action)``;
        ``joint``: share in which the region does, ``(level,)``; ``half_width``: median.
    """
    truth = hq.solve(hq.NormalFormGame(payoffs), tau, solver=_SOLVER).policy
    sample = NOISE[noise](np.random.default_rng(seed), payoffs, (trials, plays))
    means = sample.mean(1)
    off = sample - means[:, None]
    covariances = np.einsum("tki...,tkj...->tij...", off, off) / (plays - 1)
    counts = jnp.full(payoffs.shape[1:], float(plays))
    successful, intervals, joint, width = map(np.asarray, _covered(counts, means, covariances, truth, tau))
    # A solve that failed covers nothing.
    intervals, joint = intervals & successful[:, None, None, None, None], joint & successful[:, None]
    return {"intervals": intervals.mean(0), "joint": joint.mean(0), "half_width": np.median(width)}


@eqx.filter_jit
def _plan(counts, means, covariances, tau, eps):
    """For each game: half-width, plays to add by the plan, plays to add uniformly, policy."""

    def one(n, mean, covariance):
        empirical = hq.EmpiricalGame.from_moments(n, mean, covariance)
        solution = hq.solve(empirical.game, tau, solver=_SOLVER, throw=False)
        plan = hq.empirical.plan_rollouts(empirical, solution, eps)
        return plan.half_width, plan.additional, plan.uniform, solution.policy

    return jax.vmap(one)(counts, means, covariances)


class Sample:
    """Sums of the plays so far, of many games; new plays are drawn by their sufficient statistics."""

    def __init__(self, payoffs: np.ndarray, noise: str, seed: int):
        self.payoffs, self.noise, self.rng = payoffs, noise, np.random.default_rng(seed)
        self.n = np.zeros((payoffs.shape[0], 1, *payoffs.shape[2:]))
        self.sums, self.squares = np.zeros_like(payoffs), np.zeros_like(payoffs)

    def play(self, added: np.ndarray) -> None:
        """Adds ``added[b, *profile]`` plays of each profile."""
        n = np.broadcast_to(added[:, None], self.payoffs.shape)
        if self.noise == "bernoulli":
            sums = squares = self.rng.binomial(n.astype(int), self.payoffs).astype(float)
        else:
            # Mean and scatter of n normal draws are independent, normal and χ² with n − 1 degrees of freedom.
            some = np.maximum(n, 1)
            means = self.payoffs + 0.5 * self.rng.standard_normal(n.shape) / np.sqrt(some)
            scatter = 0.25 * 2.0 * self.rng.standard_gamma(np.maximum(0.5 * (n - 1), 1e-300)) * (n > 1)
            sums, squares = n * means, scatter + n * means**2
        self.n = self.n + added[:, None]
        self.sums, self.squares = self.sums + sums, self.squares + squares

    def moments(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Counts, means and covariances; the players' noise is independent."""
        means = self.sums / self.n
        variances = np.maximum(self.squares - self.n * means**2, 0.0) / (self.n - 1)
        covariances = np.einsum("bi...,ij->bij...", variances, np.eye(means.shape[1]))
        return self.n[:, 0], means, covariances


def plays_until_known(
    payoffs: np.ndarray, tau: float, noise: str, eps: float, planned: bool, pilot: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Plays until the half-width is ε: a pilot, then halves of what is still wanted, planned anew each time.

    Args:
        payoffs: ``(game, player, *profile)``.
        tau: Temperature.
        noise: ``"normal"`` or ``"bernoulli"``.
        eps: Half-width at 95 %.
        planned: By `plan_rollouts`, or every profile equally often.
        pilot: Plays of each profile to begin with.
        seed: Of the noise.

    Returns:
        Plays per game, and the policies that were arrived at.
    """
    sample = Sample(payoffs, noise, seed)
    sample.play(np.full((len(payoffs), *payoffs.shape[2:]), float(pilot)))
    profiles = int(np.prod(payoffs.shape[2:]))
    while True:
        width, added, uniform, policy = map(np.asarray, _plan(*sample.moments(), tau, eps))
        active = width > eps
        if not active.any():
            return sample.n[:, 0].reshape(len(payoffs), -1).sum(1), policy
        if not planned:
            added = np.broadcast_to((uniform / profiles).reshape(-1, *[1] * (payoffs.ndim - 2)), added.shape)
        total = sample.n[:, 0].reshape(len(payoffs), -1).sum(1)
        wanted = added.reshape(len(payoffs), -1).sum(1)
        # Half of what is wanted, at most as much as there is; the last hundredth at once.
        share = np.clip(np.maximum(0.5, 0.01 * total / np.maximum(wanted, 1)), None, total / np.maximum(wanted, 1))
        share = np.minimum(share, 1.0).reshape(-1, *[1] * (payoffs.ndim - 2))
        batch = np.ceil(added * share) * active.reshape(share.shape)
        # Where the plan asks for nothing and the half-width is still too large, everything is played once.
        idle = active & (batch.reshape(len(payoffs), -1).sum(1) == 0)
        sample.play(batch + idle.reshape(share.shape))


def _report_coverage(arguments: argparse.Namespace, console: Console) -> bool:
    games = np.random.RandomState(1000).rand(arguments.coverage_games, 2, 3, 3)
    table = Table(
        title=f"coverage, τ = {arguments.tau:g}, {arguments.plays} plays a profile, {arguments.trials} trials"
    )
    for name in ("game", "noise", "half-width", "90 % intervals", "joint", "95 % intervals", "joint "):
        table.add_column(name)
    cells = []
    for g, payoffs in enumerate(games):
        for k, noise in enumerate(NOISE):
            got = coverage(payoffs, arguments.tau, noise, arguments.plays, arguments.trials, seed=100 * g + k)
            shares = got["intervals"].reshape(2, -1)
            cells.append(np.concatenate([shares, got["joint"][:, None]], axis=1))
            spans = [f"{row.min():.3f}–{row.max():.3f}" for row in shares]
            joint = [f"{share:.3f}" for share in got["joint"]]
            table.add_row(str(g), noise, f"{got['half_width']:.3f}", spans[0], joint[0], spans[1], joint[1])
    every = np.stack(cells)  # (cell, level, entries and joint)
    intervals, joint = every[..., :-1].mean((0, 2)), every[..., -1].mean(0)
    table.add_row("all", "all", "", f"{intervals[0]:.4f}", f"{joint[0]:.4f}", f"{intervals[1]:.4f}", f"{joint[1]:.4f}")
    console.print(table)
    worst = np.abs(every - np.array(LEVELS)[:, None]).max()
    console.print(f"furthest from nominal, any entry of any cell: {worst:.4f}", highlight=False)
    return bool((np.abs(np.stack([intervals, joint]) - LEVELS) <= _TOLERANCE).all())


def _report_allocation(arguments: argparse.Namespace, console: Console) -> bool:
    payoffs = np.random.RandomState(1000).rand(arguments.games, 2, 3, 3)
    table = Table(title=f"plays until ±{arguments.eps:g} at 95 %, planned / uniform, {arguments.games} W1 games")
    for name in (
        "τ",
        "noise",
        "median",
        "quartiles",
        "most",
        "median plays",
        "uniform",
        "probabilities within ±ε (planned, uniform)",
    ):
        table.add_column(name)
    good = True
    for tau in (0.1, 1.0):
        truth = np.asarray(_truth(payoffs, tau))
        for noise in ("normal", "bernoulli"):
            runs = [
                plays_until_known(payoffs, tau, noise, arguments.eps, planned, arguments.pilot, seed=0)
                for planned in (True, False)
            ]
            (planned, first), (uniform, second) = runs
            ratio = planned / uniform
            within = [(np.abs(p - truth) <= arguments.eps).mean() for p in (first, second)]
            quartiles = "–".join(f"{q:.3f}" for q in np.quantile(ratio, [0.25, 0.75]))
            table.add_row(
                f"{tau:g}",
                noise,
                f"{np.median(ratio):.3f}",
                quartiles,
                f"{ratio.max():.3f}",
                f"{np.median(planned):,.0f}",
                f"{np.median(uniform):,.0f}",
                f"{within[0]:.3f}, {within[1]:.3f}",
            )
            good &= bool(np.median(ratio) <= _MOST_PLAYS if tau == 0.1 else ratio.max() <= _NEVER_WORSE)
    console.print(table)
    return good


@eqx.filter_jit
def _truth(payoffs, tau):
    return jax.vmap(lambda u: hq.solve(hq.NormalFormGame(u), tau, solver=_SOLVER, throw=False).policy)(payoffs)


def main(argv: list[str] | None = None) -> int:
    """Run and print.

    Args:
        argv: Arguments; those of the command line by default.

    Returns:
        0, or 1 where a figure misses its goal.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rollouts", description=__doc__.splitlines()[0])
    parser.add_argument(
        "what", nargs="*", default=["coverage", "allocation"], metavar="WHAT", help="coverage, allocation"
    )
    parser.add_argument("--trials", type=int, default=2_000, help="repetitions of each game and noise (2000)")
    parser.add_argument("--coverage-games", type=int, default=6, help="games (6)")
    parser.add_argument("--plays", type=int, default=100, help="plays of each profile (100)")
    parser.add_argument("--tau", type=float, default=0.3, help="temperature of the coverage games (0.3)")
    parser.add_argument("--games", type=int, default=200, help="games of the allocation (200)")
    parser.add_argument("--eps", type=float, default=0.01, help="half-width wanted (0.01)")
    parser.add_argument("--pilot", type=int, default=10, help="plays of each profile to begin with (10)")
    arguments = parser.parse_args(argv)
    unknown = set(arguments.what) - {"coverage", "allocation"}
    if unknown:
        parser.error(f"{', '.join(sorted(unknown))}: choose from coverage, allocation")
    jax.config.update("jax_enable_x64", True)
    console = Console(width=None if sys.stdout.isatty() else 150)
    reports = {"coverage": _report_coverage, "allocation": _report_allocation}
    good = [reports[what](arguments, console) for what in arguments.what]
    return int(not all(good))


if __name__ == "__main__":
    sys.exit(main())
