"""Notebooks run from top to bottom, say what they say they do, and carry no outputs."""

from pathlib import Path

import pytest

jupytext = pytest.importorskip("jupytext")
nbclient = pytest.importorskip("nbclient")

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))


def test_there_is_a_notebook():
    assert NOTEBOOKS
    assert not list((ROOT / "notebooks").rglob("*.ipynb")), "notebooks are kept as .py files, which hold no outputs"


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lambda path: path.stem)
def executed(request, tmp_path_factory):
    """The notebook after a run in a kernel of its own; an error in any cell fails here."""
    notebook = jupytext.read(request.param)
    assert notebook.metadata["kernelspec"]["name"] == "python3"
    monkeypatch = pytest.MonkeyPatch()
    # The kernel's working directory is empty, as a reader's may be: what it imports is this library.
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("MPLBACKEND", raising=False)
    try:
        folder = str(tmp_path_factory.mktemp("notebook"))
        client = nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": folder}})
        return client.execute()
    finally:
        monkeypatch.undo()


def printed(notebook) -> str:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "".join(output["text"] for output in outputs if output.output_type == "stream")


def pictures(notebook) -> int:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return sum("image/png" in output.get("data", {}) for output in outputs)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # Jupyter's own, about event loops and transports
def test_notebook_runs(executed):
    assert pictures(executed) >= 1
    for cell in executed.cells:
        errors = [o for o in cell.get("outputs", []) if o.output_type == "stream" and o["name"] == "stderr"]
        assert not errors, f"a reader would see: {errors[0]['text']}"


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("executed", [ROOT / "notebooks" / "first_steps.py"], indirect=True, ids=["first_steps"])
def test_first_steps_shows_uniqueness_lost(executed):
    """The table of temperatures goes from a positive margin to a negative one, and the selection changes with it."""
    lines = printed(executed).splitlines()
    start = next(k for k, line in enumerate(lines) if "margin" in line and "selection" in line)
    rows = [line.split() for line in lines[start + 1 : start + 8]]
    assert [row[3] for row in rows] == ["unique" if float(row[1]) > 0 else "principal_branch" for row in rows]
    assert {row[3] for row in rows} == {"unique", "principal_branch"}
    assert any(line.startswith("τ = 0.5: not_unique") for line in lines)
    assert pictures(executed) == 3
