"""Empirical games: the payoff tensor of a one-shot game, estimated from recorded plays, and what is unknown of it."""

import math
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np

from hqre_jax.core._temperatures import as_float_array, concrete, real_numbers
from hqre_jax.core._types import InputError, Labels, checked_choice, checked_kind, checked_labels
from hqre_jax.empirical._moments import AbstractEmpiricalGame
from hqre_jax.empirical._plays import observed, possible_profiles, profile_index, profile_shape, simultaneous_plays
from hqre_jax.empirical._solution import EmpiricalSolution
from hqre_jax.rollouts._observations import Range, check_within, checked_number, checked_range
from hqre_jax.rollouts._rollout_log import RolloutLog, checked_num_actions
from hqre_jax.solving._solve import solve

Missing = Literal["error", "range", "smoothing"]
_SHOWN = 4


class EmpiricalGame(AbstractEmpiricalGame):
    """Sample moments of the payoffs of each joint profile of a one-shot game.

    A *profile* is a joint action ``(a_1, …, a_N)`` or, where players have several information states, types and
    actions ``(θ_1, …, θ_N, a_1, …, a_N)``, as in `BayesianGame`. Public states are types that all players share.
    Plays of a profile are taken to be independent draws of one law; the payoffs that the players get in one play may
    depend on each other. Make one with `EmpiricalGame.from_log`.

    Attributes:
        counts: ``n(a)``, plays whose payoffs were observed, ``(*profile)``.
        failures: Plays that failed, ``(*profile)``; whether they are among `counts` is `failed_payoff`.
        means: ``û_i(a)``, ``(player, *profile)``, units of payoff.
        covariances: ``S_ij(a)``, of the payoffs in *one* play, with divisor ``n − 1``; NaN where ``n < 2``;
            ``(player, player, *profile)``, units of payoff squared.
        third: Third central moments of each player's payoff in one play, ``(player, *profile)``, units of payoff
            cubed; NaN where unknown.
        width: Width of the range of payoffs; infinite where no range was stated.
        unknown: Half the width of what a mean may be where nothing was observed, ``(player, *profile)``; else 0.
        prior: ``P(θ)``; None where everybody has one information state.
        prior_plays: Number of plays from which the prior was counted; infinite where it was given.
        missing: What was done about profiles without a play; see `from_log`.
        pseudo_plays: Plays that ``"smoothing"`` added to each profile.
        failed_payoff: What a failed play paid; None where failed plays were left out.
        labels: Names.

    Example:
        >>> import numpy as np
        >>> import hqre_jax as hq
        >>> plays = np.random.default_rng(0).integers(2, size=(400, 2))
        >>> log = hq.RolloutLog.from_plays(plays, (plays[:, :1] == plays[:, 1:]) * [1.0, 1.0], num_actions=[[2], [2]])
        >>> game = hq.EmpiricalGame.from_log(log)
        >>> print(hq.solve(game.game, 1.0).policy[:, 0].round(1))
        [[0.5 0.5]
         [0.5 0.5]]
    """

    @classmethod
    def from_moments(
        cls, counts: Any, means: Any, covariances: Any, *, third: Any = None, labels: Labels | None = None
    ) -> "EmpiricalGame":
        """The empirical game of known sample moments, in normal form; works under ``vmap`` and ``jit``.

        Args:
            counts: ``n(a)``, at least 1, ``(*profile)``.
            means: ``(player, *profile)``.
            covariances: Of one play, ``(player, player, *profile)``.
            third: Third central moments, ``(player, *profile)``; without them nothing is known of skewness.
            labels: Optional names.

        Returns:
            The empirical game.

        Raises:
            InputError: If shapes do not fit.
        """
        means = as_float_array(means, "means")
        if means.ndim < 2:
            raise InputError("means", f"has shape {means.shape}, where (player, *profile) is wanted")
        counts = as_float_array(counts, "counts", means.dtype)
        covariances = as_float_array(covariances, "covariances", means.dtype)
        third = as_float_array(jnp.full(means.shape, jnp.nan) if third is None else third, "third", means.dtype)
        players, profile = means.shape[0], means.shape[1:]
        for name, array, wanted in (
            ("counts", counts, profile),
            ("covariances", covariances, (players, players, *profile)),
            ("third", third, means.shape),
        ):
            if array.shape != wanted:
                raise InputError(name, f"has shape {tuple(array.shape)}, where {wanted} is wanted")
        few = jnp.broadcast_to(counts < 2, covariances.shape)  # of one play there is no covariance
        for name, array, good, wanted in (
            ("counts", counts, (counts >= 1) & jnp.isfinite(counts), "a finite number, 1 or more"),
            ("means", means, jnp.isfinite(means), "finite"),
            ("covariances", covariances, jnp.isfinite(covariances) | few, "finite"),
        ):
            if concrete(good) and not bool(jnp.all(good)):
                place, value = np.argwhere(~np.asarray(good))[0], np.asarray(array)[~np.asarray(good)][0]
                raise InputError(f"{name}{[int(k) for k in place]}", f"is {value:g}; it must be {wanted}")
        zero = jnp.zeros_like(means)
        infinite = jnp.asarray(jnp.inf, means.dtype)
        return cls(
            counts=counts,
            failures=zero[0],
            means=means,
            covariances=covariances,
            third=third,
            width=infinite,
            unknown=zero,
            prior=None,
            prior_plays=infinite,
            missing="error",
            pseudo_plays=0.0,
            failed_payoff=None,
            labels=checked_labels(labels),
        )

    @classmethod
    def from_log(
        cls,
        log: RolloutLog,
        *,
        num_actions: Any = None,
        prior: Any = None,
        failed: Any = "error",
        missing: Missing = "error",
        payoff_range: Any = None,
        pseudo_plays: Any = 1.0,
    ) -> "EmpiricalGame":
        """Counts, means and covariances of the payoffs in recorded one-shot plays.

        Args:
            log: Plays of one step, in each of which every player has a row.
            num_actions: ``num_actions[i][x]``; those of the log by default. A player has as many actions at each
                information state.
            prior: ``P(θ_1, …, θ_N)``; by default the frequencies in the log, whose own sampling error is then
                part of every confidence region.
            failed: What to do about plays with a failed row. ``"error"`` refuses them; ``"drop"`` leaves them out,
                which biases means where failing and payoff go together; a number is what a failed play pays
                every player, and makes it an observation.
            missing: What to do about profiles without an observed play. ``"error"`` refuses, and lists them;
                ``"range"`` takes the middle of ``payoff_range`` and widens intervals by what the rest of the range
                may do, to first order; ``"smoothing"`` adds to *every* profile ``pseudo_plays`` plays that pay
                the middle of the range with the largest variance that the range allows.
            payoff_range: Least and largest possible payoff, for ``"range"`` and ``"smoothing"``; wherever it is
                given payoffs must lie in it, and it bounds what rare payoffs may do to confidence regions.
            pseudo_plays: For ``"smoothing"``.

        Returns:
            The empirical game; it says which of these choices were made.

        Raises:
            InputError: Naming the play, the profile or the argument at fault.
        """
        checked_kind(log, RolloutLog, "log")
        table = checked_num_actions(num_actions) if num_actions is not None else log.num_actions
        if table is None:
            raise InputError("num_actions", "is needed: a log does not show actions that were never played")
        checked_choice(missing, ("error", "range", "smoothing"), "missing")
        if missing == "smoothing":
            pseudo_plays = checked_number(pseudo_plays, "pseudo_plays", above=0.0)
        known_range = checked_range(payoff_range)
        if known_range is None and missing != "error":
            raise InputError("payoff_range", f'must be two finite numbers where missing="{missing}"')
        check_within(log.payoff, known_range, "log.payoff")
        states, actions = _shape(table)
        types, played, payoffs, broken = simultaneous_plays(log, states, actions)
        pays = _failed_payoff(failed, broken, known_range)
        shape, size = profile_shape(states, actions), math.prod(profile_shape(states, actions))
        flat = profile_index(types, played, states, actions)
        failures = np.bincount(flat[broken], minlength=size)
        counts, means, covariances, third = _moments(*observed(flat, payoffs, broken, pays), size)
        prior_array, prior_plays = _prior(prior, types, states)
        possible = np.ones(shape, bool) if prior_array is None else possible_profiles(prior_array, shape)
        unknown = np.zeros_like(means)
        empty = (counts == 0) & possible.reshape(-1)
        if empty.any() and missing == "error":
            raise InputError("log", _list_missing(empty, shape, len(actions)))
        if known_range is not None and missing != "error":
            middle, half = 0.5 * (known_range[0] + known_range[1]), 0.5 * (known_range[1] - known_range[0])
            if missing == "range":
                means, unknown = np.where(empty, middle, means), np.where(empty, half, unknown)
            else:
                third = third * counts / (counts + pseudo_plays)
                counts, means, covariances = _smoothed(counts, means, covariances, middle, half, pseudo_plays)
        players = len(actions)
        return cls(
            counts=jnp.asarray(counts, float).reshape(shape),
            failures=jnp.asarray(failures, float).reshape(shape),
            means=jnp.asarray(means).reshape(players, *shape),
            covariances=jnp.asarray(covariances).reshape(players, players, *shape),
            third=jnp.asarray(third).reshape(players, *shape),
            width=jnp.asarray(np.inf if known_range is None else known_range[1] - known_range[0]),
            unknown=jnp.asarray(unknown).reshape(players, *shape),
            prior=None if prior_array is None else jnp.asarray(prior_array),
            prior_plays=jnp.asarray(prior_plays),
            missing=missing,
            pseudo_plays=float(pseudo_plays) if missing == "smoothing" else 0.0,
            failed_payoff=pays,
            labels=log.labels,
        )

    def solve(self, tau: Any, **options: Any) -> EmpiricalSolution:
        """The HQRE of the mean payoffs, with what the plays say of it.

        Args:
            tau: Temperatures, units of payoff, as in `solve`.
            options: Of `solve`: solver, reference, tolerance.

        Returns:
            The `EmpiricalSolution`: ``.solution``, ``.confidence()``, ``.plan(eps)``, ``.bootstrap(log)``.

        Raises:
            InputError: As `solve`.
            SolveError: As `solve`.
        """
        return EmpiricalSolution(self, solve(self.game, tau, **options))


def _shape(table: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Information states and actions of each player."""
    for i, row in enumerate(table):
        if len(set(row)) != 1:
            raise InputError(f"num_actions[{i}]", "differs between information states; one-shot games here have a box")
    return tuple(len(row) for row in table), tuple(int(row[0]) for row in table)


def _moments(flat: np.ndarray, payoffs: np.ndarray, size: int):
    """Counts ``(profile,)``, means ``(player, profile)``, covariances ``(player, player, profile)``, third moments."""
    players = payoffs.shape[1]
    counts = np.bincount(flat, minlength=size)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.stack([np.bincount(flat, payoffs[:, i], size) for i in range(players)]) / counts
        off = payoffs - means[:, flat].T
        sums = [[np.bincount(flat, off[:, i] * off[:, j], size) for j in range(players)] for i in range(players)]
        covariances = np.where(counts > 1, np.stack([np.stack(row) for row in sums]) / (counts - 1), np.nan)
        third = np.stack([np.bincount(flat, off[:, i] ** 3, size) for i in range(players)]) / counts
    return counts.astype(float), np.where(counts > 0, means, 0.0), covariances, third


def _prior(prior: Any, types: np.ndarray, states: tuple[int, ...]) -> tuple[np.ndarray | None, float]:
    if max(states) == 1:
        if prior is not None:
            raise InputError("prior", "is for games with several information states; here everybody has one")
        return None, np.inf
    if prior is not None:
        array = np.asarray(real_numbers(prior, "prior"), float)
        if array.shape != states:
            raise InputError("prior", f"has shape {array.shape}, where {states} is wanted")
        if not (np.isfinite(array).all() and (array >= 0).all() and abs(array.sum() - 1) <= 1e-8):
            raise InputError("prior", "must be probabilities that sum to 1")
        return array, np.inf
    counts = np.bincount(np.ravel_multi_index(tuple(types.T), states), minlength=int(np.prod(states))).reshape(states)
    for i in range(len(states)):
        own = counts.sum(tuple(j for j in range(len(states)) if j != i))
        if (own == 0).any():
            raise InputError("log", f"never shows information state {int(np.argmin(own))} of player {i}; give prior=")
    return counts / counts.sum(), float(counts.sum())


def _failed_payoff(failed: Any, broken: np.ndarray, known_range: Range | None) -> float | None:
    """What a failed play paid; None where it is no observation. True and false are no payoffs."""
    if isinstance(failed, str) and (failed == "drop" or (failed == "error" and not broken.any())):
        return None
    try:
        pays = checked_number(failed, "failed")
    except InputError:
        count = f"{int(broken.sum())} of {broken.size} plays failed; " if isinstance(failed, str) else ""
        raise InputError("failed", f'{count}pass "drop", or the payoff of a failed play, a finite number') from None
    check_within(np.asarray(pays), known_range, "failed")
    return pays


def _smoothed(counts, means, covariances, middle: float, half: float, plays: Any):
    """Moments after ``plays`` more plays of mean ``middle`` and variance ``half²`` at every profile."""
    total = counts + plays
    off = means - middle
    scatter = np.nan_to_num(covariances) * np.maximum(counts - 1, 0)
    scatter = scatter + counts * plays / total * off[:, None] * off[None, :]
    scatter = scatter + plays * half**2 * np.eye(len(means))[:, :, None]
    return total, (counts * means + plays * middle) / total, scatter / total


def _list_missing(empty: np.ndarray, shape: tuple[int, ...], players: int) -> str:
    profiles = [tuple(map(int, index)) for index in np.argwhere(empty.reshape(shape))]
    named = ", ".join(map(str, profiles[:_SHOWN])) + (", …" if len(profiles) > _SHOWN else "")
    axes = "actions" if len(shape) == players else "types, actions"
    return (
        f"shows no play of {len(profiles)} of {len(empty)} profiles ({axes}): {named}; "
        'play them, or say missing="range" or "smoothing"'
    )
