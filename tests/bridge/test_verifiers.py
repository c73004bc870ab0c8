"""Verifiers of answers that are more than a number: right ones in many spellings, wrong ones that look right."""

import json

import pytest

from hqre_jax.bridge.tasks import all_tasks
from hqre_jax.bridge.tasks._bargaining import bundles
from hqre_jax.bridge.tasks._interface import Item
from hqre_jax.bridge.tasks.negotiation import read_offer

TASKS = all_tasks()


def item(task, answer, **data):
    return Item(task, TASKS[task].classes[0], "test", 0, "?", answer, None, data)


KNIGHTS = item(
    "logic",
    None,
    kind="knights",
    names=["Anna", "Ben"],
    statements=[["Anna", "knave", "Ben"], ["Ben", "same", "Ben", "Anna"]],
)
SEATS = item(
    "logic",
    None,
    kind="seats",
    names=["Anna", "Ben", "Clara"],
    statements=[["left", "Ben", "Anna"], ["apart", "Anna", "Clara"]],
)
BLOCKS = item("blocksworld", None, kind="plan", names=["red", "blue"], state=[-1, 0], goal=[[0, 1]])
NEXT = item("blocksworld", None, kind="move", names=["red", "blue"], state=[-1, 0], goal=[[0, 1]])
DAY = item(
    "itinerary",
    None,
    kind="visits",
    count=2,
    budget=30,
    sights=[["zoo", 9, 12, 2, 10], ["museum", 10, 18, 3, 20], ["tower", 9, 11, 2, 25]],
)
POT = item(
    "cooking", None, kind="kitchen", names=["Ann", "Bo"], role="onions", soup="pea", missing=2, cooking=2,
    needed=3, dishes=[False, False],
)  # fmt: skip
ORDER = item("cooking", "7 onions, 12 minutes", kind="order")
HINT = item("hanabi", "red", kind="hint", cards=["red 2", "blue 2", "blue 3"], target="red 2")
CODE = item("guessing", "352", digits="12345", secret="352")
MOVES = ("unstack the blue block from the red block", "put down the blue block", "pick up the red block")

RIGHT = [
    (KNIGHTS, "Anna is a knight, Ben is a knave"),
    (KNIGHTS, "Ben is a knave and Anna is a knight."),
    (KNIGHTS, "**Anna**: knight\n**Ben**: knave"),
    (KNIGHTS, "Suppose Anna is a knave. That fails. The answer is Anna is a knight, Ben is a knave."),
    (KNIGHTS, "ANNA = Knight; BEN = Knave"),
    (KNIGHTS, "Anna is not a knave. Ben is not a knight."),
    (SEATS, "Clara, Ben, Anna"),
    (SEATS, "The order is:\n1. Clara\n2. Ben\n3. Anna"),
    (SEATS, "Clara - Ben - Anna"),
    (SEATS, "Ben must sit left of Anna. The answer is **clara, ben, anna**."),
    (SEATS, "Anna and Clara are not beside each other.\nClara, Ben, Anna"),
    (SEATS, "Anna sits to the right of Ben.\nThe first is Clara.\nThe second is Ben.\nThe third is Anna."),
    (BLOCKS, "\n".join([*MOVES, "stack the red block on the blue block"])),
    (BLOCKS, "1. Unstack blue from on top of the red block\n2. Put down blue\n3. Pick up red\n4. stack red on blue"),
    (BLOCKS, "(unstack blue red)\n(put-down blue)\n(pick-up red)\n(stack red blue)"),
    (BLOCKS, "[PLAN]\n" + "; ".join([*MOVES, "stack the red block onto the blue block"]) + "\n[PLAN END]\nstack"),
    (NEXT, "unstack the blue block from the red block"),
    (NEXT, "The answer is: Unstack blue from red."),
    (DAY, "zoo, museum"),
    (DAY, "First the zoo (9 to 11), then the museum."),
    (DAY, "1. Zoo\n2. Museum"),
    (DAY, "The tower is too dear. The answer is zoo, museum."),
    (POT, "dish"),
    (POT, "Dish."),
    (POT, "I take a **dish**"),
    (POT, "My partner fetches the onion, so the answer is dish."),
    (ORDER, "7 onions, 12 minutes"),
    (ORDER, "3 + 4 = 7. 5 + 7 = 12. The answer is 7 onions and 12 minutes."),
    (ORDER, "3 + 4 = 7 onions and 5 + 7 = 12 minutes"),
    (ORDER, "7 onions\n12 minutes"),
    (ORDER, "Onions: 7\nMinutes: 12\nGood luck!"),
    (ORDER, "The answer is 12 minutes, 7 onions."),
    (ORDER, '{"minutes": 12, "onions": 7}'),
    (ORDER, "The answer is:\n- 7 onions\n- 12 minutes"),
    (HINT, "red"),
    (HINT, "Hint: red"),
    (HINT, "The answer is **Red**."),
    (CODE, "352"),
    (CODE, "3 5 2"),
    (CODE, "3, 5, 2"),
    (CODE, "The answer is 3-5-2."),
    (CODE, "**352**"),
]
WRONG = [
    (KNIGHTS, "Anna is a knave, Ben is a knave"),
    (KNIGHTS, "Anna is a knight"),
    (KNIGHTS, "Anna and Ben are knights."),
    (KNIGHTS, "One is a knight and one is a knave."),
    (KNIGHTS, "Anna is not a knight, Ben is a knave"),
    (SEATS, "Anna, Ben, Clara"),
    (SEATS, "Clara, Ben"),
    (SEATS, "Clara, Ben, Ben, Anna, Clara, Ben"),
    (SEATS, "Anna, Clara, Ben, and Anna."),
    (BLOCKS, "stack the red block on the blue block"),
    (BLOCKS, "\n".join(MOVES)),
    (BLOCKS, "\n".join([*MOVES, "stack the red block on the green block"])),
    (BLOCKS, "\n".join([*MOVES[1:], "stack the red block on the blue block"])),
    (BLOCKS, "The goal is reached: the red block is on the blue block."),
    (NEXT, "pick up the blue block"),
    (NEXT, "unstack the red block from the blue block"),
    (DAY, "museum, zoo"),
    (DAY, "zoo, zoo"),
    (DAY, "zoo"),
    (DAY, "tower, museum"),
    (DAY, "zoo, museum, tower"),
    (POT, "onion"),
    (POT, "wait"),
    (POT, "dish or wait"),
    (POT, "not dish"),
    (ORDER, "12 onions, 7 minutes"),
    (ORDER, "19"),
    (ORDER, "7 onions"),
    (ORDER, "7 minutes, 12 onions"),
    (ORDER, "7 onions, 12 onions"),
    (ORDER, "7 onions or 8 onions, 12 minutes"),
    (ORDER, "7.5 onions, 12 minutes"),
    (HINT, "2"),
    (HINT, "blue"),
    (HINT, "red 2"),
    (CODE, "253"),
    (CODE, "3522"),
    (CODE, "355"),
    (CODE, "35"),
]


@pytest.mark.parametrize(("question", "reply"), RIGHT, ids=range(len(RIGHT)))
def test_right_answers(question, reply):
    judgement = TASKS[question.task].judge(question, reply)
    assert judgement.score == 1, judgement


@pytest.mark.parametrize(("question", "reply"), WRONG, ids=range(len(WRONG)))
def test_wrong_answers(question, reply):
    judgement = TASKS[question.task].judge(question, reply)
    assert judgement.score == 0, judgement


# A right answer may come in any of these forms.
FORMS = {
    "bare": "{}",
    "space around": "\n\n  {}  \n",
    "sentence": "{}.",
    "marked": "The answer is {}.",
    "colon": "The answer is: {}",
    "next line": "The answer is\n{}",
    "heading": "Answer: {}",
    "final": "Final answer: {}",
    "therefore": "Therefore, the final answer is {}.",
    "bold": "**{}**",
    "marked bold": "The answer is **{}**.",
    "code": "`{}`",
    "fence": "```\n{}\n```",
    "quotes": 'The answer is "{}".',
    "of GSM8K": "#### {}",
    "of MATH": "So it is $\\boxed{{\\text{{{}}}}}$.",
    "thoughts before": "Let me think step by step.\nFirst I read the question.\nThe answer is {}.",
    "wishes after": "The answer is {}.\n\nI hope this helps!",
    "HTML": "<b>{}</b>",
    "terminal": "\x1b[1m{}\x1b[0m",
    "Windows": "The answer is {}.\r\n",
    "next turn": "The answer is {}.<|im_end|>\n<|im_start|>user\nThanks",
}


@pytest.mark.parametrize("form", [*FORMS, "capitals", "JSON", "JSON, lines", "list"])
def test_right_answers_in_every_form(form):
    """Of every class of every task."""
    for task in TASKS.values():
        for task_class in task.classes:
            for question in task.items(task_class, "test", 2):
                assert question.answer is not None
                lines = question.answer.split("\n" if task.name == "blocksworld" else ", ")
                reply = {
                    "capitals": question.answer.upper(),
                    "JSON": json.dumps({"answer": question.answer}),
                    "JSON, lines": json.dumps({"answer": "\n".join(lines)}),
                    "list": "\n".join(["**Answer:**", "", *(f"* {line}" for line in lines)]),
                }.get(form) or FORMS[form].format(question.answer)
                judgement = task.judge(question, reply)
                assert judgement.score == 1, (question, reply, judgement)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ("I take 1 book, 0 hats, 2 balls.", (1, 0, 2)),
        ("I take one book and two balls; you take the hats", (1, 0, 2)),
        ("I'd like all the balls and a book.", (1, 0, 2)),
        ("**accept**", "accept"),
        ("I agree!", "accept"),
        ("It's a deal", "accept"),
        ("I do not accept. I take 2 balls", (0, 0, 2)),
        ("I take 7 books", None),
        ("I take everything", None),
        ("You take 2 balls", None),
        ("", None),
        ("\ud800", None),
    ],
)
def test_offers(reply, said):
    assert read_offer(reply, (1, 3, 2)) == said
    assert said is None or said == "accept" or said in bundles((1, 3, 2))
