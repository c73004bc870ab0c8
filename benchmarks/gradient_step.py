"""Gradient steps of fine-tuning beside PEFT and TRL: ``python -m benchmarks.gradient_step``.

The same weights, adapter, plays and loss for both: GRPO's, of 32 plays of eight questions by the embedded model. A step
reads the plays with and without adapter, and then takes gradient steps with AdamW; the lengths of their gradients must
agree, and the loss before the last one. Each lives in a process of its own, and they are measured in turn, so that what
else the machine does meets all alike. TRL gets the plays padded to one length, as it pads them itself.

Here a step also says how far it moved every policy; there it also says how large entropies are.
"""

import argparse
import json
import os
import pickle
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks._memory import added_bytes

_PEERS = ("torch", "transformers", "peft", "trl", "gguf")
# How many blocks have an adapter, from the last one on (0: all), and whether their inner values are computed again.
CASES = {"ten": (10, False), "all": (0, False), "again": (0, True)}
_WORDS = {"ten": "last 10 blocks", "all": "all blocks", "again": "all, computed again"}
# Gradient steps of a step: the difference is what one costs by itself.
COUNTS = (1, 2)
_SEED = 1
_PLAYS, _ADAPTER, _TEXTS = "plays.pickle", "adapter", "plays.json"

# Take a step of so many gradient steps from the first adapter on: losses before them, and lengths of gradients.
Step = Callable[[int], tuple[list[float], list[float]]]


def config_of(case: str) -> Any:
    """The run that the step is the first one of: sums, as in the table of adapters, at one learning rate."""
    from benchmarks.adapters._cells import table_cell

    config, (layers, again) = table_cell("arithmetic", "sum", "grpo", _SEED).config("test"), CASES[case]
    optimizer = replace(config.optimizer, decay=0, rematerialise=again)
    return replace(config, adapter=replace(config.adapter, last_layers=layers or None), optimizer=optimizer)


def make_plays(folder: Path, case: str) -> None:
    """Play, and write plays and first adapter in the form of both."""
    import jax

    from hqre_jax.bridge import models
    from hqre_jax.bridge.finetuning._plays import Players

    config, model = config_of(case), models.load("smollm2-135m")
    assert isinstance(model, models.LocalModel)
    players = Players(config, model)
    plays = players.play(players.questions_of(1), config.plays, {"solver": None}, "step 1")
    # PEFT begins with B = 0, whose gradient of A is none: here both have one.
    key = jax.random.key(_SEED)
    adapter = models.init_adapter(model.decoder, config.adapter, key)
    adapter = jax.tree.map(lambda leaf: leaf + 0.002 * jax.random.normal(key, leaf.shape), adapter)
    models.save_adapter(folder / _ADAPTER, adapter, config.adapter, model.name)
    (folder / _PLAYS).write_bytes(pickle.dumps((plays, jax.tree.map(jax.device_get, adapter))))
    said = [turn for play in plays for turn in play.turns["solver"]]
    texts = {"prompts": [turn.prompt for turn in said], "replies": [turn.tokens for turn in said]}
    texts |= {"scores": [play.score for play in plays], "plays": config.plays}
    (folder / _TEXTS).write_text(json.dumps(texts), encoding="ascii")


def start_hqre(folder: Path, case: str) -> Step:
    """This library."""
    from hqre_jax.bridge import models
    from hqre_jax.bridge.finetuning._batch import batch_of
    from hqre_jax.bridge.finetuning._learner import Learner

    config, model = config_of(case), models.load("smollm2-135m")
    assert isinstance(model, models.LocalModel)
    plays, adapter = pickle.loads((folder / _PLAYS).read_bytes())

    def step(count: int) -> tuple[list[float], list[float]]:
        method = replace(config, settings=replace(config.settings, inner_steps=count)).make_method()
        learner = Learner(model.decoder, method, config.optimizer)
        batch = batch_of(plays, config.roles, method, model.tokenizer.decode)
        learnt = learner.learn(adapter, learner.init(adapter), batch)
        assert learnt.failure is None, learnt.failure
        return list(learnt.losses), list(learnt.norms)

    return step


def start_trl(folder: Path, case: str) -> Step:
    """PEFT's adapter, TRL's loss."""
    import torch
    from datasets import Dataset
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import GRPOConfig, GRPOTrainer

    from hqre_jax.bridge.finetuning._learner import _LEAST
    from hqre_jax.bridge.models._smollm2 import verified_file

    torch.set_num_threads(os.cpu_count() or 1)  # this package asks peers that call BLAS for one
    config, weights = config_of(case), verified_file()
    known = json.loads((folder / _TEXTS).read_text(encoding="ascii"))
    source: dict[str, Any] = {"gguf_file": weights.name}
    model = AutoModelForCausalLM.from_pretrained(weights.parent, dtype=torch.float32, **source)
    model.is_quantized = False  # they are in single precision now, and the trainer would refuse
    tokenizer = AutoTokenizer.from_pretrained(weights.parent, **source)
    model = PeftModel.from_pretrained(model, folder / _ADAPTER, is_trainable=True)
    first = {name: value.detach().clone() for name, value in model.named_parameters() if value.requires_grad}
    wanted = GRPOConfig(
        output_dir=str(folder / "trl"), per_device_train_batch_size=len(known["scores"]), report_to=[], use_cpu=True,
        num_generations=known["plays"], beta=config.settings.beta, epsilon=config.settings.clip, loss_type="grpo",
        use_bias_correction_kl=False, gradient_checkpointing=config.optimizer.rematerialise, bf16=False,
    )  # fmt: skip
    trainer: Any = GRPOTrainer(
        model=model, reward_funcs=lambda completions, **_: [0.0] * len(completions), args=wanted,
        train_dataset=Dataset.from_dict({"prompt": ["-"]}), processing_class=tokenizer,
    )  # fmt: skip
    trainer.current_gradient_accumulation_steps = 1
    prompts, replies = ([torch.tensor(own) for own in known[name]] for name in ("prompts", "replies"))
    scores = torch.tensor(known["scores"]).reshape(-1, known["plays"])
    spread = scores.std(dim=1, keepdim=True) + 1e-6

    def filled(texts: list[Any], left: bool) -> tuple[Any, Any]:
        size = max(map(len, texts))
        pads = [torch.zeros(size - len(own), dtype=torch.long) for own in texts]
        both = [((pad, own), (pad, own * 0 + 1)) for pad, own in zip(pads, texts, strict=True)]
        ordered = [[torch.cat(pair if left else pair[::-1]) for pair in pairs] for pairs in both]
        return torch.stack([own for own, _ in ordered]), torch.stack([seen for _, seen in ordered])

    inputs = dict(zip(("prompt_ids", "prompt_mask"), filled(prompts, left=True), strict=True))
    inputs |= dict(zip(("completion_ids", "completion_mask"), filled(replies, left=False), strict=True))
    inputs["advantages"] = ((scores - scores.mean(dim=1, keepdim=True)) / spread).flatten()
    parts = ("prompt", "completion")
    whole = [torch.cat([inputs[f"{part}_{kind}"] for part in parts], dim=1) for kind in ("ids", "mask")]

    def log_probs() -> Any:
        with torch.no_grad():
            return trainer._get_per_token_logps_and_entropies(model, *whole, inputs["completion_ids"].shape[1])[0]

    def step(count: int) -> tuple[list[float], list[float]]:
        parameters = [value for value in model.parameters() if value.requires_grad]
        with torch.no_grad():
            for name, value in model.named_parameters():
                if name in first:
                    value.copy_(first[name])
        model.train()
        rate, decay = config.optimizer.learning_rate, config.optimizer.weight_decay
        optimizer = torch.optim.AdamW(parameters, lr=rate, eps=_LEAST, weight_decay=decay)
        inputs["old_per_token_logps"] = log_probs()
        with model.disable_adapter():
            inputs["ref_per_token_logps"] = log_probs()
        losses, norms = [], []
        for _ in range(count):
            loss = trainer._compute_loss(model, inputs)
            loss.backward()
            norms.append(float(torch.nn.utils.clip_grad_norm_(parameters, config.optimizer.max_norm)))
            losses.append(float(loss.detach()))
            optimizer.step()
            optimizer.zero_grad()
        return losses, norms

    return step


STARTS = {"hqre_jax": start_hqre, "PEFT + TRL": start_trl}


def serve(name: str, folder: Path, case: str) -> None:
    """Take the step that each line of standard input asks for; one line of JSON answers."""
    step = STARTS[name](folder, case)
    for line in sys.stdin:
        began, used = time.perf_counter(), time.process_time()
        (losses, norms), added = added_bytes(lambda count=int(line): step(count))
        answer = {
            "seconds": time.perf_counter() - began,
            "cpu": time.process_time() - used,
            "added": added,
            "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "losses": losses,
            "norms": norms,
        }
        print("\n" + json.dumps(answer), flush=True)


class _Engine:
    """One of the processes."""

    def __init__(self, name: str, folder: Path, case: str):
        self.name = name
        command = [sys.executable, "-m", "benchmarks.gradient_step", "--serve", name]
        command += ["--folder", str(folder), "--cases", case]
        # Without it, XLA computes once what is to be computed again (benchmarks.finetuning_memory).
        again = {"XLA_FLAGS": "--xla_disable_hlo_passes=cse_barrier_expander"} if CASES[case][1] else {}
        self._complaints = folder / f"{name}.log"
        with self._complaints.open("w") as complaints:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, text=True,
                env={**os.environ, "HF_HUB_OFFLINE": "1", **again},
            )  # fmt: skip

    def measure(self, count: int) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(f"{count}\n")
            self._process.stdin.flush()
            for line in self._process.stdout:
                if line.startswith("{"):  # libraries print lines of their own
                    return json.loads(line)
        raise RuntimeError(f"{self.name} ended early:\n{self._complaints.read_text()[-2000:]}")

    def close(self) -> None:
        self._process.communicate()


def compare(case: str, repeats: int, names: list[str]) -> list[dict[str, Any]]:
    """Measure all in turn.

    Args:
        case: See `CASES`.
        repeats: Timed steps of each kind, after one that compiles.
        names: Of those who take part, see `STARTS`.

    Returns:
        One dictionary for each: medians of seconds, most memory, losses and gradients.
    """
    with tempfile.TemporaryDirectory() as folder:
        make = [sys.executable, "-m", "benchmarks.gradient_step", "--make", "--folder", folder, "--cases", case]
        subprocess.run(make, check=True)
        engines = [_Engine(name, Path(folder), case) for name in names]
        runs: list[dict[int, list[dict[str, Any]]]] = [{count: [] for count in COUNTS} for _ in engines]
        for _ in range(repeats + 1):
            for engine, of_engine in zip(engines, runs, strict=True):
                for count, found in of_engine.items():
                    found.append(engine.measure(count))
        for engine in engines:
            engine.close()
    rows = [{"engine": name, "case": case, **_summary(found)} for name, found in zip(names, runs, strict=True)]
    print("\n".join(map(json.dumps, rows)), file=sys.stderr, flush=True)
    return rows


def _summary(runs: dict[int, list[dict[str, Any]]]) -> dict[str, Any]:
    """Of the timed steps: a whole one with two gradient steps, and one of these by itself."""
    one, two = (runs[count][1:] for count in COUNTS)
    found: dict[str, Any] = {"first": runs[COUNTS[0]][0]["seconds"]}
    for kind, mark in (("seconds", ""), ("cpu", "cpu_")):
        few, many = (statistics.median(run[kind] for run in timed) for timed in (one, two))
        found |= {f"{mark}gradient": many - few, f"{mark}step": many}
    found |= {kind: max(run[kind] or 0 for run in one + two) for kind in ("added", "peak")}
    return found | {kind: two[0][kind] for kind in ("losses", "norms")}


def main(argv: list[str] | None = None) -> int:
    """Measure, print a table, write JSON.

    Args:
        argv: Arguments; those of the command line by default.

    Returns:
        0, or 1 where losses or gradients differ, or a step here takes longer.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gradient_step", description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, metavar="R", help="timed steps of each kind (3)")
    parser.add_argument("--out", type=Path, default=Path("out/gradient_step.json"), metavar="FILE")
    parser.add_argument("--cases", choices=CASES, nargs="+", default=list(CASES), help="blocks with adapters (all)")
    parser.add_argument("--make", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--serve", choices=STARTS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if given.make:
        make_plays(given.folder, *given.cases)
        return 0
    if given.serve:
        serve(given.serve, given.folder, *given.cases)
        return 0

    from benchmarks._machine import describe_machine, package_version

    versions = {name: package_version(name) for name in _PEERS}
    names = list(STARTS)
    if missing := [name for name, version in versions.items() if not version]:
        names.remove("PEFT + TRL")
        print(f"PEFT and TRL take no part: pip install {' '.join(missing)}")
    rows = [row for case in given.cases for row in compare(case, given.repeats, names)]
    document = {"machine": describe_machine(), "versions": versions, "rows": rows}
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    columns = (
        "",
        "adapters",
        "gradient step, s",
        "step, s",
        "first step, s",
        "its memory, MB",
        "peak, MB",
        "gradients",
    )
    table = Table(*columns, title="SmolLM2-135M, GRPO, 32 plays; a step has two gradient steps")
    for row in rows:
        numbers = [f"{row[name]:.2f}" for name in ("gradient", "step", "first")]
        sizes = [f"{row[name] / 1e6:,.0f}" for name in ("added", "peak")]
        norms = ", ".join(f"{norm:.5f}" for norm in row["norms"])
        table.add_row(row["engine"], _WORDS[row["case"]], *numbers, *sizes, norms)
    Console(width=150).print(table)
    return int(_is_behind(rows))


def _is_behind(rows: list[dict[str, Any]]) -> bool:
    """Say how both compare; whether a peer is faster, or computes something else."""
    behind = False
    for row in [row for row in rows if row["engine"] != "hqre_jax"]:
        own = next(other for other in rows if (other["engine"], other["case"]) == ("hqre_jax", row["case"]))
        pairs = [*zip(own["norms"], row["norms"], strict=True), (own["losses"][-1], row["losses"][-1])]
        same = all(abs(ours - theirs) <= 1e-3 * abs(theirs) for ours, theirs in pairs)
        longer, larger = row["step"] / own["step"], row["added"] / own["added"]
        print(f"{_WORDS[row['case']]}: {row['engine']} takes {longer:.2f} times as long, {larger:.2f} times the memory")
        if not same:
            print(f"  and computes something else: {pairs}")
        behind |= longer < 1 or not same
    return behind


if __name__ == "__main__":
    sys.exit(main())
