"""Small valid files of every kind that is read: where the fuzzer starts from."""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import hqre_jax as hq
from hqre_jax.certificates.rigorous import Proof
from hqre_jax.certificates.rigorous._data import problem_data
from hqre_jax.core._checkpoint import save_checkpoint
from hqre_jax.io import list_games
from hqre_jax.problem import Problem
from tests.fuzzing.readers import QUESTION, checkpoint_like

sys.path.append(str(Path(__file__).parents[1] / "io"))
from gambit_samples import EFG, NFG

_LARGEST = 2000
_SWEEP = """temperatures = [2.0, [1.5, 3.0]]
solvers = ["fixed_point"]
seeds = [0, 1]
num_games = 50
shard_games = 20
tol = 1e-9
[[games]]
families = ["uniform"]
sizes = [[2, 2], [2, 3, 2]]
[[games]]
kind = "markov"
sizes = [[2, 2]]
states = 2
discount = 0.9
"""


def games() -> list[hq.AbstractGame]:
    """One of every kind."""
    rng = np.random.default_rng(0)
    kernel = rng.dirichlet([1, 1], (2, 2, 2))
    observations = np.array([[0, 1], [0, 0]])
    return [
        hq.NormalFormGame(rng.integers(0, 9, (2, 2, 3)), labels=hq.Labels(title="T", players=("a", "b"))),
        hq.NormalFormGame(np.ones((2, 2, 2)), action_mask=[[[True, True]], [[True, False]]]),
        hq.PolymatrixGame([[0, 1], [2, 1]], rng.integers(0, 9, (2, 2, 2, 2))),
        hq.BayesianGame([[0.5, 0.5]], rng.integers(0, 9, (2, 1, 2, 2, 2))),
        hq.MarkovGame(rng.integers(0, 9, (2, 2, 2, 2)), kernel, 0.5),
        hq.IncompleteInformationMarkovGame(rng.integers(0, 9, (2, 2, 2, 2)), kernel, observations, 0.5, [0.5, 0.5]),
        hq.PublicPrivateGame(
            rng.integers(0, 9, (2, 1, 1, 2, 2, 2)), np.ones((1, 1, 2, 2, 2, 1)), [[[0.5, 0.5]]], 0.5, [1.0]
        ),
        hq.load_game("selten_horse"),
    ]


def _log() -> hq.RolloutLog:
    return hq.RolloutLog(
        episode=[0, 0, 1, 1],
        agent=[0, 1, 0, 1],
        action=[0, 1, 1, 1],
        payoff=[0.1, 0.2, np.nan, np.nan],
        failed=[False, False, True, True],
        log_propensity=[-0.5, -1.0, np.nan, -0.1],
        num_actions=[[2], [2]],
        labels=hq.Labels(title="t"),
    )


def seeds() -> Iterator[tuple[str, bytes]]:
    """Readers' names with contents."""
    yield from (("nfg", text.encode()) for text in NFG.values())
    yield from (("efg", text.encode()) for text in EFG.values())
    for entry in list_games():
        if entry.path.stat().st_size < _LARGEST:
            yield entry.path.suffix[1:], entry.path.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "seed"
        for game in games():
            for suffix, names in ((".json", ("json",)), (".npz", ("npz", "npz, members"))):
                hq.save_game(game, path.with_suffix(suffix))
                yield from ((name, path.with_suffix(suffix).read_bytes()) for name in names)
        for suffix, names in (
            (".jsonl", ("log", "log, last line cut off")),
            (".npz", ("log as npz, members",)),
        ):
            hq.io.save_rollout_log(_log(), path.with_suffix(suffix))
            yield from ((name, path.with_suffix(suffix).read_bytes()) for name in names)
        yield "sweep", _SWEEP.encode()
        # A proof is read without being believed, so that one may be made up: no inequality is looked at here.
        proof = Proof(
            "margin", "claimed", None, None, [], [], 0.5, [1.0, 1.0], [1.0, 1.0], 64,
            problem_data(Problem(hq.NormalFormGame(np.eye(2)[None].repeat(2, 0)), 2.0)),
        ).sealed()  # fmt: skip
        proof.save(path)
        yield "proof", path.read_bytes()
        save_checkpoint(path.with_suffix(".npz"), *checkpoint_like(), QUESTION)
        yield from ((name, path.with_suffix(".npz").read_bytes()) for name in ("checkpoint", "checkpoint, members"))
