"""One adapter's step: what its turns were worth, some gradient steps on them, and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh
from jaxtyping import Array, Float

from hqre_jax.bridge.finetuning._batch import Batch, Part, Texts
from hqre_jax.bridge.finetuning._config import Optimizer
from hqre_jax.bridge.finetuning._mirror import mirror_distance
from hqre_jax.bridge.finetuning._turns import LogPolicies, Turns, at_states, chosen, divergence
from hqre_jax.bridge.finetuning.methods import AbstractMethod, Signal
from hqre_jax.bridge.models import (
    Adapter,
    fetched,
    first_block,
    place_batch,
    place_decoder,
    place_whole,
    with_adapter,
)
from hqre_jax.bridge.models._decoder import Decoder, lower_streams, streams
from hqre_jax.core._module import AbstractModule

# Added to AdamW's root mean squares, as implementations of PPO do (Huang et al. 2022): where plays tell nothing, what
# is left of gradients is rounding, and must not become steps of full length.
_LEAST = 1e-5
_Tree = TypeVar("_Tree")


class Frozen(AbstractModule):
    """What does not change in a step.

    Attributes:
        below: Stream before the first block that has an adapter, at every node.
        before: Log-probabilities of the adapter that played, at every state, or its stream there.
        reference: The same of the model without adapter.
        as_streams: Whether it is their streams: a vocabulary's worth smaller, and read again for each gradient.
    """

    below: Float[Array, "row node width"]
    before: Float[Array, "row state feature"]
    reference: Float[Array, "row state feature"]
    as_streams: bool = eqx.field(static=True)


class Look(NamedTuple):
    """What there is to see of a policy at every decision, in nats.

    Attributes:
        reference: ``KL(π_φ ‖ ρ)``.
        before: ``KL(π_φ ‖ π_φk)``.
        entropy: Of π_φ.
        left: ``KL(π_φ ‖ π*)``, π* being the exact mirror step.
        whole: ``KL(π_φk ‖ π*)``.
    """

    reference: Float[Array, "turn step"]
    before: Float[Array, "turn step"]
    entropy: Float[Array, "turn step"]
    left: Float[Array, "turn step"]
    whole: Float[Array, "turn step"]


@dataclass(frozen=True)
class Learnt:
    """What a step came to.

    Attributes:
        adapter: The adapter after it.
        optimizer: The optimiser's state after it.
        losses: Loss before each gradient step.
        norms: Length of each gradient.
        played: Log-probability of each decision under the adapter before the step.
        last: What is to be seen after it.
        moved: Mean KL of the policy after it to the one before, nats a token.
        failure: What went wrong, in words; then adapter and optimiser's state are those before the step.
    """

    adapter: Adapter
    optimizer: Any
    losses: tuple[float, ...]
    norms: tuple[float, ...]
    played: Float[Array, "turn step"]
    last: Look
    moved: float
    failure: str | None


class Learner:
    """Trains adapters of one model by one method.

    Args:
        decoder: The frozen weights.
        method: The method.
        wanted: How gradients are followed.
        grid: Devices that share weights and batches, see `device_grid`; None for one device.
    """

    def __init__(self, decoder: Decoder, method: AbstractMethod, wanted: Optimizer, grid: Mesh | None = None):
        self.method, self.wanted, self._grid = method, wanted, grid
        self.decoder = decoder if grid is None else place_decoder(decoder, grid)

    def init(self, adapter: Adapter) -> Any:
        """The optimiser's state at the beginning."""
        return make_optimizer(self.wanted).init(adapter)  # type: ignore[arg-type]

    def learn(self, adapter: Adapter, optimizer: Any, batch: Batch) -> Learnt:
        """One step.

        Args:
            adapter: The adapter; that of the plays, where the method is on-policy.
            optimizer: The optimiser's state.
            batch: The turns of its roles.
        """
        parts, frozen, signals, played = self._prepared(adapter, batch)
        new, state, losses, norms, failure = adapter, optimizer, [], [], None
        tells = any(bool(jnp.any(signal.weights > 0)) for signal in signals)
        for _ in range(self.method.inner_steps if tells else 0):
            loss, gradient = self._gradient(new, frozen, signals, parts)
            followed, followed_state, norm = _follow(new, state, gradient, self.wanted)
            losses.append(float(loss))
            norms.append(float(norm))
            if not np.isfinite([losses[-1], norms[-1]]).all():
                failure = f"the loss is {losses[-1]:.3g} and its gradient {norms[-1]:.3g}"
                break
            new, state = followed, followed_state
        last = self._look(new, frozen, signals, parts, batch)
        moved = float(jnp.sum(jnp.where(batch.turns.mask, last.before, 0.0)) / jnp.sum(batch.turns.mask))
        if failure is None:
            failure = self._divergence(moved)
        if failure is not None:
            new, state = adapter, optimizer
        before = self._joined(played, batch)
        return Learnt(new, state, tuple(losses), tuple(norms), before, last, moved, failure)

    def gradient(self, adapter: Adapter, batch: Batch) -> tuple[Float[Array, ""], Adapter]:
        """Loss, and its gradient, of the first gradient step on these turns.

        Args:
            adapter: That of the plays.
            batch: The turns of its roles.
        """
        parts, frozen, signals, _ = self._prepared(adapter, batch)
        return self._gradient(adapter, frozen, signals, parts)

    def _prepared(
        self, adapter: Adapter, batch: Batch
    ) -> tuple[list[Part], list[Frozen], list[Signal], list[Float[Array, "turn step"]]]:
        """What gradient steps on a batch have in common: parts, what does not change, signals, what was decided."""
        parts = self._parts(batch)
        frozen, penalties, played = self._frozen(adapter, parts)
        whole = _signal(batch.turns, self._joined(penalties, batch), self.method)
        return parts, frozen, self._divided(whole, parts, batch), played

    def _frozen(
        self, adapter: Adapter, parts: list[Part]
    ) -> tuple[list[Frozen], list[Float[Array, "turn step"]], list[Float[Array, "turn step"]]]:
        """See `_freeze`, part by part."""
        own = self._whole(adapter)
        # One part's log-probabilities are in memory whenever it is looked at; those of many would not fit.
        as_streams = len(parts) > 1
        found = [_freeze(self.decoder, own, part, self.method, as_streams) for part in parts]
        return [one for one, _, _ in found], [one for _, one, _ in found], [one for _, _, one in found]

    def _parts(self, batch: Batch) -> list[Part]:
        if self._grid is None:
            return list(batch.parts(self.wanted.groups))
        grid = self._grid
        return [place_batch(part, grid) for part in batch.parts(self.wanted.groups, grid.shape["data"])]

    def _joined(self, found: Sequence[Array], batch: Batch) -> Array:
        """What was found part by part, without what parts were filled up with."""
        own = self.wanted.groups * batch.plays
        return jnp.concatenate([self._home(part)[:own] for part in found])[: len(batch.roles)]

    def _divided(self, signal: Signal, parts: list[Part], batch: Batch) -> list[Signal]:
        """A signal, cut and filled up as the turns were."""
        own, divided = self.wanted.groups * batch.plays, []
        for k, part in enumerate(parts):
            fields = [field[k * own : (k + 1) * own] for field in signal]
            filled = Signal(*(jnp.pad(x, [(0, len(part.turns.score) - len(x)), (0, 0)]) for x in fields))
            divided.append(filled if self._grid is None else place_batch(filled, self._grid))
        return divided

    def _whole(self, tree: _Tree) -> _Tree:
        """Where the decoder is, whole on every device."""
        return tree if self._grid is None else place_whole(tree, self._grid)

    def _home(self, tree: _Tree) -> _Tree:
        """On the first device of every process: there optimisers step, and there it is looked at and played."""
        return tree if self._grid is None else fetched(tree)

    def _gradient(
        self, adapter: Adapter, frozen: Sequence[Frozen], signals: list[Signal], parts: list[Part]
    ) -> tuple[Any, Any]:
        """Loss and gradient of all parts, added up."""
        total: Any = None
        adapter = self._whole(adapter)
        for part in zip(frozen, signals, parts, strict=True):
            found = _part_gradient(adapter, self.decoder, *part, self.method, self.wanted.rematerialise)
            total = found if total is None else jax.tree.map(jnp.add, total, found)
        return self._home(total)

    def _look(
        self, adapter: Adapter, frozen: Sequence[Frozen], signals: list[Signal], parts: list[Part], batch: Batch
    ) -> Look:
        own = self._whole(adapter)
        seen = [_look(own, self.decoder, *part, self.method) for part in zip(frozen, signals, parts, strict=True)]
        return Look(*(self._joined(field, batch) for field in zip(*seen, strict=True)))

    def _divergence(self, moved: float) -> str | None:
        """Why a step that ended is none, in words."""
        if not np.isfinite(moved):
            return "the policy after it has probabilities that are no numbers"
        if moved > self.wanted.step_limit:
            return f"the policy moved by {moved:.3g} nats a token, and step_limit is {self.wanted.step_limit:g}"
        return None


def make_optimizer(wanted: Optimizer) -> optax.GradientTransformation:
    """AdamW; gradients are shortened first, and its steps become smaller, where that is wanted."""

    # Of the number of steps that are taken, not of those that will be: a run that is made longer is the same run.
    def falling(count: Any) -> Any:
        return wanted.learning_rate / (1 + count / wanted.decay)

    shortened = optax.clip_by_global_norm(wanted.max_norm) if wanted.max_norm else optax.identity()
    rate = falling if wanted.decay else wanted.learning_rate
    return optax.chain(shortened, optax.adamw(rate, eps=_LEAST, weight_decay=wanted.weight_decay))


@partial(jax.jit, static_argnames="wanted")
def _follow(adapter: Adapter, state: Any, gradient: Any, wanted: Optimizer) -> tuple[Adapter, Any, Float[Array, ""]]:
    """One step of the optimiser, and the length of the gradient."""
    updates, state = make_optimizer(wanted).update(gradient, state, adapter)  # type: ignore[arg-type]
    norm = jnp.sqrt(sum(jnp.vdot(leaf, leaf) for leaf in jax.tree.leaves(gradient)))
    return optax.apply_updates(adapter, updates), state, norm  # type: ignore[return-value, arg-type]


@partial(jax.jit, static_argnames="method")
def _signal(turns: Turns, penalty: Float[Array, "turn step"], method: AbstractMethod) -> Signal:
    return method.signal(turns, penalty)


def _log_probs(decoder: Decoder, stream: Float[Array, "row state width"]) -> Float[Array, "row state token"]:
    logits = decoder.logits(stream.reshape(-1, stream.shape[-1]))
    return jax.nn.log_softmax(logits, axis=-1).reshape(*stream.shape[:2], -1)


def _at_states(
    decoder: Decoder, below: Float[Array, "row node width"], texts: Texts, start: int, rematerialise: bool = False
) -> Float[Array, "row state width"]:
    stream = streams(decoder, texts.trees, below, start, rematerialise)
    return jnp.take_along_axis(stream, texts.states[:, :, None], axis=1)


def _policies(
    adapter: Adapter, decoder: Decoder, frozen: Frozen, texts: Texts, rematerialise: bool = False
) -> LogPolicies:
    now = _at_states(with_adapter(decoder, adapter), frozen.below, texts, first_block(adapter), rematerialise)
    before, reference = frozen.before, frozen.reference
    if frozen.as_streams:
        before, reference = _log_probs(decoder, before), _log_probs(decoder, reference)
    return LogPolicies(_log_probs(decoder, now), before, reference)


@partial(jax.jit, static_argnames=("method", "as_streams"))
def _freeze(
    decoder: Decoder, adapter: Adapter, part: Part, method: AbstractMethod, as_streams: bool
) -> tuple[Frozen, Float[Array, "turn step"], Float[Array, "turn step"]]:
    """What does not change; the penalties, and what was decided, under the policy that played."""
    (texts, turns), start = part, first_block(adapter)
    below = lower_streams(decoder, texts.trees, start)
    ends = [_at_states(one, below, texts, start) for one in (with_adapter(decoder, adapter), decoder)]
    played, reference = (_log_probs(decoder, end) for end in ends)
    held = method.anchored(LogPolicies(played, played, reference))
    penalty = jnp.where(turns.mask, turns.tau * at_states(divergence(held.now, held.reference), turns), 0.0)
    before, reference = ends if as_streams else (played, reference)
    return Frozen(below, before, reference, as_streams), penalty, chosen(played, turns)


@partial(jax.jit, static_argnames=("method", "rematerialise"))
@partial(jax.value_and_grad, argnums=0)
def _part_gradient(
    adapter: Adapter, decoder: Decoder, frozen: Frozen, signal: Signal, part: Part, method: AbstractMethod,
    rematerialise: bool,
) -> Float[Array, ""]:  # fmt: skip
    policies = method.anchored(_policies(adapter, decoder, frozen, part.texts, rematerialise))
    # Where nothing is decided there is no loss either, and no gradient of one.
    return jnp.sum(signal.weights * jnp.where(part.turns.mask, method.losses(policies, signal, part.turns), 0.0))


@partial(jax.jit, static_argnames="method")
def _look(
    adapter: Adapter, decoder: Decoder, frozen: Frozen, signal: Signal, part: Part, method: AbstractMethod
) -> Look:
    policies, turns = _policies(adapter, decoder, frozen, part.texts), part.turns
    eta = jnp.asarray(method.settings.eta, policies.now.dtype)
    held, exploration = method.anchored(policies), method.settings.exploration
    left, whole = mirror_distance(held, signal.advantages, turns, eta, exploration)
    return Look(
        at_states(divergence(policies.now, policies.reference), turns),
        at_states(divergence(policies.now, policies.before), turns),
        at_states(-jnp.sum(jnp.exp(policies.now) * policies.now, axis=-1), turns),
        left,
        whole,
    )
