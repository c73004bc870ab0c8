"""The words of ``hqre llm`` and of the commands under it."""

import argparse
from collections.abc import Callable, Mapping
from typing import Any

from hqre_jax.cli._llm_finetune_parser import add_finetune

EPILOG = """\
start here:
  hqre llm init                                     writes team.toml, the documented default team
  hqre llm tasks                                    what can be asked, and how answers are judged
  hqre llm models                                   what can be used here, and how to fetch what is missing
  hqre llm play team.toml --task arithmetic         one question, the whole conversation
  hqre llm collect team.toml --store s.sqlite       samples of every question under every control
  hqre llm train team.toml --store s.sqlite --out policy.json
  hqre llm play team.toml --task arithmetic --policy policy.json
  hqre llm eval team.toml --policy policy.json --store s.sqlite --out results
  hqre llm report results                           results/report.html
  hqre llm finetune finetuning.toml --out run       adapters that learn to play; hqre llm finetune --help has the file

Keys come from the environment (OPENAI_API_KEY). With --store FILE every call is kept in FILE: the same question is not
paid for twice. Exit codes: 0 done, 1 a call failed for good or a budget ended the run (what was bought is kept),
2 bad input, 130 interrupted.
"""
_PLAY = """\
The first agent of the team, or the one called --agent, answers one item under one control of its menu (by default the
first that asks something of its model). A task that is played in turns is played to its end.

examples:
  hqre llm play team.toml --task arithmetic --class product --item 3 --control four_examples
  hqre llm play team.toml --task questions.csv --model openai:NAME --base-url http://127.0.0.1:8000/v1 --store s.sqlite
  hqre llm play team.toml --task arithmetic --model replay:s.sqlite
"""
_COLLECT = """\
Every question of the team's classes (dev split) is answered under every control of its menu, several times; whatever is
in the store is not asked again, so the same command goes on where it stopped.

examples:
  hqre llm collect team.toml --store s.sqlite
  hqre llm collect team.toml --store s.sqlite --budget-tokens 200000
"""
_TRAIN = """\
Offline: the samples of the store give payoffs and transitions of every joint profile, temperatures come from a
certificate or from held-out questions, and the HQRE is the policy. Nothing is asked of a model. Online: the team plays,
mirror steps follow what its plays pay, and a controller sees to the temperatures.

examples:
  hqre llm train team.toml --store s.sqlite --out policy.json
  hqre llm train team.toml --store s.sqlite --out policy.json --online --budget-tokens 500000
"""
_EVAL = """\
Every method chooses its hyper-parameters on dev under each token budget; then, and not before, the questions of the
test split are opened. DIR keeps the plan, every setting tried, and the score, tokens and calls of every method, budget,
seed and question; the same command goes on where it stopped, more --seeds and --baselines can be added.

examples:
  hqre llm eval team.toml --policy policy.json --store s.sqlite --out results
  hqre llm eval team.toml --policy policy.json --store s.sqlite --out results --baselines single,cascade --seeds 2
  hqre llm eval team.toml --policy policy.json --store s.sqlite --out try --split dev --questions 20
"""
_REPORT = """\
Writes DIR/report.html (one file to look at, without scripts), DIR/report.json (every number of every table) and
DIR/report.md. Asks nothing of a model. What is not played yet, or was cut off while it was written, is missing: the
page says UNFINISHED, the exit code is 1, and the same `hqre llm eval` goes on with it.
"""
# Factors on prices at which DICE-PC is trained again, for budgets to pick from.
_PRICES = "0.25,4,16"
BUDGETS: Mapping[str, tuple[Callable[[str], Any], str]] = {
    "calls": (int, "most calls"),
    "tokens": (int, "most tokens, prompts and replies together"),
    "seconds": (float, "no call begins later than this"),
    "money": (str, "most money, at the prices of --prices"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The commands under ``hqre llm``; the one that was meant is ``llm_command``."""
    raw = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="llm_command", metavar="COMMAND")

    def command(name: str, summary: str, epilog: str = "") -> argparse.ArgumentParser:
        return commands.add_parser(
            name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.", epilog=epilog, formatter_class=raw,
            allow_abbrev=False,
        )  # fmt: skip

    init = command("init", "write the documented default team, ready to run")
    init.add_argument("--out", metavar="FILE", default="team.toml", help="the file, a new one (default: %(default)s)")
    for name, summary in (("tasks", "list the tasks"), ("models", "list the models that can be used here")):
        listing = command(name, summary)
        listing.add_argument("--format", choices=("table", "json"), default="table", help="(default: table)")
        if name == "models":
            listing.add_argument("--fetch", metavar="MODEL", help="fetch its weights, verify them, and stop")
    asking = command("play", "put one question to one agent, or to the team under a policy", _PLAY)
    asking.add_argument("team", metavar="TEAM", help="team file; `hqre llm init` writes one")
    asking.add_argument(
        "--task", metavar="T", required=True, help="a task's name, or your own questions: .csv or .jsonl"
    )
    asking.add_argument("--class", dest="task_class", metavar="C", help="class of the task (default: the first)")
    asking.add_argument("--split", choices=("train", "dev"), help="(default: dev; of your own questions: all)")
    asking.add_argument("--item", metavar="K", default="0", help="number of the item, from 0 on (default: 0)")
    asking.add_argument("--policy", metavar="P", help="policy.json: the whole team plays the item under it")
    asking.add_argument("--agent", metavar="NAME", help="who is asked (default: the first agent)")
    asking.add_argument("--control", metavar="NAME", help="entry of the agent's menu")
    asking.add_argument("--sample", metavar="N", default="0", help="which of several samples (default: 0)")
    asking.add_argument("--one-shot", action="store_true", help="ask for one answer where the task could be played")
    asking.add_argument("--format", choices=("table", "json"), default="table", help="(default: table)")
    _add_common(asking)
    collecting = command("collect", "sample all that the team's empirical game needs", _COLLECT)
    training = command("train", "learn a policy: from the samples of a store, or online", _TRAIN)
    for parser_ in (collecting, training):
        parser_.add_argument("team", metavar="TEAM", help="team file; `hqre llm init` writes one")
        parser_.add_argument("--format", choices=("table", "json"), default="table", help="(default: table)")
        _add_common(parser_)
    training.add_argument("--out", metavar="FILE", required=True, help="policy.json, written whole or not at all")
    training.add_argument("--online", action="store_true", help="learn by playing, with a controller of temperatures")
    training.add_argument(
        "--temperatures", metavar="T", default=None,
        help="offline: grid (default), least, controller, a number; online: a number, which is kept",
    )  # fmt: skip
    training.add_argument("--tol", metavar="E", help="online: residual, upper confidence limit, that is enough")
    _add_eval(command)
    _add_report(command)
    add_finetune(command)


def _add_common(parser: argparse.ArgumentParser) -> None:
    """What every command that asks a model understands."""
    parser.add_argument("--model", metavar="M", help="used by every agent instead of the team file's")
    parser.add_argument("--base-url", metavar="U", help="address of the endpoint of openai:NAME")
    parser.add_argument("--data", metavar="DIR", help="official data: a file, or a folder with files called TASK.*")
    parser.add_argument("--seed", metavar="S", default="0", help="of worked examples and sampling (default: 0)")
    parser.add_argument("--store", metavar="FILE", help="keep every call in FILE, and use what is in it")
    for name, (_, summary) in BUDGETS.items():
        parser.add_argument(f"--budget-{name}", metavar="N", help=summary)
    parser.add_argument("--prices", metavar="FILE", help="dated price table (TOML) for --budget-money")


def _add_eval(command: Callable[..., argparse.ArgumentParser]) -> None:
    """The options of ``hqre llm eval``."""
    parser = command("eval", "compare a policy with baselines at equal tokens", _EVAL)
    parser.add_argument("team", metavar="TEAM", help="team file; `hqre llm init` writes one")
    parser.add_argument(
        "--policy", metavar="P", action="append", required=True,
        help="policy.json; of several (give the option again) each budget picks one on dev",
    )  # fmt: skip
    parser.add_argument("--out", metavar="DIR", required=True, help="folder of the results; goes on with what is there")
    parser.add_argument("--baselines", metavar="A,B", default="all", help="methods, all or none (default: all)")
    parser.add_argument("--seeds", metavar="N", default="5", help="of examples, samples and training (default: 5)")
    parser.add_argument(
        "--token-budgets", metavar="B1,B2,B3",
        help="most tokens a question (default: once, twice, four times what the policy uses on dev)",
    )  # fmt: skip
    parser.add_argument(
        "--retrain-prices", metavar="F,G", default=_PRICES,
        help="factors on prices at which DICE-PC is trained again on dev, for budgets, or none (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--questions", metavar="N", default="200", help="most questions of a class (default: 200)")
    parser.add_argument("--split", choices=("test", "dev"), default="test", help="what is judged (default: test)")
    parser.add_argument(
        "--plays", metavar="N", default="2048", help="training plays of learning curves (default: 2048)"
    )
    parser.add_argument("--format", choices=("table", "json"), default="table", help="(default: table)")
    _add_common(parser)


def _add_report(command: Callable[..., argparse.ArgumentParser]) -> None:
    """The options of ``hqre llm report``."""
    parser = command("report", "turn an evaluation or a fine-tuning run into a page, numbers and tables", _REPORT)
    parser.add_argument("folder", metavar="DIR", help="folder that `hqre llm eval` or `hqre llm finetune` wrote")
    parser.add_argument("--format", choices=("table", "json"), default="table", help="(default: table)")
