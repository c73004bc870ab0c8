"""What the documentation shows is what happens: its Python runs, its commands exist, its output is what is printed."""

import contextlib
import importlib.util
import io
import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

from hqre_jax.cli import main
from hqre_jax.cli._parser import build_parser

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
# What no lock file installs, or what may need a compiler: blocks that import it run where it is.
_OPTIONAL = {"jaxmarl", "pygame", "pygambit"}


class Block(NamedTuple):
    """A fenced block of a page and, where the next block says so, what it prints."""

    language: str
    text: str
    shown: str | None


def blocks(page: Path) -> list[Block]:
    return [Block(*found) for found in _BLOCK.findall(page.read_text(encoding="utf-8"))]


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def runs(page: Path) -> list[list[Block]]:
    """The blocks that are read one after the other: one that imports the library begins anew."""
    parts: list[list[Block]] = [[]]
    for block in blocks(page):
        if "import hqre_jax as hq\n" in block.text and any(before.language == "python" for before in parts[-1]):
            parts.append([])
        parts[-1].append(block)
    return [part for part in parts if part]


RUNS = [pytest.param(name(page), part, id=f"{name(page)} {k}") for page in PAGES for k, part in enumerate(runs(page))]


def printed(block: Block, namespace: dict, page: str) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as stdout:
        if block.language == "python":
            exec(compile(block.text, page, "exec"), namespace)
        else:
            for words in commands(block):
                assert words[0] == "hqre", f"{page} shows what {words[0]} prints, which nobody checks"
                assert main(words[1:]) == 0
    return stdout.getvalue()


def commands(block: Block) -> list[list[str]]:
    return [words for line in block.text.splitlines() if (words := shlex.split(line, comments=True))]


# JaxMARL's word for its own successor.
@pytest.mark.filterwarnings("ignore:OvercookedV2:DeprecationWarning")
@pytest.mark.parametrize(("page", "part"), RUNS)
def test_blocks_do_what_the_page_says(page, part, tmp_path, monkeypatch):
    """One after the other, as a reader would type them, in an empty folder; a first line `# NAME.toml` is a file."""
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__main__"}
    for block in part:
        if file := re.match(r"# (\w+\.toml)\n", block.text):
            Path(file[1]).write_text(block.text, encoding="utf-8")
        if block.language == "python" or (block.language == "sh" and block.shown):
            try:
                output = printed(block, namespace, page)
            except ModuleNotFoundError as error:
                if error.name not in _OPTIONAL:
                    raise
                pytest.skip(f"needs {error.name}")
            if block.shown is not None:
                assert output == block.shown


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_exist(page, capsys):
    """Commands of `hqre` are understood, targets of make are there, modules can be found, extras are declared.

    A line of text may leave out what a command needs.
    """
    for block in blocks(page):
        for words in commands(block) if block.language == "sh" else ():
            check_command(words)
            if words[0] == "hqre":
                build_parser().parse_args(words[1:])
    text = page.read_text(encoding="utf-8")
    for inline in re.findall(r"`((?:hqre|make|python -m|pip install)(?: [^`]*)?)`", text):
        check_command(shlex.split(inline, comments=True))


def check_command(words: list[str]) -> None:
    if words[0] == "hqre" and words[1:] and words[1].islower():
        with pytest.raises(SystemExit) as stopped:
            build_parser().parse_args([words[1], "--help"])
        assert stopped.value.code == 0, f"there is no command {words[1]}"
    elif words[0] == "make":
        targets = [word for word in words[1:] if "=" not in word]
        phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        assert phony
        assert set(targets) <= set(phony[1].split()), f"make has no {targets}"
    elif words[:2] == ["python", "-m"]:
        assert importlib.util.find_spec(words[2]), f"there is no module {words[2]}"
    elif words[:2] == ["pip", "install"]:
        extras = re.findall(r"hqre-jax\[(.*?)\]", " ".join(words))
        known = set(PROJECT["optional-dependencies"])
        assert {extra for group in extras for extra in group.split(",")} <= known, f"no such extra: {extras}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_data_can_be_read(page):
    for block in blocks(page):
        if block.language == "toml":
            tomllib.loads(block.text)
        elif block.language == "json":
            json.loads(block.text)


def test_readme_is_short_and_shows_what_it_prints():
    assert len(PAGES[0].read_text(encoding="utf-8").splitlines()) < 150
    assert [block.shown for block in blocks(PAGES[0]) if block.language == "python"] != [None]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_pictures_are_there(page):
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / picture).stat().st_size < 300_000


def test_citation_is_of_this_version():
    yaml = pytest.importorskip("yaml")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    assert any("2606.08068" in str(reference["identifiers"]) for reference in citation["references"])
