"""Next ranks, playable cards, telling hints, and whole plays of a little Hanabi."""

import random
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hqre_jax.bridge.tasks import _hanabi as engine
from hqre_jax.bridge.tasks._files import json_document
from hqre_jax.bridge.tasks._generated import AbstractGeneratedTask, Draft
from hqre_jax.bridge.tasks._hanabi_record import telling_position
from hqre_jax.bridge.tasks._interface import (
    AbstractDialogue,
    AbstractInteractiveTask,
    Item,
    Judgement,
    Partner,
)
from hqre_jax.bridge.tasks._judging import judge_choice, judge_number
from hqre_jax.bridge.tasks._replies import find_choice, plain_text, stated_answer
from hqre_jax.core._types import InputError

_COLOURS = ("red", "blue", "green", "yellow", "white")
_NAMES = ("Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Hugo")
_RANKS = ("1", "2", "3", "4", "5")
_MOVE = re.compile(r"\b(play|discard|hint)\W{0,3}(?:card|rank|colour|color)?\s{0,2}(\d|red|yellow)\b", re.I)


class Hanabi(AbstractGeneratedTask, AbstractInteractiveTask):
    """Questions about piles and hands, and plays of OpenSpiel's Hanabi with two colours and two ranks.

    Played, the score is points over the most that full knowledge of the deck would reach with the same partner. A
    reply that is no legal move is the last one of the list that is shown.
    """

    name = "hanabi"
    domain = "coordination"
    after = "Hanabi"
    verifier = "exact rules; hints are right if they touch that card only; played: points over the most possible"
    official = (
        "JSON: a game as Hanab Live exports it, or a list of them, without variants: "
        '{"players": […], "deck": [{"suitIndex": …, "rank": …}, …], "actions": [{"type": …, "target": …}, …]}'
    )
    classes = ("next_rank", "playable", "hint", "play")
    interactive = ("play",)
    partners = ("scripted", "model")

    def draw(self, task_class: str, rng: random.Random) -> Draft:
        """See `AbstractGeneratedTask`."""
        return {"next_rank": _next_rank, "playable": _playable, "hint": _hint, "play": _play}[task_class](rng)

    def judge(self, item: Item, reply: str) -> Judgement:
        """See `AbstractTask`."""
        assert item.answer is not None
        if item.data["kind"] == "number":
            return judge_number(reply, item.answer)
        if item.data["kind"] == "card":
            return judge_choice(reply, item.answer, item.data["cards"])
        if item.data["kind"] == "position":
            found = find_choice(reply, item.data["cards"])
            ready = item.data["playable"]
            return Judgement(float(found in ready), found, f"{', '.join(ready)} can be played; named was {found}")
        found = find_choice(reply, [*_COLOURS, *_RANKS])
        if found is None:
            return Judgement(0.0, None, "not one colour or rank was named")
        touched = [card for card in item.data["cards"] if found in card.split()]
        score = float(touched == [item.data["target"]])
        return Judgement(score, found, f"{found} touches {', '.join(touched) or 'nothing'}")

    def begin(self, item: Item, partner: Partner = "scripted") -> AbstractDialogue:
        """See `AbstractInteractiveTask`; needs OpenSpiel."""
        if "deck" not in item.data:
            raise InputError(
                "item", f"is of {item.task}/{item.task_class}: only {', '.join(self.interactive)} is played"
            )
        return _Play(item.data, partner == "scripted")

    def load(self, path: str | Path) -> list[Item]:
        """See `AbstractTask`; recorded games are asked about one-shot, at the last position that tells cards apart."""
        document, items = json_document(path), []
        for k, game in enumerate(document if isinstance(document, list) else [document]):
            where = f"{path}: game {k + 1}"
            if not isinstance(game, dict):
                raise InputError(where, "is not an object")
            seen = telling_position(game, where)
            question = (
                f"Hanabi. {_say_piles(seen.piles)} Your partner {seen.partner} holds {', '.join(seen.cards[:-1])} and "
                f"{seen.cards[-1]}. Which card can be played?"
            )
            data = {"kind": "position", "cards": list(seen.cards), "playable": list(seen.playable)}
            items.append(Item(self.name, "official", "test", k, question, seen.playable[0], None, data))
        return items


def _next_rank(rng: random.Random) -> Draft:
    piles = {colour: rng.randint(0, 4) for colour in rng.sample(_COLOURS, 3)}
    asked = rng.choice(sorted(piles))
    rank = piles[asked] + 1
    question = f"Hanabi. {_say_piles(piles)} Which rank is played next on the {asked} pile?"
    solution = f"The {asked} pile shows {piles[asked]}. {piles[asked]} + 1 = {rank}. The answer is {rank}."
    return Draft([piles, asked], question, f"{rank}", solution, {"kind": "number"})


def _playable(rng: random.Random) -> Draft:
    piles = {colour: rng.randint(0, 4) for colour in rng.sample(_COLOURS, 3)}
    best = rng.choice(sorted(piles))
    others = [(c, r) for c, top in piles.items() for r in range(1, 6) if r != top + 1]
    cards = [f"{c} {r}" for c, r in [(best, piles[best] + 1), *rng.sample(others, 2)]]
    answer = cards[0]
    cards = rng.sample(cards, 3)
    question = (
        f"Hanabi. {_say_piles(piles)} You hold {', '.join(cards[:-1])} and {cards[-1]}. Which card can be played?"
    )
    steps = [f"The {colour} pile wants {top + 1}." for colour, top in piles.items()]
    data = {"kind": "card", "cards": cards}
    return Draft([piles, sorted(cards)], question, answer, f"{' '.join(steps)} The answer is {answer}.", data)


def _hint(rng: random.Random) -> Draft:
    while True:
        cards = list({f"{rng.choice(_COLOURS)} {rng.choice(_RANKS)}": None for _ in range(3)})
        target = rng.choice(cards)
        telling = [word for word in target.split() if sum(word in card.split() for card in cards) == 1]
        if len(cards) == 3 and len(telling) == 1:
            break
    question = (
        f"Hanabi. Your partner holds {', '.join(cards[:-1])} and {cards[-1]}. A hint names one colour or one rank and "
        f"touches every such card. Which hint touches the {target} and no other card?"
    )
    steps = [f"{word.capitalize()} touches {sum(word in card.split() for card in cards)}." for word in target.split()]
    data = {"kind": "hint", "cards": cards, "target": target}
    return Draft([sorted(cards), target], question, telling[0], f"{' '.join(steps)} The answer is {telling[0]}.", data)


def _play(rng: random.Random) -> Draft:
    """The deck of a whole play. One-shot: which of the partner's two cards can be played first?"""
    cards = [f"{c[0].upper()}{r}" for c in engine.COLOURS for r, n in engine.COPIES.items() for _ in range(n)]
    while True:
        deck = rng.sample(cards, len(cards))
        # The players' first hands are dealt in turn; the second one's is what the first one sees.
        seen = deck[engine.HAND_SIZE : 2 * engine.HAND_SIZE]
        playable = [card for card in seen if card[1] == "1"]
        if len(playable) == 1:
            break
    named = {c[0].upper(): c for c in engine.COLOURS}
    cards = [f"{named[card[0]]} {card[1]}" for card in seen]
    answer = f"{named[playable[0][0]]} {playable[0][1]}"
    question = (
        f"Hanabi begins: nothing lies on the piles. Your partner {rng.choice(_NAMES)} holds {' and '.join(cards)}. "
        "Which can be played?"
    )
    solution = f"Every pile wants 1. The answer is {answer}."
    return Draft(
        deck, f"{question} (Deck {_number(deck)}.)", answer, solution, {"kind": "card", "cards": cards, "deck": deck}
    )


def _number(deck: list[str]) -> int:
    """A number that names a deck, so that plays that begin alike are told apart."""
    return sum(("R1", "R2", "Y1", "Y2").index(card) * 4**k for k, card in enumerate(deck))


def _say_piles(piles: Mapping[str, int]) -> str:
    return " ".join(f"The {colour} pile shows {top}." for colour, top in piles.items())


class _Play(AbstractDialogue):
    """One play of OpenSpiel's Hanabi."""

    def __init__(self, data: Mapping[str, Any], scripted: bool):
        self.deck, self.scripted = data["deck"], scripted
        self.state = engine.begin(self.deck)
        self.best, self.way = engine.best_way(self.state, self.deck, scripted)
        self.said: list[str] = []
        self.plan = list(self.way)

    @property
    def turn(self) -> int:
        """See `AbstractDialogue`."""
        return self.state.current_player()

    def observe(self) -> str:
        """See `AbstractDialogue`."""
        seen = engine.view(self.state)
        known = [f"card {k}: {_say_known(card)}" for k, card in enumerate(seen.known, 1)]
        lines = [
            f"Hanabi. {_say_piles(seen.fireworks)} Lives: {seen.lives}. Hints left: {seen.hints}. Deck: {seen.deck}.",
            f"Your partner holds {' and '.join(f'{colour} {rank}' for colour, rank in seen.partner)}.",
            f"You know of your own: {'; '.join(known)}.",
            *self.said[-2:],
            f"Choose one: {', '.join(' '.join(move) for move in engine.moves(self.state))}.",
        ]
        return "\n".join(lines)

    def act(self, reply: str) -> None:
        """See `AbstractDialogue`; a reply that is no legal move is the last one of the list."""
        text = plain_text(reply)
        stated = stated_answer(text)
        found = [(m[1].lower(), m[2].lower()) for m in _MOVE.finditer(text if stated is None else stated)]
        legal = engine.moves(self.state)
        move = next((move for move in found if move in legal), list(legal)[-1])
        self._move(move)
        self.plan = self.plan[1:] if self.plan and self.plan[0] == move else []
        while self.scripted and not self.done and self.state.current_player() == 1:
            self._move(engine.partner_move(self.state))

    def _move(self, move: engine.Move) -> None:
        self.said.append(f"Agent {self.turn + 1}: {' '.join(move)}.")
        self.state.apply_action(engine.moves(self.state)[move])
        engine.deal(self.state, self.deck)

    @property
    def done(self) -> bool:
        """See `AbstractDialogue`."""
        return self.state.is_terminal()

    def judgement(self) -> Judgement:
        """See `AbstractDialogue`."""
        points = int(self.state.returns()[0])
        return Judgement(
            points / self.best if self.best else 1.0, str(points), f"{points} points of {self.best} possible"
        )

    def scripted_reply(self, player: str, rng: random.Random) -> str:
        """Player "perfect" knows the deck; "random" makes any legal move."""
        legal = list(engine.moves(self.state))
        return " ".join(self.plan[0] if player == "perfect" and self.plan else rng.choice(legal))


def _say_known(card: tuple[str, str]) -> str:
    colours = " or ".join(c for c in engine.COLOURS if c[0].upper() in card[0])
    return f"{colours}, {' or '.join(card[1])}"
