"""Every public name has an example that runs: what a docstring shows is what happens."""

import doctest
import functools
import importlib
import inspect

import pytest

import hqre_jax as hq

# Rooms all of whose names have examples.
ROOMS = (
    "bounds",
    "bridge",
    "bridge.baselines",
    "bridge.controls",
    "bridge.coordination",
    "bridge.evaluation",
    "bridge.finetuning",
    "bridge.finetuning.methods",
    "bridge.models",
    "bridge.play",
    "bridge.report",
    "bridge.store",
    "bridge.tasks",
    "bridge.team",
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
    "solvers.batch",
    "solving",
    "stability",
    "sweeps",
)
# What takes a language model's decoder: an example would need the weights of one.
NEED_WEIGHTS = {
    "bridge.finetuning.Run",
    "bridge.models.LocalModel",
    "bridge.models.init_adapter",
    "bridge.models.load",
    "bridge.models.load_adapter",
    "bridge.models.merged",
    "bridge.models.place_decoder",
    "bridge.models.sample_completions",
    "bridge.models.training_memory",
    "bridge.models.with_adapter",
}
# What an example takes from an extra, by the words that show it.
EXTRAS = {
    "hq.sweep(": "pyarrow",
    "save_adapter(": "safetensors",
    "import pygambit": "pygambit",
    "import pyspiel": "pyspiel",
}
# A docstring's sections, after the mathematics.
SECTIONS = ("Args:", "Yields:", "Returns:", "Raises:", "Failure modes:", "Source:", "Example:")


def _names(path: str) -> dict[str, object]:
    """What a room exports: `__all__`, or what it imports from its own files."""
    room = importlib.import_module(f"hqre_jax.{path}")
    own = [name for name, value in vars(room).items() if getattr(value, "__module__", "").startswith(room.__name__)]
    names = getattr(room, "__all__", [name for name in own if not name.startswith("_")])
    return {f"{path}.{name}": getattr(room, name) for name in names}


def _public() -> dict[str, object]:
    """Classes and functions of the door, and of rooms, by the name under which users reach them."""
    doors = [{name: getattr(hq, name) for name in hq.__all__}, *map(_names, ROOMS)]
    seen, kept = set(), {}
    for name, value in functools.reduce(dict.__or__, doors).items():
        if (inspect.isclass(value) or callable(value)) and id(value) not in seen:
            seen.add(id(value))
            kept[name] = value
    return kept


PUBLIC = _public()
SHOWN = {name: value for name, value in PUBLIC.items() if ">>>" in (inspect.getdoc(value) or "")}


def test_every_public_name_has_an_example():
    assert len(PUBLIC) > 200, "the search for public names is broken"
    wanted = {name for name in PUBLIC if "." not in name or name.rpartition(".")[0] in ROOMS}
    aliases = {name for name in wanted if PUBLIC[name].__class__.__module__ == "typing"}
    missing = sorted(wanted - aliases - NEED_WEIGHTS - set(SHOWN))
    assert not missing, f"an example of two or three lines belongs into these docstrings: {missing}"


def test_sections_stand_in_one_order():
    seen = 0
    for name, value in PUBLIC.items():
        text = inspect.getdoc(value) or ""
        found = [text.find(f"\n{section}") for section in SECTIONS]
        places = [place for place in found if place >= 0]
        seen += len(places)
        assert places == sorted(places), f"{name}: the order is {', '.join(SECTIONS)}"
    assert seen > 500, "the search for sections is broken"


@pytest.mark.parametrize("name", sorted(set(SHOWN) - NEED_WEIGHTS, key=list(SHOWN).index))
def test_example(name):
    text = inspect.getdoc(SHOWN[name]) or ""
    for words, package in EXTRAS.items():
        if words in text:
            pytest.importorskip(package, reason=f"an extra installs {package}, which the example uses")
    test = doctest.DocTestParser().get_doctest(text, {}, name, None, None)
    said = []
    failed, tried = doctest.DocTestRunner(verbose=False).run(test, out=said.append)
    assert tried > 1
    assert not failed, "".join(said)
