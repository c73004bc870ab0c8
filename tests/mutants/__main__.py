"""``python tests/mutants``: change one constant, inequality or decision after the other and see a test fail.

Each mutant of ``mutants.toml`` is made in a throwaway copy of the tree, where the one test named beside it is run. The
same tests run on an unchanged copy first: a test that fails there kills nothing. Two run at a time. What was found
is kept, so that an interrupted run goes on where it stopped, until a file changes.
"""

import argparse
import hashlib
import json
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from table import ROOT, TABLE, Mutant, load, missing_test

# Mutants in flight, seconds that a run may take, tests of one file that share a run on an unchanged copy.
WORKERS, SECONDS, TOGETHER = 2, 600, 8
COPIED = ("hqre_jax", "proofs_check", "benchmarks", "tests", "notebooks", "docs", "pyproject.toml", "Makefile")
COPIED += ("README.md", "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md")
KEPT = ROOT / ".pytest_cache" / "mutants"
# Of pytest: all passed; some failed.
PASSED, FAILED = 0, 1


def digest() -> str:
    """Of all files that a test could see."""
    seen = hashlib.sha256()
    for name in COPIED:
        for path in sorted([ROOT / name, *(ROOT / name).rglob("*")]):
            if path.is_file() and "__pycache__" not in path.parts and path != TABLE:
                seen.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return seen.hexdigest()[:16]


def copy_tree(target: Path) -> Path:
    """A copy of the tree that shares compiled programs with it."""
    target.mkdir()
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif (ROOT / name).exists():
            shutil.copy2(ROOT / name, target / name)
    (ROOT / ".pytest_cache" / "jax").mkdir(parents=True, exist_ok=True)
    (target / ".pytest_cache").mkdir()
    (target / ".pytest_cache" / "jax").symlink_to(ROOT / ".pytest_cache" / "jax")
    return target


def run_test(tree: Path, *tests: str) -> dict:
    """Run tests in a copy, up to the first that fails.

    Returns:
        ``code`` of pytest (None where it took too long), ``seconds`` and the ``word``: its last line about the test.
    """
    environment = os.environ | {"PYTHONPATH": str(tree)}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider", *tests]
    begun = time.monotonic()
    try:
        done = subprocess.run(
            command,
            cwd=tree,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS * len(tests),
            check=False,
        )
        code, lines = done.returncode, done.stdout.strip().splitlines() or [done.stderr.strip()[-200:]]
    except subprocess.TimeoutExpired:
        code, lines = None, [f"more than {SECONDS * len(tests)} s"]
    word = next((line for line in lines if re.match("(FAILED|ERROR) ", line)), lines[-1])
    return {"code": code, "seconds": round(time.monotonic() - begun, 1), "word": word}


class Runs:
    """Results by key, kept in a file as they come."""

    def __init__(self, path: Path):
        self.path, self.lock, self.found = path, threading.Lock(), {}
        path.parent.mkdir(parents=True, exist_ok=True)
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            entry = json.loads(line)
            self.found[entry["key"]] = entry

    def add(self, key: str, result: dict) -> None:
        """Keep one result."""
        with self.lock:
            self.found[key] = result | {"key": key}
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(self.found[key], ensure_ascii=False) + "\n")


def key_of(mutant: Mutant) -> str:
    """What a result belongs to: the replacement and the test."""
    return hashlib.sha256(repr((mutant.file, mutant.old, mutant.new, mutant.test)).encode()).hexdigest()[:16]


def unchanged(tests: list[str]) -> list[tuple[str, ...]]:
    """Tests to run together on an unchanged copy: some of one file at a time."""
    files: dict[str, list[str]] = {}
    for test in tests:
        files.setdefault(test.partition("::")[0], []).append(test)
    return [tuple(t[k : k + TOGETHER]) for t in files.values() for k in range(0, len(t), TOGETHER)]


def run_job(tree: Path, job: Mutant | tuple[str, ...], runs: Runs) -> Iterator[str]:
    """Run a mutant's test, or tests on the unchanged copy, and keep what they said; yields lines to be shown."""
    if isinstance(job, tuple):
        result = run_test(tree, *job)
        # If one fails, the others are innocent until they have run alone.
        for test in job:
            alone = result if result["code"] == PASSED or len(job) == 1 else run_test(tree, test)
            runs.add(test, alone | {"seconds": alone["seconds"] / len(job)})
        file = job[0].partition("::")[0]
        yield f"{result['seconds']:6.1f} s  unchanged, {len(job)} tests of {file}: {result['word']}"
        return
    target, original = tree / job.file, (tree / job.file).read_text(encoding="utf-8")
    target.write_text(job.applied(tree), encoding="utf-8")
    try:
        result = run_test(tree, job.test)
    finally:
        target.write_text(original, encoding="utf-8")
    runs.add(key_of(job), result)
    yield f"{result['seconds']:6.1f} s  {job.area}: {job.name}: {result['word']}"


def run_all(mutants: list[Mutant], runs: Runs, trees: list[Path]) -> None:
    """Run what is not known yet, unchanged copies first."""
    tests = [test for test in dict.fromkeys(m.test for m in mutants) if test not in runs.found]
    jobs = [*unchanged(tests), *(m for m in mutants if key_of(m) not in runs.found)]
    waiting: queue.SimpleQueue = queue.SimpleQueue()
    for number, job in enumerate(jobs, 1):
        waiting.put((number, job))

    def work(tree: Path) -> None:
        while True:
            try:
                number, job = waiting.get_nowait()
            except queue.Empty:
                return
            for line in run_job(tree, job, runs):
                print(f"[{number}/{len(jobs)}] {line[:150]}", flush=True)

    threads = [threading.Thread(target=work, args=(tree,), daemon=True) for tree in trees]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:
        print("interrupted; what was found is kept", file=sys.stderr)
        raise SystemExit(130) from None


def verdict(mutant: Mutant, runs: Runs) -> str:
    """``killed``, ``SURVIVED``, or what went wrong."""
    if runs.found[mutant.test]["code"] != PASSED:
        return "TEST FAILS UNCHANGED"
    code = runs.found[key_of(mutant)]["code"]
    return {FAILED: "killed", PASSED: "SURVIVED"}.get(code, "NO VERDICT")


def main() -> int:
    """Run the table, or the mutants and areas named; 0 if all are killed."""
    parser = argparse.ArgumentParser(prog="python tests/mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="mutants or areas; all by default")
    parser.add_argument("--fresh", action="store_true", help="forget what earlier runs found")
    options = parser.parse_args()
    mutants = [m for m in load() if not options.names or {m.name, m.area} & set(options.names)]
    complaints = [complaint for m in mutants if (complaint := missing_test(m))]
    for mutant in mutants:
        try:
            mutant.applied(ROOT)
        except ValueError as error:
            complaints.append(str(error))
    if complaints or not mutants:
        print("\n".join(complaints or ["no such mutant"]), file=sys.stderr)
        return 2
    path = KEPT / f"{digest()}.jsonl"
    if options.fresh:
        path.unlink(missing_ok=True)
    runs, begun = Runs(path), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        run_all(mutants, runs, [copy_tree(Path(folder) / str(k)) for k in range(WORKERS)])
    print(f"\n{'mutant':44} {'breaks':64} {'':9} {'s':>6}  killed by")
    verdicts = [verdict(m, runs) for m in mutants]
    for mutant, word in zip(mutants, verdicts, strict=True):
        seconds = runs.found[key_of(mutant)]["seconds"]
        print(f"{mutant.area + ': ' + mutant.name:44} {mutant.breaks:64} {word:9} {seconds:6.1f}  {mutant.test}")
    killed = verdicts.count("killed")
    print(f"\n{killed} of {len(mutants)} killed; {time.monotonic() - begun:.0f} s in this run")
    return int(killed < len(mutants))


if __name__ == "__main__":
    sys.exit(main())
