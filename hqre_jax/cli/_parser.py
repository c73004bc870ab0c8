"""Which words ``hqre`` understands, and the help that explains them."""

import argparse
import re
import sys
from importlib.metadata import version
from typing import Any, NoReturn, get_args

from hqre_jax.cli import _llm_parser, _sweep_parser, _verify_parser
from hqre_jax.core._input import Continuation, Entropy, InputError

# The solvers that have a name (a test holds this to `hqre_jax.solvers.SOLVERS`, which would take long to import).
SOLVERS = (
    "mirror_descent",
    "extragradient",
    "fixed_point",
    "newton",
    "principal_branch",
    "krylov_branch",
    "markov_branch",
    "soft_value_iteration",
)

_OVERVIEW = """\
A quantal response equilibrium is a way of playing in which everybody plays better actions more often, given
how everybody else plays: π_i(a) is proportional to ρ_i(a)·exp(Q_i(a)/τ_i). The temperature τ, in units of payoff,
says how much of a payoff difference is needed to matter: τ far above the payoffs gives the reference policy ρ
(uniform unless you give one), τ towards 0 gives a Nash equilibrium. Temperatures may differ between players
and information states. McKelvey and Palfrey's precision λ is 1/τ.
"""

_START = """\
start here:
  hqre games                                     the built-in games
  hqre solve matching_pennies_320 --tau 40,20    an equilibrium, one temperature per player
  hqre certify stag_hunt --tau 1                 is it the only one?
  hqre trace stag_hunt --tau-from inf --tau-to 0.1 --plot branch.png
  hqre sweep config.toml --out out/sweep         thousands to millions of random games
  hqre verify --games 1000                       do the theorems hold? table, proofs, pictures
  hqre demo --out out/demo                       every built-in game, with plots
  hqre llm                                       language-model agents (pip install 'hqre-jax[llm]')

GAME is a built-in name or a file: .nfg or .efg (Gambit), .json or .npz.
Exit codes: 0 done, 1 tolerance not reached or a claim broken (verify), 2 bad input, 130 interrupted.
"""

_SOLVE = """\
how to read the result:
  result      "successful": the residual max|π − response to π| is within --tol. Otherwise the exit code is 1 and
              stderr says what to do about it.
  selection   "unique": proved to be the only equilibrium. "principal_branch": the one that play reaches when
              temperatures fall from infinity to τ. "unselected": an equilibrium, nothing is known about others.
  certificate verdict with margin (κ > 0 proves uniqueness; units of payoff) and contraction (< 1 proves it too).
  value       what the player expects from there on, its regularisation included.

examples:
  hqre solve prisoners_dilemma --tau 1
  hqre solve kuhn_poker --tau 0.5 --continuation plain --format json
  hqre solve game.nfg --tau 2,0.5 --reference-file rho.json --plot solution.png

files: --tau-file and --reference-file take JSON or .npy. tau: a number, one per player, or nested lists
[player][information state]; reference: [player][information state][action], without padding, rows that sum to 1.
"""

_CERTIFY = """\
how to read the result:
  unique      exactly one equilibrium, proved.
  not_unique  at least two: the witnesses.
  undecided   neither was proved. Where a bound applies (not in trees) a larger τ decides for "unique".
Any verdict has exit code 0.

examples:
  hqre certify coordination --tau 0.6
  hqre certify coordination --tau 0.4 --format json
"""

_TRACE = """\
The principal branch starts at τ = ∞ with the reference policy and is followed as τ falls. Where it turns back (a
fold) τ rises for a while. With several temperatures in --tau-to all fall together, in proportion, and the column is
that of the first decision point's player. At another bifurcation branches meet, a pitchfork for instance: the principal
branch goes on through it, and below it there are equilibria besides.

examples:
  hqre trace matching_pennies_320 --tau-from inf --tau-to 5
  hqre trace stag_hunt --tau-from 10 --tau-to 0.2 --plot branch.pdf --format json
"""


class _Parser(argparse.ArgumentParser):
    """A parser that reports as everything else here does: by an `InputError`."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """What a command does not know it says itself: its own help is the one that lists its options."""
        for word in sys.argv[1:] if args is None else args:
            if re.fullmatch(r"--[^=]+=--", word):  # argparse would take it for the end of all options
                raise InputError(word[2:-3].replace("-", "_"), "is '--', which is no value")
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown

    def error(self, message: str) -> NoReturn:
        blamed = re.match(r"argument ([^:]+): (.*)", message, re.DOTALL)
        missing = re.match(r"the following arguments are required: (.*)", message, re.DOTALL)
        unknown = re.match(r"unrecognized arguments: (.*)", message, re.DOTALL)
        if blamed:
            field = blamed[1].lstrip("-").replace("-", "_")
            hint = f"; a value that begins with a minus sign is written {blamed[1]}=VALUE"
            raise InputError(field, blamed[2] + (hint if "expected one argument" in blamed[2] else ""))
        if missing:
            raise InputError(missing[1], f"is missing; `{self.prog} --help` explains")
        if unknown and unknown[1] == "--no-cache":
            raise InputError(unknown[1], "goes before the command: hqre --no-cache COMMAND")
        if unknown:
            raise InputError(unknown[1], f"is not understood; `{self.prog} --help` lists the options")
        raise InputError("command line", message)


def build_parser() -> argparse.ArgumentParser:
    """The parser of ``hqre``; what it returns has the subcommand's name as ``command``."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = _Parser(
        prog="hqre", description=_OVERVIEW, epilog=_START, formatter_class=raw, allow_abbrev=False,
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"hqre {version('hqre-jax')}", help="print it and stop")
    parser.add_argument(
        "--no-cache", dest="cache", action="store_false",
        help="neither use nor keep compiled programs (~/.cache/hqre, or where the system keeps such things)",
    )  # fmt: skip
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(name: str, summary: str, epilog: str | None = None) -> argparse.ArgumentParser:
        description = f"{summary[0].upper()}{summary[1:]}."
        return commands.add_parser(
            name, help=summary, description=description, epilog=epilog, formatter_class=raw, allow_abbrev=False
        )

    command(
        "games",
        "list the built-in games, one a line",
        "Each line: the name, the temperature and the continuation values under which the game is usually asked\n"
        "about (`hqre demo` does), and its title. Elsewhere --continuation is soft unless you say otherwise.",
    )
    solve = command("solve", "compute an equilibrium", _SOLVE)
    _add_game(solve)
    _add_temperatures(solve)
    _add_problem(solve)
    names = ", ".join(("auto", *SOLVERS, "stochastic_mirror"))
    solve.add_argument("--solver", metavar="S", default="auto", help=f"{names} (default: auto)")
    _add_accuracy(solve)
    _add_rigorous(solve, "a box around the answer holds exactly one equilibrium")
    _add_output(solve, "the equilibrium and how the solver got there")
    certify = command("certify", "prove or refute that there is only one equilibrium", _CERTIFY)
    _add_game(certify)
    _add_temperatures(certify)
    _add_problem(certify)
    _add_rigorous(certify, "the verdict, or else it is undecided")
    _add_output(certify)
    trace = command("trace", "follow the principal branch as temperatures fall", _TRACE)
    _add_game(trace)
    begin = "a temperature, or inf; what is reported begins with the last point above it"
    trace.add_argument("--tau-from", metavar="A", required=True, help=begin)
    trace.add_argument("--tau-to", metavar="B", required=True, help="where to end; B1,B2,.. for one per player")
    _add_problem(trace)
    _add_accuracy(trace)
    _add_output(trace, "probabilities against temperature")
    _sweep_parser.add_arguments(
        command("sweep", "solve random games by the thousand, keep every answer", _sweep_parser.EPILOG)
    )
    verify = command("verify", "compare what the theorems promise with what games do", _verify_parser.EPILOG)
    _verify_parser.add_arguments(verify)
    _add_temperatures(verify)
    _add_problem(verify)
    demo = command("demo", "solve every built-in game, print a table and draw two pictures")
    demo.add_argument("--out", metavar="DIR", default="out/demo", help="folder for the pictures (default: %(default)s)")
    _llm_parser.add_arguments(
        command("llm", "language-model agents: teams, tasks, models, one question played", _llm_parser.EPILOG)
    )
    return parser


def _add_game(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("game", metavar="GAME", help="built-in name (see `hqre games`) or a file: .nfg .efg .json .npz")


def _add_temperatures(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--tau", metavar="T[,T2..]",
        help="temperature in units of payoff: one for all, or one per player (built-in games: their own by default)",
    )  # fmt: skip
    which.add_argument("--tau-file", metavar="FILE", help="temperatures, one per information state if you like")


def _add_problem(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reference-file", metavar="FILE", help="reference policy ρ (default: uniform)")
    parser.add_argument(
        "--entropy",
        metavar="E",
        choices=get_args(Entropy),
        default="kl",
        help="kl (to the reference) or shannon (default: kl)",
    )
    parser.add_argument(
        "--continuation", metavar="C", choices=get_args(Continuation), default="soft",
        help="who is paid whose entropy later on: soft (own), plain (nobody; what Gambit computes), or zero_sum "
        "(own minus the other's) (default: soft)",
    )  # fmt: skip


def _add_accuracy(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tol", metavar="E", help="largest acceptable residual, in probability (default: 1e-10)")
    parser.add_argument("--max-steps", metavar="N", help="largest number of steps (default: the solver's own)")


def _add_rigorous(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument(
        "--rigorous", action="store_true", help=f"prove with outward rounding: {what} (needs python-flint)"
    )


def _add_output(parser: argparse.ArgumentParser, picture: str = "") -> None:
    parser.add_argument("--format", choices=("table", "json"), default="table", help="(default: table)")
    if picture:
        parser.add_argument("--plot", metavar="FILE", help=f"draw {picture} into FILE (.png, .pdf, .svg, ..)")
