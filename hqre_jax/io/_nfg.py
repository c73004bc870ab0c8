"""Gambit's strategic form (``.nfg``, version 1): payoff tables as text.

Contingencies are listed with the first player's strategy changing fastest: Fortran's order of the
tensor ``payoffs[i, a_1..a_N]``. A file lists either the payoffs of each contingency or, after a list of
outcomes, the number of its outcome (0 pays nothing).

Reference: the Gambit project, "Game representation formats".
"""

import math
from typing import Any

import numpy as np

from hqre_jax.core._types import InputError, Labels, name_at, spoken
from hqre_jax.games._gambit_text import Tokens, format_number, quote, read_header, read_names


def parse_nfg(text: str, name: str) -> dict[str, Any]:
    """Reads a payoff table in Gambit's strategic form, payoff or outcome version.

    Args:
        text: The contents of the file.
        name: What the file is called in error messages.

    Returns:
        The arguments of ``NormalFormGame``: ``payoffs[i, a_1..a_N]`` and ``labels``.

    Raises:
        InputError: The text is no such file; the field is ``name:LINE:COLUMN``.
    """
    tokens = Tokens(text, name)
    title, players = read_header(tokens, "NFG", "1")
    shape, strategies = _read_strategies(tokens, len(players))
    comment = tokens.optional_string("the comment")
    names: list[str] = []
    if tokens.at("{"):
        names, rows = _read_outcomes(tokens, len(players), shape)
    else:
        rows = _read_payoffs(tokens, len(players), shape)
    tokens.finish()
    labels = Labels(
        title=title,
        source=comment,
        players=players,
        actions=tuple((own,) for own in strategies),
        outcomes=spoken(names),
    )
    return {"payoffs": np.reshape(rows, (len(players), *shape), order="F"), "labels": labels}


def _read_strategies(tokens: Tokens, num_players: int) -> tuple[tuple[int, ...], tuple[tuple[str, ...], ...]]:
    """Reads ``{ 2 3 }`` or ``{ { "name" .. } .. }``: how many strategies, and their names if any."""
    start = tokens.offset
    tokens.skip("{", "'{' and the players' strategies")
    names, counts = [], []
    if tokens.at("{"):
        while not tokens.at("}"):
            names.append(read_names(tokens, "a strategy's name"))
        counts = [len(own) for own in names]
    else:
        while not tokens.at("}"):
            at = tokens.offset
            counts.append(tokens.integer("'}' or a number of strategies"))
            if counts[-1] == 0:
                tokens.fail("a player needs at least one strategy", at)
    if len(counts) != num_players:
        tokens.fail(f"strategies of {len(counts)} players, where the header names {num_players}", start)
    tokens.advance()
    return tuple(counts), tuple(names)


def _read_payoffs(tokens: Tokens, num_players: int, shape: tuple[int, ...]) -> np.ndarray:
    """Reads the payoffs, player fastest, then the first player's strategy, and so on."""
    values: list[float] = []
    while tokens.at_number():
        values.append(tokens.number("a payoff"))
        tokens.skip_comma()
    _expect_count(tokens, len(values), num_players * math.prod(shape), "payoffs")
    return np.array(values)


def _read_outcomes(tokens: Tokens, num_players: int, shape: tuple[int, ...]) -> tuple[list[str], np.ndarray]:
    """Reads ``{ { "name" payoffs } .. } ids``: names, and payoffs in the same order as :func:`_read_payoffs`."""
    names, outcomes = [""], [(0.0,) * num_players]
    tokens.skip("{")
    while not tokens.at("}"):
        tokens.skip("{", "'}' or an outcome in '{'")
        names.append(tokens.optional_string("the outcome's name"))
        outcomes.append(tokens.payoffs(num_players))
    tokens.advance()
    chosen: list[int] = []
    while tokens.at_number():
        at = tokens.offset
        chosen.append(tokens.integer("the number of an outcome"))
        if chosen[-1] >= len(outcomes):
            tokens.fail(f"outcome {chosen[-1]} of {len(outcomes) - 1}", at)
        tokens.skip_comma()
    _expect_count(tokens, len(chosen), math.prod(shape), "outcomes")
    return [names[k] for k in chosen], np.array(outcomes)[chosen].reshape(-1)


def _expect_count(tokens: Tokens, found: int, wanted: int, what: str) -> None:
    """Checks the length of the table where it ends, unless a stray word ended it."""
    if found > wanted or (found < wanted and tokens.kind == "end"):
        tokens.fail(f"the table has {found} {what}, where the strategies call for {wanted}")
    if found < wanted:
        tokens.expected(f"{wanted - found} more {what}")


def format_nfg(game: Any) -> str:
    """Writes a payoff table in Gambit's strategic form; reading it back is bit-exact.

    Where outcomes have names it is the outcome version, otherwise the payoff version.

    Args:
        game: A ``NormalFormGame``, or anything with its attributes.

    Returns:
        The contents of the file.

    Raises:
        InputError: Some strategies are masked out, which this format cannot say.
    """
    payoffs = np.asarray(game.payoffs, dtype=np.float64)
    num_players, shape = payoffs.shape[0], payoffs.shape[1:]
    if np.asarray(game.action_mask).sum() < sum(shape):
        raise InputError("action_mask", "an .nfg file has no masked strategies; save as .json or .npz")
    labels = game.labels or Labels()
    players = " ".join(quote(labels.player(i)) for i in range(num_players))
    strategies = "\n".join(
        "{ " + " ".join(quote(labels.action(i, 0, a)) for a in range(shape[i])) + " }" for i in range(num_players)
    )
    table = payoffs.reshape(num_players, -1, order="F").T
    rows = _format_outcomes(labels.outcomes, table) if labels.outcomes else "\n".join(map(_format_row, table))
    header = f"NFG 1 R {quote(labels.title)} {{ {players} }}"
    return f"{header}\n{{\n{strategies}\n}}\n{quote(labels.source)}\n\n{rows}\n"


def _format_row(row: np.ndarray) -> str:
    return " ".join(map(format_number, row))


def _format_outcomes(names: tuple[str, ...], table: np.ndarray) -> str:
    """The different outcomes, and of each action profile the number of its own."""
    numbers: dict[tuple[str, str], int] = {}
    chosen = [
        numbers.setdefault((name_at(names, k), _format_row(row)), len(numbers) + 1) for k, row in enumerate(table)
    ]
    outcomes = "\n".join(f"{{ {quote(name)} {row} }}" for name, row in numbers)
    return f"{{\n{outcomes}\n}}\n{' '.join(map(str, chosen))}"
