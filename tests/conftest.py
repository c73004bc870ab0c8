"""What every test relies on: 64-bit numbers, strict shapes, checked annotations and a screenless plotter."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hypothesis
import jax
import jaxtyping
import matplotlib
import pytest
from checked import jaxtyped

matplotlib.use("Agg")
# Tests compile for seconds what runs for a moment: take the code for loops that is generated in half the time.
# XLA reads this when its first program is compiled, and ends the process over a flag that it does not know.
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1")
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")
# Programs are kept for the other worker and for the next run.
_PROGRAMS, _MOST_BYTES = Path(__file__).parent.parent / ".pytest_cache" / "jax", 2**30
jax.config.update("jax_compilation_cache_dir", str(_PROGRAMS))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(_PROGRAMS)  # of the processes that tests begin
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
# They are compiled as the command line compiles them, here and in processes that tests begin: optimising takes half of
# the time of tests. Where these are thorough it is done all the same.
_HASTY = os.environ.get("HYPOTHESIS_PROFILE") != "thorough"
if _HASTY:
    os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
jax.config.update("jax_disable_most_optimizations", _HASTY)
# Every annotation of the library is checked at each call. The hook must stand before the first import of it; it has
# `jaxtyping.jaxtyped` put on every function.
jaxtyping.jaxtyped = jaxtyped
jaxtyping.install_import_hook("hqre_jax", "beartype.beartype")

# Examples differ in shape, and a new shape is a new compilation: no deadline, and few of them by default.
hypothesis.settings.register_profile(
    "ci",
    deadline=None,
    derandomize=True,
    max_examples=20,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.register_profile(
    "thorough", hypothesis.settings.get_profile("ci"), derandomize=False, max_examples=500
)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

_MEMORY_MAPS = Path("/proc/self/maps")


# The longest files, first, so that none of them runs on when all others have ended.
_LONG = ("test_proofs_check.py", "test_site.py", "test_ledger.py", "test_stochastic_mirror.py")


_ON_REQUEST = pytest.StashKey[frozenset[str]]()


@pytest.hookimpl(tryfirst=True)  # while those that marks leave out are still there
def pytest_collection_modifyitems(config, items):
    """Between modules that compile hastily and others all programs are forgotten: they are not mixed."""
    config.stash[_ON_REQUEST] = frozenset(item.nodeid for item in items if item.get_closest_marker("thorough"))
    items.sort(key=lambda item: (item.path.name not in _LONG, item.get_closest_marker("optimised") is not None))


def pytest_sessionfinish():
    """Programs pile up as the library changes: those of one run take a tenth of the limit."""
    # Workers, and processes that their tests begin, end before others do.
    last = "PYTEST_XDIST_WORKER" not in os.environ
    if last and _PROGRAMS.exists() and sum(file.stat().st_size for file in _PROGRAMS.iterdir()) > _MOST_BYTES:
        shutil.rmtree(_PROGRAMS)


@pytest.fixture(autouse=True, scope="module")
def _forget_compiled_programs():
    """Drop the compiled programs once there are many.

    Each one holds memory maps, of which Linux allows a process 65,530; beyond that it dies. Modules
    share the programs of the library, so dropping them always would only compile them again.
    """
    yield
    if _MEMORY_MAPS.exists() and len(_MEMORY_MAPS.read_text().splitlines()) > 20_000:
        jax.clear_caches()


@pytest.fixture(autouse=True, scope="module")
def _optimise_where_asked(request):
    """Where a module is about what optimised programs do.

    What is compiled in one way is forgotten before the other one: JAX does not tell such programs apart.
    """
    hastily = _HASTY and request.node.get_closest_marker("optimised") is None
    if hastily != jax.config.values["jax_disable_most_optimizations"]:
        jax.clear_caches()
        jax.config.update("jax_disable_most_optimizations", hastily)
    with pytest.MonkeyPatch.context() as patch:
        if not hastily:
            patch.delenv("JAX_DISABLE_MOST_OPTIMIZATIONS", raising=False)
        yield


@pytest.fixture
def on_request(request):
    """Names of the tests of this run's files that run only when they are asked for."""
    return request.config.stash[_ON_REQUEST]


@contextmanager
def _counted_programs() -> Iterator[list[str]]:
    names: list[str] = []

    def hear(event: str, duration_secs: float, **about) -> None:
        if event.endswith("backend_compile_duration"):
            names.append(about.get("fun_name", event))

    jax.monitoring.register_event_duration_secs_listener(hear)
    try:
        yield names
    finally:
        jax.monitoring.unregister_event_duration_listener(hear)


@pytest.fixture
def counted_programs():
    """``with counted_programs() as names``: the programs that are compiled meanwhile, fetched from a cache or not."""
    return _counted_programs
