"""The documentation is built once, notebooks executed: no warning, no dead link, every public name, every picture."""

import fcntl
import html.parser
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import hqre_jax

pytest.importorskip("sphinx", reason="the site is built by Sphinx; the extra `docs` installs it")

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.py"))


@pytest.fixture(scope="module")
def site(tmp_path_factory, testrun_uid):
    """The folder of a build; a warning, an error in a cell or a word on its stderr fails here. Workers share it."""
    out = tmp_path_factory.getbasetemp().parent / f"site-{testrun_uid}"
    with Path(f"{out}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (out / "html" / "index.html").exists():
            build(out)
    return out


def build(out: Path) -> None:
    # Nothing of these tests' own environment: what a reader has, but programs that are compiled hastily.
    environment = {key: value for key, value in os.environ.items() if key not in ("MPLBACKEND", "PYTHONPATH")}
    environment["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
    command = [sys.executable, "docs", "--out", str(out)]
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1200)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.fixture(scope="module", params=NOTEBOOKS)
def executed(request, site):
    """The cells of a notebook as they were executed for its page."""
    return json.loads((site / "jupyter_execute" / "notebooks" / f"{request.param}.ipynb").read_text())["cells"]


def outputs(cells) -> list[dict]:
    return [output for cell in cells for output in cell.get("outputs", [])]


def pictures(cells) -> int:
    return sum("image/png" in output.get("data", {}) for output in outputs(cells))


def test_notebooks_carry_no_outputs():
    assert NOTEBOOKS
    assert not list((ROOT / "notebooks").rglob("*.ipynb")), "notebooks are kept as .py files, which hold no outputs"


@pytest.mark.slow
def test_notebook_has_run(executed):
    assert all(cell["execution_count"] for cell in executed if cell["cell_type"] == "code")
    assert pictures(executed) >= 1
    assert not [output for output in outputs(executed) if output.get("name") == "stderr"]


@pytest.mark.slow
@pytest.mark.parametrize("executed", ["first_steps"], indirect=True)
def test_first_steps_shows_uniqueness_lost(executed):
    """The table of temperatures goes from a positive margin to a negative one, and the selection changes with it."""
    lines = "".join("".join(o["text"]) for o in outputs(executed) if o["output_type"] == "stream").splitlines()
    start = next(k for k, line in enumerate(lines) if "margin" in line and "selection" in line)
    rows = [line.split() for line in lines[start + 1 : start + 8]]
    assert [row[3] for row in rows] == ["unique" if float(row[1]) > 0 else "principal_branch" for row in rows]
    assert {row[3] for row in rows} == {"unique", "principal_branch"}
    assert any(line.startswith("τ = 0.5: not_unique") for line in lines)
    assert pictures(executed) == 3


class Page(html.parser.HTMLParser):
    """Where the elements of a page lead, and the names that lead to them."""

    def __init__(self, path: Path):
        super().__init__()
        self.links, self.anchors = set(), {""}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.anchors |= {given[key] for key in ("id", "name") if given.get(key)}
        self.links |= {given[key] for key in ("href", "src") if given.get(key)}


@pytest.mark.slow
def test_links_inside_of_the_site_lead_somewhere(site):
    """Files and places in them. Links to elsewhere are not followed: tests need no network."""
    pages = {path: Page(path) for path in (site / "html").rglob("*.html")}
    assert {site / "html" / f"{path.stem}.html" for path in (ROOT / "docs").glob("*.md")} <= set(pages)
    dead = []
    for path, page in pages.items():
        for link in map(urlsplit, page.links):
            if link.scheme or link.netloc:
                continue
            target = (path.parent / unquote(link.path)).resolve() if link.path else path
            there = pages[target].anchors if target in pages else {""}
            if not target.exists() or (target in pages and unquote(link.fragment) not in there):
                dead.append(f"{path.relative_to(site / 'html')}: {link.geturl()}")
    assert not dead


@pytest.mark.slow
def test_every_public_name_is_in_the_api(site):
    anchors = set().union(*(Page(path).anchors for path in (site / "html" / "api").glob("*.html")))
    missing = {name for name in hqre_jax.__all__ if f"hqre_jax.{name}" not in anchors}
    assert missing <= {"plotting"}, missing  # a room of its own, on a page of its own
    assert {"hqre_jax.plotting.branch", "hqre_jax.plotting.convergence"} <= anchors
