"""Tables of logits, trained as adapters are: the same signals, the same losses, sampled plays, AdamW."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from benchmarks.finetuning._games import Drawn, Game
from hqre_jax.bridge.finetuning._config import Optimizer
from hqre_jax.bridge.finetuning._learner import make_optimizer
from hqre_jax.bridge.finetuning._mirror import mirror_distance
from hqre_jax.bridge.finetuning._turns import LogPolicies, Turns, at_states, divergence
from hqre_jax.bridge.finetuning.methods import AbstractMethod

PLAYS = {"inspection": 512, "who_answers": 512, "signalling": 64}  # of a step
STEPS, LEARNING_RATE = 400, 0.05
FOLLOWED = Optimizer(
    LEARNING_RATE, decay=0, weight_decay=0.0, max_norm=0.0, groups=1, rematerialise=False, step_limit=1.0
)


class Path(NamedTuple):
    """What a run did, step by step.

    Attributes:
        policies: Before each step.
        right: P(right) of them, exact.
        gaps: What each role's best response would gain, exact.
        distance: Mean KL to the exact step of the plays, after the gradient steps, nats.
        whole: The same before them.
    """

    policies: Float[Array, "step role state token"]
    right: Float[Array, " step"]
    gaps: Float[Array, "step role"]
    distance: Float[Array, " step"]
    whole: Float[Array, " step"]


def turns_of(game: Game, drawn: Drawn, role: int, tau: float, method: AbstractMethod) -> Turns:
    """The turns of a role, each one token long."""
    count = len(drawn.question)
    column = jnp.zeros((count, 1), jnp.int32)
    # What work costs is no price of tokens here, so a method that counts costs has them in the score.
    score = drawn.score - drawn.cost[:, role] if method.judged == "team" else drawn.score
    return Turns(
        actions=drawn.tokens[:, role, None], mask=jnp.ones((count, 1), bool),
        kinds=column + game.kinds[role], tau=jnp.full((count, 1), tau, drawn.score.dtype),
        states=drawn.states[:, role, None], group=drawn.question, score=score,
        price=jnp.zeros(count), weight=jnp.ones(count),
    )  # fmt: skip


@partial(jax.jit, static_argnames=("game", "method"))
def train(game: Game, method: AbstractMethod, tau: tuple[float, float], key: Array) -> Path:
    """Train both roles from near the uniform policy on.

    Args:
        game: The game.
        method: The method.
        tau: Temperature of each role's tokens, as the method uses them.
        key: Of the first tables and the plays.
    """
    optimizer = make_optimizer(FOLLOWED)
    first, rest = jax.random.split(key)
    start = 0.1 * jax.random.normal(first, (2, game.num_states, game.num_tokens))

    def step(carry: Any, key: Array) -> tuple[Any, Path]:
        tables, states = carry
        before = jax.nn.log_softmax(tables)
        drawn = game.draw(key, before, PLAYS[game.name])
        learnt = [
            _learn(method, optimizer, tables[r], states[r], turns_of(game, drawn, r, tau[r], method)) for r in range(2)
        ]
        right, gaps = game.judged(before)
        seen = Path(before, right, gaps, *(sum(part) / 2 for part in zip(*(one[2:] for one in learnt), strict=True)))
        return (jnp.stack([one[0] for one in learnt]), [one[1] for one in learnt]), seen

    state = [optimizer.init(start[r]) for r in range(2)]
    return jax.lax.scan(step, (start, state), jax.random.split(rest, STEPS))[1]


def _learn(method: AbstractMethod, optimizer: Any, table: Array, state: Any, turns: Turns) -> tuple[Any, ...]:
    """One step of one role: new table, new optimiser's state, distances to the exact step after and before."""
    before = jax.nn.log_softmax(table)
    uniform = jnp.full_like(before, -jnp.log(before.shape[-1]))

    def policies(table: Array) -> LogPolicies:
        now = jax.nn.log_softmax(table)
        return method.anchored(LogPolicies(*(one[None] for one in (now, before, uniform))))

    played = policies(table)
    signal = method.signal(turns, turns.tau * at_states(divergence(played.now, played.reference), turns))

    def follow(_: Any, carry: tuple[Array, Any]) -> tuple[Array, Any]:
        table, state = carry
        loss = lambda table: jnp.sum(signal.weights * method.losses(policies(table), signal, turns))  # noqa: E731
        updates, state = optimizer.update(jax.grad(loss)(table), state, table)
        return optax.apply_updates(table, updates), state

    table, state = jax.lax.fori_loop(0, method.inner_steps, follow, (table, state))
    left, whole = mirror_distance(policies(table), signal.advantages, turns, jnp.asarray(method.settings.eta))
    return table, state, jnp.mean(left), jnp.mean(whole)


def train_seeds(game: Game, method: AbstractMethod, tau: tuple[float, float], seeds: int) -> Path:
    """Several runs at once, one for each seed."""
    keys = jax.vmap(jax.random.key)(jnp.arange(seeds))
    return jax.vmap(lambda key: train(game, method, tau, key))(keys)
