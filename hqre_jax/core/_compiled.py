"""Compiled programs: bounded, however many shapes of games go through one process.

Every shape of a game is a program of its own to JAX, which keeps them all. Each holds memory, and memory maps, of which
Linux allows a process 65,530: beyond that it dies. When there are many, all are forgotten; those still in use are
compiled again.
"""

from pathlib import Path

import jax

_MAPS = Path("/proc/self/maps")
# A quarter of what Linux allows, or, where maps cannot be counted, as many programs as leave about that many.
_MOST_MAPS, _MOST_PROGRAMS = 16_000, 2_000
# Programs after which maps are counted again; one program may hold a hundred.
_LOOK_EVERY = 8
_COMPILED = "/jax/core/compile/backend_compile_duration"


class _Census:
    """How many programs were compiled, in all and since the maps were last counted; None before anybody counts."""

    total: int | None = None
    fresh: int = 0

    @classmethod
    def count(cls, event: str, duration_secs: float, **kwargs: str | int) -> None:
        del duration_secs, kwargs
        if event == _COMPILED and cls.total is not None:
            cls.total += 1
            cls.fresh += 1


def make_room() -> None:
    """Forgets all compiled programs where there are so many that the next ones may find no memory maps.

    The verbs call this before they work. It costs nothing unless something was compiled.
    """
    if _Census.total is None:
        _Census.total = 0
        jax.monitoring.register_event_duration_secs_listener(_Census.count)
    if _Census.fresh < _LOOK_EVERY:
        return
    _Census.fresh = 0
    many = _maps() > _MOST_MAPS if _MAPS.exists() else _Census.total > _MOST_PROGRAMS
    if many:
        _Census.total = 0
        jax.clear_caches()


def _maps() -> int:
    return _MAPS.read_bytes().count(b"\n")
