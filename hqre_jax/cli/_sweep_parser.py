"""The words of ``hqre sweep``."""

import argparse

EPILOG = """\
A configuration names families, sizes, temperatures, solvers and seeds; every combination is a cell of num_games games:

  temperatures = [1.0, 0.3]          # or [[1.0, 0.5]]: one per player
  solvers = ["auto", "mirror_descent"]
  seeds = [0, 1]
  num_games = 10000                  # per cell
  shard_games = 1000                 # per file: what an interruption can lose
  # continuation = "soft", entropy = "kl", tol = 1e-10, max_steps = 10000

  [[games]]                          # kind = "normal_form" unless said
  families = ["uniform", "coordination"]
  sizes = [[3, 3], [2, 2, 2]]        # actions of each player

  [[games]]
  kind = "markov"                    # or "polymatrix" (graph = "cycle"), "bayesian" (types = [2, 2])
  states = 5
  discount = 0.9
  sizes = [[2, 2]]

DIR gets manifest.json (configuration, its digest, versions, seeds) and shards/*.parquet: one row per game with
residual, num_steps, result, selection, initial_values and policy. The same command again does what is missing.

how to read the table:
  failed    games whose residual is above the tolerance.
  unique, branch, unselected  games by selection: proved to be the only equilibrium; the one on the principal
            branch; neither.
  steps     of the solver, median of the cell's games.
  worst     the largest residual of the cell, in probability.
  games/s   games over the seconds of their shards, compiling included: small cells look slow.

several machines: the same command on each of N processes with a common DIR, and
  --num-processes N --process-id 0 (1, 2, ..)   each does its share; the tasks of an array job, for instance
  --coordinator HOST:PORT                       besides, to have all of them meet, and wait for the last
under Slurm: srun --ntasks=N hqre sweep CONFIG.toml --out DIR --distributed
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``hqre sweep``."""
    parser.add_argument("config", metavar="CONFIG", nargs="?", help="configuration, a TOML file")
    parser.add_argument("--out", metavar="DIR", help="folder of the results; a sweep begun there goes on")
    parser.add_argument("--report", metavar="DIR", help="only print, and draw into DIR/steps.png, what is there")
    parser.add_argument("--format", choices=("table", "json"), default="table", help="(default: table)")
    parser.add_argument("--coordinator", metavar="HOST:PORT", help="where process 0 listens, if they are to meet")
    parser.add_argument("--num-processes", metavar="N", type=int, help="how many processes share the work")
    parser.add_argument("--process-id", metavar="I", type=int, help="which of them this is, from 0")
    parser.add_argument("--distributed", action="store_true", help="let the cluster say the three above (Slurm, MPI)")
