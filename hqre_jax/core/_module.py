"""What all that is a pytree with methods begins as."""

import equinox as eqx


class AbstractModule(eqx.Module):
    """`equinox.Module`, whose methods are those of Python.

    equinox makes a module of every bound method, each time that one is looked up, lest a transformation miss the arrays
    behind it. That takes longer than what most methods of a small game do. A method is no pytree here: to trace it for
    arrays of its owner, hand over the owner, ``eqx.filter_jit(lambda game: game.payoff_range())(game)``.
    """

    __getattribute__ = object.__getattribute__
