"""`Proof`: a claim about the HQRE of one problem, with all that is needed to check it again."""

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hqre_jax.certificates.rigorous._data import Data, same_data
from hqre_jax.core._types import InputError

Kind = Literal["krawczyk", "margin", "contraction"]

_TYPES = {"bool": bool, "int64": int, "float64": float}


def _real(value: Any) -> bool:
    return type(value) is float and math.isfinite(value)


def _positive(value: Any) -> bool:
    return _real(value) and value > 0


def _reals(value: Any) -> bool:
    return type(value) is list and all(map(_real, value))


def _positives(value: Any) -> bool:
    return type(value) is list and all(map(_positive, value))


# What each field may be, in every proof, and in the proofs of each kind; what a kind does not speak of is empty.
_ADMISSIBLE: dict[str, Callable[[Any], bool]] = {
    "statement": lambda v: type(v) is str,
    "digest": lambda v: type(v) is str,
    "problem": lambda v: type(v) is dict,
    "bits": lambda v: type(v) is int and 64 <= v <= 1024,  # any number is sound; more would only take for ever
    **dict.fromkeys(("radius", "unique_radius", "bound"), lambda v: v is None),
    **dict.fromkeys(("centre", "scales", "weights", "vector"), lambda v: type(v) is list and not v),
}
_PARTS: dict[str, dict[str, Callable[[Any], bool]]] = {
    "krawczyk": {"radius": _positive, "unique_radius": _positive, "centre": _reals, "scales": _positives},
    "margin": {"bound": lambda v: _real(v) and v >= 0, "weights": _positives, "vector": _positives},
    "contraction": {"bound": lambda v: _real(v) and 0 <= v < 1, "vector": _positives},
}


@dataclasses.dataclass(frozen=True, eq=False)
class Proof:
    """A claim and its evidence, in exact numbers.

    Attributes:
        kind: ``krawczyk`` (one HQRE in a box), ``margin`` or ``contraction`` (one HQRE altogether).
        statement: The claim, in one sentence.
        radius: ``krawczyk``: every logit of the HQRE is within this of the centre (gauge: the last valid action's
            logit is 0); so is every probability.
        unique_radius: ``krawczyk``: no other HQRE has all its logits within this of the centre.
        centre: Unknowns at the centre: logits by decision point, then values and occupancies where play goes on.
        scales: Radii of the unknowns relative to the logits' radius, which is their unit.
        bound: ``margin``: lower bound on κ, units of payoff; ``contraction``: upper bound on the factor.
        weights: ``margin``: multipliers ``v_x``, ``w_x = v_x P(x)``, one per decision point.
        vector: Positive vector z of the matrix test, one entry per decision point (T4: per player).
        bits: Bits of the midpoints of the balls that carried the computation.
        problem: The problem, to the last bit; see ``problem_data``.
        digest: SHA-256 of all of the above: damage to a file does not pass unnoticed.

    Example:
        >>> import hqre_jax as hq
        >>> proof = hq.prove(hq.load_game("stag_hunt"), tau=8.0)
        >>> proof.kind, proof.bound
        ('margin', 6.4999992)
    """

    kind: Kind
    statement: str
    radius: float | None
    unique_radius: float | None
    centre: list[float]
    scales: list[float]
    bound: float | None
    weights: list[float]
    vector: list[float]
    bits: int
    problem: Data
    digest: str = ""

    def content(self) -> dict[str, Any]:
        """The proof as JSON-ready values; floats print with all the digits that identify them."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        fields["problem"] = {
            name: {"dtype": str(v.dtype), "shape": list(v.shape), "entries": v.ravel().tolist()}
            if isinstance(v, np.ndarray)
            else v
            for name, v in self.problem.items()
        }
        return fields

    def fault(self) -> str | None:
        """The first field that is not of the type and in the range that a proof of this kind needs, or None."""
        if type(self.kind) is not str or self.kind not in _PARTS:
            return "kind"
        admissible = {**_ADMISSIBLE, **_PARTS[self.kind]}
        return next((name for name, admits in admissible.items() if not admits(getattr(self, name))), None)

    def seal(self) -> str:
        """The digest that belongs to this content."""
        content = {name: value for name, value in self.content().items() if name != "digest"}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def sealed(self) -> "Proof":
        """The same proof with the digest that belongs to it."""
        return dataclasses.replace(self, digest=self.seal())

    def save(self, path: str | Path) -> None:
        """Write the proof to a JSON file, exactly.

        Args:
            path: The file.
        """
        Path(path).write_text(json.dumps(self.content(), indent=1) + "\n", encoding="utf-8")

    def policy(self) -> np.ndarray:
        """The policy at the centre of the box, ``(player, information state, action)``, padding 0, in floats."""
        mask, logits = self.problem["action_mask"], iter(self.centre)
        out = np.zeros(mask.shape)
        for i, x in np.argwhere(mask.any(-1)):
            actions = np.flatnonzero(mask[i, x])
            z = np.array([*(next(logits) for _ in actions[1:]), 0.0])
            odds = np.exp(z - z.max())
            out[i, x, actions] = odds / odds.sum()
        return out

    def excludes(self, other: "Proof") -> bool:
        """Whether two local proofs of one problem speak of two different HQRE: their boxes are disjoint.

        Args:
            other: Another ``krawczyk`` proof.
        """
        if self.fault() or other.fault() or not self.kind == other.kind == "krawczyk":
            return False
        if len({len(v) for v in (self.centre, self.scales, other.centre, other.scales)}) > 1:
            return False
        if not same_data(self.problem, other.problem):
            return False
        far = np.array(self.radius) * np.array(self.scales) + np.array(other.radius) * np.array(other.scales)
        # Four roundings of a sum of positive numbers.
        return bool((np.abs(np.subtract(self.centre, other.centre)) > far * (1 + 1e-15)).any())


def describe(kind: Kind, radius: float | None, unique_radius: float | None, bound: float | None) -> str:
    """The claim that these numbers make."""
    if kind == "krawczyk":
        return (
            f"There is an HQRE whose logits are within {radius!r} of the centre, and it is the only HQRE whose logits "
            f"are within {unique_radius!r} of it."
        )
    what = f"margin is at least {bound!r}" if kind == "margin" else f"contraction factor is at most {bound!r}"
    return f"There is exactly one HQRE: the {what}."


def load_proof(path: str | Path) -> Proof:
    """Read a proof that `Proof.save` wrote. Nothing is believed: see `recheck`.

    Args:
        path: The file.

    Returns:
        The proof.

    Raises:
        InputError: If the file is no proof.

    Example:
        >>> import tempfile
        >>> import hqre_jax as hq
        >>> proof = hq.prove(hq.load_game("stag_hunt"), tau=8.0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     proof.save(f"{folder}/proof.json")
        ...     same = hq.certificates.load_proof(f"{folder}/proof.json")
        >>> same.digest == proof.digest
        True
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        stored = content.pop("problem")
        proof = Proof(problem={name: _array(v) if isinstance(v, dict) else v for name, v in stored.items()}, **content)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        reason, *_ = str(error).splitlines() or [type(error).__name__]
        raise InputError(str(path), f"is no proof: {reason}") from None
    if fault := proof.fault():
        raise InputError(str(path), f"is no proof: {fault} is not what a proof of its kind holds there")
    return proof


def _array(stored: dict[str, Any]) -> np.ndarray:
    """An array of a file, which must hold exactly what its type can."""
    dtype, entries = stored["dtype"], stored["entries"]
    if any(type(entry) is not _TYPES[dtype] for entry in entries):
        raise TypeError(f"an entry is not of type {dtype}")
    return np.array(entries, dtype).reshape(stored["shape"])
