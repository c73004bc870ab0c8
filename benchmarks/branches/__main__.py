"""``python -m benchmarks.branches``: is "principal_branch" ever another equilibrium?

Games of every family are solved by `hqre_jax.solve_batch`; a sample of each is judged by an independent tracer whose
steps are far finer, where two of its step sizes agree, and by Gambit at its default steps where it can be asked; some
of them are asked one by one too, of every method that follows the branch. Prints one line a family; exit code 1 if any
answer was wrong. Results are kept in ``--out`` family by family, and the same command goes on where it was stopped.
"""

import argparse
import importlib.util
import json
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console
from rich.table import Table

import hqre_jax as hq
from benchmarks.branches._families import FAMILIES, Sample
from benchmarks.branches._gambit import gambit
from benchmarks.branches._tracer import trace

_CHUNK = 50_000
# Policies within this distance are the same answer.
_SAME = 1e-4
# Step sizes of the judge.
_FINE, _FINER = 0.05, 0.02
_METHODS = ("principal_branch", "krylov_branch")


def _claims(solution: Any) -> np.ndarray:
    return np.isin(np.asarray(solution.selection), ["principal_branch", "unique"])


def _off(policies: np.ndarray, reference: np.ndarray) -> np.ndarray:
    size = min(policies.shape[-1], reference.shape[-1])
    return np.abs(policies[..., :size] - reference[..., :size]).max(axis=(1, 2, 3)) > _SAME


def judged(sample: Sample, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The judge's policies, and where its two step sizes agree."""
    system, start, stretch, policies = sample.reference(places)
    found = [trace(system, start, stretch, theta) for theta in (_FINE, _FINER)]
    fine, finer = (policies(f.points) for f in found)
    return finer, found[0].arrived & found[1].arrived & ~_off(fine, finer)


def _alone(sample: Sample, place: int, method: str) -> tuple[np.ndarray, bool]:
    """One game asked of one method."""
    game = sample.games
    game = hq.NormalFormGame(game[place]) if isinstance(game, np.ndarray) else jax.tree.map(lambda x: x[place], game)
    solution = hq.solve(
        game, sample.tau[place], solver=method, continuation=sample.continuation, max_steps=3_000, throw=False
    )
    return np.asarray(solution.policy), solution.selection in ("principal_branch", "unique")


def run_family(name: str, games: int, sampled: int, single: int, asked: int, seed: int, say: Any) -> dict[str, Any]:
    """Solve and judge one family."""
    draw, _ = FAMILIES[name]
    rng = np.random.RandomState((seed + zlib.crc32(name.encode())) % 2**32)
    solved = {"family": name, "games": 0, "unselected": 0, "seconds": 0.0}
    checks = {kind: {"asked": 0, "judged": 0, "wrong": 0, "unselected": 0} for kind in ("tracer", "Gambit", *_METHODS)}
    wrong: list[Any] = []
    while solved["games"] < games:
        sample = draw(rng, min(_CHUNK, games - solved["games"]))
        count = len(sample.tau)
        start = time.perf_counter()
        solution = hq.solve_batch(sample.games, sample.tau, continuation=sample.continuation, throw=False)
        solved["seconds"] += time.perf_counter() - start
        claims, answers = _claims(solution), np.asarray(solution.arrays.policy)
        share = max(1, round(sampled * count / games))
        places = rng.choice(count, min(share, count), replace=False)
        reference, certain = judged(sample, places)
        bad = certain & claims[places] & _off(answers[places], reference)
        _count(checks["tracer"], certain, bad, ~claims[places])
        wrong += [_saved(sample, places[k], answers, reference[k]) for k in np.flatnonzero(bad)]
        for method in _METHODS:
            some = np.flatnonzero(certain)[: max(1, round(single * count / games))]
            alone = [_alone(sample, int(places[k]), method) for k in some]
            claimed = np.array([claim for _, claim in alone], bool)
            off = _off(np.array([p for p, _ in alone]).reshape(-1, *answers.shape[1:]), reference[some])
            _count(checks[method], np.ones(len(some), bool), claimed & off, ~claimed)
        if sample.payoffs is not None and importlib.util.find_spec("pygambit"):
            # With temperatures that differ Gambit's games would be rescaled ones: λ u/τ.
            some = places[: asked * count // games or 1]
            scaled = sample.payoffs[some] / sample.tau[some].reshape(len(some), -1, *[1] * (sample.payoffs.ndim - 2))
            theirs = gambit(scaled, np.ones(len(some)))
            there = np.isfinite(theirs).any((1, 2, 3))
            bad = there & claims[some] & _off(answers[some], np.nan_to_num(theirs))
            # Gambit's own steps leave the branch at times: where the two disagree, the tracer decides, if it can.
            traced, sure = ~_off(answers[some], reference[: len(some)]), certain[: len(some)]
            _count(checks["Gambit"], there & ~(bad & ~sure), bad & sure & ~traced, ~claims[some])
            solved["Gambit elsewhere"] = solved.get("Gambit elsewhere", 0) + int(bad.sum())
        solved["games"] += count
        solved["unselected"] += int((~claims).sum())
        say(f"{name}: {solved['games']:,} of {games:,}")
    return {**solved, "checks": checks, "wrong": wrong[:10]}


def _count(check: dict[str, int], judged: np.ndarray, wrong: np.ndarray, unselected: np.ndarray) -> None:
    for key, values in (
        ("asked", np.ones_like(judged)), ("judged", judged), ("wrong", wrong), ("unselected", unselected)
    ):  # fmt: skip
        check[key] += int(values.sum())


def _saved(sample: Sample, place: int, answers: np.ndarray, reference: np.ndarray) -> dict[str, Any]:
    game = sample.games[place] if isinstance(sample.games, np.ndarray) else sample.games.payoffs[place]
    return {
        "payoffs": np.asarray(game).tolist(),
        "tau": sample.tau[place].tolist(),
        "answer": answers[place].tolist(),
        "right": reference.tolist(),
    }


def main(argv: list[str] | None = None) -> int:
    """Run, print, write; 1 where an answer was wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.branches", description=__doc__)
    parser.add_argument("--games", type=int, default=1_000_000, help="games in all (1,000,000)")
    parser.add_argument("--sample", type=int, default=1_000, help="games a family judged by the tracer (1,000)")
    parser.add_argument("--single", type=int, default=20, help="games a family asked one by one of each method (20)")
    parser.add_argument("--gambit", type=int, default=200, help="games a family asked of Gambit, of those judged (200)")
    parser.add_argument("--only", default="", help="families whose name contains this (all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out/branches.json"), help="JSON")
    arguments = parser.parse_args(argv)
    jax.config.update("jax_enable_x64", True)
    console, log = Console(width=None if sys.stdout.isatty() else 150), Console(stderr=True)
    question = {
        "games": arguments.games,
        "sample": arguments.sample,
        "single": arguments.single,
        "seed": arguments.seed,
    }
    kept = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    rows = kept["rows"] if kept.get("question") == question else {}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    chosen = [name for name in FAMILIES if arguments.only in name]
    for name in chosen:
        if name not in rows:
            games = max(1, round(arguments.games * FAMILIES[name][1]))
            rows[name] = run_family(
                name, games, arguments.sample, arguments.single, arguments.gambit, arguments.seed, log.print
            )
            arguments.out.write_text(json.dumps({"question": question, "rows": rows}, indent=1))
    table = Table("family", "games", "unselected", "seconds", *(f"{k}: wrong/judged (unselected)" for k in _columns()))
    for name in chosen:
        row = rows[name]
        cells = [f"{c['wrong']}/{c['judged']} ({c['unselected']})" for c in row["checks"].values()]
        share = f"{100 * row['unselected'] / row['games']:.3g} %"
        table.add_row(name, f"{row['games']:,}", share, f"{row['seconds']:.1f}", *cells)
    console.print(table)
    return int(any(c["wrong"] for name in chosen for c in rows[name]["checks"].values()))


def _columns() -> tuple[str, ...]:
    return ("tracer", "Gambit", *_METHODS)


if __name__ == "__main__":
    sys.exit(main())
