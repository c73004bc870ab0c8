"""Speed of the embedded language model beside llama.cpp: ``python -m benchmarks.language_model``.

Both read the same file of 4-bit weights, llama.cpp as it is (through `xllamacpp`, with one thread and with all), this
library unpacked to single precision. Each lives in a process of its own and they are measured in turn, so that what
else the machine does meets all alike. Prompts share nothing; every text has the same number of tokens.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks._machine import describe_machine, package_version

_BATCHES = (1, 8, 32)
_PROMPT, _TEXT = 128, 64  # tokens
_FIRST_WORD, _NUM_WORDS = 1000, 40_000  # ordinary tokens of the vocabulary

# Generate so many tokens after each prompt.
Generate = Callable[[Sequence[Sequence[int]], int], None]


def start_hqre() -> Generate:
    """This library."""
    from hqre_jax.bridge import models
    from hqre_jax.bridge.models._generation import Row, generate

    model = models.load("smollm2-135m")
    assert isinstance(model, models.LocalModel)

    def run(prompts: Sequence[Sequence[int]], num_tokens: int) -> None:
        rows = [Row(prompt, num_tokens) for prompt in prompts]
        generate(model.decoder, model.reader, rows, frozenset(), model.max_batch)

    return run


def start_llama_cpp(num_threads: int) -> Generate:
    """llama.cpp's server in this process, on a free port of the loopback interface."""
    import xllamacpp

    from hqre_jax.bridge.models._smollm2 import verified_file

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(verified_file())
    parameters.n_parallel, parameters.n_gpu_layers = max(_BATCHES), 0
    parameters.n_ctx = max(_BATCHES) * 2 * (_PROMPT + _TEXT)
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = num_threads
    parameters.verbosity = -1
    server = xllamacpp.Server(parameters)

    def post(prompt: Sequence[int], num_tokens: int) -> None:
        body = {"prompt": list(prompt), "n_predict": num_tokens, "top_k": 1, "ignore_eos": True, "cache_prompt": False}
        request = urllib.request.Request(
            f"{server.listening_address}/completion", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=600) as reply:
            counted = json.load(reply)["tokens_predicted"]
        assert counted == num_tokens, f"{counted} tokens instead of {num_tokens}"

    def run(prompts: Sequence[Sequence[int]], num_tokens: int) -> None:
        with ThreadPoolExecutor(len(prompts)) as pool:
            list(pool.map(lambda prompt: post(prompt, num_tokens), prompts))

    return run


def serve(engine: str, num_threads: int) -> None:
    """Measure what each line of standard input asks for; one line of JSON answers."""
    began = time.perf_counter()
    generate = start_hqre() if engine == "hqre_jax" else start_llama_cpp(num_threads)
    print(json.dumps({"load_seconds": time.perf_counter() - began}), flush=True)
    for line in sys.stdin:
        batch, number = json.loads(line)
        prompt_seconds = _seconds(generate, _prompts(batch, 2 * number), 1)
        whole_seconds = _seconds(generate, _prompts(batch, 2 * number + 1), _TEXT)
        answer = {
            "prompt_seconds": prompt_seconds,
            "decode_seconds": whole_seconds - prompt_seconds,
            "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }
        print(json.dumps(answer), flush=True)
    os._exit(0)  # a server's threads have no end of their own


def _prompts(batch: int, number: int) -> list[list[int]]:
    """Prompts that differ from their first token on, from all prompts of other numbers too."""
    starts = [_FIRST_WORD + 37 * (number * max(_BATCHES) + i) for i in range(batch)]
    return [[(start + 101 * j) % _NUM_WORDS + _FIRST_WORD for j in range(_PROMPT)] for start in starts]


def _seconds(generate: Generate, prompts: Sequence[Sequence[int]], num_tokens: int) -> float:
    began = time.perf_counter()
    generate(prompts, num_tokens)
    return time.perf_counter() - began


class _Engine:
    """One of the processes."""

    def __init__(self, name: str, engine: str, num_threads: int):
        self.name = name
        command = [sys.executable, "-m", "benchmarks.language_model", "--serve", engine, "--threads", str(num_threads)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.load_seconds = self._answer()["load_seconds"]

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):  # libraries print lines of their own
                return json.loads(line)
        raise RuntimeError(f"{self.name} ended early: run the command of its process alone to see why")

    def measure(self, batch: int, number: int) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([batch, number]) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(60)


def compare(repeats: int) -> list[dict[str, Any]]:
    """Measure all engines in turn.

    Args:
        repeats: Timed runs of each size, after one that compiles.

    Returns:
        One dictionary per engine and size: tokens a second of the fastest run, seconds of loading and of the first
        call, peak memory.
    """
    engines = [_Engine("hqre_jax, float32", "hqre_jax", 0)]
    if package_version("xllamacpp"):
        for threads in sorted({1, os.cpu_count() or 1}):
            engines.append(_Engine(f"llama.cpp, {threads} thread{'s' * (threads > 1)}", "llama.cpp", threads))
    else:
        print("llama.cpp takes no part: pip install xllamacpp")
    rows = []
    for batch in _BATCHES:
        runs: dict[str, list[dict[str, Any]]] = {engine.name: [] for engine in engines}
        for repeat in range(repeats + 1):
            for engine in engines:
                runs[engine.name].append(engine.measure(batch, repeat + 100 * batch))
        for engine in engines:
            first, *timed = runs[engine.name]
            rows.append(
                {
                    "engine": engine.name,
                    "batch": batch,
                    "prompt_per_second": batch * _PROMPT / min(run["prompt_seconds"] for run in timed),
                    "decode_per_second": batch * (_TEXT - 1) / min(run["decode_seconds"] for run in timed),
                    "first_seconds": first["prompt_seconds"] * 2 + first["decode_seconds"],
                    "load_seconds": engine.load_seconds,
                    "peak_bytes": timed[-1]["peak_bytes"],
                }
            )
    for engine in engines:
        engine.close()
    return rows


def main(argv: list[str] | None = None) -> int:
    """Measure, print a table, write JSON.

    Args:
        argv: Arguments; those of the command line by default.

    Returns:
        0, or 1 where llama.cpp decodes faster at a batch of 8 or more.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.language_model", description="The embedded model.")
    parser.add_argument("--repeats", type=int, default=3, metavar="R", help="timed runs of each size (3)")
    parser.add_argument("--out", type=Path, default=Path("out/language_model.json"), metavar="FILE")
    parser.add_argument("--serve", choices=["hqre_jax", "llama.cpp"], help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.serve:
        serve(arguments.serve, arguments.threads)
    rows = compare(arguments.repeats)
    table = Table(title=f"SmolLM2-135M: prompts of {_PROMPT} tokens, texts of {_TEXT}", title_justify="left")
    for name in ("engine", "batch", "prompt tok/s", "decode tok/s", "first call s", "load s", "peak MB"):
        table.add_column(name, justify="left" if name == "engine" else "right")
    for row in rows:
        table.add_row(
            row["engine"],
            str(row["batch"]),
            f"{row['prompt_per_second']:.0f}",
            f"{row['decode_per_second']:.0f}",
            f"{row['first_seconds']:.1f}",
            f"{row['load_seconds']:.1f}",
            f"{row['peak_bytes'] / 1e6:.0f}",
        )
    Console(width=120).print(table)
    behind = []
    for batch in _BATCHES[1:]:
        ours, *theirs = (row["decode_per_second"] for row in rows if row["batch"] == batch)
        if theirs:
            print(f"Decoding at batch {batch}: {ours / max(theirs):.2f} times as fast as llama.cpp's faster setting.")
        behind += [batch] if ours < max(theirs, default=0) else []
    document = {"machine": describe_machine(), "prompt": _PROMPT, "text": _TEXT, "rows": rows}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return int(bool(behind))


if __name__ == "__main__":
    sys.exit(main())
