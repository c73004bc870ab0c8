"""Every public name has an example that runs: what a docstring shows is what happens."""

import doctest
import functools
import inspect

import pytest

import hqre_jax as hq

# Rooms all of whose names have examples.
ROOMS = (
    "bounds",
    "certificates",
    "empirical",
    "equilibrium",
    "games",
    "games.named",
    "games.random",
    "io",
    "learning",
    "plotting",
    "rollouts",
    "sampled",
    "solvers",
    "solving",
    "stability",
    "sweeps",
)


def _public() -> dict[str, object]:
    """Classes and functions of the door, and of rooms, by the name under which users reach them."""
    names = {name: getattr(hq, name) for name in hq.__all__}
    for path in ROOMS:
        room = functools.reduce(getattr, path.split("."), hq)
        names |= {f"{path}.{name}": getattr(room, name) for name in room.__all__}
    seen, kept = set(), {}
    for name, value in names.items():
        if (inspect.isclass(value) or callable(value)) and id(value) not in seen:
            seen.add(id(value))
            kept[name] = value
    return kept


PUBLIC = _public()
SHOWN = {name: value for name, value in PUBLIC.items() if ">>>" in (inspect.getdoc(value) or "")}


def test_every_public_name_has_an_example():
    assert len(PUBLIC) > 50, "the search for public names is broken"
    aliases = {name for name, value in PUBLIC.items() if value.__class__.__module__ == "typing"}
    missing = sorted(set(PUBLIC) - aliases - set(SHOWN))
    assert not missing, f"an example of two or three lines belongs into these docstrings: {missing}"


@pytest.mark.parametrize("name", SHOWN)
def test_example(name):
    text = inspect.getdoc(SHOWN[name]) or ""
    if "hq.sweep(" in text:
        pytest.importorskip("pyarrow", reason="sweeps write Parquet files; the extra `sweep` installs pyarrow")
    test = doctest.DocTestParser().get_doctest(text, {}, name, None, None)
    said = []
    failed, tried = doctest.DocTestRunner(verbose=False).run(test, out=said.append)
    assert tried > 1
    assert not failed, "".join(said)
