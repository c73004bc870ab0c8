"""The game of one state, its temperatures, its certificate: a team's game taken apart, last round first.

Where the round is seen, play never comes back to a state. Then the game is solved backwards: given what later states
are worth, each state is a game in normal form, with a margin and least temperatures of its own. If every one of them
has one HQRE, so has the whole game; if one has two, so has the whole game.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from hqre_jax.bounds import bounds
from hqre_jax.bounds._certificates import Certificate, Verdict
from hqre_jax.certificates._certify import certify
from hqre_jax.certificates._least_temperatures import least_temperatures
from hqre_jax.games import MarkovGame, NormalFormGame
from hqre_jax.problem import Problem
from hqre_jax.solving._solve import solve

# A margin that is only there to be positive, units of score.
LEAST_MARGIN = 1e-3
_STARTS = 48
# Policies nearer to each other than this in every entry are one.
_SAME = 1e-4


def stage_game(game: MarkovGame, values: Float[np.ndarray, "player state"], state: int) -> NormalFormGame:
    """The game of one state, given what the next states are worth.

    Args:
        game: A game with γ = 1.
        values: Of the states, units of payoff.
        state: Its number.
    """
    later = np.einsum("...t,it->i...", np.asarray(game.transitions[state]), values)
    mask = np.asarray(game.action_mask[:, state : state + 1])
    return NormalFormGame(np.asarray(game.payoffs[:, state]) + later, action_mask=mask)


def stage_games(game: MarkovGame, values: Float[np.ndarray, "player state"]) -> list[NormalFormGame]:
    """The game of every state; see ``stage_game``.

    Args:
        game: A game with γ = 1.
        values: Of the states, units of payoff.

    Returns:
        A game in normal form for each state, in order.

    Example:
        >>> import numpy as np
        >>> import hqre_jax as hq
        >>> from hqre_jax.bridge.coordination import stage_games
        >>> game = hq.load_game("dynamic_prisoners_dilemma")
        >>> len(stage_games(game, np.zeros((2, 2))))
        2
    """
    return [stage_game(game, values, x) for x in range(game.num_information_states)]


def backwards(game: MarkovGame) -> list[int] | None:
    """The states in an order in which those that come later in play stand first; None where play may come back."""
    shape = np.shape(game.transitions)
    leads = np.asarray(game.transitions).reshape(shape[0], -1, shape[-1]).max(1) > 0
    order, left = list[int](), set(range(shape[0]))
    while left:
        last = [x for x in sorted(left) if not any(leads[x, y] for y in left)]
        if not last:
            return None
        order += last
        left -= set(last)
    return order


@dataclass(frozen=True)
class Stagewise:
    """A game solved backwards: the HQRE on the principal branch of every state's game.

    Attributes:
        tau: Temperatures, ``(player, state)``, units of payoff.
        policy: ``(player, state, action)``.
        values: Of the states, ``(player, state)``, own entropy included.
        on_branch: Whether the principal branch was followed to its end in every state, or the HQRE is unique there.
    """

    tau: Float[np.ndarray, "player state"]
    policy: Float[np.ndarray, "player state action"]
    values: Float[np.ndarray, "player state"]
    on_branch: bool


def solve_stages(game: MarkovGame, tau: Float[np.ndarray, "player state"] | None = None) -> Stagewise | None:
    """Solve a game backwards, later states first.

    Args:
        game: A game in which play does not come back to a state.
        tau: Temperatures; None for the least ones at which every state's game has the margin ``LEAST_MARGIN``.

    Returns:
        The HQRE; None where play may come back to a state.

    Example:
        >>> import hqre_jax as hq
        >>> from hqre_jax.bridge.coordination import solve_stages
        >>> solve_stages(hq.load_game("dynamic_prisoners_dilemma")) is None
        True
    """
    order = backwards(game)
    if order is None:
        return None
    mask = np.asarray(game.action_mask)
    used, values, policy = np.ones(mask.shape[:2]), np.zeros(mask.shape[:2]), np.zeros(mask.shape)
    on_branch = True
    for x in order:
        stage = stage_game(game, values, x)
        own = np.asarray(least_temperatures(stage, margin=LEAST_MARGIN).tau) if tau is None else tau[:, x : x + 1]
        found = solve(stage, own, throw=False)
        on_branch &= str(found.selection) != "unselected"
        used[:, x], values[:, x] = own[:, 0], np.asarray(found.values)[:, 0]
        policy[:, x] = np.asarray(found.policy)[:, 0]
    return Stagewise(used, policy, values, on_branch)


@dataclass(frozen=True)
class GameCertificate:
    """What is known of the HQRE of a team's game.

    Attributes:
        verdict: "unique", "not_unique" or "undecided".
        stages: The certificate of each state's game, continuation values being those of the solution.
        reason: One sentence.

    Example:
        >>> import numpy as np
        >>> import hqre_jax as hq
        >>> from hqre_jax.bridge.coordination import GameCertificate, certify_stages
        >>> game = hq.load_game("dynamic_prisoners_dilemma")
        >>> found = certify_stages(game, np.full((2, 2), 100.0), np.zeros((2, 2)), search=False)
        >>> isinstance(found, GameCertificate), found.verdict == "undecided"
        (True, True)
    """

    verdict: Verdict
    stages: tuple[Certificate, ...]
    reason: str

    @property
    def margins(self) -> list[float | None]:
        """The margin of each state's game."""
        return [stage.margin for stage in self.stages]


def certify_stages(
    game: MarkovGame, tau: Float[np.ndarray, "player state"], values: Float[np.ndarray, "player state"],
    *, search: bool = True,
) -> GameCertificate:  # fmt: skip
    """Judge the HQRE of a team's game by the games of its states.

    Args:
        game: The game.
        tau: Temperatures.
        values: What the states are worth at an HQRE, own entropy included.
        search: Whether a second HQRE is looked for where the margin proves nothing.

    Returns:
        The verdict on the whole game, and the certificate of every state's game.

    Example:
        >>> import numpy as np
        >>> import hqre_jax as hq
        >>> from hqre_jax.bridge.coordination import certify_stages
        >>> game = hq.load_game("dynamic_prisoners_dilemma")
        >>> found = certify_stages(game, np.full((2, 2), 100.0), np.zeros((2, 2)), search=False)
        >>> found.verdict, found.reason
        (<Verdict.undecided: 'undecided'>, 'play may come back to a state')
    """
    stages = stage_games(game, values)
    found = tuple(certify(stage, tau[:, x : x + 1], num_starts=16 if search else 0) for x, stage in enumerate(stages))
    verdicts = {one.verdict for one in found}
    if Verdict.not_unique in verdicts:
        x = next(x for x, one in enumerate(found) if one.verdict == Verdict.not_unique)
        name = game.labels.information_state(0, x)
        return GameCertificate(Verdict.not_unique, found, f"the game of state “{name}” has two HQRE")
    if verdicts == {Verdict.unique} and backwards(game) is not None:
        return GameCertificate(Verdict.unique, found, "the game of every state has one HQRE, by induction from the end")
    why = "play may come back to a state" if verdicts == {Verdict.unique} else "some state's game is undecided"
    return GameCertificate(Verdict.undecided, found, why)


def stage_margins(
    game: MarkovGame, tau: Float[np.ndarray, "player state"], values: Float[np.ndarray, "player state"]
) -> Float[np.ndarray, " state"]:
    """The margin of every state's game, given what the next states are worth; units of payoff.

    Args:
        game: A game with γ = 1.
        tau: Temperatures.
        values: Of the states, units of payoff.

    Returns:
        A margin for each state; where it is positive, the state's game has one HQRE.

    Example:
        >>> import numpy as np
        >>> import hqre_jax as hq
        >>> from hqre_jax.bridge.coordination import stage_margins
        >>> game = hq.load_game("dynamic_prisoners_dilemma")
        >>> print(stage_margins(game, np.full((2, 2), 100.0), np.zeros((2, 2))))
        [98.75 95.  ]
    """
    return np.array(
        [float(bounds(Problem(stage, tau[:, x : x + 1])).margin) for x, stage in enumerate(stage_games(game, values))]
    )


def find_equilibria(
    game: NormalFormGame, tau: float | Float[np.ndarray, "player state"], *, num_starts: int = _STARTS, seed: int = 0
) -> list[Float[np.ndarray, "player state action"]]:
    """Different HQRE found from pure profiles and random policies: at least so many there are.

    Args:
        game: The game.
        tau: Temperatures.
        num_starts: Policies to start from.
        seed: Of the random ones.

    Returns:
        The policies, in the order in which they were found.

    Example:
        >>> import hqre_jax as hq
        >>> from hqre_jax.bridge.coordination import find_equilibria
        >>> game = hq.load_game("stag_hunt")
        >>> [len(find_equilibria(game, tau, num_starts=8)) for tau in (8.0, 0.5)]  # two conventions, one in between
        [1, 3]
    """
    mask, rng = np.asarray(game.action_mask), np.random.default_rng(seed)
    drawn = rng.dirichlet(np.ones(mask.shape[-1]), size=(num_starts, *mask.shape[:-1]))
    sharp = np.where(rng.random((num_starts, 1, 1, 1)) < 0.5, drawn**8, drawn)
    starts = np.where(mask, sharp + 1e-6, 0.0)
    starts /= starts.sum(-1, keepdims=True)

    def one(start):
        found = solve(game, tau, solver="newton", initial_policy=start, throw=False)
        return found.policy, found.residual

    policies, residuals = (np.asarray(part) for part in jax.vmap(one)(jnp.asarray(starts)))
    distinct = list[np.ndarray]()
    for policy, residual in zip(policies, residuals, strict=True):
        if residual <= 1e-9 and all(np.abs(policy - other).max() > _SAME for other in distinct):
            distinct.append(policy)
    return distinct
