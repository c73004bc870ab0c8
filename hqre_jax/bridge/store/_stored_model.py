"""A model whose every call is claimed, counted against a budget, and kept."""

import itertools
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Float

from hqre_jax.bridge.models import AbstractModel, Failure, Message, Reply, Request
from hqre_jax.bridge.store._budget import Budget
from hqre_jax.bridge.store._encoding import encode_request, key_of
from hqre_jax.bridge.store._owner import new_owner
from hqre_jax.bridge.store._prices import Tally
from hqre_jax.bridge.store._store import LEASE_SECONDS, Store, Wanted

# Batches that are looked at together: enough to pass by what others are making.
_WINDOW = 8
_FIRST_WAIT, _LONGEST_WAIT = 0.02, 1.0


class StoredModel(AbstractModel):
    """A model behind a store: what was bought is not bought again, and a budget stops what would exceed it.

    Args:
        model: The model that is asked where the store has no answer.
        store: Where calls are kept.
        budget: Limits of the run; none by default.
        run: Label of the run. Models, processes and restarts that share a label share the budget; a new one by
            default.
        batch: Most calls that are claimed, and given to the model, at a time.

    Attributes:
        run: Label of the run.
        stopped: The limit that stopped the run; None while it goes on. Calls beyond it fail with kind "budget".

    Example:
        >>> from hqre_jax.bridge.models import Message, Request, from_python
        >>> from hqre_jax.bridge.store import Budget, Store, StoredModel
        >>> asked = []
        >>> parrot = from_python(lambda request: asked.append(1) or "hello", "parrot")
        >>> model = StoredModel(parrot, Store(None), Budget(calls=1))
        >>> hello, world = Request((Message("user", "hello"),)), Request((Message("user", "world"),))
        >>> [reply.text for reply in model.generate([hello]) + model.generate([hello])], len(asked)
        (['hello', 'hello'], 1)
        >>> model.generate([world])[0].kind
        'budget'
    """

    def __init__(
        self, model: AbstractModel, store: Store, budget: Budget | None = None, *, run: str | None = None,
        batch: int = 32,
    ):  # fmt: skip
        self.model, self.store, self.budget = model, store, budget or Budget()
        self.name, self.identity = model.name, model.identity
        self.run = run or uuid.uuid4().hex
        self.batch = batch
        self.stopped: str | None = None
        self._began = time.monotonic()

    def generate(self, requests: Sequence[Request]) -> list[Reply | Failure]:
        """Reply to each request from the store, or else from the model, whose reply is recorded first."""
        results = dict(self.as_completed(requests))
        return [results[place] for place in range(len(requests))]

    def as_completed(self, requests: Sequence[Request]) -> Iterator[tuple[int, Reply | Failure]]:
        """The results as they come; each is recorded before it is handed out."""
        places: dict[str, list[int]] = {}
        wanted: dict[str, Wanted] = {}
        for place, request in enumerate(requests):
            text = encode_request(request)
            key = key_of(self.identity, text)
            places.setdefault(key, []).append(place)
            if key not in wanted:
                most = self.model.most_prompt_tokens(request.messages)
                bound = Tally(1, most, 0, request.controls.max_tokens)
                wanted[key] = Wanted(key, self.name, self.identity, text, bound)
        owner, wait = new_owner(), _FIRST_WAIT
        while wanted:
            next_ones = list(itertools.islice(wanted.values(), _WINDOW * self.batch))
            claims = self.store.claim(next_ones, owner, self.run, self._refusal, self.batch)
            for key in claims.theirs:  # to the end of the queue
                wanted[key] = wanted.pop(key)
            for key, result in claims.found.items():
                del wanted[key]
                yield from ((place, result) for place in places[key])
            for key, result in self._buy(claims.mine, [requests[places[call.key][0]] for call in claims.mine], owner):
                del wanted[key]
                yield from ((place, result) for place in places[key])
            if claims.mine or claims.found:
                wait = _FIRST_WAIT
            elif claims.refusal and not claims.under_way:
                # Nothing under way could still turn out cheaper than its most: this is the end of the run.
                self.stopped = claims.refusal
                failure = Failure("budget", f"the budget of {claims.refusal} allows no more calls")
                for key in wanted:
                    yield from ((place, failure) for place in places[key])
                return
            else:
                time.sleep(wait)
                wait = min(2 * wait, _LONGEST_WAIT)

    def most_prompt_tokens(self, messages: Sequence[Message]) -> int:
        """As the model says."""
        return self.model.most_prompt_tokens(messages)

    def score(self, messages: Sequence[Message], continuations: Sequence[str]) -> Float[np.ndarray, " continuation"]:
        """As the model says: scores are no samples, and are computed again."""
        return self.model.score(messages, continuations)

    def _refusal(self, spent: Mapping[str, Tally]) -> str | None:
        return self.budget.refusal(spent, time.monotonic() - self._began)

    def _buy(self, calls: list[Wanted], requests: list[Request], owner: str) -> Iterator[tuple[str, Reply | Failure]]:
        if not calls:
            return
        missing = {place: call.key for place, call in enumerate(calls)}
        began, ended = time.time(), threading.Event()

        def keep_claims() -> None:
            while not ended.wait(LEASE_SECONDS / 4):
                self.store.renew(owner)

        keeper = threading.Thread(target=keep_claims, daemon=True)
        keeper.start()
        try:
            for place, result in self.model.as_completed(requests):
                key = missing.pop(place)
                yield key, self.store.record(calls[place], result, self.run, began)
            if missing:
                raise RuntimeError(f"{self.name} gave no result for {len(missing)} of {len(calls)} requests")
        finally:
            ended.set()
            keeper.join()
            self.store.release(owner)
