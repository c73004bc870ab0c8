"""The table: as a document, and in words."""

from typing import Any

from benchmarks.finetuning._entries import INNER_STEPS, all_entries
from benchmarks.finetuning._learn import LEARNING_RATE, PLAYS, STEPS
from benchmarks.finetuning._measure import DIAGNOSED, DIAGNOSED_PLAYS, EVERY, SEEDS, Record, measure

_LEGEND = """\
Two roles, one token each, tables of logits in place of adapters; signals, losses and AdamW are those of
`hqre llm finetune`. {steps} steps of {inspection} plays ({signalling} in `signalling`), {inner} gradient steps each,
learning rate {rate:g}, {seeds} seeds; brackets are 95 % intervals over seeds (Student). Methods see equally many plays.

* P(right), regret (what the roles' best responses would gain, a play, summed over roles), swing (largest less least
  probability of a token, mean over states and roles) and oscillation (cosine of successive steps): second half. Beside
  the first: less the first row's, seed by seed, with the interval of that (paired).
* `inspection`: roles pay for their own work, and it is worth its cost only where the other one does not work.
* `who_answers`: roles pay for their own answer, and one is enough: two conventions, and none of them is fair.
* `signalling`: any code would do. Conventions: share of runs that end with a word for every target, understood nine
  times in ten. Drift: path over displacement of the sender, whole run.
* T6: verdicts on six policies of each run ({policies}), from {diagnosed} plays of each alone; a method without
  temperatures is judged at 0.01."""


_SHOWN = ("right", "right_beside_first", "regret", "swing", "swing_beside_first", "oscillation")


def build_table(record: Record) -> dict[str, Any]:
    """Every row, from the record alone."""
    return {
        "steps": STEPS, "plays": PLAYS, "inner_steps": INNER_STEPS, "learning_rate": LEARNING_RATE, "seeds": SEEDS,
        "rows": [measure(entry, record) for entry in all_entries()],
    }  # fmt: skip


def markdown(table: dict[str, Any]) -> str:
    """The document as Markdown."""
    shown = [f"`{game}`: steps {EVERY * steps[0]} to {EVERY * steps[-1]}" for game, steps in DIAGNOSED.items()]
    legend = _LEGEND.format(
        steps=table["steps"], inner=table["inner_steps"], rate=table["learning_rate"], seeds=table["seeds"],
        diagnosed=DIAGNOSED_PLAYS, **table["plays"],
        policies="; ".join(shown),
    )  # fmt: skip
    lines = ["# Fine-tuning in three small games", "", legend]
    for game, columns in (("inspection", ("T6",)), ("who_answers", ("T6",)), ("signalling", ("conventions", "drift"))):
        head = ("method", "τ", "P(right)", "beside the first", "regret", "swing", "beside the first", "oscillation")
        head += columns
        lines += ["", f"## {game}", "", f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
        for row in [row for row in table["rows"] if row["game"] == game]:
            tau = ", ".join(f"{one:g}" for one in dict.fromkeys(row["tau"]))
            cells = [row["method"], f"{tau} ({row['remark']})" if row["remark"] else tau]
            cells += [_shown(row[name]) for name in _SHOWN]
            if game != "signalling":
                cells.append(_diagnosis(row.get("diagnosis")))
            else:
                cells += [f"{row['conventions']:.1f}", _shown(row["drift"])]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _shown(estimate: dict[str, float]) -> str:
    return f"{estimate['mean']:.3f} [{estimate['low']:.3f}, {estimate['high']:.3f}]"


def _diagnosis(found: list[dict[str, Any]] | None) -> str:
    if found is None:
        return "–"
    verdicts = [one["verdict"].replace("_", " ") for one in found]
    alarms = sorted({alarm for one in found for alarm in one["alarms"]})
    counted = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in dict.fromkeys(verdicts))
    return f"{counted}; {', '.join(alarms) or 'no alarm'}"
