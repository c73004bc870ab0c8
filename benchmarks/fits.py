"""Whether fits of temperatures find the maximum: ``python -m benchmarks.fits``.

Random tables of counts, of every size from a handful to thousands, played in several games; none of them need be
anything like play at an equilibrium. A fit is good where it ends successfully and its likelihood is not below the
highest of a scan of the same range in steps twenty times as fine as its own grid.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table

import hqre_jax as hq
from benchmarks._machine import describe_machine

_SCAN, _CHUNK = 1921, 250
# A likelihood that is less than the scan's by this part is the same but for the residuals of both.
_SAME = 1e-9
_PENNIES = np.array([[[9.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]])


def games(count: int) -> dict[str, hq.NormalFormGame]:
    """Asymmetric matching pennies, and random games of two sizes, some with several equilibria.

    Args:
        count: How many.

    Returns:
        By title.
    """
    rng = np.random.default_rng(0)
    out = {"matching pennies, 9 for 1": hq.NormalFormGame(_PENNIES)}
    for k in range(1, count):
        shape = (2, 2, 2) if k % 2 else (2, 3, 3)
        out[f"{shape[1]}×{shape[2]}, number {k}"] = hq.NormalFormGame(rng.random(shape))
    return out


def tables(game: hq.NormalFormGame, count: int, seed: int) -> np.ndarray:
    """Random tables ``(table, player, 1, action)``: proportions from everywhere, sizes from 5 to 5,000, zeros too."""
    rng = np.random.default_rng(seed)
    num_actions = game.payoffs.shape[-1]
    sizes = np.exp(rng.uniform(np.log(5), np.log(5000), (count, 2))).astype(int)
    chances = rng.dirichlet(np.full(num_actions, 0.6), (count, 2))
    return rng.multinomial(sizes, chances).astype(float)[:, :, None]


def measure(num_tables: int, num_games: int) -> list[dict]:
    """Fits and scans.

    Args:
        num_tables: Tables in all.
        num_games: Games they are shared among.

    Returns:
        One row per game: how many tables, how many fits ended how, how many are below the scan and by how much.
    """
    rows = []
    each = -(-num_tables // num_games)
    for k, (title, game) in enumerate(games(num_games).items()):
        unit = float(jnp.max(game.payoff_range()))
        taus = unit * np.logspace(-6, 6, _SCAN)
        scanned = jax.jit(lambda taus, game=game: jax.lax.map(lambda tau: _seen(game, tau), taus))(taus)
        drawn = tables(game, each, k)
        fit = jax.jit(jax.vmap(lambda counts, game=game: _fit(game, counts)))
        began = time.perf_counter()
        parts = [fit(drawn[at : at + _CHUNK]) for at in range(0, each, _CHUNK)]
        codes, reached, bounds = (np.concatenate([np.asarray(part[n]) for part in parts]) for n in range(3))
        seconds = time.perf_counter() - began
        # 0 · log 0 is 0, and a scan's point that could not be solved is none.
        highest = np.array([np.nanmax(_heights(np.asarray(scanned), counts)) for counts in drawn])
        lost = (highest - reached) / np.maximum(np.abs(highest), 1.0)
        rows.append(
            {
                "game": title,
                "tables": each,
                "unconverged": int((codes != 0).sum()),
                "below the scan": int((lost > _SAME).sum()),
                "worst loss, nats": float(np.max(highest - reached)),
                "at tau to 0": int((bounds < 0).sum()),
                "at tau to infinity": int((bounds > 0).sum()),
                "ms a fit": 1e3 * seconds / each,
            }
        )
    return rows


def _seen(game: hq.NormalFormGame, tau: jax.Array) -> jax.Array:
    solution = hq.solve(game, tau, solver="principal_branch", continuation="plain", throw=False)
    return jnp.where(solution.successful, solution.log_policy, jnp.nan)


def _fit(game: hq.NormalFormGame, counts: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    fit = hq.fit_temperatures(game, counts, continuation="plain")
    return fit.result_code, fit.log_likelihood, fit.bound[0]


def _heights(log_policies: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Likelihoods of one table at each point of the scan."""
    solved = np.isfinite(log_policies[:, 0, 0, 0])
    total = np.einsum("tixa,ixa->t", np.where(solved[:, None, None, None], log_policies, 0.0), counts)
    return np.where(solved, total, np.nan)


def main(argv: list[str] | None = None) -> int:
    """Measure, print a table, write JSON.

    Args:
        argv: Arguments; those of the command line by default.

    Returns:
        0, or 1 where a fit did not converge or is below the scan.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fits", description="Fits against a fine scan.")
    parser.add_argument("--tables", type=int, default=10_000, metavar="N", help="random tables of counts (10000)")
    parser.add_argument("--games", type=int, default=10, metavar="G", help="games they are shared among (10)")
    parser.add_argument("--out", type=Path, default=Path("out/fits.json"), metavar="FILE", help="where JSON goes")
    arguments = parser.parse_args(argv)
    jax.config.update("jax_enable_x64", True)
    rows = measure(arguments.tables, arguments.games)
    table = Table(title="Fits of temperatures against a fine scan", title_justify="left")
    for name in rows[0]:
        table.add_column(name, justify="left" if name == "game" else "right")
    for row in rows:
        table.add_row(*(f"{value:.3g}" if isinstance(value, float) else str(value) for value in row.values()))
    Console(width=140).print(table)
    bad = sum(row["unconverged"] + row["below the scan"] for row in rows)
    print(f"{sum(row['tables'] for row in rows)} tables: {bad} unconverged or below the scan")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(
        json.dumps({"machine": describe_machine(), "rows": rows}, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
