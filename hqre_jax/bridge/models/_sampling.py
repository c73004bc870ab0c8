"""Sampling for training: prompts of several roles in, token by token completions with their log-probabilities out."""

from collections.abc import Sequence
from dataclasses import dataclass

from hqre_jax.bridge.models._adapters import Adapter, merged
from hqre_jax.bridge.models._generation import Row, generate, has_said_all
from hqre_jax.bridge.models._interface import Controls, Failure
from hqre_jax.bridge.models._local import LocalModel, check_controls
from hqre_jax.bridge.models._prompts import PromptReader
from hqre_jax.core._types import InputError


@dataclass(frozen=True)
class Prompt:
    """What one completion begins after.

    Attributes:
        tokens: At least one.
        role: Whose adapter completes it.
        sample: Index of the sample: equal prompts with different indices are independent draws.

    Example:
        >>> from hqre_jax.bridge.models import Prompt
        >>> twice = [Prompt((1, 17, 4), role=0, sample=sample) for sample in range(2)]
        >>> twice[0].tokens == twice[1].tokens, twice[0] == twice[1]
        (True, False)
    """

    tokens: tuple[int, ...]
    role: int = 0
    sample: int = 0


@dataclass(frozen=True)
class Completion:
    """What a model said, as training wants it.

    Attributes:
        tokens: The tokens generated, the end token or those of a stop string included.
        log_probs: Of each under the model at temperature 1; NaN where logits were not numbers.
        ended: Whether the text ended; otherwise it was cut off at `Controls.max_tokens`.

    Example:
        >>> from hqre_jax.bridge.models import Completion
        >>> said = Completion(tokens=(17, 2), log_probs=(-0.5, -0.1), ended=True)
        >>> sum(said.log_probs)
        -0.6
    """

    tokens: tuple[int, ...]
    log_probs: tuple[float, ...]
    ended: bool


def sample_completions(
    model: LocalModel, prompts: Sequence[Prompt], controls: Controls, adapters: Sequence[Adapter] = ()
) -> list[Completion]:
    """Complete each prompt with its role's adapter.

    A completion depends on its prompt, adapter, controls and sample index alone, not on what is sampled beside it. Each
    role's adapter is merged in its turn, which takes the adapted layers once more in memory. Where gradients are to be
    those of the policy that sampled, temperature and ``top_p`` are 1.

    Args:
        model: Base weights, tokenizer and end tokens.
        prompts: What to complete.
        controls: How.
        adapters: One for each role; none where all roles are the model as it is.

    Returns:
        The completions, in the order of the prompts.

    Raises:
        InputError: For controls that mean nothing, a role without an adapter, or a prompt that is empty or too long.
    """
    check_controls(controls)
    rows: list[Row] = []
    for place, prompt in enumerate(prompts):
        row = model.row(prompt.tokens, controls, prompt.sample)
        if isinstance(row, Failure):
            raise InputError(f"prompts[{place}]", row.detail)
        if adapters and not 0 <= prompt.role < len(adapters):
            raise InputError(f"prompts[{place}]", f"has the role {prompt.role}, and there are {len(adapters)} adapters")
        rows.append(row)
    if not adapters:
        generate(model.decoder, model.reader, rows, model.end_tokens, model.max_batch)
    for role, adapter in enumerate(adapters):
        own = [row for row, prompt in zip(rows, prompts, strict=True) if prompt.role == role]
        if own:
            decoder = merged(model.decoder, adapter)
            reader = PromptReader(decoder, model.end_tokens, model.prompt_bytes)
            generate(decoder, reader, own, model.end_tokens, model.max_batch)
    return [Completion(tuple(row.tokens), tuple(row.log_probs), has_said_all(row, model.end_tokens)) for row in rows]
