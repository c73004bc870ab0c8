"""Models by name: what can be used here, how to fetch what is missing, and how to load one."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

from hqre_jax.bridge.models._adapter_files import adapted
from hqre_jax.bridge.models._interface import AbstractModel
from hqre_jax.core._types import InputError


@dataclass(frozen=True)
class Source:
    """Where models of one kind come from.

    Its module is imported when it is used, and has `load(argument, **options)`, where the argument is what follows the
    colon in the model's name ("" where there is none); a source whose weights can be missing also has
    `is_available()` and `fetch()`.

    Attributes:
        name: What the user types: "smollm2-135m", or "hf:PATH" where an argument in capitals follows.
        description: One line for `hqre llm models`.
        module: The module that loads it.
        has_weights: Whether its weights are installed separately, by `fetch`.
        takes_adapters: Whether a name may go on with "+FOLDER", an adapter in PEFT's files; `load` then gives a
            `LocalModel`.
        has_path: Whether the argument is the path of a file or folder.

    Example:
        >>> from hqre_jax.bridge.models import Source
        >>> source = Source("hf:PATH", "a local folder", "hqre_jax.bridge.models._folder", takes_adapters=True)
        >>> source.scheme, source.takes_adapters
        ('hf', True)
    """

    name: str
    description: str
    module: str
    has_weights: bool = False
    takes_adapters: bool = False
    has_path: bool = False

    @property
    def scheme(self) -> str:
        """The part of the name before the colon."""
        return _scheme(self.name)

    def split(self, name: str, folder: str | Path = ".") -> tuple[str, str | None]:
        """A model's argument and its adapter's folder, if any; paths that are not absolute begin in the folder given.

        A path may have a "+" of its own: the adapter follows the first one before which there is something.
        """
        argument = name[len(self.scheme) :].removeprefix(":")
        for plus in re.finditer(r"\+", argument) if self.takes_adapters else ():
            path, adapter = argument[: plus.start()], argument[plus.end() :]
            if not path or Path(_beside(path, folder)).expanduser().exists():
                return self._placed(path, folder), _beside(adapter, folder)
        return self._placed(argument, folder), None

    def _placed(self, argument: str, folder: str | Path) -> str:
        return _beside(argument, folder) if self.has_path else argument

    def call(self, function: str) -> Callable[..., Any]:
        """A function of the source's module."""
        return getattr(import_module(self.module), function)


# One line for each kind of model; others join them here.
_SOURCES = [
    Source(
        "smollm2-135m",
        "SmolLM2-135M-Instruct (Apache-2.0), the embedded default: runs offline on a CPU; +FOLDER adds an adapter",
        "hqre_jax.bridge.models._smollm2",
        has_weights=True,
        takes_adapters=True,
    ),
    Source(
        "hf:PATH",
        "a local Hugging Face folder or GGUF file of Llama or Qwen2 architecture; +FOLDER adds an adapter",
        "hqre_jax.bridge.models._checkpoint",
        takes_adapters=True,
        has_path=True,
    ),
    Source(
        "openai:NAME",
        "any OpenAI-compatible endpoint (--base-url), vLLM and SGLang servers included; key in OPENAI_API_KEY",
        "hqre_jax.bridge.models._endpoint",
    ),
    Source(
        "replay:STORE",
        "a recorded store, or an archive of one, answers instead of a model",
        "hqre_jax.bridge.models._replay",
        has_path=True,
    ),
]


def available() -> list[dict[str, Any]]:
    """What can be used here.

    Returns:
        One dictionary per kind of model: "name", "description", "available" (usable now) and "fetch" (the one command
        that fetches what is missing; "" where nothing is).

    Example:
        >>> from hqre_jax.bridge.models import available
        >>> [model["name"] for model in available()][:2]
        ['smollm2-135m', 'hf:PATH']
    """
    rows = []
    for source in _SOURCES:
        usable = not source.has_weights or source.call("is_available")()
        fetching = "" if usable else f"hqre llm models --fetch {source.name}"
        rows.append({"name": source.name, "description": source.description, "available": usable, "fetch": fetching})
    return rows


def fetch(name: str = "smollm2-135m") -> str:
    """Fetch and verify a model's weights; where they are already here, only verify them.

    Args:
        name: Name of a model whose weights are fetched.

    Returns:
        One line that says where they lie.

    Raises:
        InputError: For a name that has nothing to fetch, and for weights that could not be had or are not the right
            ones.

    Example:
        >>> from hqre_jax.bridge import models
        >>> models.fetch("openai:NAME")
        Traceback (most recent call last):
            ...
        hqre_jax.core._input.InputError: model: 'openai:NAME' has nothing to fetch; these have: smollm2-135m
    """
    source = _find(name)
    if not source.has_weights:
        fetched = [source.name for source in _SOURCES if source.has_weights]
        raise InputError("model", f"{name!r} has nothing to fetch; these have: {', '.join(fetched)}")
    return source.call("fetch")()


def load(name: str = "smollm2-135m", *, folder: str | Path = ".", **options: Any) -> AbstractModel:
    """Load a model.

    Args:
        name: One of the names that `available` lists, with its argument filled in, for instance "hf:models/qwen2".
            After a local one's name may stand "+" and the folder of an adapter in PEFT's files, which is merged into
            its weights: "smollm2-135m+runs/solver".
        folder: What paths in the name are relative to; for the names of a team file, the folder of that file.
        **options: What the kind of model takes; for local ones ``dtype`` and ``max_batch``.

    Returns:
        The model.

    Raises:
        InputError: For an unknown name or option, or weights that are missing or damaged.

    Example:
        >>> from hqre_jax.bridge import models
        >>> model = models.load("smollm2-135m")  # doctest: +SKIP
        >>> request = models.Request((models.Message("user", "What is 2 + 3?"),))
        >>> model.generate([request])[0].text  # doctest: +SKIP
        '2 + 3 = 5'
    """
    source = _find(name)
    argument, adapter = source.split(name, folder)
    if (":" in source.name) != bool(argument) or adapter == "":
        raise InputError("model", f"{name!r} should read {source.name}" + "[+FOLDER]" * source.takes_adapters)
    try:
        loader = source.call("load")
        for option in options.keys() - signature(loader).parameters.keys():
            raise InputError("model", f"{name!r} has no option {option!r}")
        model = loader(argument, **options)
        if adapter is not None:
            model = adapted(model, adapter)
        if source.takes_adapters:
            model.name = name  # as it was given, wherever that lies
        return model
    except ImportError as error:
        raise InputError("model", f"{name!r} needs the package {error.name}: pip install 'hqre-jax[llm]'") from error


def _find(name: str) -> Source:
    for source in _SOURCES:
        if _scheme(name) == source.scheme:
            return source
    known = ", ".join(source.name for source in _SOURCES)
    raise InputError("model", f"{name!r} is not known; these are: {known}")


def _scheme(name: str) -> str:
    return re.split(r"[:+]", name, maxsplit=1)[0]


def _beside(path: str, folder: str | Path) -> str:
    """The path, spelt as it was: a recording's may go on with "#" and a name that is none."""
    here = not path or Path(path).expanduser().is_absolute() or Path(folder) == Path()
    return path if here else f"{folder}/{path}"
