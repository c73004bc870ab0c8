"""Models that are asked over a wire: many calls under way at once, behind the batch interface."""

import abc
import asyncio
import contextlib
import queue
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

from hqre_jax.bridge.models._interface import AbstractModel, Failure, Reply, Request

_Asked = TypeVar("_Asked")
_Result = TypeVar("_Result")


class AbstractConcurrentModel(AbstractModel):
    """A model with a coroutine for one call; a batch is as many of them at a time as `concurrency` allows.

    They run in a loop and thread of their own, so that a batch may be asked for from anywhere, a notebook's or an
    agent framework's running loop included.

    Attributes:
        concurrency: Most calls under way at once.
    """

    concurrency: int

    @abc.abstractmethod
    async def reply(self, session: Any, request: Request) -> Reply | Failure:
        """Make one call; what goes wrong with it is a `Failure`."""

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[Any]:
        """What the calls of a batch share, a connection pool for instance."""
        yield None

    def generate(self, requests: Sequence[Request]) -> list[Reply | Failure]:
        """Reply to each request, several at a time."""
        results = dict(self.as_completed(requests))
        return [results[place] for place in range(len(requests))]

    def as_completed(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply | Failure]]:
        """The results as they come; whoever stops listening cancels the calls under way."""
        yield from completed(self.session, self.reply, requests, self.concurrency)


def completed(
    session: Callable[[], AbstractAsyncContextManager[Any]],
    call: Callable[[Any, _Asked], Awaitable[_Result]],
    asked: Sequence[_Asked],
    concurrency: int,
) -> Iterator[tuple[int, _Result]]:
    """The results of many calls as they come, each with its place.

    Whoever stops listening cancels the calls under way.

    Args:
        session: What the calls share.
        call: Makes one, within the session.
        asked: What is asked in each.
        concurrency: Most calls under way at once.
    """
    if not asked:
        return
    results: queue.SimpleQueue[tuple[int, _Result] | BaseException] = queue.SimpleQueue()
    stop = asyncio.Event()
    runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
    loop = runner.get_loop()

    async def make_all() -> None:
        free = asyncio.Semaphore(concurrency)
        async with session() as shared:

            async def one(place: int, request: _Asked) -> None:
                async with free:
                    results.put((place, await call(shared, request)))

            calls = [asyncio.ensure_future(one(place, request)) for place, request in enumerate(asked)]
            stopping = asyncio.ensure_future(stop.wait())
            together = asyncio.gather(*calls)
            try:
                await asyncio.wait({together, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if together.done():
                    together.result()
            finally:
                for task in (stopping, *calls):
                    task.cancel()
                await asyncio.gather(stopping, together, *calls, return_exceptions=True)

    def work() -> None:
        try:
            with runner:
                runner.run(make_all())
        except BaseException as error:
            results.put(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        for _ in asked:
            result = results.get()
            if isinstance(result, BaseException):
                raise result
            yield result
    finally:
        with contextlib.suppress(RuntimeError):  # the loop is closed: all is done
            loop.call_soon_threadsafe(stop.set)
        thread.join()
