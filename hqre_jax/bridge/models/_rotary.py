"""Angles of rotary positions, and the ways they are stretched for contexts longer than a model was trained on."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from hqre_jax.core._types import InputError


def rotary_frequencies(
    head_width: int, base: float, scaling: Mapping[str, Any] | None, context_length: int
) -> tuple[tuple[float, ...], float]:
    """Frequencies of the planes of a head.

    Unscaled, plane j of head_width / 2 turns by base^(−2j / head_width) per position. "linear" divides all by a factor;
    "llama3" divides those of long waves; "yarn" divides those of long waves and raises the magnitude.

    Args:
        head_width: Coordinates of a head, twice the number of planes.
        base: θ of the angles.
        scaling: As in a Hugging Face configuration ("rope_type" or "type", "factor", …); None for none.
        context_length: Most tokens of a sequence, where the scaling does not name the original one.

    Returns:
        The frequencies, in radians a position, and the factor on rotated queries and keys.

    Raises:
        InputError: For a scaling that is not one of these.

    Source: Peng et al. 2023 (arXiv 2309.00071) for YaRN.
    """
    scaling = dict(scaling or {})
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    needed = {
        "linear": ["factor"],
        "yarn": ["factor"],
        "llama3": ["factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"],
    }
    for key in needed.get(kind, []):
        if not isinstance(scaling.get(key), int | float):
            raise InputError("rope_scaling", f"{kind!r} needs {key!r}, a number")
    plain = base ** (-np.arange(0, head_width, 2, dtype=np.float64) / head_width)
    magnitude = 1.0
    if kind == "default":
        scaled = plain
    elif kind == "linear":
        scaled = plain / scaling["factor"]
    elif kind == "llama3":
        # 1 where waves are short, 0 where they are long.
        turns = scaling["original_max_position_embeddings"] * plain / (2 * math.pi)
        low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
        kept = np.clip((turns - low) / (high - low), 0, 1)
        scaled = kept * plain + (1 - kept) * plain / scaling["factor"]
    elif kind == "yarn":
        scaled, magnitude = _yarn(plain, base, scaling, context_length)
    else:
        raise InputError("rope_scaling", f"{kind!r} is not supported; these are: linear, llama3, yarn")
    return tuple(float(x) for x in scaled.astype(np.float32)), magnitude


def _yarn(plain: np.ndarray, base: float, scaling: dict[str, Any], context_length: int) -> tuple[np.ndarray, float]:
    factor = scaling["factor"]
    original = scaling.get("original_max_position_embeddings") or context_length

    def plane(turns: float | int) -> float:
        """The plane that makes so many turns over the original context."""
        return len(plain) * math.log(original / (turns * 2 * math.pi)) / math.log(base)

    low, high = plane(scaling.get("beta_fast") or 32), plane(scaling.get("beta_slow") or 1)
    if scaling.get("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    # As published: limits of planes are clipped to those of coordinates.
    low, high = max(low, 0), min(high, 2 * len(plain) - 1)
    stretched = np.clip((np.arange(len(plain)) - low) / (max(high - low, 1e-3)), 0, 1)
    magnitude = scaling.get("attention_factor")
    if magnitude is None:
        magnitude = 0.1 * math.log(factor) + 1 if factor > 1 else 1.0
    return (1 - stretched) * plain + stretched * plain / factor, float(magnitude)
