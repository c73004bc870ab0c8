"""What a sweep found: one row per cell, and pictures of residuals and steps against temperature."""

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hqre_jax.core._results import RESULTS
from hqre_jax.core._types import InputError
from hqre_jax.plotting._canvas import COLOURS, DASHES, axes_or_new, legend
from hqre_jax.sweeps._config import Cell, Config, Shard
from hqre_jax.sweeps._families import GameFamily
from hqre_jax.sweeps._shards import read_shard


@dataclass(frozen=True)
class Row:
    """One family, solver and temperature, over all seeds.

    Attributes:
        family: The games.
        solver: Name of the solver.
        tau: Temperature, units of payoff.
        games: Games solved so far.
        wanted: Games asked for.
        failed: Games whose residual is above the tolerance.
        selections: Number of games by selection.
        median_steps: Median number of steps.
        worst_residual: Largest residual, in probability; nan where one is no number.
        games_per_second: Games over the seconds their shards took, compilation included; nan if not recorded.

    Example:
        >>> import tempfile
        >>> import hqre_jax as hq
        >>> ask = {"games": [{"families": ["uniform"], "sizes": [[2, 2]]}], "temperatures": [8.0], "num_games": 4}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     row = hq.sweep(ask, folder).rows[0]
        >>> row.games, row.failed, row.tau
        (4, 0, 8.0)
    """

    family: GameFamily
    solver: str
    tau: float | tuple[float, ...]
    games: int
    wanted: int
    failed: int
    selections: dict[str, int]
    median_steps: float
    worst_residual: float
    games_per_second: float


@dataclass(frozen=True)
class Summary:
    """All rows of a sweep.

    Attributes:
        folder: Where it is.
        rows: One per family, solver and temperature.

    Example:
        >>> import tempfile
        >>> import hqre_jax as hq
        >>> ask = {"games": [{"families": ["uniform"], "sizes": [[2, 2]]}], "temperatures": [8.0], "num_games": 4}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     summary = hq.sweep(ask, folder)
        >>> summary.complete, summary.failed
        (True, 0)
    """

    folder: Path
    rows: tuple[Row, ...]

    @property
    def complete(self) -> bool:
        """Whether every game was solved or failed, none is missing."""
        return all(row.games == row.wanted for row in self.rows)

    @property
    def failed(self) -> int:
        """Games whose residual is above the tolerance."""
        return sum(row.failed for row in self.rows)

    def plot(self, ax: Any = None) -> Any:
        """Median number of steps against temperature, a line for each family and solver; hollow where games failed.

        Where players differ in temperature, a cell stands at the mean of theirs.

        Args:
            ax: Matplotlib axes; those of a new figure by default.

        Returns:
            The axes.
        """
        ax = axes_or_new(ax)
        lines: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in self.rows:
            if row.games:
                lines[row.family.title, row.solver].append(row)
        families = {name: n for n, name in enumerate(dict.fromkeys(key[0] for key in lines))}
        solvers = {name: n for n, name in enumerate(dict.fromkeys(key[1] for key in lines))}
        for (family, solver), rows in lines.items():
            ordered = sorted(rows, key=_mean_tau)
            colour = COLOURS[families[family] % len(COLOURS)]
            tau, steps = [_mean_tau(row) for row in ordered], [row.median_steps for row in ordered]
            ax.plot(tau, steps, color=colour, ls=DASHES[solvers[solver] % len(DASHES)], label=f"{family}, {solver}")
            for row in ordered:
                inside = "white" if row.failed else colour
                ax.plot(_mean_tau(row), row.median_steps, marker="o", ms=5, color=colour, mfc=inside)
        ax.set_xscale("log")
        ax.set_yscale("log")
        differ = any(isinstance(row.tau, tuple) for row in self.rows)
        ax.set_xlabel(f"temperature τ (units of payoff{'; mean of the players' if differ else ''})")
        ax.set_ylabel("median number of steps")
        done, wanted = sum(row.games for row in self.rows), sum(row.wanted for row in self.rows)
        notes = [f"{done:,} of {wanted:,} games so far"] if done < wanted else []
        notes += ["hollow: some games failed"] if self.failed else [] if notes else ["every game was solved"]
        ax.set_title(f"Steps to the tolerance ({'; '.join(notes)})", fontsize="small")
        legend(ax)
        return ax


def _mean_tau(row: Row) -> float:
    return float(np.mean(row.tau))


def summarise(folder: str | Path) -> Summary:
    """Read what a sweep has written so far.

    Args:
        folder: The sweep's folder.

    Returns:
        The `Summary`.

    Raises:
        InputError: The folder holds no sweep, or a damaged shard.

    Example:
        >>> import tempfile
        >>> import hqre_jax as hq
        >>> ask = {"games": [{"families": ["uniform"], "sizes": [[2, 2]]}], "temperatures": [8.0], "num_games": 4}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = hq.sweep(ask, folder)
        ...     summary = hq.sweeps.summarise(folder)
        >>> summary.rows[0].games
        4
    """
    path = Path(folder)
    config, shards = _manifest(path)
    seconds = _times(path)
    groups: dict[tuple[GameFamily, str, Any], list[Shard]] = defaultdict(list)
    for shard in shards:
        groups[shard.cell.family, shard.cell.solver, shard.cell.tau].append(shard)
    return Summary(path, tuple(_row(path, config, members, seconds) for members in groups.values()))


def _row(path: Path, config: Config, shards: list[Shard], seconds: dict[int, float]) -> Row:
    cell: Cell = shards[0].cell
    there = [shard for shard in shards if (path / shard.file).exists()]
    parts = [read_shard(path, config, shard) for shard in there]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}
    names, counts = np.unique(columns.get("selection", np.zeros(0, str)), return_counts=True)
    residuals = columns.get("residual", np.zeros(0))
    timed = [shard for shard in there if shard.number in seconds]
    spent = sum(seconds[shard.number] for shard in timed)
    return Row(
        family=cell.family,
        solver=cell.solver,
        tau=cell.tau,
        games=len(residuals),
        wanted=sum(shard.count for shard in shards),
        failed=int(np.sum(columns["result"] != str(RESULTS.successful))) if parts else 0,
        selections=dict(zip(names.tolist(), counts.tolist(), strict=True)),
        median_steps=float(np.median(columns["num_steps"])) if parts else float("nan"),
        worst_residual=float(residuals.max()) if parts else float("nan"),
        games_per_second=sum(shard.count for shard in timed) / spent if spent else float("nan"),
    )


def _manifest(path: Path) -> tuple[Config, tuple[Shard, ...]]:
    try:
        manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
        stored = manifest["config"]
        families = tuple(
            GameFamily(f["kind"], f["payoffs"], tuple(f["num_actions"]), tuple((k, _tuple(v)) for k, v in f["options"]))
            for f in stored["families"]
        )
        rest = {key: _tuple(value) for key, value in stored.items() if key != "families"}
        rest["temperatures"] = tuple(_tuple(tau) for tau in rest["temperatures"])
        config = Config(families=families, **rest)
    except (KeyError, TypeError):
        raise InputError(str(path), "holds no sweep: its manifest.json is that of something else") from None
    except (OSError, ValueError) as error:
        raise InputError(
            str(path), f"holds no sweep: manifest.json cannot be read ({getattr(error, 'strerror', None) or error})"
        ) from None
    if manifest.get("digest") != config.digest:
        raise InputError(str(path), "holds a manifest that was changed by hand: its digest does not match")
    return config, config.shards


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _times(path: Path) -> dict[int, float]:
    """Seconds by shard; a line that a crash cut short is passed over."""
    seconds = {}
    for file in sorted(path.glob("times-*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            try:
                entry = json.loads(line)
                seconds[int(entry["shard"])] = float(entry["seconds"])
            except (ValueError, KeyError, TypeError):
                continue
    return seconds
