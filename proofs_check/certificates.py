"""``python -m proofs_check.certificates``: `hqre_jax.certify` against a search that knows nothing of it.

A verdict "unique" is refuted by two HQRE, "not_unique" by a witness that is none or by witnesses that are one. Every
game is searched by Newton's method from many starts; how many games get a verdict at all is reported beside.
"""

import argparse
import sys
from typing import NamedTuple

import jax
import numpy as np

import hqre_jax as hq
from proofs_check.experiment import BATCH
from proofs_check.games.certified import posed
from proofs_check.numerics.counting import num_equilibria

SIZES, TEMPERATURES = ((2, 2), (3, 3)), (0.1, 0.3, 1.0)
# Residual of a witness, and how far apart two of them must be, so that they are not one HQRE computed twice.
_HONEST, _APART = 1e-9, 1e-6


class Tally(NamedTuple):
    """Verdicts on games of one size and temperature.

    Attributes:
        games: How many games.
        unique: Verdicts "unique".
        not_unique: Verdicts "not_unique".
        several: Games in which the search found several HQRE.
        refuted: Numbers of games whose verdict is wrong.
    """

    games: int
    unique: int
    not_unique: int
    several: int
    refuted: tuple[int, ...]

    @property
    def decided(self) -> float:
        """Part of the games that got a verdict."""
        return (self.unique + self.not_unique) / self.games


def tally(size: tuple[int, int], tau: float, num_games: int, seed: int = 0) -> Tally:
    """Judge the verdicts on games with payoffs uniform on [0, 1].

    Args:
        size: Actions of the two players.
        tau: Temperature, units of payoff.
        num_games: How many games.
        seed: Seed of the games.

    Returns:
        The `Tally`.
    """
    payoffs = np.random.RandomState(seed).rand(num_games, 2, *size)
    parts = [payoffs[first : first + BATCH] for first in range(0, num_games, BATCH)]
    found = np.concatenate(
        [num_equilibria(posed(hq.NormalFormGame, (u,), np.full(len(u), tau)).problem) for u in parts]
    )
    verdicts, refuted = [], []
    for g, (game, count) in enumerate(zip(payoffs, found, strict=True)):
        certificate = hq.certify(hq.NormalFormGame(game), tau)
        verdicts.append(str(certificate.verdict))
        if verdicts[-1] == "unique" and count > 1:
            refuted.append(g)
        if verdicts[-1] == "not_unique" and not _witnessed(game, tau, certificate.witnesses):
            refuted.append(g)
    return Tally(
        games=num_games,
        unique=verdicts.count("unique"),
        not_unique=verdicts.count("not_unique"),
        several=int(np.sum(found > 1)),
        refuted=tuple(refuted),
    )


def _witnessed(payoffs: np.ndarray, tau: float, witnesses: tuple) -> bool:
    """Whether two policies are HQRE and different, by numpy alone."""
    if len(witnesses) != 2:
        return False
    pairs = [np.asarray(witness)[:, 0] for witness in witnesses]  # (player, action)
    for p, q in pairs:
        p, q = p[: payoffs.shape[1]], q[: payoffs.shape[2]]
        for own, worth in ((p, payoffs[0] @ q), (q, p @ payoffs[1])):
            weights = np.exp((worth - worth.max()) / tau)
            if np.abs(own - weights / weights.sum()).max() > _HONEST:
                return False
    return bool(np.max(np.abs(pairs[0] - pairs[1])) > _APART)


def main(argv: list[str] | None = None) -> int:
    """Print one line per size and temperature; exit code 1 if a verdict is refuted."""
    parser = argparse.ArgumentParser(prog="python -m proofs_check.certificates", description=__doc__.splitlines()[0])
    parser.add_argument("--games", type=int, default=10_000, metavar="N", help="games in all (10000)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="seed of the games (0)")
    arguments = parser.parse_args(argv)
    if arguments.games < 1:
        parser.error("--games must be 1 or more")
    jax.config.update("jax_enable_x64", True)
    share = -(-arguments.games // (len(SIZES) * len(TEMPERATURES)))
    wrong = 0
    for size in SIZES:
        for tau in TEMPERATURES:
            found = tally(size, tau, share, arguments.seed)
            wrong += len(found.refuted)
            print(f"{size[0]}x{size[1]}, tau {tau:g}: {found.games} games, unique {found.unique}, ", end="")
            print(f"not_unique {found.not_unique}, several found {found.several}, ", end="")
            print(f"decided {found.decided:.2%}, refuted {found.refuted}", flush=True)
    print(f"{share * len(SIZES) * len(TEMPERATURES)} games, {wrong} verdicts refuted")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
