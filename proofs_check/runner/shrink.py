"""From a game that breaks a claim to a small one that still does, in files that can be solved again."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import hqre_jax as hq
from hqre_jax.io._document import NAME_KEYS, document_from_game
from hqre_jax.io._json import format_json
from proofs_check.adversary.attack import Attack
from proofs_check.comparison import RESOLUTION, Comparison, batch_of_one, select
from proofs_check.statement import Statement

# How often a claim is measured in all: bounds the work, and unlike a bound on time gives equal results.
_MAX_TRIALS = 300
# Digits after the point, or significant ones, that are tried; 0 first.
_DIGITS = (0, 1, 2, 3)
# Where the axes of actions begin, by array, if there are n players.
_ACTION_AXES = {
    hq.NormalFormGame: {"payoffs": lambda n: 1},
    hq.BayesianGame: {"payoffs": lambda n: 1 + n},
    hq.MarkovGame: {"payoffs": lambda n: 2, "transitions": lambda n: 1},
}


@dataclass(frozen=True)
class Counterexample:
    """A game with its temperatures, as files have it.

    Attributes:
        statement: "T1", "T2", …
        claim: The claim it is about.
        ratio: Observed/bound, or nan where it is no number.
        violated: Whether it breaks the claim; the tightest game of an adversary usually does not.
        game: The game as JSON.
        tau: Temperatures as JSON, [player][information state].
        reference: Reference policy as JSON, [player][information state][action]; empty if uniform.
        options: What `hqre solve` must be told besides.
    """

    statement: str
    claim: str
    ratio: float
    violated: bool
    game: str
    tau: str
    reference: str
    options: str

    @staticmethod
    def of(statement: str, claim: str, problem: hq.Problem, ratio: float, *, violated: bool) -> "Counterexample":
        """The files of a problem without leading axis."""
        mask = np.asarray(problem.mask)
        used = [np.flatnonzero(own.any(axis=-1)) for own in mask]
        tau, log_reference = np.asarray(problem.tau), np.asarray(problem.log_reference)
        reference = [
            [np.exp(log_reference[i, x, mask[i, x]]).tolist() for x in states] for i, states in enumerate(used)
        ]
        words = [] if problem.continuation == "soft" else [f"--continuation {problem.continuation}"]
        words += ["--entropy shannon"] if problem.entropy == "shannon" else []
        return Counterexample(
            statement,
            claim,
            ratio,
            violated,
            format_json(document_from_game(problem.game)),
            json.dumps([tau[i, states].tolist() for i, states in enumerate(used)]),
            "" if _is_uniform(reference) else json.dumps(reference),
            " ".join(words),
        )


def _is_uniform(reference: list[list[list[float]]]) -> bool:
    return all(np.ptp(row) <= 1e-15 for own in reference for row in own)


@dataclass(frozen=True, eq=False)
class _Parts:
    """A problem taken apart: the constructor's arrays, and what goes with them."""

    kind: type
    arrays: dict[str, np.ndarray]
    tau: np.ndarray
    reference: np.ndarray | None
    entropy: str
    continuation: str

    @staticmethod
    def of(problem: hq.Problem) -> "_Parts":
        document = document_from_game(problem.game)
        arrays = {name: np.asarray(a) for name, a in document.items() if name not in ("kind", *NAME_KEYS)}
        mask = np.asarray(problem.mask)
        reference = np.where(mask, np.exp(np.asarray(problem.log_reference)), 0.0)
        shannon = problem.entropy == "shannon"
        return _Parts(
            type(problem.game),
            arrays | {"action_mask": mask},
            np.asarray(problem.tau),
            None if shannon else reference,
            "shannon" if shannon else "kl",
            problem.continuation,
        )

    @property
    def mask(self) -> np.ndarray:
        return self.arrays["action_mask"]

    def problem(self) -> hq.Problem:
        reference = self.reference
        if reference is not None:
            reference = np.where(self.mask, reference, 0.0)
            reference = reference / np.maximum(reference.sum(axis=-1, keepdims=True), np.finfo(float).tiny)
        game = self.kind(**self.arrays)
        return hq.Problem(game, self.tau, reference=reference, entropy=self.entropy, continuation=self.continuation)  # type: ignore[arg-type]

    def having(self, **arrays: np.ndarray) -> "_Parts":
        return replace(self, arrays=self.arrays | arrays)


def worst_game(comparison: Comparison) -> hq.Problem:
    """The game of a comparison that breaks its claim most, without leading axis."""
    excess = np.where(comparison.violated, np.nan_to_num(comparison.ratios, nan=np.inf), -np.inf)
    return select(comparison.problems, int(np.argmax(excess)))


def confirmed(statement: Statement, attack: Attack, key: Any) -> str | None:
    """The claim that an adversary's best game breaks when it is measured anew, rounding conceded; None if none."""
    if not statement.about_single_games:
        return attack.claim if attack.tightest > 1 + RESOLUTION else None
    broken = [c.claim for c in statement.measure(batch_of_one(attack.best), key) if c.violated.any()]
    return attack.claim if attack.claim in broken else (broken[0] if broken else None)


def shrunk(statement: Statement, claim: str, problem: hq.Problem, key: Any) -> Counterexample:
    """Make a game that breaks a claim as plain as greed can, as long as it does.

    Tried in turn, each kept if the claim is still broken: a uniform reference; fewer actions; fewer types; edges
    without payoffs; round numbers and zeros for payoffs, temperatures and discount; at last arrays without the
    actions that nobody has.

    Args:
        statement: The statement; if it is not about single games the game stays as it is.
        claim: The claim.
        problem: The game with its temperatures, without leading axis.
        key: Typed key for the measurements.

    Returns:
        The game and its observed/bound.
    """
    trials = 0

    def ratio_of(case: _Parts) -> float | None:
        """Observed/bound if the claim is broken, else None."""
        nonlocal trials
        trials += 1
        try:
            measured = statement.measure(batch_of_one(case.problem()), key)
        except hq.InputError:
            return None
        broken = [c.ratios for c in measured if c.claim == claim and c.violated.any()]
        return float(np.max(np.concatenate(broken))) if broken else None

    if not statement.about_single_games:
        return Counterexample.of(statement.name, claim, problem, float("nan"), violated=True)
    best = _Parts.of(problem)
    ratio = ratio_of(best)
    if ratio is None:
        # Another random start does not show it: the game is kept as it was found.
        return Counterexample.of(statement.name, claim, problem, float("nan"), violated=True)
    for candidates in (_plainer_reference, _fewer_actions, _fewer_types, _fewer_edges, _rounder, _zeros, _compact):
        for change in candidates(best):
            if trials >= _MAX_TRIALS and candidates is not _compact:
                break
            changed = change(best)
            found = None if changed is None else ratio_of(changed)
            if changed is not None and found is not None:
                best, ratio = changed, found
    return Counterexample.of(statement.name, claim, best.problem(), ratio, violated=True)


def _plainer_reference(case: _Parts) -> Iterator[Any]:
    if case.reference is not None:
        yield lambda case: replace(case, reference=np.where(case.mask, 1.0, 0.0))


def _fewer_actions(case: _Parts) -> Iterator[Any]:
    """First a player's whole choice, then single actions."""
    for i in range(len(case.mask)):
        yield lambda case, i=i: _masked(case, i, np.cumsum(case.mask[i], axis=-1) == 1)
    for i, x, a in np.argwhere(case.mask):
        yield lambda case, i=i, x=x, a=a: _masked(
            case, i, ~((np.arange(case.mask.shape[1]) == x)[:, None] & (np.arange(case.mask.shape[2]) == a))
        )


def _masked(case: _Parts, player: int, kept: np.ndarray) -> _Parts | None:
    mask = case.mask.copy()
    mask[player] &= kept
    same = (mask == case.mask).all() or (mask.any(axis=-1) != case.mask.any(axis=-1)).any()
    return None if same else case.having(action_mask=mask)


def _fewer_types(case: _Parts) -> Iterator[Any]:
    def without(case: _Parts, player: int, kind: int) -> _Parts | None:
        prior = np.moveaxis(case.arrays["prior"].copy(), player, 0)
        prior[kind] = 0.0
        total = prior.sum()
        return case.having(prior=np.moveaxis(prior / total, 0, player)) if total > 0 else None

    for player, num in enumerate(np.shape(case.arrays.get("prior", ()))):
        for kind in range(num):
            yield lambda case, player=player, kind=kind: without(case, player, kind)


def _fewer_edges(case: _Parts) -> Iterator[Any]:
    def without(case: _Parts, edge: int) -> _Parts | None:
        payoffs = case.arrays["payoffs"].copy()
        payoffs[edge] = 0.0
        return None if not case.arrays["payoffs"][edge].any() else case.having(payoffs=payoffs)

    for edge in range(len(case.arrays.get("edges", ()))):
        yield lambda case, edge=edge: without(case, edge)


def _rounder(case: _Parts) -> Iterator[Any]:
    """Everything of one kind at once, the roundest numbers last, so that the roundest that works remains."""
    for name in ("payoffs", "discount"):
        for digits in reversed(_DIGITS) if name in case.arrays else ():
            yield lambda case, name=name, digits=digits: case.having(**{name: np.round(case.arrays[name], digits)})
    for digits in reversed(_DIGITS):
        yield lambda case, digits=digits: replace(case, tau=_significant(case.tau, digits + 1))
    yield lambda case: replace(case, tau=np.full_like(case.tau, _significant(case.tau, 2).max()))


def _significant(values: np.ndarray, digits: int) -> np.ndarray:
    return np.vectorize(lambda v: float(f"{v:.{digits - 1}e}"))(values)


def _zeros(case: _Parts) -> Iterator[Any]:
    """Single payoffs: 0, or else the next whole number."""

    def entry(case: _Parts, place: tuple[int, ...], value: float) -> _Parts | None:
        payoffs = case.arrays["payoffs"].copy()
        if payoffs[place] == value:
            return None
        payoffs[place] = value
        return case.having(payoffs=payoffs)

    payoffs = case.arrays.get("payoffs")
    for place in () if payoffs is None else map(tuple, np.argwhere(payoffs)):
        yield lambda case, place=place: entry(case, place, 0.0)
        yield lambda case, place=place: entry(case, place, float(np.round(case.arrays["payoffs"][place])))


def _compact(case: _Parts) -> Iterator[Any]:
    """The same game in smaller arrays: actions that no state of their player allows are left out."""

    def smaller(case: _Parts) -> _Parts | None:
        kept = [np.flatnonzero(own.any(axis=0)) for own in case.mask]
        if all(len(own) == case.mask.shape[-1] for own in kept):
            return None
        arrays = dict(case.arrays)
        for name, first in _ACTION_AXES[case.kind].items():
            begin = first(len(kept))
            for i, own in enumerate(kept):
                arrays[name] = np.take(arrays[name], own, axis=begin + i)
        width = max(map(len, kept))
        arrays["action_mask"] = _narrowed(case.mask, kept, width)
        reference = None if case.reference is None else _narrowed(case.reference, kept, width)
        return replace(case, arrays=arrays, reference=reference)

    if case.kind in _ACTION_AXES:
        yield smaller


def _narrowed(array: np.ndarray, kept: list[np.ndarray], width: int) -> np.ndarray:
    result = np.zeros((*array.shape[:2], width), array.dtype)
    for i, own in enumerate(kept):
        result[i, :, : len(own)] = array[i][:, own]
    return result
