"""Recorded games of Hanabi in the form that Hanab Live exports, played up to a position that can be asked about.

The form is documented in the site's own sources, ``misc/example_game_with_comments.jsonc`` (format 3.0.0): cards are
named by their place in the deck, and hands are dealt one player after the other.
"""

from collections import Counter
from typing import Any, NamedTuple

from hqre_jax.bridge.tasks._files import field
from hqre_jax.core._types import InputError

SUITS = ("red", "yellow", "green", "blue", "purple")
# Copies of each rank of a suit.
_COPIES = {1: 3, 2: 2, 3: 2, 4: 2, 5: 1}
_HAND_SIZES = {2: 5, 3: 5, 4: 4, 5: 4, 6: 3}
_PLAY, _DISCARD, _COLOUR_CLUE, _RANK_CLUE, _END = range(5)
_DECK = Counter({(suit, rank): copies for suit in range(len(SUITS)) for rank, copies in _COPIES.items()})


class Position(NamedTuple):
    """What somebody sees who is to move.

    Attributes:
        piles: Highest rank on the table, by suit.
        partner: Name of the next player.
        cards: That player's cards, oldest first.
        playable: Those of them that can be played.
    """

    piles: dict[str, int]
    partner: str
    cards: tuple[str, ...]
    playable: tuple[str, ...]


def telling_position(game: dict[str, Any], where: str) -> Position:
    """The last position of a game in which the next player has cards that can be played, and others.

    Args:
        game: The game as Hanab Live exports it.
        where: What it is called in messages.

    Returns:
        The position.

    Raises:
        InputError: It is of another form, breaks the rules, or has no such position.
    """
    players = field(game, "players", where, list)
    options = game.get("options", {})
    variant = options.get("variant", "No Variant") if isinstance(options, dict) else None
    if variant != "No Variant":
        raise InputError(where, f"'options' has the variant {variant!a}; games of \"No Variant\" are read")
    if len(players) not in _HAND_SIZES or not all(isinstance(name, str) for name in players):
        raise InputError(where, "'players' is not a list of two to six names")
    deck = [_card(card, where) for card in field(game, "deck", where, list)]
    if Counter(deck) != _DECK:
        raise InputError(where, f"'deck' has {len(deck)} cards that are not the 50 of the game")
    size = _HAND_SIZES[len(players)]
    hands = [list(range(k * size, (k + 1) * size)) for k in range(len(players))]
    drawn, piles, found = size * len(players), [0] * len(SUITS), None
    actions = field(game, "actions", where, list)
    for turn in range(len(actions) + 1):
        hand = hands[(turn + 1) % len(players)]
        ready = [card for card in hand if piles[deck[card][0]] + 1 == deck[card][1]]
        if 0 < len(ready) < len(hand):
            tops: dict[str, int] = dict(zip(SUITS, piles, strict=True))
            cards, playable = (tuple(_named(deck[card]) for card in some) for some in (hand, ready))
            found = Position(tops, players[(turn + 1) % len(players)], cards, playable)
        if turn == len(actions):
            break
        kind, card = _action(actions[turn], f"{where}: action {turn + 1}")
        if kind == _END:
            break
        if kind not in (_PLAY, _DISCARD):
            continue
        own = hands[turn % len(players)]
        if card not in own:
            who = players[turn % len(players)]
            raise InputError(f"{where}: action {turn + 1}", f"'target' is {card}, which is no card of {who!a}")
        own.remove(card)
        suit, rank = deck[card]
        piles[suit] += kind == _PLAY and piles[suit] + 1 == rank
        if drawn < len(deck):
            own.append(drawn)
            drawn += 1
    if found is None:
        raise InputError(where, "has no position in which the next player has cards that can be played, and others")
    return found


def _card(card: Any, where: str) -> tuple[int, int]:
    if not isinstance(card, dict):
        raise InputError(where, "'deck' has a card that is no object")
    return field(card, "suitIndex", where, int), field(card, "rank", where, int)


def _action(action: Any, where: str) -> tuple[int, int]:
    if not isinstance(action, dict):
        raise InputError(where, "is no object")
    kind = field(action, "type", where, int)
    if kind not in range(_END + 1):
        raise InputError(where, f"'type' is {kind}; it is 0 to {_END}")
    return kind, field(action, "target", where, int)


def _named(card: tuple[int, int]) -> str:
    return f"{SUITS[card[0]]} {card[1]}"
