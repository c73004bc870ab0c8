"""What every game can do: say what each action is worth when everybody follows a policy."""

import abc
from typing import Any, ClassVar, NamedTuple, TypeGuard

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from hqre_jax.core._input import Continuation as Continuation
from hqre_jax.core._module import AbstractModule
from hqre_jax.core._namespace import Array, namespace
from hqre_jax.core._types import ActionMask, ActionValues, Labels, LogPolicy, PerPlayer, Scalar, StateValues
from hqre_jax.games._pairwise import PairwisePayoffs
from hqre_jax.games._simulator import AbstractSimulator


class Evaluation(NamedTuple):
    """A policy's worth, in units of payoff.

    Attributes:
        action_values: ``Q_i^π(x, a)``, 0 at padded entries.
        values: ``E_{b_i(w|x)} V_i^π(w)``, the current regularisation under ``E`` included.
        initial_values: ``E_{w~ν} V_i^π(w)`` per player.
        reach: ``P_i(x)``: probability of the information state (trees, γ = 0), or its normalised discounted
            occupancy ``(1−γ) Σ_t γ^t P(x_t = x)``; with γ = 1 the expected number of visits.
        continuation: Values ``(player, target)`` one backup later, at the states that transitions lead to;
            of size 0 where play ends at once.

    Example:
        >>> import hqre_jax as hq
        >>> problem = hq.Problem(hq.load_game("stag_hunt"), 8.0)
        >>> worth = problem.evaluate(problem.log_reference)
        >>> print(worth.action_values[0], worth.values[0].round(3))
        [[5.5 6.5]] [6.]
    """

    action_values: ActionValues
    values: StateValues
    initial_values: PerPlayer
    reach: StateValues
    continuation: Float[Array, "player target"]


class MarkovStages(NamedTuple):
    """A stochastic game whose states all players see.

    Attributes:
        payoffs: ``payoffs[i, s, a_1, …, a_N]`` per period.
        transitions: ``transitions[s, a_1, …, a_N, s']``.
        discount: γ.
    """

    payoffs: Float[Array, "player state *actions"]
    transitions: Float[Array, "state *actions next"]
    discount: Scalar


class AbstractGame(AbstractModule):
    """A discounted incomplete-information Markov game, seen only through the values of its actions.

    A kind of game must say what actions are worth (`evaluate`), what is strategically irrelevant (`centered`) and in
    which unit temperatures count (`payoff_range`): that is enough to be solved, traced and plotted. Whatever else it
    knows of itself it says by the methods after these, each of which answers "not known" where it is not overridden;
    what nobody knows, nothing is concluded from. Nobody asks which kind a game is.

    Attributes:
        action_mask: Valid actions, ``(player, information state, action)``.
        labels: Names for people.
        policy_independent_beliefs: Whether ``b_i(w|x)`` is the same under every policy, which the theorems
            on Markov games need; a static property of the game.

    Example:
        >>> import hqre_jax as hq
        >>> game = hq.load_game("prisoners_dilemma")
        >>> isinstance(game, hq.AbstractGame), game.num_players, game.action_mask.shape
        (True, 2, (2, 1, 2))
    """

    action_mask: eqx.AbstractVar[ActionMask]
    labels: eqx.AbstractVar[Labels]
    policy_independent_beliefs: eqx.AbstractVar[bool]
    # Whether what the game says of its payoffs (their centre, range and pairs) and of policies (`evaluate`,
    # `evaluate_along`) it says in numpy, too, if it is of numpy: then nothing need be compiled for a small one.
    speaks_numpy: ClassVar[bool] = False

    @abc.abstractmethod
    def evaluate(
        self,
        log_policy: LogPolicy,
        bonus: StateValues,
        continuation: Continuation,
        payoff_scale: Scalar | float = 1.0,
    ) -> Evaluation:
        """Worth of a policy when entropy is paid and payoffs are scaled.

        Args:
            log_policy: Log-probabilities; 0 at padded entries, ``−inf`` allowed at valid ones.
            bonus: ``τ_j(x) H_j(x)`` of each player at each of its information states.
            continuation: Who is paid whose bonus in continuation values (theory.md §2).
            payoff_scale: Factor on every payoff (not on the bonus); the homotopy moves it from 0 to 1.

        Returns:
            The ``Evaluation``; linear in ``(payoff_scale, bonus)`` at a fixed policy.
        """

    def evaluate_along(
        self,
        log_policy: LogPolicy,
        bonus: StateValues,
        continuation: Continuation,
        payoff_scale: Scalar | float,
        moves: Float[Array, "player state action m"],
        bonus_moves: Float[Array, "player state m"],
    ) -> tuple[ActionValues, Float[Array, "player state action m"]] | None:
        """Action values and their derivatives along m directions; None of games that do not speak numpy.

        JAX derives `evaluate` itself, numpy does not.

        Args:
            log_policy: As of `evaluate`; so for the next three.
            bonus: ``τ_j(x) H_j(x)``.
            continuation: Who is paid whose bonus.
            payoff_scale: Factor on every payoff.
            moves: Directions of the log-policy, 0 at padded entries.
            bonus_moves: How the bonus moves with them.

        Returns:
            ``Q_i^π(x, a)``, and its derivatives.
        """
        return None

    @abc.abstractmethod
    def centered(self) -> "AbstractGame":
        """The same game without the strategically irrelevant payoff terms that cost digits at low τ."""

    @abc.abstractmethod
    def payoff_range(self) -> PerPlayer:
        """Largest minus smallest payoff of each player, the unit in which its temperatures count."""

    def curvature(self, mixing: PerPlayer) -> PerPlayer:
        """Second derivatives of action values by logits, relative to their size: ``Σ_j m_j`` over the moves that count.

        Action values are multilinear in policies. If j's policy p moves by at most ``m_j`` (L1, per unit of logits)
        then i's action values have second derivatives of at most ``N · range_i ·`` what is returned here.

        Args:
            mixing: m, a pure number for each player.

        Returns:
            One number per player; ∞ where nothing is known, as of any game that does not say more.
        """
        return jnp.full_like(mixing, jnp.inf)

    def opposed(self) -> Bool[Array, ""] | np.bool | None:
        """Whether what one of two players gets is what the other pays; None where that is not known."""
        return None

    def pairwise_payoffs(self) -> PairwisePayoffs | None:
        """Payoffs of decision points that meet, where everybody moves once and at once: what the margin is made of."""
        return None

    def payoff_tensor(self) -> Float[Array | np.ndarray, "..."] | None:
        """``u[i, a_1, …, a_N]`` of a game that is nothing else: for searches through small games.

        A stack of games answers for all at once, with the axis of the stack first; no batch is any the wiser for a
        tensor that had to be computed, so that only a game which holds one should show it.
        """
        return None

    def markov_stages(self) -> MarkovStages | None:
        """Payoffs and transitions of a game all of whose states are seen by all: for methods of Markov games."""
        return None

    def world_states(self) -> Any:
        """The game itself, if it is written down by world states (``AbstractWorldStateGame``), else None."""
        return None

    def step_discount(self) -> Scalar | None:
        """γ of a game that is played step by step; None where there is but one step, or one cannot tell."""
        return None

    def simulator(self, horizon: int | None = None) -> AbstractSimulator | None:
        """Play of this game, step by step, for whoever learns from samples; None where nobody wrote one.

        Args:
            horizon: Steps after which a play that goes on for ever is cut off.

        Returns:
            The simulator.

        Raises:
            InputError: If ``horizon`` is missing where γ = 1.
        """
        return None

    def rounded(self) -> "AbstractGame":
        """The same game in one of a few sizes, so that many share compiled programs; itself where that is too large.

        What it is more than the game is masked, and comes after what the game has along every axis.
        """
        return self

    def cut_from(self, larger: "AbstractGame") -> "AbstractGame":
        """This game, without names, with the payoffs that ``larger`` has in its place.

        Args:
            larger: `rounded`, with other payoffs.
        """
        return larger

    def sampler(self) -> Any:
        """The game itself, if its values are estimates from plays (`SampledGame`); None where they are exact."""
        return None

    def resampled(self, key: Any) -> "AbstractGame":
        """The same game, its values estimated from other plays; itself where they are exact."""
        return self

    @property
    def plays_on(self) -> bool:
        """Whether a move can lead to another move, so that continuation values matter."""
        return False

    @property
    def beliefs_ignore_own_policy(self) -> bool:
        """Whether a player's best response is a decision process, its own policy not moving its beliefs."""
        return self.policy_independent_beliefs

    @property
    def num_players(self) -> int:
        """Number of agents N."""
        return self.action_mask.shape[-3]

    @property
    def num_information_states(self) -> int:
        """Largest number X of information states of any player."""
        return self.action_mask.shape[-2]

    @property
    def num_actions(self) -> int:
        """Largest number A of actions of any player."""
        return self.action_mask.shape[-1]

    @property
    def dtype(self) -> jnp.dtype:
        """Floating type of the payoffs and of everything computed from them."""
        return jax.eval_shape(lambda game: game.payoff_range(), self).dtype


def is_game(value: Any) -> TypeGuard[AbstractGame]:
    """Whether something is a game, of whatever kind."""
    return isinstance(value, AbstractGame)


def share(bonus: Float[Array, "player w *rest"], continuation: Continuation) -> Float[Array, "player w *rest"]:
    """``Σ_j E_ij τ_j H_j`` at each world state: the regularisation that agent i is paid there.

    Args:
        bonus: ``τ_j H_j(o_j(w))`` of player j at world state w, or its derivatives in several directions.
        continuation: ``soft`` (E = 1), ``plain`` (E = 0) or ``zero_sum`` (E = [[1,−1],[−1,1]]).

    Returns:
        The shared bonus, same shape.
    """
    if continuation == "soft":
        return bonus
    if continuation == "plain":
        return namespace(bonus).zeros_like(bonus)
    return bonus - bonus[::-1]
