"""OpenSpiel's Hanabi with a known deck: what a player sees, a scripted partner, and the best that can be reached."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from hqre_jax.core._types import InputError

COLOURS, RANKS, HAND_SIZE = ("red", "yellow"), 2, 2
GAME = f"hanabi(players=2,colors=2,ranks={RANKS},hand_size={HAND_SIZE},max_information_tokens=3,max_life_tokens=2)"
# Copies of each rank of a colour.
COPIES = {1: 3, 2: 1}
# States that the search for the best result visits at most; with this little game it ends far before.
_MOST_STATES = 20_000

# A move in words: what is done, and which card (from 1 on), colour or rank.
Move = tuple[str, str]


class View(NamedTuple):
    """What a player sees.

    Attributes:
        fireworks: Highest rank on the table, by colour.
        lives: Life tokens.
        hints: Information tokens.
        partner: The partner's cards, oldest first.
        known: For each own card, oldest first: possible colours and ranks.
        partner_known: The same of the partner's cards.
        deck: Number of cards left to draw.
    """

    fireworks: dict[str, int]
    lives: int
    hints: int
    partner: list[tuple[str, int]]
    known: list[tuple[str, str]]
    partner_known: list[tuple[str, str]]
    deck: int


def begin(deck: Sequence[str]) -> Any:
    """A game in which cards are drawn in the order of ``deck`` ("R1", …).

    Raises:
        InputError: OpenSpiel is not installed, or was built without Hanabi.
    """
    try:
        import pyspiel

        state = pyspiel.load_game(GAME).new_initial_state()
    except ImportError:
        raise InputError("open_spiel", "is not installed: pip install 'hqre-jax[open-spiel]'") from None
    except RuntimeError:
        raise InputError("open_spiel", "was built without Hanabi; its wheels from PyPI have it") from None
    return deal(state, deck)


def deal(state: Any, deck: Sequence[str]) -> Any:
    """Let chance draw the next cards of the deck until somebody is to move."""
    while state.is_chance_node():
        drawn = len(deck) - _cards_left(state)
        wanted = f"(Deal {deck[drawn]})"
        state.apply_action(next(a for a in state.legal_actions() if state.action_to_string(a) == wanted))
    return state


def _cards_left(state: Any) -> int:
    return int(str(state).split("Deck size: ")[1].split()[0])


def moves(state: Any) -> dict[Move, int]:
    """The legal moves in words, with their numbers; plays first, then discards, then hints."""
    named: dict[Move, int] = {}
    for action in state.legal_actions():
        words = state.action_to_string(action).strip("()").split()
        if words[0] in ("Play", "Discard"):
            named[words[0].lower(), str(int(words[1]) + 1)] = action
        else:
            what = words[-1]
            named["hint", next((c for c in COLOURS if c[0].upper() == what), what)] = action
    order = ("play", "discard", "hint")
    return dict(sorted(named.items(), key=lambda pair: (order.index(pair[0][0]), pair[0][1])))


def view(state: Any) -> View:
    """What the player to move sees."""
    text = state.observation_string(state.current_player())
    fields = dict(line.split(": ", 1) for line in text.split("\n") if ": " in line)
    hands = text.split("Hands:\n")[1].split("\nDeck size")[0].replace("Cur player\n", "").split("-----\n")
    rows = [[line.split(" || ") for line in hand.strip().split("\n") if line.strip()] for hand in hands]
    own, other = sorted(rows, key=lambda hand: hand[0][0] != "XX") if rows[0] and rows[1] else rows
    names = {colour[0].upper(): colour for colour in COLOURS}
    return View(
        {names[pile[0]]: int(pile[1]) for pile in fields["Fireworks"].split()},
        int(fields["Life tokens"]),
        int(fields["Info tokens"]),
        [(names[card[0]], int(card[1])) for card, _ in other],
        [_possible(known) for _, known in own],
        [_possible(known) for _, known in other],
        _cards_left(state),
    )


def _possible(known: str) -> tuple[str, str]:
    """Colours and ranks that a card may have, from "XX|RY12"."""
    possible = known.split("|")[1]
    return "".join(c for c in possible if c.isalpha()), "".join(c for c in possible if c.isdigit())


def partner_move(state: Any) -> Move:
    """What the scripted partner does: play what is surely playable, hint at what is, else discard the oldest card."""
    seen, legal = view(state), moves(state)
    for k, (colours, ranks) in enumerate(seen.known, 1):
        if all(seen.fireworks[name] + 1 == int(r) for name in COLOURS if name[0].upper() in colours for r in ranks):
            return "play", str(k)
    for (colour, rank), (colours, ranks) in zip(seen.partner, seen.partner_known, strict=True):
        if seen.fireworks[colour] + 1 == rank:
            for hint in [str(rank)] * (len(ranks) > 1) + [colour] * (len(colours) > 1):
                if ("hint", hint) in legal:
                    return "hint", hint
    return next((move for move in legal if move[0] == "discard"), list(legal)[-1])


def best_way(state: Any, deck: Sequence[str], scripted: bool) -> tuple[int, tuple[Move, ...]]:
    """The most points that can be reached, and the free players' moves that reach them.

    Everybody who is free to move knows all cards; depth-first, and done where nothing better is possible.

    Args:
        state: Somebody free is to move.
        deck: The deck.
        scripted: Whether the second player is the scripted partner.

    Returns:
        Points and moves.
    """
    top, seen = len(COLOURS) * RANKS, dict[str, tuple[int, tuple[Move, ...]]]()

    def search(here: Any) -> tuple[int, tuple[Move, ...]]:
        if here.is_terminal():
            return int(here.returns()[0]), ()
        name = f"{here.current_player()}{here}" if scripted else _without_hints(here)
        if name in seen or len(seen) > _MOST_STATES:
            return seen.get(name, (0, ()))
        legal, found = moves(here), (-1, ())
        follows = scripted and here.current_player() == 1
        for move in [partner_move(here)] if follows else legal if scripted else _telling(here, legal):
            child = here.clone()
            child.apply_action(legal[move])
            points, way = search(deal(child, deck))
            if points > found[0]:
                found = points, way if follows else (move, *way)
            if points == top:
                break
        seen[name] = found
        return found

    return search(state)


def _without_hints(state: Any) -> str:
    """A state as it is for players who know all cards."""
    return f"{state.current_player()}{re.sub(r'[|][A-Z0-9|]*', '', str(state))}"


def _telling(state: Any, legal: dict[Move, int]) -> list[Move]:
    """The moves between which players choose who know all cards: to them, every hint is a pass, and so is a misplay."""
    fireworks = view(state).fireworks
    own = [line for line in _hand(state) if line]
    kept = []
    for move in legal:
        if move[0] == "play":
            card = own[int(move[1]) - 1]
            name = next(colour for colour in COLOURS if colour[0].upper() == card[0])
            if fireworks[name] + 1 != int(card[1]):
                continue
        if move[0] != "hint" or not any(other[0] == "hint" for other in kept):
            kept.append(move)
    return kept or list(legal)


def _hand(state: Any) -> list[str]:
    """The cards of the player to move, as nobody at the table sees them."""
    hands = str(state).split("Hands:\n")[1].split("\nDeck size")[0].split("-----\n")
    mine = next(hand for hand in hands if "Cur player" in hand)
    return [line[:2] for line in mine.replace("Cur player\n", "").strip().split("\n")]
