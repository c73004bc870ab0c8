"""The registry: every module of this room that has ``METHODS`` brings its methods; a new method is a new file."""

import pkgutil
from collections.abc import Sequence
from functools import cache
from importlib import import_module

from hqre_jax.bridge.baselines._interface import AbstractBaseline
from hqre_jax.core._types import InputError


@cache
def methods() -> dict[str, AbstractBaseline]:
    """Every method by name, in alphabetical order of modules.

    Returns:
        The methods, under the names that plans and tables have for them.

    Example:
        >>> from hqre_jax.bridge.baselines import methods
        >>> [name for name, method in methods().items() if method.family in ("mixture", "vote", "debate")]
        ['debate', 'mixture_of_agents', 'reconcile', 'weighted_vote']
        >>> methods()["debate"].paper
        'Du et al., Improving Factuality and Reasoning through Multiagent Debate, 2023, arXiv 2305.14325'
    """
    package = import_module(__name__.rpartition(".")[0])
    found: dict[str, AbstractBaseline] = {}
    for module in sorted(info.name for info in pkgutil.iter_modules(package.__path__)):
        if module.startswith("_"):
            continue
        for method in import_module(f"{package.__name__}.{module}").METHODS:
            assert method.name not in found, f"two methods are called {method.name}"
            found[method.name] = method
    return found


def find_methods(names: Sequence[str]) -> list[AbstractBaseline]:
    """Methods by name; "all" stands for all of them, in the registry's order.

    Args:
        names: Of methods; those that come twice count once.

    Returns:
        The methods, in the order of the names.

    Raises:
        InputError: There is no such method; those there are.

    Example:
        >>> from hqre_jax.bridge.baselines import find_methods, methods
        >>> [method.name for method in find_methods(["single", "debate", "single"])]
        ['single', 'debate']
        >>> [method.name for method in find_methods(["all"])] == list(methods())
        True
    """
    known = methods()
    for name in names:
        if name != "all" and name not in known:
            raise InputError("baselines", f"{name!a} is not known; there are all, {', '.join(known)}")
    return list(known.values()) if "all" in names else [known[name] for name in dict.fromkeys(names)]
