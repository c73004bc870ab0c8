"""``python -m benchmarks.llm``: ask what is missing, train, evaluate, then print and write the table.

The recording and the results that ship with this package are taken in first, so everything goes on where they stopped;
whatever stops this one, the same command goes on again. ``--anew`` takes in the recording alone. Exit code 1 where
something is missing, 2 where the input is wrong (a protocol that was changed after it was frozen, for instance), 130
where it was interrupted: what was bought is kept and shown.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.llm._cost import costs, described
from benchmarks.llm._protocol import COMMAND, SHIPPED, Protocol, closed, freeze, read_protocol
from benchmarks.llm._results import PACKED, pack, unpack
from benchmarks.llm._stages import REHEARSAL, RESULTS, Refused, Unfinished, evaluate, fill, pool, recorded, train
from benchmarks.llm._table import build_table, markdown
from benchmarks.llm._two_digits import TwoDigits
from hqre_jax.bridge import models
from hqre_jax.bridge.report import write_report
from hqre_jax.bridge.store import Budget, Store, StoredModel, export_archive, import_archive
from hqre_jax.cli._jax import enable_double_precision
from hqre_jax.cli._program_cache import keep_programs
from hqre_jax.core._types import InputError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stages, or say what they would cost, or freeze the protocol.

    Args:
        argv: Arguments; those of the command line by default.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(prog=COMMAND, description="DICE-PC beside every baseline at equal tokens.")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--plan", action="store_true", help="say what is asked and what that costs; ask nothing")
    what.add_argument(
        "--freeze", action="store_true", help="fix the protocol: test questions may be opened from then on"
    )
    what.add_argument("--rehearse", action="store_true", help="evaluate on the questions of dev; test stays closed")
    parser.add_argument("--seconds", type=float, metavar="S", help="begin no call later than this; 0 asks nothing")
    parser.add_argument("--anew", action="store_true", help="train and play again; take in nothing but recorded calls")
    parser.add_argument("--out", type=Path, metavar="DIR", help="(default: out/ and the name of the protocol's folder)")
    parser.add_argument("--protocol", type=Path, default=SHIPPED, metavar="FILE", help="(default: the published one)")
    arguments = parser.parse_args(argv)
    try:
        protocol = read_protocol(arguments.protocol)
        arguments.out = arguments.out or Path("out", protocol.path.resolve().parent.name)
        if arguments.plan:
            print(described(protocol, costs(protocol)), end="")
            return 0
        if arguments.freeze:
            freeze(protocol)
            print(f"{protocol.frozen_path} is written; commit it with the protocol, and test questions may be opened")
            return 0
        return _run(protocol, arguments)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _run(protocol: Protocol, arguments: argparse.Namespace) -> int:
    folder: Path = arguments.out
    folder.mkdir(parents=True, exist_ok=True)
    enable_double_precision()
    keep_programs()
    path, archive, code = folder / "calls.sqlite", folder / protocol.recording.name, 0
    with Store(path) as store:
        if protocol.recording.exists():
            import_archive(protocol.recording, store)
        try:
            _stages(protocol, arguments, store, path)
        except Unfinished as ended:
            print(f"{ended}\nwhat was bought is kept, and the same command goes on", file=sys.stderr)
            code = 1
        except Refused as refused:
            code = refused.code
        except KeyboardInterrupt:
            print("interrupted: what was bought is kept, and the same command goes on", file=sys.stderr)
            code = 130
        export_archive(store, archive)
    pack(folder)
    return max(code, _publish(protocol, archive, folder))


def _publish(protocol: Protocol, archive: Path, folder: Path) -> int:
    """Write and print the table of what is recorded; 1 where something is missing."""
    samples, states = pool(protocol, recorded(protocol, archive))
    table = build_table(protocol, samples, states, folder / RESULTS)
    text = markdown(protocol, table, folder / RESULTS)
    (folder / "table.json").write_text(json.dumps(table, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    (folder / "table.md").write_text(text, encoding="utf-8")
    print(text, end="")
    return int(bool(table["missing"]))


def _stages(protocol: Protocol, arguments: argparse.Namespace, store: Store, path: Path) -> None:
    behind = _models(protocol, arguments.seconds, store, path)
    samples, states = pool(protocol, dict(behind))
    fill(protocol, samples, states, "dev", _say)
    # Results of another protocol are no part of this one.
    if not (arguments.anew or arguments.rehearse) and closed(protocol) is None:
        unpack(protocol.recording.with_name(PACKED), arguments.out)
    policy = train(protocol, path, arguments.out, _say)
    if arguments.rehearse:
        evaluate(protocol, samples, states, policy, "dev", _say)
        rehearsed = policy.with_name(REHEARSAL)
        _say(f"rehearsed: {write_report(rehearsed)['story'][0]} {rehearsed / 'report.html'}")
        return
    fill(protocol, samples, states, "test", _say)
    evaluate(protocol, samples, states, policy, "test", _say)


def _models(protocol: Protocol, seconds: float | None, store: Store, path: Path) -> dict[str, StoredModel]:
    """The team's models behind the store; where nothing may be asked, as they are recorded."""
    found = dict[str, StoredModel]()
    for name in dict.fromkeys(agent.model for agent in protocol.team.agents):
        if seconds == 0:
            recorded = [identity for shown, identity in store.models() if shown == name]
            if not recorded:
                raise Unfinished(f"nothing of {name} is recorded")
            model = models.load(f"replay:{path}#{recorded[0]}")
            found[name] = StoredModel(model, store, Budget(calls=0))
        else:
            model = models.load(name, folder=protocol.team_path.parent)
            found[name] = StoredModel(TwoDigits(model), store, Budget(seconds=seconds))
    return found


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
