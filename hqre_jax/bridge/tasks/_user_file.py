"""A file of questions and answers as a task."""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hqre_jax.bridge.tasks._files import json_lines, read_text
from hqre_jax.bridge.tasks._generated import split_of
from hqre_jax.bridge.tasks._interface import AbstractTask, Item, Judgement, Split
from hqre_jax.bridge.tasks._judging import judge_choice, judge_formula, judge_number
from hqre_jax.core._types import InputError

_NUMBER = re.compile(r"-?\d{1,30}(?:\.\d{1,30}|/\d{1,30})?")
_KEYS = ("question", "answer", "class", "split", "solution", "choices")
_SPLITS: tuple[Split, ...] = ("train", "dev", "test")


class UserTask(AbstractTask):
    """Questions and answers of a user's file.

    Attributes:
        in_order: All of them, in the order of the file.
    """

    domain = "reasoning"
    verifier = "numbers: equal as rational numbers; choices: the one right name; else equal text, LaTeX normalised"
    official = None

    def __init__(self, name: str, rows: Sequence[tuple[str, Split, Mapping[str, Any]]]):
        self.name, self.after = name, f"the file {name}"
        self._items: dict[tuple[str, Split], list[Item]] = {}
        self.in_order: list[Item] = []
        for task_class, split, row in rows:
            group = self._items.setdefault((task_class, split), [])
            data = {"choices": row["choices"]} if row.get("choices") else {}
            place = name, task_class, split, len(group)
            group.append(Item(*place, row["question"], row["answer"], row.get("solution") or None, data))
            self.in_order.append(group[-1])
        self.classes = tuple(dict.fromkeys(task_class for task_class, _ in self._items))
        self.num_items = {
            split: min(len(self._items.get((task_class, split), [])) for task_class in self.classes)
            for split in _SPLITS
        }

    def items(self, task_class: str, split: Split, count: int) -> list[Item]:
        """See `AbstractTask`.

        Raises:
            InputError: There is no such class, or it has fewer items.
        """
        self.check_class(task_class)
        found = self._items.get((task_class, split), [])
        if len(found) < count:
            raise InputError("count", f"is {count}, but {self.name}/{task_class}/{split} has {len(found)} items")
        return found[:count]

    def judge(self, item: Item, reply: str) -> Judgement:
        """See `AbstractTask`."""
        assert item.answer is not None
        if "choices" in item.data:
            return judge_choice(reply, item.answer, item.data["choices"])
        return (judge_number if _NUMBER.fullmatch(item.answer) else judge_formula)(reply, item.answer)


def load_user_file(path: str | Path) -> UserTask:
    """A task out of a file of questions and answers.

    Args:
        path: CSV with a header line, or JSON Lines (named ``….jsonl``), UTF-8. ``question`` and ``answer`` are needed.
            ``class`` (default "all"), ``split`` ("train", "dev" or "test"; default: by a hash of the question, 2 : 1 :
            2), ``solution`` (worked, for examples) and ``choices`` (names; in CSV divided by "|") are optional.

    Returns:
        The task, named after the file.

    Raises:
        InputError: A line is not of this form, or repeats a question: file, line and what is wanted.

    Example:
        >>> import tempfile
        >>> from hqre_jax.bridge.tasks import load_user_file
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with open(f"{folder}/capitals.csv", "w") as file:
        ...         print("question,answer,split", file=file)
        ...         print("What is the capital of France?,Paris,dev", file=file)
        ...     capitals = load_user_file(f"{folder}/capitals.csv")
        >>> item = capitals.items("all", "dev", 1)[0]
        >>> capitals.name, capitals.judge(item, "The answer is Paris.").score
        ('capitals', 1.0)
    """
    rows, asked = [], dict[str, str]()
    for where, row in _rows(path):
        strange = [key for key in row if key not in _KEYS]
        if strange:
            raise InputError(where, f"has {strange[0]!r}; known are {', '.join(_KEYS)}")
        for key in ("question", "answer"):
            if not isinstance(row.get(key), str) or not row[key].strip():
                raise InputError(where, f"wants a text under {key!r}")
        question = row["question"].strip()
        if question in asked:
            raise InputError(where, f"repeats the question of {asked[question]}")
        asked[question] = where
        task_class = row.get("class") or "all"
        split = row.get("split") or split_of("user", "", question)
        if split not in _SPLITS:
            raise InputError(where, f"'split' is {split!r}; it must be train, dev or test")
        choices = row.get("choices") or []
        if not isinstance(choices, list) or not all(isinstance(choice, str) for choice in choices):
            raise InputError(where, "'choices' must be a list of texts")
        answer = row["answer"].strip()
        if choices and answer not in choices:
            raise InputError(where, f"'answer' is {answer!r}, which is not among 'choices'")
        if not isinstance(task_class, str) or not isinstance(row.get("solution") or "", str):
            raise InputError(where, "'class' and 'solution' must be texts")
        rows.append((task_class, split, {**row, "question": question, "answer": answer, "choices": choices}))
    if not rows:
        raise InputError(str(path), "holds no question")
    return UserTask(Path(path).stem, rows)


def _rows(path: str | Path) -> Iterator[tuple[str, dict[str, Any]]]:
    if str(path).endswith((".jsonl", ".ndjson")):
        yield from json_lines(path)
        return
    (_, header), *lines = _csv_lines(path)
    if not {"question", "answer"} <= set(header) or len(set(header)) < len(header):
        raise InputError(f"{path}:1", f"is {','.join(header)!r}; a CSV header with question,answer is wanted")
    for number, cells in lines:
        where = f"{path}:{number}"
        if not cells:
            continue
        if len(cells) != len(header):
            raise InputError(where, f"has {len(cells)} cells, but the header has {len(header)}; quote commas")
        row: dict[str, Any] = dict(zip(header, cells, strict=True))
        if "choices" in row:
            row["choices"] = [choice.strip() for choice in row["choices"].split("|") if choice.strip()]
        yield where, row


def _csv_lines(path: str | Path) -> list[tuple[int, list[str]]]:
    """Cells with the number of their last line, the header first; a cell may be as long as the file."""
    text = read_text(path)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    limit = csv.field_size_limit(len(text) + 1)
    try:
        return [(reader.line_num, cells) for cells in reader] or [(1, [])]
    except csv.Error as error:
        raise InputError(f"{path}:{reader.line_num}", f"is not CSV: {error}") from None
    finally:
        csv.field_size_limit(limit)
