"""The reference information of TravelPlanner's sole-planning rows: what a plan may use, and what it costs."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from hqre_jax.bridge.tasks._literals import read_literal
from hqre_jax.core._types import InputError

_PLACES = re.compile(r"(Attractions|Restaurants|Accommodations) in (.{1,80})")
_FLIGHT = re.compile(r"Flight from (.{1,80}) to (.{1,80}) on (\d{4}-\d{2}-\d{2})")
_DRIVE = re.compile(r"(Self-driving|Taxi) from (.{1,80}) to (.{1,80})")
_COST = re.compile(r"\bcost: ?(\d{1,9}(?:\.\d{1,6})?)\b")
_NUMBER = re.compile(r"-?\d{1,9}(?:\.\d{1,20})?")
_ROOMS = ("Entire home/apt", "Private room", "Shared room", "Hotel room")
_HEADERS = {"Attractions": "Name", "Restaurants": "Name", "Accommodations": "NAME", "Flight": "Flight Number"}


class Restaurant(NamedTuple):
    """Where to eat; cost in dollars, per person and meal."""

    name: str
    cost: float
    cuisines: str


class Room(NamedTuple):
    """Where to sleep; price in dollars, per night, for up to ``guests``."""

    name: str
    price: float
    kind: str
    rules: str
    nights: float
    guests: float


class Reference(NamedTuple):
    """What is known of a trip.

    Attributes:
        attractions: Names, by city.
        restaurants: By city, in the order of the file.
        rooms: By city, in the order of the file.
        flights: Dollars per person, by (number, origin, destination, date).
        drives: Dollars per car, by ("Self-driving" or "Taxi", origin, destination).
    """

    attractions: dict[str, frozenset[str]]
    restaurants: dict[str, tuple[Restaurant, ...]]
    rooms: dict[str, tuple[Room, ...]]
    flights: dict[tuple[str, str, str, str], float]
    drives: dict[tuple[str, str, str], float]


def entries_of(value: Any, where: str) -> list[tuple[str, Any]]:
    """The entries of a row's ``reference_information``: of what, and a table as text, or records.

    Args:
        value: A list of ``{"Description": …, "Content": …}``, an object {description: content}, or either as text.
        where: File and line, for errors.

    Raises:
        InputError: It is something else.
    """
    if isinstance(value, str):
        value = read_literal(value, f"{where} 'reference_information'")
    if isinstance(value, Mapping):
        return [(str(key), content) for key, content in value.items()]
    if not isinstance(value, list) or not all(
        isinstance(e, dict) and {"Description", "Content"} <= e.keys() for e in value
    ):
        raise InputError(where, "'reference_information' is no list of objects with 'Description' and 'Content'")
    return [(str(entry["Description"]), entry["Content"]) for entry in value]


def read_reference(entries: list[tuple[str, Any]], where: str) -> Reference:
    """What a row's reference information says.

    Args:
        entries: From `entries_of`.
        where: File and line, for errors.

    Raises:
        InputError: A table has another form: of which entry.
    """
    found = Reference({}, {}, {}, {}, {})
    for description, content in entries:
        place = f"{where} {description[:80]!r}"
        if match := _PLACES.fullmatch(description):
            kind, city = match.group(1), match.group(2)
            rows = _rows(content, _HEADERS[kind], place)
            if kind == "Attractions":
                found.attractions[city] = frozenset(_attraction(row, city, place) for row in rows)
            elif kind == "Restaurants":
                found.restaurants[city] = tuple(_restaurant(row, city, place) for row in rows)
            else:
                found.rooms[city] = tuple(_room(row, city, place) for row in rows)
        elif match := _FLIGHT.fullmatch(description):
            for row in _rows(content, _HEADERS["Flight"], place):
                tokens = row.split() if isinstance(row, str) else [row.get("Flight Number"), row.get("Price")]
                if len(tokens) < 2:
                    raise InputError(place, "has a line without number and price")
                key = str(tokens[0]), match.group(1), match.group(2), match.group(3)
                found.flights[key] = _number(tokens[1], place)
        elif match := _DRIVE.fullmatch(description):
            cost = _COST.search(content) if isinstance(content, str) else None
            if cost:
                found.drives[match.group(1), match.group(2), match.group(3)] = float(cost.group(1))
        else:
            raise InputError(
                place, "is of no known kind: attractions, restaurants, accommodations, flight, drive, taxi"
            )
    return found


def _rows(content: Any, header: str, where: str) -> list[Any]:
    """The rows of a table: records as they are, or the lines below the header; none where there is no table."""
    if isinstance(content, list) and all(isinstance(row, dict) for row in content):
        return content
    if not isinstance(content, str):
        raise InputError(where, "is neither a table as text nor a list of records")
    lines = [line for line in content.split("\n") if line.strip()]
    return lines[1:] if lines and lines[0].strip().startswith(header) else []


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not _NUMBER.fullmatch(str(value)[:40]):
        raise InputError(where, f"has {str(value)[:40]!r} where a number is wanted")
    return float(value)


def spaced(text: Any) -> str:
    """Text with single spaces: columns of a table pad it."""
    return " ".join(str(text).split())


def _tokens(line: str, city: str, where: str) -> list[str]:
    """The words of a line, the city at its end left out."""
    tokens, last = line.split(), city.split()
    if tokens[-len(last) :] != last or len(tokens) == len(last):
        raise InputError(where, f"has a line that does not end in {city!r}: {spaced(line)[:60]!r}")
    return tokens[: -len(last)]


def _attraction(row: Any, city: str, where: str) -> str:
    if isinstance(row, dict):
        return spaced(row.get("Name"))
    tokens = _tokens(row, city, where)
    # Latitude and longitude follow the name, which may end in a number; longitudes of the USA are negative.
    pairs = [k for k in range(1, len(tokens) - 1) if all("." in t and _NUMBER.fullmatch(t) for t in tokens[k : k + 2])]
    if pairs:
        return " ".join(tokens[: next((k for k in pairs if tokens[k + 1].startswith("-")), pairs[0])])
    raise InputError(where, f"has a line without latitude and longitude: {spaced(row)[:60]!r}")


def _restaurant(row: Any, city: str, where: str) -> Restaurant:
    if isinstance(row, dict):
        name, cost, cuisines = row.get("Name"), row.get("Average Cost"), row.get("Cuisines")
        return Restaurant(spaced(name), _number(cost, where), spaced(cuisines))
    tokens = _tokens(row, city, where)[:-1]  # the rating
    # Cuisines have no digits: the cost is the last number before them.
    k = max((k for k, token in enumerate(tokens) if _NUMBER.fullmatch(token)), default=0)
    if k == 0:
        raise InputError(where, f"has a line without name and cost: {spaced(row)[:60]!r}")
    return Restaurant(" ".join(tokens[:k]), float(tokens[k]), " ".join(tokens[k + 1 :]))


def _room(row: Any, city: str, where: str) -> Room:
    if isinstance(row, dict):
        keys = ("price", "minimum nights", "maximum occupancy")
        price, nights, guests = (_number(row.get(key), where) for key in keys)
        kind, rules = spaced(row.get("room type")), spaced(row.get("house_rules"))
        return _some(Room(spaced(row.get("NAME")), price, kind, rules, nights, guests), where)
    tokens = _tokens(row, city, where)
    text = " ".join(tokens[:-3])
    at, kind = max((text.rfind(f" {kind}"), kind) for kind in _ROOMS)
    before = text[:at].split()
    if at < 0 or len(before) < 2 or len(tokens) < 6:
        raise InputError(where, f"has a line without name, price and room type: {spaced(row)[:60]!r}")
    price, nights, guests = (_number(token, where) for token in (before[-1], tokens[-3], tokens[-2]))
    rules = text[at + 1 + len(kind) :].strip()
    return _some(Room(" ".join(before[:-1]), price, kind, rules, nights, guests), where)


def _some(room: Room, where: str) -> Room:
    if room.guests < 1:
        raise InputError(where, f"has a room for {room.guests:g} guests: {room.name[:60]!r}")
    return room
