"""``replay:STORE``: a recorded store answers instead of a model."""

from collections.abc import Sequence

from hqre_jax.bridge.models._interface import AbstractModel, Failure, Reply, Request
from hqre_jax.bridge.store import Store, call_key, read_recorded
from hqre_jax.core._types import InputError


def load(argument: str) -> "ReplayModel":
    """The model that `hqre_jax.bridge.models.load("replay:STORE")` gives; ``STORE#NAME`` picks one of several."""
    path, mark, name = argument.rpartition("#")
    return ReplayModel(path, name) if mark else ReplayModel(argument)


class ReplayModel(AbstractModel):
    """The recorded replies of a model: nothing is generated, and a request that is not recorded is a `Failure`.

    Args:
        recorded: A store, an archive of one, or what `read_recorded` has read of either.
        name: Name or identity of the recorded model; needed where several are recorded.

    Raises:
        InputError: The file is no store, or does not say which model is meant.
    """

    def __init__(self, recorded: str | Store, name: str | None = None):
        self._store = recorded if isinstance(recorded, Store) else read_recorded(recorded)
        there, path = self._store.models(), self._store.name
        meant = [pair for pair in there if name is None or name in pair]
        if len(meant) != 1:
            names = ", ".join(dict.fromkeys(shown for shown, _ in there)) or "none"
            if len({shown for shown, _ in there}) < len(there):
                names = "; ".join(identity for _, identity in there)
            raise InputError(
                f"replay:{path}", f"name one of the recorded models, as replay:{path}#NAME; there are: {names}"
            )
        self.name, self.identity = meant[0]

    def generate(self, requests: Sequence[Request]) -> list[Reply | Failure]:
        """Each request's recorded reply."""
        return [self._one(request) for request in requests]

    def _one(self, request: Request) -> Reply | Failure:
        key = call_key(self.identity, request)
        reply = self._store.reply(key)
        if reply is not None:
            return reply
        said = request.messages[-1].content[:60] if request.messages else ""
        detail = f"{self._store.name} has no call {key[:12]} of {self.name}: {said!a}, {request.controls}"
        return Failure("missing", f"{detail}, sample {request.sample}")
