"""Text to tokens and back, where text that was said can never become a control token.

Control tokens (beginnings and ends of turns and the like) mean something only where a chat template writes them. What
is said is *protected* before the template sees it: every character that occurs in a control token is exchanged for a
lone surrogate, which no text contains. So a control token is found only in what the template wrote, wherever the said
text stands and whatever it spells; then the characters are put back, and text is encoded as text.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_FIRST_SURROGATE, _NUM_SURROGATES = 0xD800, 0x800
_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,%d}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
# Control tokens that end a turn, whichever of them a model's files name.
_ENDS = ("<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "</s>")
# How text is cut into words before pairs are merged, by the name a GGUF file gives the way.
_DIGITS = {"type": "Digits", "individual_digits": True}
_BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
_BYTES_ALONE = {**_BYTES, "use_regex": False}


def _split(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


PRE_TOKENIZERS: Mapping[str, list[dict[str, Any]]] = {
    "gpt-2": [_BYTES],
    "smollm": [_DIGITS, _BYTES],
    "llama-bpe": [_split(_WORDS % 3), _BYTES_ALONE],
    "qwen2": [_split(_WORDS.replace("{1,%d}", "")), _BYTES_ALONE],
}


@dataclass(frozen=True)
class ControlToken:
    """A token that only a template may write.

    Attributes:
        text: How it is spelt.
        number: Its number.
        strips_left: Whether white space before it is part of it.
        strips_right: Whether white space after it is part of it.
    """

    text: str
    number: int
    strips_left: bool = False
    strips_right: bool = False


class Tokenizer:
    """A vocabulary with the way to cut text into its tokens.

    Args:
        description: As in a `tokenizer.json`; its own list of added tokens and its post-processor are not used.
        control: The control tokens.

    Attributes:
        control: Their numbers, by their texts.
        usual_ends: Those among them that end a turn.
    """

    def __init__(self, description: Mapping[str, Any], control: Sequence[ControlToken]):
        from tokenizers import Tokenizer as Encoder

        # Without its control tokens the encoder knows of text alone.
        self.description, self.tokens = description, tuple(control)
        plain = {**description, "added_tokens": [], "post_processor": None, "truncation": None, "padding": None}
        model, spelt = dict(plain["model"]), {token.text for token in control}
        model["vocab"] = {word: number for word, number in model["vocab"].items() if word not in spelt}
        self._encoder = Encoder.from_str(json.dumps({**plain, "model": model}))
        self.control = {token.text: token.number for token in control}
        self.usual_ends = frozenset(self.control[text] for text in _ENDS if text in self.control)
        pattern = "|".join(
            (r"\s*" if token.strips_left else "") + re.escape(token.text) + (r"\s*" if token.strips_right else "")
            for token in sorted(control, key=lambda token: -len(token.text))
        )
        self._pattern = re.compile(f"({pattern})" if pattern else r"(?!)()")
        letters = sorted({letter for text in spelt for letter in text if not letter.isspace() or text.isspace()})
        assert len(letters) <= _NUM_SURROGATES, "a vocabulary whose control tokens have thousands of letters"
        self._protection = {ord(letter): _FIRST_SURROGATE + i for i, letter in enumerate(letters)}
        self._release = {there: here for here, there in self._protection.items()}

    def protect(self, text: str) -> str:
        """Make a text that was said safe to be put into a template; `encode` undoes it."""
        # Pairs of surrogates are the characters they stand for; lone ones stand for nothing.
        sound = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return sound.translate(self._protection)

    def encode(self, text: str) -> list[int]:
        """Tokens of a text that a template wrote around protected ones."""
        tokens = []
        for i, part in enumerate(self._pattern.split(text)):
            if i % 2:
                tokens.append(self.control[part if part in self.control else part.strip()])
            elif part:
                tokens += self._encoder.encode(part.translate(self._release), add_special_tokens=False).ids
        return tokens

    def encode_said(self, text: str) -> list[int]:
        """Tokens of a text that was said: no control token among them."""
        return self.encode(self.protect(text))

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens; control tokens have none, and bytes that are no character become U+FFFD."""
        return self._encoder.decode(list(tokens), skip_special_tokens=False)


def byte_level_description(words: Sequence[str], merges: Sequence[str], way: str) -> dict[str, Any]:
    """A byte-level tokenizer of merged pairs, as a `tokenizer.json` describes it.

    Args:
        words: The vocabulary, in the order of the tokens' numbers.
        merges: Pairs to merge, first ones first, each with a space between its two.
        way: A name in `PRE_TOKENIZERS`.

    Returns:
        The description.
    """
    return {
        "version": "1.0",
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": PRE_TOKENIZERS[way]},
        "decoder": _BYTES,
        "model": {
            "type": "BPE",
            "vocab": {word: number for number, word in enumerate(words)},
            "merges": [merge.split(" ", 1) for merge in merges],
            # A word of the vocabulary is taken whole where its way says so.
            "ignore_merges": way == "llama-bpe",
        },
    }


def read_description(description: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer of a `tokenizer.json`."""
    control = [
        ControlToken(token["content"], token["id"], token.get("lstrip", False), token.get("rstrip", False))
        for token in description.get("added_tokens") or []
    ]
    return Tokenizer(description, control)
