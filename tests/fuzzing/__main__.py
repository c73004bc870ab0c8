"""The fuzzer: ``python -m tests.fuzzing --seconds 3600``, or ``make fuzz FUZZ_SECONDS=3600``.

Atheris feeds the readers what coverage says is new, beginning with `seeds` and with what earlier runs left in the
corpus. Whatever raises anything but an `InputError`, takes more than ten seconds, or makes the process need more than
2 GB is a finding: its input is kept, and ``--replay FILE`` says what it does.
"""

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

_SLOWEST, _LARGEST_MB, _LONGEST = 10, 2048, 4096
_EXECUTED = re.compile(r"stat::number_of_executed_units: (\d+)")
_MEMORY = re.compile(r"stat::peak_rss_mb: +(\d+)")


def main(argv: list[str] | None = None) -> int:
    """Fuzz in processes of their own, begun anew where one dies, or replay one input.

    Args:
        argv: Arguments; those of the command line by default.

    Returns:
        0, or 1 where there are findings.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.fuzzing", description="Fuzz everything that reads files.")
    parser.add_argument("--seconds", type=int, default=60, metavar="S", help="how long (60)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the mutations (1)")
    parser.add_argument("--out", type=Path, default=Path("out/fuzz"), metavar="DIR", help="corpus, findings, logs")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="read one input of the fuzzer's, say what happens")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.replay:
        return _replay(arguments.replay)
    if arguments.worker:
        _fuzz(arguments)
    findings = arguments.out / "findings"
    findings.mkdir(parents=True, exist_ok=True)
    ends, seed, executed, memory = time.monotonic() + arguments.seconds, arguments.seed, 0, 0
    while (left := round(ends - time.monotonic())) > 0:
        words = ("--worker", "--seconds", str(left), "--seed", str(seed), "--out", str(arguments.out))
        with open(arguments.out / "log.txt", "ab") as log:
            began = log.tell()
            subprocess.run([sys.executable, "-m", "tests.fuzzing", *words], stdout=log, stderr=log, check=False)
        with open(arguments.out / "log.txt", encoding="utf-8", errors="replace") as log:
            log.seek(began)
            said = log.read()
        if not _EXECUTED.search(said):
            sys.exit(f"the fuzzer did not run:\n{said[-2000:]}")
        executed += sum(map(int, _EXECUTED.findall(said)))
        memory = max(memory, *map(int, _MEMORY.findall(said)))
        seed += 1
    found = sorted(path for path in findings.iterdir() if path.suffix != ".txt")
    print(f"{executed} executions in {arguments.seconds} s, at most {memory} MB, {len(found)} findings")
    for path in found:
        print(f"  {path}")
    return int(bool(found))


def _replay(path: Path) -> int:
    from tests.fuzzing.readers import check

    with tempfile.TemporaryDirectory() as folder:
        print(check(path.read_bytes(), Path(folder)) or "is read")
    return 0


def _fuzz(arguments: argparse.Namespace) -> None:
    """Does not return: libFuzzer ends the process."""
    import atheris

    rooms = ("io", "games", "sweeps", "rollouts", "core._checkpoint", "certificates.rigorous")
    with atheris.instrument_imports(include=[f"hqre_jax.{room}" for room in rooms]):
        from tests.fuzzing.readers import READERS, check, encode
    import jax

    from tests.fuzzing.seeds import seeds

    jax.config.update("jax_enable_x64", True)
    warnings.simplefilter("error")
    corpus, findings = arguments.out / "corpus", arguments.out / "findings"
    corpus.mkdir(parents=True, exist_ok=True)
    for name, content in seeds():
        data = encode(name, content)
        (corpus / hashlib.sha1(data).hexdigest()).write_bytes(data)
    memory = Path("/dev/shm")
    scratch = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
    known: set[str] = set()

    def one(data: bytes) -> None:
        try:
            check(data, scratch)
        except Exception as error:
            # One of a kind is kept, and the search goes on.
            last = traceback.extract_tb(error.__traceback__)[-1]
            kind = f"{type(error).__name__}-{Path(last.filename).stem}-{last.lineno}"
            if kind not in known:
                known.add(kind)
                place = (
                    findings / f"{list(READERS)[data[0] % len(READERS)].replace(', ', '-').replace(' ', '-')}-{kind}"
                )
                place.write_bytes(data)
                place.with_name(place.name + ".txt").write_text(traceback.format_exc(), encoding="utf-8")

    options = {
        "max_total_time": arguments.seconds,
        "seed": arguments.seed,
        "timeout": _SLOWEST,
        "rss_limit_mb": _LARGEST_MB,
        "max_len": _LONGEST,
        "artifact_prefix": f"{findings}/",
        "print_final_stats": 1,
    }
    atheris.Setup([sys.argv[0], *(f"-{key}={value}" for key, value in options.items()), str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
