"""Build the documentation site: ``python docs [--out DIR]``, or ``make docs``; every warning is an error.

The site has the repository's pages where the repository has them, with ``docs/`` lifted to the top: `docs/solve.md` is
``solve.html``, `notebooks/first_steps.py` is ``notebooks/first_steps.html``, executed. Links between files are those
that work in the repository, rewritten here. Pages of the API are made from what each room lists as public.
"""

import argparse
import gc
import os
import re
import shutil
import sys
from pathlib import Path

from sphinx.cmd.build import main as sphinx_build

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("docs/**/*.md", "docs/*.png", "docs/scripts/*", "notebooks/*.py", "C*.md")
PAGES += ("benchmarks/**/table.md", "proofs_check/*/statement.md")
_LINK = re.compile(r"(?<=\]\()(?!\w+:)([^)#\s]+)(?=[)#])")


def main(arguments: list[str] | None = None) -> int:
    """Lay the pages out and have Sphinx build them.

    Args:
        arguments: Words of the command line; those of the process by default.

    Returns:
        Sphinx's exit status: 0 where there was no warning.
    """
    parser = argparse.ArgumentParser(prog="python docs", description=__doc__.partition("\n")[0])
    parser.add_argument("--out", metavar="DIR", type=Path, default=ROOT / "out" / "docs", help="default: out/docs")
    out = parser.parse_args(arguments).out.resolve()
    # Here as in the kernels of notebooks, which begin elsewhere, the library is the one beside this folder.
    sys.path.insert(0, str(ROOT))
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    from rooms import api_pages

    source = out / "source"
    for folder in (source, out / "html"):
        shutil.rmtree(folder, ignore_errors=True)
    for path in sorted({path for pattern in PAGES for path in ROOT.glob(pattern)}):
        lay_out(path, source)
    for name, text in api_pages().items():
        (source / "api").mkdir(exist_ok=True)
        (source / "api" / name).write_text(text, encoding="utf-8")
    strict = ["--fail-on-warning", "--keep-going", "--nitpicky", "--fresh-env", "--quiet"]
    folders = [str(source), str(out / "html")]
    gc.disable()  # pages stay until the end: looking for garbage among them takes a quarter of the time
    return sphinx_build([*strict, "-c", str(ROOT / "docs"), "-d", str(out / "doctrees"), *folders])


def lay_out(path: Path, source: Path) -> None:
    """Copy one page, its links pointing to where the pages lie on the site.

    Args:
        path: A file of the repository.
        source: The folder that Sphinx reads.
    """
    target = source / _place(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix not in (".md", ".py"):
        shutil.copyfile(path, target)
        return

    def moved(link: re.Match) -> str:
        return os.path.relpath(source / _place((path.parent / link[1]).resolve()), target.parent)

    target.write_text(_LINK.sub(moved, path.read_text(encoding="utf-8")), encoding="utf-8")


def _place(path: Path) -> Path:
    """Where a file of the repository lies on the site."""
    inside = path.relative_to(ROOT)
    return inside.relative_to("docs") if inside.parts[0] == "docs" else inside


if __name__ == "__main__":
    sys.exit(main())
