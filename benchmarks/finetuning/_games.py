"""Games of one token a role, small enough to know everything about them."""

import abc
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

import hqre_jax as hq

Tables = Float[Array, "role state token"]


class Drawn(NamedTuple):
    """Plays of a game.

    Attributes:
        question: What each play was about.
        states: What each role knew.
        tokens: What it said.
        score: The verifier's.
        cost: What each role's own work cost it, units of score.
    """

    question: Int[Array, " play"]
    states: Int[Array, "play role"]
    tokens: Int[Array, "play role"]
    score: Float[Array, " play"]
    cost: Float[Array, "play role"]


@dataclass(frozen=True)
class AbstractOwnCosts(abc.ABC):
    """Two roles that move at once, share the verifier's score, and each pay for their own work; both see the question.

    Attributes:
        name: What it is called.
        roles: Names of the roles.
        kinds: Type of each role's token, a place in `hqre_jax.bridge.finetuning._turns.KINDS`.
        questions: How many there are.
        num_states: What a role can know.
        num_tokens: What it can say.
    """

    name: ClassVar[str]
    roles: ClassVar[tuple[str, str]]
    kinds: ClassVar[tuple[int, int]]
    questions: ClassVar[int] = 2
    num_states: ClassVar[int] = 2
    num_tokens: ClassVar[int] = 2

    @property
    @abc.abstractmethod
    def right(self) -> np.ndarray:
        """Probability of a right answer, (question, first role's token, second role's token)."""

    @property
    @abc.abstractmethod
    def costs(self) -> np.ndarray:
        """Of each role's own work, (role, question, first role's token, second role's token), units of score."""

    def payoffs(self) -> np.ndarray:
        """Expected payoffs, (role, question, first role's token, second role's token)."""
        return self.right[None] - self.costs

    def certified(self) -> float:
        """A temperature at which the logit map of either question's game contracts (T1): every step converges."""
        games = [hq.NormalFormGame(self.payoffs()[:, question]) for question in range(self.questions)]
        return 1.05 * max(float(hq.certify(game, 1.0).contraction) for game in games)

    def draw(self, key: Array, policies: Tables, plays: int) -> Drawn:
        """Plays; as many of each question."""
        question = jnp.arange(plays) % self.questions
        keys = jax.random.split(key, 3)
        tokens = jnp.stack([jax.random.categorical(keys[r], policies[r][question]) for r in range(2)], -1)
        place = (question, tokens[:, 0], tokens[:, 1])
        score = jax.random.bernoulli(keys[2], jnp.asarray(self.right)[place]).astype(policies.dtype)
        cost = jnp.asarray(self.costs)[:, *place].T
        return Drawn(question, jnp.stack([question, question], -1), tokens, score, cost)

    def judged(self, policies: Tables) -> tuple[Float[Array, ""], Float[Array, " role"]]:
        """P(right), and what each role's best response would gain, both exact and means over questions."""
        first, second = jnp.exp(policies)
        paid = jnp.asarray(self.payoffs())
        right = jnp.einsum("qab,qa,qb->", jnp.asarray(self.right), first, second) / self.questions
        values = [jnp.einsum("qab,qb->qa", paid[0], second), jnp.einsum("qab,qa->qb", paid[1], first)]
        gaps = [jnp.mean(jnp.max(q, -1) - jnp.sum(p * q, -1)) for q, p in zip(values, (first, second), strict=True)]
        return right, jnp.stack(gaps)


@dataclass(frozen=True)
class Inspection(AbstractOwnCosts):
    """Solver and verifier: nobody wants to work where the other one does.

    The solver is careful (0) or not (1), the verifier trusts (0) or checks (1). What is checked and not careful is done
    again, at twice the solver's cost. Careful work is worth its cost only if it is checked, checking only if the work
    is not careful: the one equilibrium is mixed. Questions are hard or easy.
    """

    name = "inspection"
    roles = ("solver", "verifier")
    kinds = (0, 2)

    @property
    def right(self) -> np.ndarray:
        """See `AbstractOwnCosts`."""
        return np.array([[[0.9, 0.95], [0.5, 0.95]], [[0.95, 0.97], [0.7, 0.97]]])

    @property
    def costs(self) -> np.ndarray:
        """See `AbstractOwnCosts`."""
        careful, check = np.array([0.5, 0.3]), np.array([0.15, 0.1])
        solver = np.stack([np.stack([careful, careful], -1), np.stack([0 * careful, 2 * careful], -1)], 1)
        verifier = np.broadcast_to(np.stack([0 * check, check], -1)[:, None], (2, 2, 2))
        return np.stack([solver, verifier])


@dataclass(frozen=True)
class WhoAnswers(AbstractOwnCosts):
    """Two solvers, who answer (0) or leave it to the other one (1): a game of chicken with two conventions."""

    name = "who_answers"
    roles = ("first", "second")
    kinds = (2, 2)

    @property
    def right(self) -> np.ndarray:
        """See `AbstractOwnCosts`."""
        return np.array([[[0.9, 0.85], [0.85, 0.2]], [[0.95, 0.9], [0.9, 0.35]]])

    @property
    def costs(self) -> np.ndarray:
        """See `AbstractOwnCosts`."""
        answer = np.array([0.35, 0.3])
        first = np.stack([np.stack([answer, answer], -1), np.zeros((2, 2))], 1)
        return np.stack([first, first.transpose(0, 2, 1)])


@dataclass(frozen=True)
class Signalling:
    """A sender says one of some words for one of as many targets, a receiver names the target: any code would do."""

    name = "signalling"
    roles = ("sender", "receiver")
    kinds = (1, 2)
    questions = 4
    num_states = 4
    num_tokens = 4

    def draw(self, key: Array, policies: Tables, plays: int) -> Drawn:
        """Plays; as many of each target."""
        target = jnp.arange(plays) % self.questions
        first, second = jax.random.split(key)
        word = jax.random.categorical(first, policies[0][target])
        guess = jax.random.categorical(second, policies[1][word])
        score = (guess == target).astype(policies.dtype)
        nothing = jnp.zeros((plays, 2), policies.dtype)
        return Drawn(target, jnp.stack([target, word], -1), jnp.stack([word, guess], -1), score, nothing)

    def judged(self, policies: Tables) -> tuple[Float[Array, ""], Float[Array, " role"]]:
        """As in `AbstractOwnCosts.judged`; the receiver's gain is that of the words that are said."""
        sender, receiver = jnp.exp(policies)
        right = jnp.mean(jnp.sum(sender * receiver.T, -1))
        heard = jnp.max(sender, axis=0).sum() / self.questions
        return right, jnp.stack([jnp.mean(jnp.max(receiver.T, -1)) - right, heard - right])


Game = AbstractOwnCosts | Signalling
