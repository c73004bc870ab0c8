"""The pages of the API: one for each room of the library, made from what the room lists as public."""

import functools
import importlib
import inspect
import pkgutil
import re
from typing import Any

import hqre_jax

_UNDER = {"class": 0, "function": 1, "data": 2}


def api_pages() -> dict[str, str]:
    """Pages in MyST Markdown, by file name.

    A name that the library itself has is documented there, as users write it (``hqre_jax.solve``), on the page of
    the room it lives in; all else under its room.

    Returns:
        ``index.md`` and one page for each room that has public names.
    """
    rooms = {name: [] for name in _rooms()}
    for name in hqre_jax.__all__:
        value = getattr(hqre_jax, name)
        if not inspect.ismodule(value):
            rooms.setdefault(_home(value), []).append((f"hqre_jax.{name}", value))
    known = {id(value) for names in rooms.values() for _, value in names}
    for room, module in _rooms().items():
        for name in _public_names(module):
            value = getattr(module, name)
            if id(value) not in known and not inspect.ismodule(value):
                known.add(id(value))
                rooms[room].append((f"hqre_jax.{room}.{name}", value))
    pages = {f"{room}.md": _page(room, names) for room, names in sorted(rooms.items()) if names}
    toc = "\n".join(name.removesuffix(".md") for name in pages)
    intro = "Public names by the room they live in; `import hqre_jax as hq` reaches those of `hqre_jax` itself."
    pages["index.md"] = f"# API\n\n{intro}\n\n```{{toctree}}\n:maxdepth: 1\n\n{toc}\n```\n"
    return pages


@functools.cache
def _rooms() -> dict[str, Any]:
    """The public packages and modules of the library, nested ones too, by name below ``hqre_jax``."""
    found = pkgutil.walk_packages(hqre_jax.__path__, "hqre_jax.")
    public = [info.name for info in found if not any(part.startswith("_") for part in info.name.split("."))]
    modules = {name.removeprefix("hqre_jax."): importlib.import_module(name) for name in public}
    return {name: module for name, module in modules.items() if _public_names(module)}


def _public_names(module: Any) -> list[str]:
    """What a room lists; rooms of the bridge list nothing apart, and what they hold themselves is public."""
    if hasattr(module, "__all__") or module.__name__.rpartition(".")[0] != "hqre_jax.bridge":
        return list(getattr(module, "__all__", ()))
    held = {name: getattr(value, "__module__", None) or "" for name, value in vars(module).items() if name[0] != "_"}
    return [name for name, home in held.items() if home.startswith(module.__name__)]


def _home(value: Any) -> str:
    """The room of a name: the deepest package that is public."""
    return getattr(value, "__module__", "hqre_jax.constants").split(".")[1].lstrip("_")


def _page(room: str, names: list[tuple[str, Any]]) -> str:
    """A page: the room's own description, then every name with its docstring."""
    module = _rooms().get(room)
    described = inspect.getdoc(module) if module else ""
    lines = [f"# {room}", "", described or "", "", "```{eval-rst}", f".. py:module:: hqre_jax.{room}", "```", ""]
    for name, value in sorted(names, key=lambda pair: (_UNDER[_kind(pair[1])], pair[0].lower())):
        members = [f"   :members: {', '.join(own)}"] if (own := _own_methods(value)) else []
        # A constant has no docstring: what Python says of its type explains nothing.
        documented = "auto" if _kind(value) != "data" else "py:"
        lines += [f"## {name.rpartition('.')[2]}", "", "```{eval-rst}"]
        lines += [f".. {documented}{_kind(value)}:: {name}", *members, "```", ""]
    return "\n".join(lines)


def _kind(value: Any) -> str:
    if inspect.isclass(value):
        return "class"
    return "function" if callable(value) else "data"


def _own_methods(value: Any) -> list[str]:
    """Public methods and properties that a class itself defines, but for what its docstring lists as attributes."""
    if not inspect.isclass(value):
        return []
    kinds = property | classmethod | staticmethod
    own = [name for name, member in vars(value).items() if inspect.isroutine(member) or isinstance(member, kinds)]
    listed = re.findall(r"^    (\w+): ", inspect.getdoc(value) or "", re.MULTILINE)
    return [name for name in own if not name.startswith("_") and name not in listed]
