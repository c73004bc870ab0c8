"""What calls cost: computed when it is asked, from raw token counts and a dated price table."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from hqre_jax.core._types import InputError

_PER = Decimal(1_000_000)
_KEYS = {"model", "since", "prompt", "cached", "completion"}


class Tally(NamedTuple):
    """Calls and their tokens.

    Attributes:
        calls: Number of calls; a call with its retries is one.
        prompt: Tokens of the prompts, cached ones included.
        cached: Those of them that were not computed again.
        completion: Tokens generated.

    Example:
        >>> from hqre_jax.bridge.store import Tally
        >>> Tally(calls=1, prompt=20, completion=5).plus(Tally(calls=1, prompt=30, completion=5))
        Tally(calls=2, prompt=50, cached=0, completion=10)
    """

    calls: int = 0
    prompt: int = 0
    cached: int = 0
    completion: int = 0

    def plus(self, other: "Tally") -> "Tally":
        """Both together."""
        return Tally(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


class Spent(NamedTuple):
    """What a model was used for on one day.

    Attributes:
        model: Name of the model.
        day: In universal time.
        tally: Calls, and the tokens that are known.
        unknown: Those of the calls whose tokens the model did not say.
        failed: Those of the calls that brought no reply.
    """

    model: str
    day: date
    tally: Tally
    unknown: int
    failed: int


@dataclass(frozen=True)
class Price:
    """What a model's tokens cost from a day on.

    Attributes:
        model: Name of the model.
        since: First day of the price.
        prompt: Per million tokens of the prompt that were computed.
        cached: Per million tokens of the prompt that were not computed again.
        completion: Per million tokens generated.
    """

    model: str
    since: date
    prompt: Decimal
    cached: Decimal
    completion: Decimal


@dataclass(frozen=True)
class PriceTable:
    """Prices of models over time.

    Attributes:
        currency: Of all prices.
        prices: In any order.
        name: Where the table comes from, for error messages.

    Example:
        >>> import tempfile
        >>> from datetime import date
        >>> from hqre_jax.bridge.store import Tally, read_prices
        >>> prices = '[{model = "parrot", since = 2026-01-01, prompt = 2, completion = 8}]'
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with open(f"{folder}/prices.toml", "w") as file:
        ...         print('currency = "USD"', file=file)
        ...         print(f"price = {prices}", file=file)
        ...     table = read_prices(f"{folder}/prices.toml")
        >>> table.cost("parrot", Tally(calls=1, prompt=1000, completion=500), date(2026, 5, 1))
        Decimal('0.006')
    """

    currency: str
    prices: tuple[Price, ...]
    name: str = "prices"

    def cost(self, model: str, tally: Tally, on: date) -> Decimal:
        """What a model's tokens cost at the prices of a day.

        Args:
            model: Name of the model.
            tally: Its tokens.
            on: The day.

        Returns:
            The cost in ``currency``, exactly.

        Raises:
            InputError: The table has no price for the model on that day.
        """
        valid = [price for price in self.prices if price.model == model and price.since <= on]
        if not valid:
            raise InputError(self.name, f"has no price of {model!a} for {on}: add a [[price]] with that model")
        price = max(valid, key=lambda entry: entry.since)
        fresh = tally.prompt - tally.cached
        return (fresh * price.prompt + tally.cached * price.cached + tally.completion * price.completion) / _PER

    def total(self, spent: Iterable[Spent], on: date | None = None) -> Decimal:
        """What calls cost together, as far as their tokens are known.

        Args:
            spent: As `Store.spent` gives it.
            on: Prices of this day for all of them; each call's own day by default.

        Returns:
            The cost in ``currency``, exactly.
        """
        return sum((self.cost(part.model, part.tally, on or part.day) for part in spent), Decimal(0))


def read_prices(path: str | Path) -> PriceTable:
    """A price table from TOML.

    For instance::

        currency = "USD"

        [[price]]              # one for each model and change of its price
        model = "openai:NAME"
        since = 2026-01-01
        prompt = 0.15          # per million tokens
        cached = 0.075         # of the prompt, not computed again; as prompt if left out
        completion = 0.60

    Args:
        path: The file.

    Returns:
        The table.

    Raises:
        InputError: Naming the file and the entry at fault.

    Example:
        >>> import tempfile
        >>> from hqre_jax.bridge.store import read_prices
        >>> prices = '[{model = "parrot", since = 2026-01-01, prompt = 0.15, completion = 0.60}]'
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with open(f"{folder}/prices.toml", "w") as file:
        ...         print('currency = "USD"', file=file)
        ...         print(f"price = {prices}", file=file)
        ...     table = read_prices(f"{folder}/prices.toml")
        >>> table.currency, table.prices[0].cached
        ('USD', Decimal('0.15'))
    """
    name = str(path)
    try:
        # Prices are decimal numbers: 0.1 is a tenth.
        document = tomllib.loads(Path(path).read_bytes().decode("utf-8-sig"), parse_float=Decimal)
    except OSError as error:
        raise InputError(name, f"cannot be read: {(error.strerror or str(error)).lower()}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(name, f"is not TOML: {error}") from None
    currency, entries = document.pop("currency", None), document.pop("price", None)
    if not isinstance(currency, str):
        raise InputError(f"{name}: currency", 'is missing; write for instance currency = "USD"')
    if not isinstance(entries, list) or not entries or document:
        raise InputError(name, "wants a currency and one or more tables [[price]], nothing else")
    return PriceTable(currency, tuple(_price(f"{name}: price[{k}]", entry) for k, entry in enumerate(entries)), name)


def _price(name: str, entry: Any) -> Price:
    if not isinstance(entry, dict):
        raise InputError(name, f"is no table with {', '.join(sorted(_KEYS))}")
    if unknown := sorted(set(entry) - _KEYS):
        raise InputError(f"{name}: {unknown[0]}", f"is not known; a price has {', '.join(sorted(_KEYS))}")
    if not isinstance(entry.get("model"), str):
        raise InputError(f"{name}: model", "is missing; the model's name is wanted")
    if type(entry.get("since")) is not date:
        raise InputError(f"{name}: since", "is missing or no day; write for instance since = 2026-01-01")
    entry = {"cached": entry.get("prompt"), **entry}
    numbers = {}
    for key in ("prompt", "cached", "completion"):
        value = entry.get(key)
        number = isinstance(value, int | Decimal) and not isinstance(value, bool)
        if not number or not Decimal(value).is_finite() or value < 0:
            raise InputError(f"{name}: {key}", f"is {value}; a price per million tokens, 0 or more, is wanted")
        numbers[key] = Decimal(value)
    return Price(entry["model"], entry["since"], **numbers)
