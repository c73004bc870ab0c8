"""Finding the answer in a reply. Replies are hostile text: they are read by fixed patterns, never evaluated.

Every pattern takes time linear in the text, and of a text longer than `MAX_CHARS` only beginning and end are read.
"""

import json
import re
import unicodedata
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

HEAD, MAX_CHARS = 5_000, 25_000
# Longer digit strings are no answer to anything asked here.
MAX_DIGITS = 40

_ESCAPE = re.compile(r"\x1b(?:\[[0-9;?]{0,40}[ -/]{0,4}[@-~]|\][^\x07\x1b]{0,500}(?:\x07|\x1b\\)|.)", re.S)
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,200}>")
_FENCED = re.compile(r"```\w{0,10}\n(.*)\n```", re.S)
_SPECIAL = re.compile(r"<\|[a-z_]{1,40}\|>|<(?:s|/s|bos|eos|start_of_turn|end_of_turn)>|\[/?INST\]", re.I)
# What begins somebody else's turn: a model that goes on by itself has ended its reply there.
_TURN = re.compile(r"^[ \t#*]{0,8}(?:user|system|human|question|problem)\b[ \t*]{0,4}:", re.I | re.M)
_OWN_TURN = re.compile(r"^[ \t#*]{0,8}(?:assistant|ai|bot|model)\b[ \t*]{0,4}:", re.I | re.M)
_MARK = re.compile(
    r"\banswer\b(?:\s{1,3}(?:here|to this question))?[\"'*_`]{0,4}\s{0,3}(?:is|are|would be|must be|equals|[:=])"
    r"[\"'*_`:\s]{0,8}",
    re.I,
)
_REASON = re.compile(r"\b(?:because|since|as|for|so|which|where|after|and then)\b|[;!?\n]|[.,](?=\s|$)", re.I)

_DIGITS = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+"
_NUMBER = re.compile(
    rf"(?P<sign>[-+]\s?)?\$?(?P<inner>[-+])?(?:"
    rf"(?:(?P<whole>\d+)\s{{0,2}})?\\[dt]?frac\s?(?:\{{\s?(?P<p>-?\d+)\s?\}}\{{\s?(?P<q>-?\d+)\s?\}}|(?P<p1>\d)(?P<q1>\d))"
    rf"|(?P<mixed>\d+)\s(?P<a>\d+)/(?P<b>\d+)"
    rf"|(?P<over>\d+)\s?/\s?(?P<under>\d+)"
    rf"|(?P<plain>{_DIGITS})(?:[eE](?P<power>[-+]?\d{{1,2}})(?![\d.]))?)"
)
_MULTIPLES = {"dozen": 12, "hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_MULTIPLE = re.compile(r"\s?(dozen|hundred|thousand|million|billion)\b", re.I)
_OPERATOR_AFTER = re.compile(r"\s{0,3}(?:[-+*/^×·÷]|\\times|\\cdot|plus|minus|times)\s{0,3}[\d(\\$.]")
_OPERATOR_BEFORE = re.compile(r"[\d)}]\s{0,3}(?:[-+*/^×·÷]|\\times|\\cdot|plus|minus|times)\s{0,3}$")
_DENIED = re.compile(r"(?:not|n't|\bnever|\bthan|\bno longer|\brather than)\s{1,3}(?:be\s)?$", re.I)
_HEDGE = re.compile(r"\d[^\d\n]{0,20}\b(?:or|to|and)\b[^\d\n]{0,12}\d")
# What may stand between the entries of a list: marks, "and", "or", a letter or number of the entry.
_MARKS = r"[\s,;:/|().\[\]*\"'•-]{1,12}"
_BETWEEN = re.compile(rf"{_MARKS}(?:(?:and|or|[a-z]|\d{{1,2}}){_MARKS}){{0,2}}", re.I)
_UNDER_TEN = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = ("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
_WORDS = {word: str(k) for k, word in enumerate((*_UNDER_TEN, *_TEENS, "twenty"))}
_WORD = re.compile(rf"\b(?:{'|'.join(_WORDS)})\b", re.I)


def plain_text(reply: str, literal: bool = False) -> str:
    """A reply as text that shows what it means: no markup, no escapes, no turns of others.

    Args:
        reply: Anything a model may have said.
        literal: Whether a reply that is an object of JSON stays one, for a parser.

    Returns:
        At most `MAX_CHARS` characters.
    """
    if not literal and len(reply) <= MAX_CHARS:
        reply = _without_braces(reply)
    if len(reply) > MAX_CHARS:
        reply = f"{reply[:HEAD]}\n{reply[HEAD - MAX_CHARS :]}"
    text = _ESCAPE.sub("", reply).encode("utf-8", "replace").decode("utf-8")
    text = unicodedata.normalize("NFKC", re.sub(r"(?<=\d)[\u202f\u2009\u00a0](?=\d{3})", "", text))
    text = text.translate({0x2212: "-", 0x2013: "-", 0x2044: "/", 0x2018: "'", 0x2019: "'", 0x201C: '"', 0x201D: '"'})
    text = "".join(c for c in text if c in "\n\t" or unicodedata.category(c)[0] != "C")
    text = _own_turn(text)
    return _TAG.sub("", text).strip()


def _without_braces(reply: str) -> str:
    """A reply that is nothing but an object of JSON as lines "key: value"; any other as it is."""
    text = reply.strip()
    fenced = _FENCED.fullmatch(text)
    text = fenced[1].strip() if fenced else text
    if not text.startswith("{"):
        return reply
    try:
        return "\n".join(f"{key}: {_in_words(value)}" for key, value in json.loads(text, strict=False).items())
    except (ValueError, RecursionError):
        return reply


def _in_words(value: Any) -> str:
    """A value of JSON as a person would write it in a line."""
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_in_words(one)}" for key, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(_in_words, value))
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


def _own_turn(text: str) -> str:
    """What stands before the next turn, template tokens and "Assistant:" at the beginning left out."""
    while True:
        text = text.lstrip()
        first = _SPECIAL.match(text) or _OWN_TURN.match(text)
        if not first:
            break
        text = text[first.end() :]
    ends = [match.start() for pattern in (_SPECIAL, _TURN) if (match := pattern.search(text))]
    return text[: min(ends)] if ends and min(ends) > 0 else text


def stated_answer(text: str) -> str | None:
    r"""What a text says its answer is: the last ``\boxed{…}``, ``#### …`` or "the answer is …".

    Args:
        text: From `plain_text`.

    Returns:
        The rest of that line; None where nothing is marked as the answer.
    """
    boxed = _last_boxed(text)
    if boxed is not None:
        return boxed
    places = [match.end() for match in _MARK.finditer(text)]
    places += [match.end() for match in re.finditer(r"####\s?", text)]
    return text[max(places) :].split("\n", 1)[0].strip() if places else None


def answer_parts(text: str) -> list[str]:
    """Where an answer of several names or numbers may stand, likeliest first.

    Args:
        text: From `plain_text`.

    Returns:
        What `stated_answer` finds, then the paragraph that begins there: after a mark, lists have a line for each
        entry. Where nothing is marked, the whole text.
    """
    stated = stated_answer(text)
    return [text] if stated is None else [stated, re.split(r"\n\s*\n", text[text.rfind(stated) :], maxsplit=1)[0]]


def _last_boxed(text: str) -> str | None:
    start = max(text.rfind("\\boxed{"), text.rfind("\\fbox{"))
    if start < 0:
        return None
    begin, depth = text.index("{", start) + 1, 1
    for k in range(begin, len(text)):
        depth += {"{": 1, "}": -1}.get(text[k], 0)
        if depth == 0:
            return text[begin:k].strip()
    return None


def find_number(reply: str) -> Fraction | None:
    """The number a reply gives as its answer, exactly.

    A marked answer counts ("the answer is …", ``#### …``, a box); without one, the last line that is nothing but a
    number, and else the last number of the reply. An unfinished sum, "not 7", and "7 or 8" are no answers.

    Args:
        reply: Anything a model may have said.

    Returns:
        The number, or None.
    """
    text = plain_text(reply)
    stated = stated_answer(text)
    if stated is not None:
        return _value(stated, last=False)
    lines = [line for line in text.split("\n") if any(c.isdigit() for c in line) or _WORD.search(line)]
    for line in reversed(lines):
        if _bare(line):
            return _value(line, last=False)
    return _value(lines[-1], last=True) if lines else None


def _bare(line: str) -> bool:
    """Whether a line is nothing but one number with a unit."""
    rest, count = _NUMBER.subn("", line)
    return count == 1 and len(re.findall(r"[^\W\d_]+", rest)) <= 2 and "?" not in rest and "=" not in rest


def _value(text: str, last: bool) -> Fraction | None:
    """The number that a phrase gives: what follows its last "=", or stands alone before it."""
    text = re.sub(r"\\(?:text|mathrm|mathbf|textbf)\{([^{}]{0,100})\}", r" \1 ", text)
    text = re.sub(r"\{,\}|\\[,!;]|[*_`](?=\S)|(?<=\S)[*_`](?=\W|$)|\\\(|\\\)|\\\[|\\\]", "", text.replace("\\$", "$"))
    if not any(c.isdigit() for c in text):
        text = _WORD.sub(lambda match: _WORDS[match.group().lower()], text)
    sides = text.split("=")
    if not last:
        cut = _REASON.search(sides[-1])
        sides[-1] = (
            sides[-1][: cut.start()] if cut and any(c.isdigit() for c in sides[-1][: cut.start()]) else sides[-1]
        )
    for side in (sides[-1], sides[0]) if len(sides) > 1 else sides:
        if _HEDGE.search(side) and not last:
            return None
        matches = list(_NUMBER.finditer(side))
        numbers = (_exact(match, side) for match in (reversed(matches) if last else matches))
        found = next((number for number in numbers if number is not None), None)
        if found is not None:
            return found
    return None


def _exact(match: re.Match[str], text: str) -> Fraction | None:
    """A match as a number; None where it is part of a sum, denied or too long."""
    before, after = text[max(0, match.start() - 20) : match.start()], text[match.end() : match.end() + 20]
    if len(match.group()) > MAX_DIGITS or _DENIED.search(before) or _OPERATOR_AFTER.match(after):
        return None
    sign, part = (match["sign"] or match["inner"] or "").strip(), match.groupdict()
    if _OPERATOR_BEFORE.search(before) or (sign and re.search(r"[\d)}]\s{0,3}$", before)):
        return None
    if re.search(r"[\w.]$", before) or re.match(r"[A-Za-z]?\d|\.\d", after):
        return None  # inside a name, such as "x7" or "1.2.3"
    over = part["p"] or part["p1"] or part["a"] or part["over"]
    if over:
        under = int(part["q"] or part["q1"] or part["b"] or part["under"])
        if under == 0:
            return None
        value = int(part["whole"] or part["mixed"] or 0) + Fraction(int(over), under)
    else:
        value = Fraction(part["plain"].replace(",", "")) * Fraction(10) ** int(part["power"] or 0)
    multiple = _MULTIPLE.match(after)
    value *= _MULTIPLES[multiple.group(1).lower()] if multiple else 1
    return -value if sign == "-" else value


def find_choice(reply: str, choices: Sequence[str]) -> str | None:
    """The one of several names that a reply gives as its answer.

    Args:
        reply: Anything a model may have said.
        choices: The names; capitals do not matter.

    Returns:
        The name as it is spelt in ``choices``: the one in the marked answer; without one, the one the reply begins
        with, or the only one in the last line, or in the whole reply, in this order; a list of all choices, as
        questions end with, does not count. None where none or several are named.
    """
    text = plain_text(reply)
    stated = stated_answer(text)
    bare = _without_lists(text if stated is None else stated, choices)
    lines = [line for line in bare.split("\n") if line.strip()]
    opening = re.split(r"[.,;:!\n(]", text, maxsplit=1)[0]
    opening = opening if len(opening.split()) <= 3 else ""
    for part in [bare] if stated is not None else [opening, *lines[-1:], bare]:
        named = _named(part, choices)
        if len(named) == 1:
            return named.pop()
    return None


def _without_lists(text: str, choices: Sequence[str]) -> str:
    """A text without the lists of all choices in it: each named once, with nothing but commas and the like between."""
    spelt = {choice.lower() for choice in choices}
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, sorted(spelt, key=len, reverse=True)))})(?!\w)", re.I)
    runs = list[list[re.Match[str]]]()
    for match in pattern.finditer(text):
        if runs and _BETWEEN.fullmatch(text[runs[-1][-1].end() : match.start()]):
            runs[-1].append(match)
        else:
            runs.append([match])
    kept, end = list[str](), 0
    for run in runs:
        # Next to an answer the list comes last, or else first.
        for part in (run[-len(spelt) :], run[: len(spelt)]):
            listed = len(part) > 1 and {match.group().lower() for match in part} == spelt
            if listed and not _DENIED.search(text[max(0, part[0].start() - 16) : part[0].start()]):
                kept.append(text[end : part[0].start()])
                end = part[-1].end()
                break
    return " ".join([*kept, text[end:]])


def _named(text: str, choices: Sequence[str]) -> set[str]:
    """Choices that a text names and does not deny; longer names win where one contains another."""
    named = set()
    for choice in sorted(choices, key=len, reverse=True):
        pattern = re.compile(rf"(?<!\w){re.escape(choice)}(?!\w)", re.I)
        matches = list(pattern.finditer(text))
        if any(not _DENIED.search(text[max(0, match.start() - 16) : match.start()]) for match in matches):
            named.add(choice)
        text = pattern.sub(" ", text)
    return named


def names_in_order(text: str, names: Sequence[str]) -> tuple[str, ...] | None:
    """The order in which a text names everybody once.

    Args:
        text: From `plain_text` or `stated_answer`.
        names: Who is to be named; capitals do not matter.

    Returns:
        The names in that order: of the whole text, else of the last line that names everybody exactly once, or else of
        the last mentions of all, if no name is repeated among them and they begin a sentence (a list that names
        somebody twice is no order). None where there is no such order.
    """
    for part in [text, *reversed(text.split("\n"))]:
        order = mentioned(part, names)
        if len(order) == len(names) == len(set(order)):
            return order
    sentences = [mentioned(sentence, names) for sentence in re.split(r"[.:;!?\n]", text)]
    for k in range(len(sentences) - 1, -1, -1):
        order = tuple(name for sentence in sentences[k:] for name in sentence)
        if len(order) >= len(names):
            return order if len(order) == len(names) == len(set(order)) else None
    return None


def mentioned(text: str, names: Sequence[str]) -> tuple[str, ...]:
    """Every mention of a name in a text, in order; capitals do not matter, and longer names win."""
    spelt = {name.lower(): name for name in names}
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, sorted(spelt, key=len, reverse=True)))})(?!\w)", re.I)
    return tuple(spelt[match.group().lower()] for match in pattern.finditer(text))
