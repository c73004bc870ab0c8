"""strataq's damped fixed-point iteration under ``jit(vmap(...))``, at its own defaults."""

import importlib.util
import time

import jax
import numpy as np

from benchmarks._case import Entrant, Prepared
from benchmarks._machine import package_version
from benchmarks._normal_form_case import NormalFormCase


def _prepare(case: NormalFormCase) -> Prepared:
    from strataq import logit_qre
    from strataq.finite.games.tensor import DenseTensorGame

    def policy(payoffs):
        game = DenseTensorGame([payoffs[i] for i in range(case.payoffs.shape[1])])
        return jax.numpy.stack(logit_qre(game, 1.0 / case.tau).sigma)

    began = time.perf_counter()
    compiled = jax.jit(jax.vmap(policy)).lower(case.payoffs).compile()
    seconds = time.perf_counter() - began
    return Prepared(lambda: np.asarray(compiled(case.payoffs)), case.num_games, seconds)


def entrants() -> tuple[Entrant, ...]:
    """One, where strataq and what it imports are installed (it is no extra of this project: it brings much along)."""
    version = package_version("strataq")
    return (Entrant("strataq", version, _prepare, _missing()),)


def _missing() -> str:
    needed = ("strataq", "pydantic", "pydantic_settings", "omegaconf", "hydra")
    absent = [name for name in needed if importlib.util.find_spec(name) is None]
    return f"{', '.join(absent)} not installed" if absent else ""
