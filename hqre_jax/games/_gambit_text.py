"""Gambit's text files: the words they are made of, whichever form of game they hold.

Whitespace separates, names stand in quotation marks, numbers are integers, decimals or ratios, with a decimal
point and without group marks. A comma between two digits may be another locale's decimal comma: it is taken for the
comma between two numbers only where nothing else can be meant.

Reference: the Gambit project, "Game representation formats".
"""

import math
import re
from fractions import Fraction
from typing import NoReturn

from hqre_jax.core._types import InputError

_TOKEN = re.compile(
    r"""\s*(?:(?P<string>"[^"\\]*(?:\\.[^"\\]*)*")|(?P<mark>[{},])|(?P<word>[^\s{},"]+)|(?P<open>")|(?P<end>\Z))""",
    re.DOTALL | re.ASCII,  # no-break and thin spaces are other locales' group marks, and separate nothing
)
_NUMBER = re.compile(r"[+-]?(?:\d+/\d+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)", re.ASCII)
_INTEGER = re.compile(r"\d{1,18}", re.ASCII)
# A number as some locale writes it: groups of digits, in any script, between marks that are no decimal point.
_FOREIGN = re.compile(r"[+-]?\d+(?:[^\w\s{},\"/+-]|[_\u00a0\u2009\u202f]|\d)*")
_NUMBERS = "numbers take a decimal point and no group marks: 0.5, 1000"


class Tokens:
    """The words of a Gambit file, one at a time; every complaint says ``FILE:LINE:COLUMN``.

    Args:
        text: The contents of the file.
        name: What the file is called in error messages.
    """

    def __init__(self, text: str, name: str):
        self._text, self._name = text.removeprefix("\ufeff"), name
        self._offset = self._end = 0
        self.kind = self.value = ""
        self.advance()

    def advance(self) -> None:
        match = _TOKEN.match(self._text, self._end)
        assert match is not None and match.lastgroup is not None  # the alternatives cover every text
        self.kind = match.lastgroup
        self.value = match[self.kind]
        self._offset, self._end = match.start(self.kind), match.end()
        if self.kind == "open":
            self.fail("this quotation mark is never closed")

    def fail(self, problem: str, offset: int | None = None) -> NoReturn:
        """Raises the :class:`InputError` that points at the current token, or at ``offset``."""
        at = self._offset if offset is None else offset
        column = at - self._text.rfind("\n", 0, at)
        raise InputError(f"{self._name}:{self.line(at)}:{column}", problem)

    def line(self, offset: int) -> int:
        """The line of a place in the text, counted from 1."""
        return self._text.count("\n", 0, offset) + 1

    def expected(self, what: str) -> NoReturn:
        found = "the end of the file" if self.kind == "end" else shorten(self.value)
        foreign = self.kind == "word" and _FOREIGN.fullmatch(self.value) and not _NUMBER.fullmatch(self.value)
        hint = f"; {_NUMBERS}" if foreign or self._inside_number() else ""
        self.fail(f"expected {what}, found {found}{hint}")

    @property
    def offset(self) -> int:
        """Where the current token starts: for a complaint made after reading on."""
        return self._offset

    def at(self, mark: str) -> bool:
        return self.kind == "mark" and self.value == mark

    def skip(self, mark: str, what: str | None = None) -> None:
        if not self.at(mark):
            self.expected(what or f"'{mark}'")
        self.advance()

    def skip_comma(self) -> None:
        """Skips a comma between two numbers of a table, which must not look like one inside a number."""
        if self._inside_number():
            self._fail_at_comma(self._offset)
        if self.at(","):
            self.advance()

    def _inside_number(self) -> bool:
        """Whether this is a comma between two digits."""
        around = self._text[max(0, self._offset - 1) : self._offset + 2]
        return self.at(",") and re.fullmatch(r"\d,\d", around) is not None

    def _fail_at_comma(self, offset: int) -> NoReturn:
        before = re.search(r"[^\s{}\"]*\Z", self._text[:offset])
        after = re.match(r"[^\s{}\"]*", self._text[offset:])
        assert before is not None and after is not None  # both match the empty text
        self.fail(f"the comma in {shorten(before[0] + after[0])} may be a decimal comma; {_NUMBERS}", offset)

    def word(self, *choices: str, what: str) -> str:
        if self.kind != "word" or self.value not in choices:
            self.expected(what)
        value = self.value
        self.advance()
        return value

    def string(self, what: str) -> str:
        if self.kind != "string":
            self.expected(f"{what} in quotation marks")
        value = re.sub(r'\\(["\\])', r"\1", self.value[1:-1])
        self.advance()
        return value

    def optional_string(self, what: str) -> str:
        return self.string(what) if self.kind == "string" else ""

    def integer(self, what: str) -> int:
        if self.kind != "word" or not _INTEGER.fullmatch(self.value):
            self.expected(f"{what} (a whole number)")
        value = int(self.value)
        self.advance()
        if self._inside_number():
            self._fail_at_comma(self._offset)
        return value

    def at_number(self) -> bool:
        return self.kind == "word" and _NUMBER.fullmatch(self.value) is not None

    def number(self, what: str) -> float:
        """Returns an integer, decimal or ratio as the nearest double."""
        if not self.at_number():
            self.expected(f"{what} (a number such as 2, -0.5 or 1/3)")
        before = self._text[max(0, self._offset - 2) : self._offset]
        if re.fullmatch(r"\d(?:,0\d+| 0\d\d)", before + self.value.partition(".")[0]):
            self.fail(f"{shorten(self.value)} may be the end of a longer number; {_NUMBERS}")
        try:
            over, slash, under = self.value.partition("/")
            value = int(over) / int(under) if slash else float(over)
        except (ZeroDivisionError, OverflowError, ValueError):  # ValueError: digits beyond Python's limit
            value = math.inf
        if not math.isfinite(value):
            self.fail(f"{shorten(self.value)} is not a finite number")
        self.advance()
        return value

    def payoffs(self, num_players: int) -> tuple[float, ...]:
        """Reads ``p_1, .., p_N }``: the commas are optional, the number of payoffs is not.

        ``{ 1,0 }`` are two payoffs. Commas between digits are refused where the payoffs are not as many as the
        players, and where others in the list are separated by blanks: there decimal commas may be meant.
        """
        start, values, doubtful, others = self._offset, [], [], False
        while not self.at("}"):
            values.append(self.number("a payoff or '}'"))
            end = self._offset
            if self._inside_number():
                doubtful.append(end)
            if self.at(","):
                self.advance()
            others |= not self.at("}") and self._text[end : self._offset] != ","
        if doubtful and (others or len(values) != num_players):
            self._fail_at_comma(doubtful[0])
        if len(values) != num_players:
            self.fail(f"{len(values)} payoffs for {num_players} players", start)
        self.advance()
        return tuple(values)

    def finish(self) -> None:
        if self.kind != "end":
            self.expected("the end of the file: the game is complete")


def shorten(word: str) -> str:
    """Returns a word of the file as a message can show it: on one line, at most 40 characters."""
    word = word if len(word) <= 40 else word[:37] + "..."
    return word if word.isprintable() else ascii(word)


def read_header(tokens: Tokens, magic: str, version: str) -> tuple[str, tuple[str, ...]]:
    """Reads ``EFG 2 R "title" { "player" .. }`` and returns the title and the players' names."""
    tokens.word(magic, what=f"'{magic}' as the first word")
    tokens.word(version, what=f"version {version}")
    tokens.word("R", "D", what="number type R or D")
    title = tokens.string("the title")
    return title, read_names(tokens, "a player's name")


def read_names(tokens: Tokens, what: str) -> tuple[str, ...]:
    """Reads ``{ "name" .. }``, at least one; an empty name stands for its number."""
    tokens.skip("{")
    names = [tokens.string(what)]
    while not tokens.at("}"):
        names.append(tokens.string(f"'}}' or {what}"))
    tokens.advance()
    return tuple(name or str(k) for k, name in enumerate(names, start=1))


def quote(text: str) -> str:
    """Returns ``text`` in quotation marks.

    A lone backslash stays as it is, since Gambit gives it no meaning; it is doubled only where it would
    otherwise be taken for the start of an escape.
    """
    text = re.sub(r'\\+(?="|\Z)|\\{2,}', lambda run: 2 * run[0], text)
    return '"' + text.replace('"', '\\"') + '"'


def format_number(value: float) -> str:
    """Returns the shortest text that reads back as exactly this double; whole numbers without a point."""
    value = float(value)
    short = repr(value).removesuffix(".0").replace("e+", "e")  # Gambit reads 1e22, not 1e+22
    return "-0.0" if short == "-0" else short  # the sign of zero is part of the double


def format_probability(value: float) -> str:
    """Returns a small ratio where it is exactly this double (1/3, not 0.333..): those sum to 1 exactly."""
    ratio = Fraction(float(value)).limit_denominator(10_000)
    return str(ratio) if ratio.numerator / ratio.denominator == value else format_number(value)
