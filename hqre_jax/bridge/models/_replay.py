"""``replay:STORE``: a recorded store answers instead of a model."""

from collections.abc import Sequence

from hqre_jax.bridge.models._interface import AbstractModel, Failure, Reply, Request
from hqre_jax.bridge.store import call_key, read_recorded
from hqre_jax.core._types import InputError


def load(argument: str) -> "ReplayModel":
    """The model that `hqre_jax.bridge.models.load("replay:STORE")` gives; ``STORE#NAME`` picks one of several."""
    path, mark, name = argument.rpartition("#")
    return ReplayModel(path, name) if mark else ReplayModel(argument)


class ReplayModel(AbstractModel):
    """The recorded replies of a model: nothing is generated, and a request that is not recorded is a `Failure`.

    Args:
        path: A store, or an archive of one.
        name: Name or identity of the recorded model; needed where several are recorded.

    Raises:
        InputError: The file is no store, or does not say which model is meant.
    """

    def __init__(self, path: str, name: str | None = None):
        self._store = read_recorded(path)
        recorded = self._store.models()
        meant = [pair for pair in recorded if name is None or name in pair]
        if len(meant) != 1:
            names = ", ".join(dict.fromkeys(shown for shown, _ in recorded)) or "none"
            if len({shown for shown, _ in recorded}) < len(recorded):
                names = "; ".join(identity for _, identity in recorded)
            raise InputError(
                f"replay:{path}", f"name one of the recorded models, as replay:{path}#NAME; there are: {names}"
            )
        self.name, self.identity = meant[0]
        self._path = path

    def generate(self, requests: Sequence[Request]) -> list[Reply | Failure]:
        """Each request's recorded reply."""
        return [self._one(request) for request in requests]

    def _one(self, request: Request) -> Reply | Failure:
        key = call_key(self.identity, request)
        reply = self._store.reply(key)
        if reply is not None:
            return reply
        said = request.messages[-1].content[:60] if request.messages else ""
        detail = f"{self._path} has no call {key[:12]} of {self.name}: {said!a}, {request.controls}"
        return Failure("missing", f"{detail}, sample {request.sample}")
