"""Raw records: what every method made of every question, in lines that are there whole or not at all."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hqre_jax.bridge.coordination import Outcome, Said, Samples
from hqre_jax.core._types import InputError

# Answers are kept to be counted, not to be read.
_LONGEST = 40


@dataclass(frozen=True)
class Record:
    """What a method made of the questions of a class, with one seed within one budget.

    Attributes:
        method: Name of the method.
        budget: Number of the budget, from 0 on.
        seed: Number of the seed, from 0 on.
        kind: Number of the class.
        setting: Number of the setting that dev chose.
        questions: Their indices in the split.
        scores: One for each; None where a call failed.
        prompt: Tokens of the prompts, cached ones included.
        cached: Those of them that were not computed again.
        completion: Tokens generated.
        calls: Calls to models.
        rounds: How often agents were asked.
        answers: The team's answers in canonical form, long ones cut; None for no answer.

    Example:
        >>> from hqre_jax.bridge.evaluation import Record
        >>> said = {"scores": (1.0, None), "prompt": (90, 90), "cached": (0, 0), "completion": (8, 0), "calls": (1, 1)}
        >>> record = Record("single", 0, 0, 0, 0, questions=(0, 1), **said, rounds=(1, 1), answers=("10", None))
        >>> record.key, record.missing, record.tokens
        (('single', 0, 0, 0), 1, [98, 90])
    """

    method: str
    budget: int
    seed: int
    kind: int
    setting: int
    questions: tuple[int, ...]
    scores: tuple[float | None, ...]
    prompt: tuple[int, ...]
    cached: tuple[int, ...]
    completion: tuple[int, ...]
    calls: tuple[int, ...]
    rounds: tuple[int, ...]
    answers: tuple[str | None, ...]

    @property
    def key(self) -> tuple[str, int, int, int]:
        """What it is the record of."""
        return self.method, self.budget, self.seed, self.kind

    @property
    def missing(self) -> int:
        """Questions in which a call failed."""
        return sum(score is None for score in self.scores)

    @property
    def tokens(self) -> list[int]:
        """Tokens of each question, prompts and replies together."""
        return [prompt + completion for prompt, completion in zip(self.prompt, self.completion, strict=True)]

    @classmethod
    def of(cls, method: str, budget: int, seed: int, kind: int, setting: int, outcomes: Sequence[Outcome]) -> "Record":
        """The record of plays.

        Args:
            method: Name of the method.
            budget: Number of the budget.
            seed: Number of the seed.
            kind: Number of the class.
            setting: Number of the setting.
            outcomes: The plays.

        Returns:
            The record.
        """
        usages = [[one for one in outcome.usage.values() if one is not None] for outcome in outcomes]
        prompt, cached, completion = (
            tuple(sum(getattr(one, part) for one in own) for own in usages)
            for part in ("prompt", "cached", "completion")
        )
        return cls(
            method, budget, seed, kind, setting,
            tuple(outcome.item.index for outcome in outcomes),
            tuple(outcome.score for outcome in outcomes),
            prompt, cached, completion,
            tuple(outcome.calls for outcome in outcomes),
            tuple(outcome.rounds for outcome in outcomes),
            tuple(_answer(outcome) for outcome in outcomes),
        )  # fmt: skip


def _answer(outcome: Outcome) -> str | None:
    answer = None if outcome.judgement is None else outcome.judgement.answer
    return None if answer is None else answer[:_LONGEST]


class Lines:
    """A file of JSON lines that is only ever added to; a line that was cut off is dropped.

    Args:
        path: The file.
        *keys: What every line has at least.

    Example:
        >>> import pathlib
        >>> import tempfile
        >>> from hqre_jax.bridge.evaluation import Lines
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     lines = Lines(pathlib.Path(folder, "lines.jsonl"))
        ...     lines.add({"score": 0.5})
        ...     print(list(lines.read()))
        [{'score': 0.5}]
    """

    def __init__(self, path: Path, *keys: str):
        self.path, self._keys = path, frozenset(keys)

    def read(self) -> Iterator[dict[str, Any]]:
        """Every whole line.

        Yields:
            The documents, in the order in which they were added.

        Raises:
            InputError: A line is not as it was written.
        """
        try:
            text = self.path.read_bytes()
        except FileNotFoundError:
            return
        for number, line in enumerate(text[: text.rfind(b"\n") + 1].splitlines(), 1):
            try:
                document = json.loads(line)
                if not isinstance(document, dict) or not self._keys <= document.keys():
                    raise ValueError
                yield document
            except ValueError:
                raise InputError(str(self.path), f"line {number} is not as it was written: delete that line") from None

    def add(self, *documents: Any) -> None:
        """Add lines, all or none of them.

        Args:
            *documents: What JSON can say; numbers are finite.

        Raises:
            InputError: The file cannot be written.
        """
        lines = "".join(json.dumps(document, allow_nan=False) + "\n" for document in documents)
        try:
            with self.path.open("ab+") as file:
                if size := file.seek(0, 2):
                    file.seek(size - 1)
                    if file.read(1) != b"\n":  # a line that was cut off
                        file.seek(0)
                        file.truncate(file.read().rfind(b"\n") + 1)
                file.write(lines.encode("ascii"))
        except OSError as error:
            raise InputError("out", f"{str(self.path)!a} cannot be written: {error.strerror}") from None


def read_records(folder: Path) -> dict[tuple[str, int, int, int], Record]:
    """All records of a folder; of two of the same thing the later one.

    Args:
        folder: Of an evaluation.

    Returns:
        Records by method, budget, seed and class, see `Record.key`; none where nothing was played.

    Raises:
        InputError: A line is not as it was written.

    Example:
        >>> import dataclasses
        >>> import pathlib
        >>> import tempfile
        >>> from hqre_jax.bridge.evaluation import Lines, Record, read_records
        >>> spent = dict.fromkeys(("prompt", "cached", "completion", "calls", "rounds"), (9,))
        >>> failed = Record("single", 0, 0, 0, 0, questions=(0,), scores=(None,), **spent, answers=(None,))
        >>> again = dataclasses.replace(failed, scores=(1.0,), answers=("8",))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Lines(pathlib.Path(folder, "records.jsonl")).add(*map(dataclasses.asdict, (failed, again)))
        ...     print({key: record.scores for key, record in read_records(pathlib.Path(folder)).items()})
        {('single', 0, 0, 0): (1.0,)}
    """
    found = {}
    for number, document in enumerate(Lines(folder / "records.jsonl").read(), 1):
        try:
            arrays: dict[str, Any] = {k: tuple(one) if isinstance(one, list) else one for k, one in document.items()}
            record = Record(**arrays)
        except TypeError:
            raise InputError(str(folder / "records.jsonl"), f"line {number} is no record of an evaluation") from None
        found[record.key] = record
    return found


def record_document(record: Record) -> dict[str, Any]:
    """As JSON has it."""
    return asdict(record)


def transcript_of(samples: Samples, outcome: Outcome) -> dict[str, Any]:
    """All that was said about one question, for people to read.

    Args:
        samples: The pool; it knows what was shown to whom.
        outcome: The play.
    """
    item, judgement = outcome.item, outcome.judgement
    return {
        "question": item.index,
        "text": item.question,
        "right_answer": item.answer,
        "score": outcome.score,
        "answer": None if judgement is None else judgement.answer,
        "reason": f"a call failed: {outcome.failure.detail}" if outcome.failure else judgement and judgement.reason,
        "tokens": outcome.tokens,
        "steps": [
            [
                {
                    "agent": ask.agent,
                    "control": ask.choice,
                    "probability": ask.probability,
                    "why": ask.why,
                    "shown": [[message.role, message.content] for message in ask.messages or ()],
                    "stream": list(ask.stream),
                    "said": said.text,
                    "answer": said.answer,
                    "tokens": None if said.usage is None else said.usage.prompt + said.usage.completion,
                    "cost": _cost(samples, said),
                    "failure": None if said.failure is None else said.failure.detail,
                }
                for ask, said in zip(step.asks, step.said, strict=True)
            ]
            for step in outcome.trace
        ],
    }


def _cost(samples: Samples, said: Said) -> float | None:
    usage = said.usage
    if usage is None:
        return None
    return samples.team.agent(said.agent).price.of(usage.prompt, usage.cached, usage.completion)
