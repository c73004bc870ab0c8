"""Hard limits of a run, in calls, tokens, money and seconds."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from hqre_jax.bridge.store._prices import PriceTable, Tally
from hqre_jax.core._types import InputError


@dataclass(frozen=True)
class Budget:
    """What a run may spend; None is no limit.

    Before a call is made, the most that it can cost (its longest prompt and `Controls.max_tokens`) must still fit
    beside what is spent and what is under way; afterwards it counts as what it was. So a limit is never passed unless
    a model generates more than it was asked for. A call whose model does not say its tokens counts as its most.

    Attributes:
        calls: Most calls.
        tokens: Most tokens, prompts and replies together.
        money: Most money, in the price table's currency.
        seconds: No call begins later than this after the run began; those under way are finished.
        prices: Needed with ``money``.

    Example:
        >>> from hqre_jax.bridge.store import Budget
        >>> Budget(calls=100, tokens=50_000).tokens
        50000
        >>> Budget(calls=-1)
        Traceback (most recent call last):
            ...
        hqre_jax.core._input.InputError: budget calls: is -1; a number, 0 or more, is wanted
    """

    calls: int | None = None
    tokens: int | None = None
    money: Decimal | int | float | str | None = None
    seconds: float | int | None = None
    prices: PriceTable | None = None

    def __post_init__(self) -> None:
        for limit in fields(self)[:4]:
            value = getattr(self, limit.name)
            if value is None:
                continue
            try:
                valid = Decimal(str(value)) >= 0 and Decimal(str(value)).is_finite()
            except InvalidOperation:
                valid = False
            if isinstance(value, bool) or not valid:
                raise InputError(f"budget {limit.name}", f"is {value!r}; a number, 0 or more, is wanted")
        if self.money is not None and self.prices is None:
            raise InputError("budget money", "needs a price table: give one with --prices FILE")

    def refusal(self, spent: Mapping[str, Tally], seconds: float) -> str | None:
        """Why a run that would have spent this much is not allowed to; None where it is.

        Args:
            spent: Per model, what is spent, what is under way, and the most that is asked for.
            seconds: Since the run began.

        Returns:
            The limit that would be passed, in words; of tokens and money also how far it would be.
        """
        total = Tally()
        for tally in spent.values():
            total = total.plus(tally)
        if self.calls is not None and total.calls > self.calls:
            return f"{self.calls} calls"
        if self.tokens is not None and total.prompt + total.completion > self.tokens:
            return f"{self.tokens} tokens (with the next call up to {total.prompt + total.completion})"
        if self.seconds is not None and seconds > self.seconds:
            return f"{self.seconds:g} seconds"
        if self.money is not None:
            assert self.prices is not None
            today = datetime.now(UTC).date()
            cost = sum((self.prices.cost(model, tally, today) for model, tally in spent.items()), Decimal(0))
            if cost > Decimal(str(self.money)):
                return f"{self.money} {self.prices.currency} (with the next call up to {cost.normalize():f})"
        return None
