"""Plans of days, after TravelPlanner, judged by what the row itself says."""

import datetime
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from hqre_jax.bridge.tasks._files import field
from hqre_jax.bridge.tasks._interface import Judgement
from hqre_jax.bridge.tasks._literals import canonical, find_literal, read_literal
from hqre_jax.bridge.tasks._travel_reference import Reference, Restaurant, Room, entries_of, read_reference, spaced
from hqre_jax.core._types import InputError

MEALS = ("breakfast", "lunch", "dinner")
FIELDS = ("current_city", "transportation", *MEALS, "attraction", "accommodation")
# How a plan is asked for.
PLAN_FORM = (
    "Answer with a JSON list of one object for each day, with the keys "
    + ", ".join(f'"{key}"' for key in FIELDS)
    + '. "current_city" is "from A to B" on a day of travel, else the city. "transportation" is "Flight Number: F1, '
    'from A to B", "Self-driving, from A to B" or "Taxi, from A to B". Meals and accommodation are "name, city", '
    'attractions "name, city;name, city;". What there is none of is "-".'
)
_ROUTE = re.compile(r"\bfrom\s+(.{1,80}?)\s+to\s+([^,]{1,80})")
_RULES = {
    "smoking": "No smoking",
    "parties": "No parties",
    "parities": "No parties",  # as the published file spells it in places
    "children under 10": "No children under 10",
    "visitors": "No visitors",
    "pets": "No pets",
}
_ROOM_TYPES = {"shared room": "Shared room", "private room": "Private room", "entire room": "Entire home/apt"}
_Offer = TypeVar("_Offer", Restaurant, Room)
# People in one car.
_SEATS = {"Self-driving": 5, "Taxi": 4}


class Trip(NamedTuple):
    """What a plan has to meet.

    Attributes:
        origin: City where it begins and ends.
        days: Its length.
        cities: How many cities are visited.
        dates: Of its days; empty where the row has none.
        people: How many travel.
        budget: Dollars, for all of them.
        demands: "house rule", "cuisine", "room type", "transportation"; None where nothing is demanded.
        reference: What may be used.
    """

    origin: str
    days: int
    cities: int
    dates: tuple[str, ...]
    people: int
    budget: float
    demands: Mapping[str, Any]
    reference: Reference


def read_trip(row: Mapping[str, Any], where: str) -> Trip:
    """What a row of the official file demands.

    Raises:
        InputError: A field is missing or of another form.
    """
    people, days, budget = (_count(row, key, where) for key in ("people_number", "days", "budget"))
    cities = _count(row, "visiting_city_number", where)
    if days > 30 or people > 1000 or budget > 10**9:
        raise InputError(where, f"plans {days} days for {people} people and {budget} dollars: more than a trip")
    demands = row.get("local_constraint") or {}
    if isinstance(demands, str):
        demands = read_literal(demands, f"{where} 'local_constraint'")
    if not isinstance(demands, dict):
        raise InputError(where, "'local_constraint' is no object")
    _check_demands(demands, where)
    dates = row.get("date", [])
    dates = read_literal(dates, f"{where} 'date'") if isinstance(dates, str) else dates
    if not isinstance(dates, list) or len(dates) not in (0, days) or not all(map(_is_date, dates)):
        raise InputError(where, f"'date' is no list of {days} dates, 2022-03-16 …")
    if "reference_information" not in row:
        raise InputError(where, "has no 'reference_information'; the sole-planning rows have one")
    reference = read_reference(entries_of(row["reference_information"], where), where)
    return Trip(field(dict(row), "org", where), days, cities, tuple(dates), people, budget, demands, reference)


def _count(row: Mapping[str, Any], key: str, where: str) -> int:
    value = field(dict(row), key, where, object)
    value = int(value) if isinstance(value, str) and re.fullmatch(r"\d{1,9}", value) else value
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or not 0 < value < 10**12:
        raise InputError(where, f"{key!r} is {str(value)[:40]!r}, but a positive number is wanted")
    if value != int(value):
        raise InputError(where, f"{key!r} is {value}, but a whole number is wanted")
    return int(value)


def _is_date(text: Any) -> bool:
    try:
        return bool(datetime.date.fromisoformat(text))
    except (TypeError, ValueError):
        return False


def _check_demands(demands: Mapping[str, Any], where: str) -> None:
    known = {
        "house rule": _RULES,
        "room type": ("not shared room", *_ROOM_TYPES),
        "transportation": ("no flight", "no self-driving"),
    }
    for key, values in known.items():
        if demands.get(key) is not None and str(demands[key]) not in values:
            raise InputError(where, f"{key!r} is {str(demands[key])[:40]!r}, not one of {', '.join(values)}")
    cuisines = demands.get("cuisine") or []
    if not isinstance(cuisines, list) or not all(isinstance(name, str) for name in cuisines):
        raise InputError(where, "'cuisine' is no list of words")


def judge_plan(trip: Trip, reply: str) -> Judgement:
    """Judge a plan in a reply: the last list in it, of one object for each day.

    Args:
        trip: What it has to meet.
        reply: Anything a model may have said.

    Returns:
        Score 1 where nothing speaks against it, else 0 and the first thing that does.
    """
    plan = find_literal(reply, "[")
    if not isinstance(plan, list):
        return Judgement(0.0, None, "no list of days was given")
    while plan and plan[-1] == {}:  # days that the published form fills up with
        plan.pop()
    said = canonical(plan)
    if len(plan) != trip.days or not all(isinstance(day, dict) for day in plan):
        return Judgement(0.0, said, f"not {trip.days} days, each an object")
    days = []
    for k, day in enumerate(plan, 1):
        missing = [key for key in FIELDS if not isinstance(day.get(key), str)]
        if missing:
            return Judgement(0.0, said, f"day {k} says nothing of {missing[0]}")
        days.append({key: spaced(day[key]) or "-" for key in FIELDS})
    wrong = next(_objections(trip, days), None)
    return Judgement(float(wrong is None), said, wrong or "everything fits")


Day = Mapping[str, str]


def _objections(trip: Trip, days: Sequence[Day]) -> Iterator[str]:
    """What speaks against a plan, in the order of the checks."""
    routes = [_cities(day["current_city"]) for day in days]
    yield from _route_objections(trip, routes)
    costs = list[float]()
    yield from _transport_objections(trip, days, routes, costs)
    yield from _meal_objections(trip, days, routes, costs)
    yield from _attraction_objections(trip, days, routes)
    yield from _room_objections(trip, days, routes, costs)
    if sum(costs) > trip.budget:
        yield f"{sum(costs):g} dollars are more than {trip.budget:g}"


def _bare(city: str) -> str:
    """A city without its state in brackets."""
    return city.split("(")[0].strip()


def _cities(text: str) -> list[str]:
    """Where a day is spent: one city, or the two of a journey."""
    match = _ROUTE.search(text)
    return [_bare(city) for city in match.groups()] if match else [_bare(text)]


def _route_objections(trip: Trip, routes: list[list[str]]) -> Iterator[str]:
    if len(routes[0]) != 2 or routes[0][0] != trip.origin:
        yield f"day 1 does not leave {trip.origin}"
    if routes[-1][-1] != trip.origin:
        yield f"the trip does not end in {trip.origin}"
    known = trip.reference.restaurants.keys() | trip.reference.rooms.keys() | trip.reference.attractions.keys()
    stays = [trip.origin]
    for k, route in enumerate(routes, 1):
        if route[0] != stays[-1]:
            yield f"day {k} begins in {route[0]}, where nobody is"
        if len(route) == 2:
            if route[1] in stays and not (route[1] == trip.origin and k == len(routes)):
                yield f"day {k} goes back to {route[1]}"
            if route[1] != trip.origin and route[1] not in known:
                yield f"{route[1]} is not in the reference"
            stays.append(route[1])
    if len(set(stays) - {trip.origin}) != trip.cities:
        yield f"{len(set(stays) - {trip.origin})} cities are visited, not {trip.cities}"


def _transport_objections(
    trip: Trip, days: Sequence[Day], routes: list[list[str]], costs: list[float]
) -> Iterator[str]:
    used = set[str]()
    for k, (day, route) in enumerate(zip(days, routes, strict=True), 1):
        text = day["transportation"]
        if len(route) == 1:
            if text != "-":
                yield f"day {k} travels without going anywhere"
            continue
        told = _ROUTE.search(text)
        if told and _cities(text) != route:
            yield f"the transportation of day {k} does not go from {route[0]} to {route[1]}"
        number = re.search(r"\bflight number: ?(\w{1,20})", text, re.I)
        mode = next((mode for mode in _SEATS if mode.lower() in text.lower()), None)
        if number:
            used.add("Flight")
            prices = [
                price
                for (name, *way, date), price in trip.reference.flights.items()
                if name == number[1] and way == route and (not trip.dates or date == trip.dates[k - 1])
            ]
            if not prices:
                yield f"flight {number[1]} of day {k} is not in the reference"
            costs += [price * trip.people for price in prices[:1]]
        elif mode:
            used.add(mode)
            price = trip.reference.drives.get((mode, route[0], route[1]))
            if price is None:
                yield f"{mode} on day {k} is not in the reference"
            costs.append((price or 0) * math.ceil(trip.people / _SEATS[mode]))
        else:
            yield f"day {k} names no flight number, self-driving or taxi"
    if "Self-driving" in used and len(used) > 1:
        yield "a car of one's own does not go with flights and taxis"
    banned = {"no flight": "Flight", "no self-driving": "Self-driving"}.get(trip.demands.get("transportation") or "")
    if banned in used:
        yield f"{trip.demands['transportation']} was demanded"


def _place(text: str) -> tuple[str, str]:
    """Name and city of "name, city"."""
    name, _, city = text.rpartition(",")
    return name.strip(), _bare(city)


def _meal_objections(trip: Trip, days: Sequence[Day], routes: list[list[str]], costs: list[float]) -> Iterator[str]:
    eaten, cuisines = set[tuple[str, str]](), set[str]()
    for k, (day, route) in enumerate(zip(days, routes, strict=True), 1):
        for meal in MEALS:
            if day[meal] == "-":
                if len(route) == 1:
                    yield f"day {k} has no {meal}"
                continue
            name, city = _place(day[meal])
            found = _first(trip.reference.restaurants, city, name)
            if found is None or city not in route:
                yield f"the {meal} of day {k} is not in the reference for {' or '.join(route)}"
                continue
            if (name, city) in eaten:
                yield f"{name} is eaten at twice"
            eaten.add((name, city))
            costs.append(found.cost * trip.people)
            cuisines.update([part.strip() for part in found.cuisines.split(",")] if city != trip.origin else [])
    for cuisine in trip.demands.get("cuisine") or []:
        if cuisine not in cuisines:
            yield f"nothing {cuisine} is eaten"


def _first(table: Mapping[str, Sequence[_Offer]], city: str, name: str) -> _Offer | None:
    """The first of a name: names occur twice, and the published program takes the first."""
    return next((one for one in table.get(city, ()) if one.name == name), None)


def _attraction_objections(trip: Trip, days: Sequence[Day], routes: list[list[str]]) -> Iterator[str]:
    seen = set[tuple[str, str]]()
    for k, (day, route) in enumerate(zip(days, routes, strict=True), 1):
        named = [] if day["attraction"] == "-" else [part for part in day["attraction"].split(";") if part.strip()]
        if not named and len(route) == 1:
            yield f"day {k} has no attraction"
        for name, city in map(_place, named):
            if city not in route or name not in trip.reference.attractions.get(city, ()):
                yield f"the attraction {name} of day {k} is not in the reference for {' or '.join(route)}"
            if (name, city) in seen:
                yield f"{name} is seen twice"
            seen.add((name, city))


def _room_objections(trip: Trip, days: Sequence[Day], routes: list[list[str]], costs: list[float]) -> Iterator[str]:
    stays = list[tuple[str, int]]()
    for k, (day, route) in enumerate(zip(days, routes, strict=True), 1):
        text = day["accommodation"]
        stays = [*stays[:-1], (text, stays[-1][1] + 1)] if stays and stays[-1][0] == text else [*stays, (text, 1)]
        if text == "-":
            if k < trip.days:
                yield f"day {k} has no accommodation"
            continue
        name, city = _place(text)
        room = _first(trip.reference.rooms, city, name)
        if room is None or city != route[-1]:
            yield f"the accommodation of day {k} is not in the reference for {route[-1]}"
            continue
        costs.append(room.price * math.ceil(trip.people / room.guests))
        rule, kind = trip.demands.get("house rule"), trip.demands.get("room type")
        if rule and _RULES[rule] in room.rules:
            yield f"{name} allows no {_RULES[rule].removeprefix('No ')}"
        if kind and (room.kind == "Shared room" if kind == "not shared room" else room.kind != _ROOM_TYPES[kind]):
            yield f"{name} is no {kind}"
    for text, nights in stays:
        name, city = _place(text)
        found = [room for room in trip.reference.rooms.get(city, ()) if room.name == name]
        # Of a name that occurs twice, it is not known which one is meant.
        if len(found) == 1 and nights < found[0].nights:
            yield f"{name} is let for {found[0].nights:g} nights or more"
