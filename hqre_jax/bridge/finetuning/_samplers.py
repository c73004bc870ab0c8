"""Who completes the prompts of plays: weights that are here, or a server that loads the adapters of every step."""

import abc
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path

from hqre_jax.bridge.models import (
    Adapter,
    Completion,
    Controls,
    Failure,
    LocalModel,
    LoraConfig,
    Prompt,
    by_first,
    gathered,
    own_share,
    sample_completions,
    save_adapter,
)
from hqre_jax.bridge.models._endpoint import EndpointModel
from hqre_jax.core._types import InputError

SERVED = "served"


class CallFailed(Exception):
    """A prompt was not completed for good; the message says why."""


class AbstractSampler(abc.ABC):
    """Completes prompts with an adapter."""

    @abc.abstractmethod
    def complete(self, prompts: Sequence[Prompt], controls: Controls, adapter: Adapter | None) -> list[Completion]:
        """Complete prompts.

        Args:
            prompts: What to complete.
            controls: How.
            adapter: Beside which weights; None for these alone.

        Raises:
            CallFailed: A server did not.
            InputError: A prompt is too long.
        """

    @abc.abstractmethod
    def open(self) -> None:
        """Remove what a run that was killed has left; only who works in the folder alone may."""

    @abc.abstractmethod
    def close(self) -> None:
        """Leave nothing behind."""


class LocalSampler(AbstractSampler):
    """The weights that are trained; of several processes each samples a share.

    Args:
        model: The frozen model.
    """

    def __init__(self, model: LocalModel):
        self.model = model

    def complete(self, prompts: Sequence[Prompt], controls: Controls, adapter: Adapter | None) -> list[Completion]:
        """See `AbstractSampler`."""
        own = [prompts[place] for place in own_share(len(prompts))]
        try:
            said = sample_completions(self.model, own, controls, () if adapter is None else (adapter,))
        except InputError as error:
            said = error
        return gathered(said, len(prompts))

    def open(self) -> None:
        """Nothing is left by any."""

    def close(self) -> None:
        """Nothing was left."""


class ServerSampler(AbstractSampler):
    """A server with the same weights, as vLLM is one: each adapter is loaded under a name that was never used.

    Of several processes the first one asks it.

    Args:
        endpoint: The server.
        folder: Where adapters are put for it; it must reach this folder under the same path.
        config: Layers and size of the adapters.
        base: The model's name, for the adapters' files.
        most: Adapters that are in use at a time; what is older is taken from the server.
    """

    def __init__(self, endpoint: EndpointModel, folder: Path, config: LoraConfig, base: str, most: int):
        self.endpoint, self._folder, self._config, self._base, self._most = endpoint, folder, config, base, most
        self._loaded: list[tuple[Adapter, str]] = []

    def complete(self, prompts: Sequence[Prompt], controls: Controls, adapter: Adapter | None) -> list[Completion]:
        """See `AbstractSampler`."""
        return by_first(lambda: self._complete(prompts, controls, adapter))

    def _complete(self, prompts: Sequence[Prompt], controls: Controls, adapter: Adapter | None) -> list[Completion]:
        names = () if adapter is None else (self._name(adapter),)
        results = self.endpoint.complete(prompts, controls, names)
        failures = [result for result in results if isinstance(result, Failure)]
        if failures:
            raise CallFailed(f"{len(failures)} of {len(results)} calls failed: {failures[0].detail}")
        return [result for result in results if isinstance(result, Completion)]

    def open(self) -> None:
        """See `AbstractSampler`."""
        for left in self._folder.glob("hqre-*"):
            self.endpoint.withdraw_adapter(left.name)
            shutil.rmtree(left, ignore_errors=True)

    def close(self) -> None:
        """Take all adapters from the server."""
        self._drop(len(self._loaded))
        shutil.rmtree(self._folder, ignore_errors=True)

    def _name(self, adapter: Adapter) -> str:
        for known, name in self._loaded:
            if known is adapter:
                return name
        name = f"hqre-{secrets.token_hex(8)}"
        save_adapter(self._folder / name, adapter, self._config, self._base)
        self._drop(len(self._loaded) + 1 - self._most)
        # A server that has not answered may have loaded it all the same.
        self._loaded.append((adapter, name))
        failure = self.endpoint.serve_adapter(name, str((self._folder / name).resolve()))
        if failure is not None:
            raise CallFailed(f"the server does not load an adapter: {failure.detail}")
        return name

    def _drop(self, count: int) -> None:
        for _, name in self._loaded[: max(count, 0)]:
            self.endpoint.withdraw_adapter(name)
            shutil.rmtree(self._folder / name, ignore_errors=True)
        del self._loaded[: max(count, 0)]
