"""Published tables of protocols: made again from recording and results alone, and compared byte by byte."""

import subprocess
import sys
from pathlib import Path

_PUBLISH = """
import pathlib, sys
import hqre_jax.bridge.report as report
from benchmarks.llm import __main__ as command
report.page = lambda *shown: ""  # its pictures take a quarter of the time, and it is not what is compared
for number, name in enumerate(sys.argv[2:]):
    protocol, folder = command.read_protocol(pathlib.Path(name)), pathlib.Path(sys.argv[1], str(number))
    folder.mkdir()
    command.unpack(protocol.recording.with_name(command.PACKED), folder)
    command._publish(protocol, protocol.recording, folder)
"""


def check_published(scratch: Path, *protocols: Path) -> None:
    """As users run it: with every annotation checked it would take three times as long."""
    root = Path(__file__).parents[2]
    names = [str(protocol.relative_to(root)) for protocol in protocols]
    command = [sys.executable, "-c", _PUBLISH, str(scratch), *names]
    subprocess.run(command, cwd=root, check=True, stdout=subprocess.DEVNULL)
    for number, protocol in enumerate(protocols):
        for name in ("table.json", "table.md"):
            made = (scratch / str(number) / name).read_text(encoding="utf-8")
            assert made == protocol.with_name(name).read_text(encoding="utf-8")
