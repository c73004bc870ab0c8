"""TravelPlanner's rows of sole planning: read in all their forms, and plans judged by them."""

import copy
import json
from typing import Any

import pytest

import hqre_jax as hq
from hqre_jax.bridge.tasks import all_tasks

ITINERARY = all_tasks()["itinerary"]
REFERENCE = {
    "Attractions in Orrin": "          Name  Latitude  Longitude     Address  Phone Website  City\n"
    "Museum of Tin 4.5      42.25    -89.125 1 Main St, O   12     x.y Orrin\n"
    "          Park  42.5000    -89.500    Elm St 2   13     x.z Orrin",
    "Restaurants in Orrin": "   Name  Average Cost      Cuisines  Aggregate Rating  City\n"
    "Cafe 34            10    Tea, Pizza               4.9 Orrin\n"
    "   Dine            20 Fast Food, BBQ               0.0 Orrin\n"
    "    Dot            30       Indian               3.0 Orrin\n"
    "    Ely            15       French               3.0 Orrin\n"
    "   Dine           900       French               3.0 Orrin",
    "Accommodations in Orrin": "NAME  price  room type  house_rules  minimum nights  maximum occupancy  review  city\n"
    "Private room, East 2 100.0 Private room No smoking & No pets 2.0 2 4.0 Orrin\n"
    "Loft 250.0 Entire home/apt No parties 1.0 4 3.0 Orrin\n"
    "Bunk 40.0 Shared room No visitors 3.0 1 3.0 Orrin",
    "Flight from Ayr to Orrin on 2022-03-16": "Flight Number Price DepTime ArrTime\nF100 50 15:40 17:04",
    "Flight from Orrin to Ayr on 2022-03-18": "Flight Number Price DepTime ArrTime\nF200 60 15:40 17:04",
    "Self-driving from Ayr to Orrin": "self-driving, from Ayr to Orrin, duration: 9 h, distance: 1,057 km, cost: 52",
    "Self-driving from Orrin to Ayr": "self-driving, from Orrin to Ayr, duration: 9 h, distance: 1,057 km, cost: 52",
    "Taxi from Ayr to Orrin": "taxi, from Ayr to Orrin, duration: 9 h, distance: 105 km, cost: 105",
    "Taxi from Orrin to Ayr": "No valid information.",
}
ROW = {
    "org": "Ayr",
    "dest": "Orrin",
    "days": 3,
    "visiting_city_number": 1,
    "date": "['2022-03-16', '2022-03-17', '2022-03-18']",
    "people_number": 3,
    # Flights 3 * 110, meals 3 * 75, two nights in two rooms of 100.
    "budget": 330 + 225 + 400,
    "local_constraint": "{'house rule': None, 'cuisine': ['Pizza'], 'room type': 'private room'}",
    "query": "Three days in Orrin.",
    "reference_information": repr([{"Description": key, "Content": text} for key, text in REFERENCE.items()]),
}
ROOM = "Private room, East 2, Orrin"
PLAN = [
    {
        "days": 1,
        "current_city": "from Ayr to Orrin",
        "transportation": "Flight Number: F100, from Ayr to Orrin, Departure Time: 15:40",
        "breakfast": "-",
        "attraction": "-",
        "lunch": "-",
        "dinner": "Dot, Orrin",
        "accommodation": ROOM,
    },
    {
        "days": 2,
        "current_city": "Orrin",
        "transportation": "-",
        "breakfast": "Cafe 34, Orrin",
        "attraction": "Museum of Tin 4.5, Orrin;Park, Orrin(Ohio);",
        "lunch": "Dine, Orrin",
        "dinner": "Ely, Orrin",
        "accommodation": ROOM,
    },
    {
        "days": 3,
        "current_city": "from Orrin to Ayr",
        "transportation": "Flight Number: F200, from Orrin to Ayr",
        "breakfast": "-",
        "attraction": "-",
        "lunch": "-",
        "dinner": "-",
        "accommodation": "-",
    },
]
CAR = ({"transportation": "Self-driving, from Ayr to Orrin"}, {}, {"transportation": "Self-driving, from Orrin to Ayr"})


def load(tmp_path, **changes):
    (tmp_path / "trips.jsonl").write_text(json.dumps(ROW | changes))
    return ITINERARY.load(tmp_path / "trips.jsonl")


def judged(item, *changes):
    plan = [day | change for day, change in zip(PLAN, [*changes, {}, {}, {}], strict=False)]
    return ITINERARY.judge(item, f"My plan [final]:\n```json\n{json.dumps(plan)}\n```")


def test_a_right_plan_in_many_forms(tmp_path):
    [item] = load(tmp_path)
    assert (item.task_class, item.split, item.answer) == ("official", "test", None)
    assert "Three days in Orrin." in item.question
    assert "Cafe 34" in item.question
    assert judged(item).score == 1
    for reply in (repr(PLAN), json.dumps({"plan": PLAN}), json.dumps([*PLAN, {}, {}, {}, {}])):
        assert ITINERARY.judge(item, reply).score == 1, reply
    # Records instead of tables, as in the file of the training rows.
    records: dict[str, Any] = dict(REFERENCE)
    records["Attractions in Orrin"] = [{"Name": "Museum of Tin 4.5"}, {"Name": "Park"}]
    records["Restaurants in Orrin"] = [
        {"Name": name, "Average Cost": cost, "Cuisines": "Tea, Pizza"}
        for name, cost in (("Cafe 34", 10), ("Dine", 20), ("Dot", 30), ("Ely", 15))
    ]
    records["Accommodations in Orrin"] = [
        {
            "NAME": ROOM[:-7],
            "price": 100.0,
            "room type": "Private room",
            "house_rules": "No pets",
            "minimum nights": 2.0,
        }
        | {"maximum occupancy": 2}
    ]
    records["Flight from Ayr to Orrin on 2022-03-16"] = [{"Flight Number": "F100", "Price": 50}]
    [item] = load(tmp_path, reference_information=records, local_constraint=None, date=[])
    assert judged(item).score == 1


@pytest.mark.parametrize(
    ("row", "plan", "reason"),
    [
        ({"budget": 954}, (), "955 dollars are more than 954"),
        ({}, ({"current_city": "from Oban to Orrin"},), "does not leave Ayr"),
        ({}, ({}, {}, {"current_city": "from Orrin to Oban"}), "does not end in Ayr"),
        ({}, ({}, {"current_city": "Oban"}), "day 2 begins in Oban"),
        ({"visiting_city_number": 2}, (), "1 cities are visited, not 2"),
        ({}, ({"transportation": "-"},), "day 1 names no flight"),
        ({}, ({"transportation": "Flight Number: F200, from Ayr to Orrin"},), "F200 of day 1 is not in the reference"),
        ({"date": ["2022-03-15", "2022-03-17", "2022-03-18"]}, (), "F100 of day 1 is not in the reference"),
        ({}, ({"transportation": "Flight Number: F100, from Ayr to Oban"},), "does not go from Ayr to Orrin"),
        ({}, ({}, {}, {"transportation": "Taxi, from Orrin to Ayr"}), "Taxi on day 3 is not in the reference"),
        ({}, CAR[:1], "a car of one's own"),
        ({"local_constraint": {"transportation": "no self-driving"}}, CAR, "no self-driving was demanded"),
        ({"local_constraint": {"transportation": "no flight"}}, (), "no flight was demanded"),
        ({}, ({}, {"lunch": "-"}), "day 2 has no lunch"),
        ({}, ({}, {"lunch": "Diner, Orrin"}), "lunch of day 2 is not in the reference"),
        ({}, ({}, {"lunch": "Dot, Orrin"}), "Dot is eaten at twice"),
        ({"local_constraint": {"cuisine": ["Mexican"]}}, (), "nothing Mexican is eaten"),
        ({}, ({}, {"attraction": "-"}), "day 2 has no attraction"),
        ({}, ({}, {"attraction": "Zoo, Orrin;"}), "attraction Zoo of day 2"),
        ({}, ({}, {"attraction": "Park, Orrin;Park, Orrin"}), "Park is seen twice"),
        ({}, ({"accommodation": "-"},), "day 1 has no accommodation"),
        ({}, ({"accommodation": "Ritz, Orrin"},), "accommodation of day 1 is not in the reference"),
        ({"local_constraint": {"house rule": "pets"}}, (), "allows no pets"),
        ({"local_constraint": {"room type": "entire room"}}, (), "is no entire room"),
        (
            {"local_constraint": {"room type": "not shared room"}},
            ({"accommodation": "Bunk, Orrin"},),
            "is no not shared",
        ),
        ({"local_constraint": None}, ({"accommodation": "Loft, Orrin"},), "is let for 2 nights or more"),
        ({}, ({"lunch": 3},), "day 1 says nothing of lunch"),
    ],
)
def test_what_speaks_against_a_plan(tmp_path, row, plan, reason):
    [item] = load(tmp_path, **row)
    found = judged(item, *plan)
    assert found.score == 0
    assert reason in found.reason


def test_a_car_costs_by_five_people(tmp_path):
    meals_and_rooms = 6 * 75 + 2 * 3 * 100
    for people, budget, score in ((6, meals_and_rooms + 2 * 2 * 52, 1), (6, meals_and_rooms + 2 * 2 * 52 - 1, 0)):
        [item] = load(tmp_path, people_number=people, budget=budget)
        assert judged(item, *CAR).score == score


@pytest.mark.parametrize("reply", ["", "no", "[]", "[" * 30_000, "[1, 2, 3]", json.dumps(PLAN[:2]), "[{}]"])
def test_replies_that_are_no_plan(tmp_path, reply):
    [item] = load(tmp_path)
    assert ITINERARY.judge(item, reply).score == 0


def without(key):
    row = copy.deepcopy(ROW)
    del row[key]
    return row


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (without("reference_information"), ":1: has no 'reference_information'"),
        (without("org"), ":1: has no 'org'"),
        (ROW | {"days": "three"}, ":1: 'days' is 'three'"),
        (ROW | {"days": float("nan")}, ":1: 'days' is 'nan'"),
        (ROW | {"people_number": 10**6}, "more than a trip"),
        (ROW | {"date": "2022"}, "is no list of 3 dates"),
        (ROW | {"local_constraint": "{'room type': 'castle'}"}, "'room type' is 'castle'"),
        (ROW | {"local_constraint": "open('x')"}, "is not a literal"),
        (ROW | {"local_constraint": {"cuisine": "Pizza"}}, "'cuisine' is no list"),
        (ROW | {"reference_information": "[" * 10_000}, "is not Python"),
        (ROW | {"reference_information": [3]}, "is no list of objects"),
        (ROW | {"reference_information": {"Zoos in Orrin": ""}}, "is of no known kind"),
        (
            ROW | {"reference_information": {"Restaurants in Orrin": "Name\nCafe 34 Tea 4.9 Elsewhere"}},
            "end in 'Orrin'",
        ),
        (ROW | {"reference_information": {"Restaurants in Orrin": "Name\nCafe Orrin"}}, "without name and cost"),
        (ROW | {"reference_information": {"Accommodations in Orrin": "NAME\nLoft 1 2 3 Orrin"}}, "room type"),
        (ROW | {"reference_information": {"Attractions in Orrin": "Name\nPark Orrin"}}, "latitude"),
        (
            ROW | {"reference_information": {"Flight from A to B on 2022-03-16": [{"Price": "1e999999999"}]}},
            "'1e999999999' where a number",
        ),
    ],
)
def test_other_rows_are_refused_in_one_line(tmp_path, row, said):
    (tmp_path / "trips.jsonl").write_text(json.dumps(row))
    with pytest.raises(hq.InputError, match=said) as caught:
        ITINERARY.load(tmp_path / "trips.jsonl")
    assert "\n" not in str(caught.value)
    assert "trips.jsonl:1" in str(caught.value)
