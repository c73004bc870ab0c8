"""Games written down by their world states: one evaluation for all of them.

A world state ``w`` fixes what everybody knows, ``x = o_i(w)``, and what every joint action pays. Special
cases differ in three answers only: how likely worlds are given ``x`` (beliefs), where play goes on
(transitions), and which shortcut their structure allows. All of them run through `AbstractWorldStateGame.evaluate`.
"""

import abc
import string
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from hqre_jax.core._namespace import Array, add_up, each, namespace, solution_of
from hqre_jax.core._programs import compiled
from hqre_jax.core._simplex import probabilities
from hqre_jax.core._temperatures import as_array, concrete
from hqre_jax.core._types import ActionMask, ActionValues, Labels, LogPolicy, PerPlayer, Scalar, StateValues
from hqre_jax.games._checks import cancel
from hqre_jax.games._game import AbstractGame, Continuation, Evaluation, share
from hqre_jax.games._pairwise import PairwisePayoffs, world_pairs
from hqre_jax.games._simulator import AbstractSimulator
from hqre_jax.games._simulators import WorldSimulator

JointTensor = Float[Array, "player world *actions"]
WorldArray = Float[Array, "player world"]


class AbstractWorldStateGame(AbstractGame):
    """A game given by payoffs ``(player, world, a_1, …, a_N)`` and an information map ``(player, world)``.

    Attributes:
        payoffs: `world_payoffs` in the shape in which the user gives them.
    """

    payoffs: eqx.AbstractVar[Float[Array, "player *rest"]]

    @property
    def dtype(self) -> jnp.dtype:
        """Floating type of the payoffs."""
        return self.payoffs.dtype

    @abc.abstractmethod
    def world_payoffs(self) -> JointTensor:
        """Payoffs ``r_i(w, a)``, 0 where an action is masked."""

    @abc.abstractmethod
    def information_map(self) -> Int[Array, "player world"]:
        """Information map ``o_i(w)``."""

    @abc.abstractmethod
    def world_initial(self) -> Float[Array, " world"]:
        """Distribution ν of the first world state."""

    @abc.abstractmethod
    def beliefs(self, occupancy: Float[Array, " world"]) -> WorldArray:
        """``b_i(w | o_i(w))``, given (if it matters) the discounted occupancy of worlds."""

    @property
    def plays_on(self) -> bool:
        """Whether there are transitions."""
        return self.world_transitions() is not None

    def world_transitions(self) -> Float[Array, "world *actions target"] | None:
        """Kernel ``P(t | w, a)`` to the targets that `spread` resolves into worlds; None when play ends at once."""
        return None

    def spread(self, over_targets: Float[Array, "... target"]) -> Float[Array, "... world"]:
        """Distribution over worlds that a distribution over targets stands for."""
        return over_targets

    def gather(self, over_worlds: Float[Array, "... world"]) -> Float[Array, "... target"]:
        """Expectation of a function of worlds at each target: the transpose of `spread`."""
        return over_worlds

    def discount_factor(self) -> Scalar:
        """Discount γ; 0 where play ends at once."""
        return namespace(self.payoffs).zeros((), self.dtype)

    def aggregate(self, per_world: Float[Array, "player world *rest"]) -> Float[Array, "player state *rest"]:
        """Sum over the worlds of each information state."""
        xp, num_states = namespace(per_world), self.num_information_states
        return each(xp, lambda f, o: add_up(xp, f, o, num_states), per_world, self.information_map())

    def at_worlds(self, per_state: Float[Array, "player state *rest"]) -> Float[Array, "player world *rest"]:
        """Value at ``o_i(w)`` of a function of information states."""
        return each(namespace(per_state), lambda f, o: f[o], per_state, self.information_map())

    def evaluate(
        self,
        log_policy: LogPolicy,
        bonus: StateValues,
        continuation: Continuation,
        payoff_scale: Scalar | float = 1.0,
        *,
        targets: Float[Array, "player target"] | None = None,
    ) -> Evaluation:
        """See `AbstractGame.evaluate`; ``targets`` freezes the continuation values instead of solving for them."""
        payoffs = self.world_payoffs()
        xp, num_actions = namespace(payoffs), payoffs.shape[2:]
        at_worlds = self.at_worlds(probabilities(log_policy, self.action_mask))
        policies = [at_worlds[j, :, :a] for j, a in enumerate(num_actions)]
        paid = share(self.at_worlds(bonus), continuation)
        gamma = self.discount_factor()
        transitions = self.world_transitions()
        occupancy = self.world_initial()
        continues = xp.zeros((self.num_players, 0), payoffs.dtype)
        # Where play ends at once each player's payoffs are scaled by themselves: the compiler takes that out of a
        # solver's loop, and the player's slice with it, which it would otherwise copy at every evaluation.
        own_scale = payoff_scale
        if transitions is not None:
            payoffs, own_scale = payoffs * payoff_scale, 1.0
            moves = _average_all(transitions, policies)
            chain = self._chain(moves)
            rewards = _average_all(xp.moveaxis(payoffs, 0, -1), policies).T + paid
            if targets is None:
                targets = solution_of(xp, chain, self.gather(rewards).T).T
            # Occupancy of targets d solves d (I − γP) = (ν P) γ …; worlds: d = ν + γ spread(d P).
            entered = solution_of(xp, chain.T, gamma * occupancy @ moves)
            occupancy = occupancy + self.spread(entered)
            payoffs = payoffs + gamma * xp.einsum("w...t,it->iw...", transitions, targets)
        beliefs = self.beliefs(occupancy)
        own = xp.stack(
            [
                xp.pad(_average_others(own_scale * payoffs[i], policies, i), ((0, 0), (0, max(num_actions) - a)))
                for i, a in enumerate(num_actions)
            ]
        )
        world_values = xp.sum(at_worlds * own, axis=-1) + paid
        normalised = occupancy * xp.where(gamma < 1, 1 - gamma, 1)
        return Evaluation(
            action_values=xp.where(self.action_mask, self.aggregate(beliefs[..., None] * own), 0.0),
            values=self.aggregate(beliefs * world_values),
            initial_values=world_values @ self.world_initial(),
            reach=self.aggregate(xp.broadcast_to(normalised, beliefs.shape)),
            continuation=continues if transitions is None else self.gather(world_values),
        )

    def _chain(self, moves: Float[Array, "world target"]) -> Float[Array, "target target"]:
        """``I − γP`` between targets."""
        return (
            namespace(moves).eye(moves.shape[-1], dtype=moves.dtype) - self.discount_factor() * self.gather(moves.T).T
        )

    def evaluate_along(
        self,
        log_policy: LogPolicy,
        bonus: StateValues,
        continuation: Continuation,
        payoff_scale: Scalar | float,
        moves: Float[Array, "player state action m"],
        bonus_moves: Float[Array, "player state m"],
    ) -> tuple[ActionValues, Float[Array, "player state action m"]] | None:
        """See `AbstractGame.evaluate_along`; where beliefs do not move with policies.

        With ``D(a, b)``, what i is paid for a where j plays b and the others as they do, ``∂Q_i(a)`` is ``Σ_j Σ_b D(a,
        b) ∂π_j(b)``, and where play goes on ``γ E[∂V_i]`` with it: ``∂V = (I − γP)⁻¹ ∂(expected payoffs) at fixed V``.
        """
        if not (self.speaks_numpy and self.policy_independent_beliefs):
            return None
        xp, policy = namespace(log_policy), probabilities(log_policy, self.action_mask)
        payoffs = payoff_scale * self.world_payoffs()
        at_worlds, moved = self.at_worlds(policy), self.at_worlds(policy[..., None] * moves)
        players, num_actions = range(self.num_players), payoffs.shape[2:]
        policies = [at_worlds[j, :, :a] for j, a in enumerate(num_actions)]
        steps = [moved[j, :, :a] for j, a in enumerate(num_actions)]
        transitions, gamma = self.world_transitions(), self.discount_factor()
        if transitions is not None:
            chain = self._chain(_average_all(transitions, policies))
            paid = share(self.at_worlds(bonus), continuation)
            rewards = _average_all(xp.moveaxis(payoffs, 0, -1), policies).T + paid
            targets = solution_of(xp, chain, self.gather(rewards).T).T
            payoffs = gamma * xp.einsum("w...t,it->iw...", transitions, targets) + payoffs
        own = xp.zeros(at_worlds.shape)
        slopes = xp.zeros(moved.shape)
        for i, actions in enumerate(num_actions):
            own[i, :, :actions] = _average_others(payoffs[i], policies, i)
            for j in players:
                if j != i:
                    pair = _average_others(payoffs[i], policies, *sorted((i, j)))
                    pair = pair if i < j else xp.swapaxes(pair, 1, 2)
                    slopes[i, :, :actions] += xp.einsum("wab,wbm->wam", pair, steps[j])
        if transitions is not None:
            onwards = xp.sum(own[..., None] * moved + at_worlds[..., None] * slopes, axis=2)
            onwards = onwards + share(self.at_worlds(bonus_moves), continuation)
            for i, actions in enumerate(num_actions):
                further = solution_of(xp, chain, self.gather(onwards[i].T).T)
                kernel = xp.stack(
                    [_average_others(leads, policies, i) for leads in xp.moveaxis(transitions, -1, 0)], -1
                )
                slopes[i, :, :actions] += gamma * (kernel @ further)
        beliefs = self.beliefs(self.world_initial())
        along = xp.where(self.action_mask[..., None], self.aggregate(beliefs[..., None, None] * slopes), 0.0)
        return xp.where(self.action_mask, self.aggregate(beliefs[..., None] * own), 0.0), along

    def payoff_range(self) -> Float[Array, " player"]:
        """See `AbstractGame.payoff_range`; what nobody can play is not paid."""
        low, high = self.extreme_payoffs()
        return high - low

    def extreme_payoffs(self) -> tuple[Float[Array, " player"], Float[Array, " player"]]:
        """Smallest and largest payoff of each player where everybody takes a valid action."""
        payoffs = self.world_payoffs()
        legal = legal_actions(self.action_mask, self.information_map(), payoffs.shape[2:])[None]
        axes = tuple(range(1, payoffs.ndim))
        xp = namespace(payoffs)
        low = xp.min(xp.where(legal, payoffs, xp.inf), axis=axes)
        return low, xp.max(xp.where(legal, payoffs, -xp.inf), axis=axes)

    def curvature(self, mixing: PerPlayer) -> PerPlayer:
        """See `AbstractGame.curvature`.

        Where play goes on, own moves count too and the sum is multiplied by ``(1−γ)⁻³``, an estimate: three resolvents
        of the kernel stand in the second derivative. Nothing is known where γ = 1.
        """
        if not self.plays_on:
            return jnp.sum(mixing) - mixing
        gamma = self.discount_factor()
        resolvents = jnp.where(gamma < 1, 1 / jnp.where(gamma < 1, 1 - gamma, 1.0) ** 3, jnp.inf)
        return jnp.sum(mixing) * resolvents * jnp.ones_like(mixing)

    def opposed(self) -> Bool[Array, ""] | np.bool | None:
        """See `AbstractGame.opposed`."""
        return cancel(self.payoffs[0], self.payoffs[1])

    @property
    def may_end(self) -> bool:
        """Whether rows of the kernel may sum to less than one, as they do where γ = 1."""
        return False

    def pairwise_payoffs(self) -> PairwisePayoffs | None:
        """See `AbstractGame.pairwise_payoffs`; where play ends at once."""
        if self.plays_on:
            return None
        prior = self.world_initial()[None]
        xp = namespace(prior)
        laws = xp.concatenate([prior, xp.full_like(prior, 1 / prior.size)]) if prior.size > 1 else prior
        reach = xp.stack([self.aggregate(xp.tile(law, (self.num_players, 1))).ravel() for law in laws])
        return PairwisePayoffs(world_pairs(self.world_payoffs(), self.information_map(), self.action_mask), laws, reach)

    def world_states(self) -> "AbstractWorldStateGame":
        """See `AbstractGame.world_states`."""
        return self

    def step_discount(self) -> Scalar | None:
        """See `AbstractGame.step_discount`."""
        return self.discount_factor() if self.plays_on else None

    def simulator(self, horizon: int | None = None) -> AbstractSimulator:
        """See `AbstractGame.simulator`."""
        return WorldSimulator(self, horizon, self.may_end)


def world_states(game: AbstractGame) -> AbstractWorldStateGame | None:
    """The game by its world states; None where it is not written down so."""
    return game.world_states()


class StageGame(AbstractGame):
    """A game whose continuation values are frozen: the stage game that value iteration solves.

    Attributes:
        game: The Markov game.
        targets: Continuation values ``(player, target)`` that are taken for granted.
    """

    game: AbstractWorldStateGame
    targets: Float[Array, "player target"]
    action_mask: ActionMask
    labels: Labels = eqx.field(static=True)
    policy_independent_beliefs: bool = eqx.field(static=True)

    def __init__(self, game: AbstractWorldStateGame, targets: Float[Array, "player target"]):
        self.game = game
        self.targets = targets
        self.action_mask = game.action_mask
        self.labels = game.labels
        self.policy_independent_beliefs = game.policy_independent_beliefs

    def evaluate(self, log_policy, bonus, continuation, payoff_scale=1.0) -> Evaluation:
        """See `AbstractGame.evaluate`; one backup, no linear solve."""
        return self.game.evaluate(log_policy, bonus, continuation, payoff_scale, targets=self.targets)

    def centered(self) -> "StageGame":
        """The stage game itself: its payoffs are centred already."""
        return self

    def payoff_range(self) -> PerPlayer:
        """The Markov game's."""
        return self.game.payoff_range()

    def opposed(self) -> Bool[Array, ""] | np.bool | None:
        """As in the Markov game."""
        return self.game.opposed()


def _average_all(
    tensor: Float[Array, "world *actions rest"], policies: list[Float[Array, "world _"]]
) -> Float[Array, "world rest"]:
    """``E_{a~π(w)}`` of a tensor over joint actions, the last axis kept."""
    xp = namespace(tensor, *policies)
    for policy in reversed(policies):
        tensor = xp.einsum("w...at,wa->w...t", tensor, policy)
    return tensor


def _average_others(
    tensor: Float[Array, "world *actions"], policies: list[Float[Array, "world _"]], *players: int
) -> Float[Array, "world *own"]:
    """``E_{a_-i~π_-i(w)}`` of a tensor over joint actions, the own actions of some players kept, in ascending order."""
    xp, letters = namespace(tensor, *policies), string.ascii_letters[1 : len(policies) + 1]
    for j in reversed(range(len(policies))):
        if j not in players:
            kept = letters[: j + 1] + "".join(letters[k] for k in players if k > j)
            tensor = xp.einsum(f"A{kept},A{letters[j]}->A{kept.replace(letters[j], '')}", tensor, policies[j])
    return tensor


def legal_actions(
    action_mask: Bool[Array, "player state action"],
    observations: Int[Array, "player world"],
    num_actions: tuple[int, ...],
) -> Bool[Array | np.ndarray, "world *actions"]:
    """Joint actions that every player may take, per world; of numpy where they can be seen."""
    if not (concrete(action_mask) and concrete(observations)):
        return _traced_legal_actions(action_mask, observations, num_actions)
    return _legal_actions(np.asarray(action_mask), np.asarray(observations), num_actions)


def _legal_actions(action_mask: Any, observations: Any, num_actions: tuple[int, ...]) -> Any:
    legal = np.ones((observations.shape[1],) + (1,) * len(num_actions), bool)
    for j, a in enumerate(num_actions):
        shape = [observations.shape[1]] + [1] * len(num_actions)
        shape[j + 1] = a
        legal = legal & action_mask[j, observations[j], :a].reshape(shape)
    return legal


_traced_legal_actions = compiled(_legal_actions)


def keep_legal(array: Float[Array, "*shape"], legal: Bool[Array | np.ndarray, "..."]) -> Float[Array, "*shape"]:
    """The array with 0 where nobody can go."""
    if not (concrete(array) and concrete(legal)):
        return jnp.where(legal, array, 0.0)
    allowed = np.asarray(legal)
    return array if allowed.all() else as_array(np.where(allowed, np.asarray(array), 0.0))


def conditional(
    weights: Float[Array, " world"], observations: Int[Array, "player world"], num_states: int
) -> WorldArray:
    """``P(w | o_i(w))`` for unnormalised world weights; uniform over the worlds of an unreached state."""
    xp = namespace(weights, observations)

    def of_player(seen: Int[Array, " world"]) -> Float[Array, " world"]:
        total = add_up(xp, weights, seen, num_states)[seen]
        count = add_up(xp, xp.ones_like(weights), seen, num_states)[seen]
        return xp.where(total > 0, weights / xp.where(total > 0, total, 1.0), 1.0 / count)

    return each(xp, of_player, observations)


def center_own(payoffs: JointTensor, legal: Bool[Array | np.ndarray, "world *actions"]) -> JointTensor:
    """Take out of ``payoffs[i]`` the midrange over i's own action: what i's choice cannot change.

    The midrange of integers is exact in binary, so that no rounding enters a game that had none.
    """
    xp = namespace(payoffs)

    def of_player(i: int) -> Float[Array, "world *actions"]:
        high = xp.max(xp.where(legal, payoffs[i], -xp.inf), axis=i + 1, keepdims=True)
        low = xp.min(xp.where(legal, payoffs[i], xp.inf), axis=i + 1, keepdims=True)
        middle = xp.where(xp.isfinite(high), 0.5 * low + 0.5 * high, 0.0)
        return xp.where(legal, payoffs[i] - middle, 0.0)

    return xp.stack([of_player(i) for i in range(payoffs.shape[0])])


def center_players(payoffs: JointTensor, legal: Bool[Array | np.ndarray, "world *actions"]) -> JointTensor:
    """Take each player's midrange payoff out of a discounted game: every value moves by the same constant."""
    xp, axes = namespace(payoffs), tuple(range(1, payoffs.ndim))
    high = xp.max(xp.where(legal, payoffs, -xp.inf), axis=axes, keepdims=True)
    low = xp.min(xp.where(legal, payoffs, xp.inf), axis=axes, keepdims=True)
    return xp.where(legal, payoffs - (0.5 * low + 0.5 * high), 0.0)


def with_payoffs(game, payoffs):
    """The same game with other payoffs of the same shape, its checks not run again."""
    return eqx.tree_at(lambda g: g.payoffs, game, payoffs)
