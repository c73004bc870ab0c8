"""The one place where a call is tried again: for what may pass, after a jittered wait that the server can lengthen."""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from hqre_jax.bridge.models._interface import Failure

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Transient:
    """What went wrong this time and may go well the next.

    Attributes:
        failure: What it is if it does not.
        retry_after: Seconds that the server asks to wait; None where it does not say.
    """

    failure: Failure
    retry_after: float | None = None


@dataclass(frozen=True)
class Retries:
    """When to try again.

    The k-th wait is drawn from the upper half of ``first_wait``·2^k seconds, at most ``longest_wait``, so that calls
    that failed together do not come back together; it is never shorter than what the server asks for.

    Attributes:
        tries: Most attempts at a call, the first included.
        first_wait: Seconds.
        longest_wait: Seconds; a server that asks for more is not waited for.
    """

    tries: int = 6
    first_wait: float = 0.5
    longest_wait: float = 120.0

    async def call(self, attempt: Callable[[], Awaitable[_Result | Failure | Transient]]) -> _Result | Failure:
        """The first result of an attempt that is not transient, or the last failure."""
        for k in range(self.tries):
            result = await attempt()
            if not isinstance(result, Transient):
                return result
            failure, asked = result.failure, result.retry_after
            if asked is not None and asked > self.longest_wait:
                return Failure(failure.kind, f"{failure.detail}; it asks to wait {asked:.0f} s, which is too long")
            if k + 1 < self.tries:
                backoff = min(self.first_wait * 2**k, self.longest_wait)
                wait = random.uniform(backoff / 2, backoff)
                if asked is not None:
                    wait = max(wait, asked + random.uniform(0, min(backoff, 1.0)))
                await asyncio.sleep(wait)
        tries = "1 try" if self.tries == 1 else f"{self.tries} tries"
        return Failure(failure.kind, f"{failure.detail}, {tries}")


def read_retry_after(header: str | None) -> float | None:
    """Seconds to wait from a Retry-After header, which holds seconds or a date; None where it is absent or neither."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            when = parsedate_to_datetime(header)
        except ValueError:
            return None
        if when.tzinfo is None:
            when = when.replace(tzinfo=UTC)
        seconds = (when - datetime.now(UTC)).total_seconds()
    return max(seconds, 0.0) if math.isfinite(seconds) else None
