"""``openai:NAME``: any endpoint that speaks OpenAI's chat completions, a vLLM or SGLang server for instance."""

import asyncio
import contextlib
import math
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from hqre_jax.bridge.models._chat_completion import read_completion, request_body
from hqre_jax.bridge.models._concurrent import AbstractConcurrentModel, completed
from hqre_jax.bridge.models._interface import Controls, Failure, Reply, Request
from hqre_jax.bridge.models._retries import Retries, Transient, read_retry_after
from hqre_jax.bridge.models._sampling import Completion, Prompt
from hqre_jax.bridge.models._secrets import Secrets
from hqre_jax.bridge.models._token_completion import read_tokens, tokens_body
from hqre_jax.core._types import InputError

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI

_Result = TypeVar("_Result")
KEY, BASE = "OPENAI_API_KEY", "OPENAI_BASE_URL"
_OFFICIAL = "https://api.openai.com/v1"
# What vLLM says of an adapter that it has.
_KNOWN = "has already been loaded"
# Seconds that the end of a run waits for a server.
_LAST_WORDS = 5.0
# Statuses beyond 5xx that may pass: timeout, conflict, too early, rate limit.
_PASSING = (408, 409, 425, 429)


def load(
    name: str,
    *,
    base_url: str | None = None,
    concurrency: int = 16,
    timeout: float = 120.0,
    retries: Retries | None = None,
    log_probs: bool = False,
) -> "EndpointModel":
    """The model that `hqre_jax.bridge.models.load("openai:NAME")` gives, with the options of `EndpointModel`."""
    return EndpointModel(
        name, base_url=base_url, concurrency=concurrency, timeout=timeout, retries=retries, log_probs=log_probs
    )


class EndpointModel(AbstractConcurrentModel):
    """A model behind an OpenAI-compatible endpoint.

    The key is read from the environment variable ``OPENAI_API_KEY`` when a batch is asked for; it is kept nowhere, and
    cut out of whatever the endpoint says. Attempts that were never answered may have been charged by the provider; no
    count of them is known.

    Args:
        name: The endpoint's name of the model.
        base_url: The endpoint, for instance "http://127.0.0.1:8000/v1"; ``OPENAI_BASE_URL`` or OpenAI's by default.
        concurrency: Most calls under way at once.
        timeout: Seconds that one attempt may take.
        retries: When a call is tried again.
        log_probs: Whether to ask for log-probabilities.

    Raises:
        InputError: The address is none, or holds a secret; the key is not in the environment; or the `openai` package
            is not installed.
    """

    def __init__(
        self,
        name: str,
        *,
        base_url: str | None = None,
        concurrency: int = 16,
        timeout: float = 120.0,
        retries: Retries | None = None,
        log_probs: bool = False,
    ):
        try:
            import openai  # noqa: F401
        except ImportError:
            raise InputError("model", "openai:NAME needs the extra: pip install 'hqre-jax[llm]'") from None
        if concurrency < 1 or timeout <= 0:
            raise InputError("concurrency, timeout", f"are {concurrency}, {timeout}; both must be positive")
        self.base_url = _checked(base_url or os.environ.get(BASE) or _OFFICIAL)
        if self.base_url == _OFFICIAL and not os.environ.get(KEY):
            raise InputError(KEY, "is not set in the environment: OpenAI's endpoint wants it; for a server of your own "
                             f"give its address, base_url (--base-url, or {BASE})")  # fmt: skip
        self.name = f"openai:{name}"
        self.identity = f"openai:{name} at {self.base_url}" + (" with log-probabilities" if log_probs else "")
        self.concurrency = concurrency
        self._model, self._timeout, self._log_probs = name, timeout, log_probs
        self._retries = retries or Retries()

    @contextlib.asynccontextmanager
    async def session(self) -> "AsyncIterator[AsyncOpenAI]":
        """A client with its connections; its own retries are off, for there is one layer of them."""
        from openai import AsyncOpenAI

        # A server of one's own needs no key, but the client wants a word.
        key = os.environ.get(KEY) or "none"
        async with AsyncOpenAI(api_key=key, base_url=self.base_url, max_retries=0, timeout=self._timeout) as client:
            yield client

    async def reply(self, session: "AsyncOpenAI", request: Request) -> Reply | Failure:
        """One call, tried again where that may help."""
        body = request_body(self._model, request, self._log_probs, official=self.base_url == _OFFICIAL)
        create = session.chat.completions.with_raw_response.create
        return await self._call(lambda: create(**body), lambda said: read_completion(said.content, request.controls))

    def complete(
        self, prompts: Sequence[Prompt], controls: Controls, adapters: Sequence[str] = ()
    ) -> list[Completion | Failure]:
        """Complete token by token, with log-probabilities: what `sample_completions` does, on a server.

        The server must take prompts as tokens and give tokens back, as vLLM does (``/completions`` with
        ``return_token_ids``), and its log-probabilities be those at temperature 1 (vLLM's ``raw_logprobs``).

        Args:
            prompts: What to complete, in the tokens of the server's model.
            controls: How.
            adapters: The server's name of each role's adapter; none where all roles are the model as it is.

        Returns:
            The completions, in the order of the prompts; failures in place of those that failed for good.

        Raises:
            InputError: For a role without an adapter.
        """
        strange = [prompt.role for prompt in prompts if adapters and not 0 <= prompt.role < len(adapters)]
        if strange:
            raise InputError("prompts", f"hold the role {strange[0]}, and there are {len(adapters)} adapters")

        async def one(session: "AsyncOpenAI", prompt: Prompt) -> Completion | Failure:
            body = tokens_body(adapters[prompt.role] if adapters else self._model, prompt, controls)
            create = session.completions.with_raw_response.create
            return await self._call(lambda: create(**body), lambda said: read_tokens(said.content, controls))

        results = dict(completed(self.session, one, prompts, self.concurrency))
        return [results[place] for place in range(len(prompts))]

    def serve_adapter(self, name: str, folder: str) -> Failure | None:
        """Have a vLLM server load an adapter, so that it answers under a name of its own.

        The server must allow it (``VLLM_ALLOW_RUNTIME_LORA_UPDATING=True``). An adapter that was trained on has a new
        name: what a server knows under a name it may keep.

        Args:
            name: The server's name of the adapter, from now on.
            folder: The adapter's files, as the server reaches them.

        Returns:
            None, or why the server would not. That it has an adapter of this name is no reason: an attempt whose answer
            was lost may have been the one that was obeyed.
        """
        failure = self._post("/load_lora_adapter", {"lora_name": name, "lora_path": folder}, self._retries)
        return None if failure is not None and _KNOWN in failure.detail else failure

    def withdraw_adapter(self, name: str) -> Failure | None:
        """Have a vLLM server forget an adapter; tried once, and not for long.

        Args:
            name: As it was given to `serve_adapter`.

        Returns:
            None, or why the server would not.
        """
        return self._post("/unload_lora_adapter", {"lora_name": name}, Retries(tries=1), _LAST_WORDS)

    def _post(self, path: str, body: dict[str, str], retries: Retries, timeout: float = math.inf) -> Failure | None:
        async def one(session: "AsyncOpenAI", body: dict[str, str]) -> Failure | None:
            def send() -> Awaitable[Any]:
                return session.post(path, body=body, cast_to=str)

            return await retries.call(lambda: self._attempt(send, lambda _: None, min(timeout, self._timeout)))

        return next(result for _, result in completed(self.session, one, [body], 1))

    async def _call(
        self, send: Callable[[], Awaitable[Any]], read: Callable[[Any], _Result | Failure]
    ) -> _Result | Failure:
        return await self._retries.call(lambda: self._attempt(send, read, self._timeout))

    async def _attempt(
        self, send: Callable[[], Awaitable[Any]], read: Callable[[Any], _Result | Failure], timeout: float
    ) -> _Result | Failure | Transient:
        import openai

        secrets = Secrets.of_environment()
        try:
            # The client's own limit is one on silence: a server that drips would never meet it.
            async with asyncio.timeout(timeout):
                said = await send()
        except (TimeoutError, openai.APITimeoutError):
            return Transient(Failure("timeout", f"no reply within {timeout:g} s"))
        except openai.APIConnectionError as error:
            why = secrets.line(_reason(error))
            return Transient(Failure("connection", f"the connection to {self.base_url} failed: {why}"))
        except openai.APIStatusError as error:
            return _refused(error, secrets)
        except openai.OpenAIError as error:
            return Failure("model", secrets.line(str(error)))
        return secrets.out_of_result(read(said))


def _reason(error: BaseException) -> str:
    """Why a connection did not come about or did not last: in the system's words, or else in the client's."""
    chain = [error]
    while (inner := _wrapped(chain[-1])) is not None and inner not in chain:
        chain.append(inner)
    for one in reversed(chain):
        if isinstance(one, OSError) and one.strerror:
            # asyncio's words for what the system says have an address and no reason in them.
            plain = type(one) is OSError or isinstance(one, ConnectionError)
            return (os.strerror(one.errno) if plain and one.errno else one.strerror).lower()
    return next((str(one).rstrip(".").lower() for one in chain[1:] if str(one)), type(error).__name__)


def _wrapped(error: BaseException) -> BaseException | None:
    return error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error.__cause__ or error.__context__


def _refused(error: "APIStatusError", secrets: Secrets) -> Failure | Transient:
    status = error.status_code
    if status in (401, 403):
        # What a server says of a wrong key may quote parts of it.
        return Failure("model", f"the endpoint answers {status}: it does not accept the key in {KEY}")
    detail = secrets.line(f"the endpoint answers {status}: {error.message}")
    if status in _PASSING or status >= 500:
        failure = Failure("rate_limit" if status == 429 else "server", detail)
        if getattr(error, "code", None) == "insufficient_quota":
            return failure  # no waiting brings money back
        return Transient(failure, read_retry_after(error.response.headers.get("retry-after")))
    return Failure("model", detail)


def _checked(base_url: str) -> str:
    try:
        parts = urlsplit(base_url)
        valid = parts.scheme in ("http", "https") and parts.hostname is not None and (parts.port or 1) > 0
    except ValueError:
        valid = False
    # An address that may hold a secret is not repeated.
    if not valid:
        raise InputError("base_url", 'is no address of an endpoint; it looks like "http://127.0.0.1:8000/v1"')
    if parts.username or parts.password or parts.query or parts.fragment:
        raise InputError("base_url", f"holds more than an address; a key goes into the environment, as {KEY}")
    return base_url.rstrip("/")
