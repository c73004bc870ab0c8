"""Conversations as a model was trained to read them: its own chat template, in a sandbox."""

import json
from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from hqre_jax.bridge.models._interface import Message
from hqre_jax.bridge.models._tokenizer import Tokenizer
from hqre_jax.core._types import InputError

_ROLES = ("system", "user", "assistant")


class ChatTemplate:
    """A Jinja template of conversations, as model folders and GGUF files carry them.

    It is a program that came with the weights: it runs in Jinja's sandbox, and what is said reaches it protected, so
    that nothing said can open or close a turn.

    Args:
        source: The template.
        special: Names of tokens that templates use, "bos_token" and the like, with their texts.
    """

    def __init__(self, source: str, special: dict[str, str]):
        self.source = source
        self.special = special

    @cached_property
    def _template(self) -> Any:
        from jinja2 import TemplateError
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        def raise_exception(message: str) -> None:
            raise TemplateError(message)

        def tojson(value: Any, indent: int | None = None, **_: Any) -> str:
            return json.dumps(value, ensure_ascii=False, indent=indent)

        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        environment.filters["tojson"] = tojson
        environment.globals["raise_exception"] = raise_exception
        environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
        return environment.from_string(self.source)

    def encode(self, messages: Sequence[Message], tokenizer: Tokenizer) -> list[int]:
        """Tokens of a conversation, up to where the assistant begins to speak.

        Args:
            messages: The conversation.
            tokenizer: The model's.

        Returns:
            The tokens.

        Raises:
            InputError: For a role that is none, or a conversation that the template refuses.
        """
        from jinja2 import TemplateError

        for message in messages:
            if message.role not in _ROLES:
                raise InputError("messages", f"the role {message.role!r} is none of {', '.join(_ROLES)}")
        said = [{"role": message.role, "content": tokenizer.protect(message.content)} for message in messages]
        try:
            text = self._template.render(messages=said, add_generation_prompt=True, tools=None, **self.special)
        except (TemplateError, TypeError, ArithmeticError) as error:
            raise InputError("messages", f"the model's chat template refuses them: {error}") from error
        return tokenizer.encode(text)
