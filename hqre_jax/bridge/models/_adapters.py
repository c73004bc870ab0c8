r"""Low-rank adapters: a small trained change beside each frozen linear layer of a decoder.

The layer x ↦ x W + b becomes x ↦ x W + b + (α / r) (x A) B, with A of shape (input, r) and B of shape (r, output). B
begins at zero, so an adapter begins as no change at all. Adapters of several roles can be stacked: then one batch mixes
sequences of all roles, each with its own A and B.

Numbers of adapters are float32, whatever the decoder's are.

Source: Hu et al. 2021 (arXiv 2106.09685); names and initial values are those of Hugging Face's PEFT.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int, Key

from hqre_jax.bridge.models._decoder import Architecture, Decoder, Linear
from hqre_jax.bridge.models._folder import BLOCK_NAMES
from hqre_jax.core._module import AbstractModule
from hqre_jax.core._types import InputError, checked_count

# PEFT's names of the linear layers, and their paths in a block.
TARGETS = {name.rpartition(".")[2]: path for name, path in BLOCK_NAMES.items() if not path.endswith("norm")}


@dataclass(frozen=True)
class LoraConfig:
    """Which layers get an adapter, and of which size.

    Attributes:
        rank: r, the width between A and B.
        alpha: α; the change is scaled by α / r.
        targets: Names of linear layers, in PEFT's words: q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj.
        dropout: Not supported: 0.
        last_layers: How many blocks get one, from the last one down; None for all. A training step goes through the
            blocks below once for all policies that it compares, and takes no slopes there.

    Raises:
        InputError: For a value that is none of these.

    Example:
        >>> from hqre_jax.bridge.models import LoraConfig
        >>> LoraConfig(rank=8, alpha=16).scale
        2.0
    """

    rank: int = 8
    alpha: int | float = 16
    targets: tuple[str, ...] = ("q_proj", "v_proj")
    dropout: float = 0.0
    last_layers: int | None = None

    def __post_init__(self):
        checked_count(self.rank, "rank")
        if self.last_layers is not None:
            checked_count(self.last_layers, "last_layers")
        if not (self.alpha > 0 and math.isfinite(self.alpha)):
            raise InputError("alpha", f"is {self.alpha}; it should be a number above 0")
        unknown = [name for name in self.targets if name not in TARGETS]
        if unknown or not self.targets or len(set(self.targets)) < len(self.targets):
            raise InputError("targets", f"are {list(self.targets)}; each should be one of {', '.join(TARGETS)}, once")
        if self.dropout:
            raise InputError("dropout", f"is {self.dropout}; adapters are trained without it: 0")

    @property
    def scale(self) -> float:
        """α / r."""
        return self.alpha / self.rank


class Lora(AbstractModule):
    """The change of one linear layer, x ↦ scale · (x A) B; or those of several roles, along a leading axis.

    Attributes:
        down: A.
        up: B.
        scale: α / r.

    Example:
        >>> import jax.numpy as jnp
        >>> from hqre_jax.bridge.models import Lora
        >>> change = Lora(down=jnp.ones((4, 2)), up=jnp.ones((2, 3)), scale=0.5)
        >>> print(change.scale * change.down @ change.up)
        [[1. 1. 1.]
         [1. 1. 1.]
         [1. 1. 1.]
         [1. 1. 1.]]
    """

    down: Float[Array, "*role input rank"]
    up: Float[Array, "*role rank output"]
    scale: float = eqx.field(static=True)

    def __call__(
        self, x: Float[Array, "token input"], roles: Int[Array, " part"] | None = None
    ) -> Float[Array, "token output"]:
        """The change at each token.

        Args:
            x: The layer's input.
            roles: Whose adapter each part of the tokens takes, where several are stacked; parts are of equal lengths.
        """
        x = x.astype(self.down.dtype)
        if roles is None:
            return self.scale * (x @ self.down @ self.up)
        parts = x.reshape(len(roles), -1, x.shape[1])
        return (self.scale * (parts @ self.down[roles] @ self.up[roles])).reshape(len(x), -1)


class Adapter(AbstractModule):
    """The changes of a decoder's layers; all its leaves are what is trained.

    Attributes:
        loras: By the layer's path in the decoder, for instance "blocks.0.attention.query".

    Example:
        >>> import jax.numpy as jnp
        >>> from hqre_jax.bridge.models import Adapter, Lora
        >>> adapter = Adapter({"blocks.0.attention.query": Lora(jnp.ones((4, 2)), jnp.zeros((2, 4)), scale=2.0)})
        >>> list(adapter.loras), adapter.num_roles
        (['blocks.0.attention.query'], None)
    """

    loras: dict[str, Lora]

    @property
    def num_roles(self) -> int | None:
        """How many adapters are stacked here; None for a single one."""
        counts = {len(lora.down) for lora in self.loras.values() if lora.down.ndim == 3}
        return max(counts, default=None)


class AdaptedLinear(AbstractModule):
    """A linear layer with its change beside it.

    Attributes:
        base: The layer.
        lora: The change.
        roles: Whose adapter each part of the tokens takes; None where there is one.
    """

    base: Linear
    lora: Lora
    roles: Int[Array, " part"] | None

    def __call__(self, x: Float[Array, "token input"]) -> Float[Array, "token output"]:
        """The layer's value at each token."""
        return self.base(x) + self.lora(x, self.roles).astype(x.dtype)


def init_adapter(model: Architecture | Decoder, config: LoraConfig, key: Key[Array, ""]) -> Adapter:
    """A new adapter, which changes nothing yet: A is uniform on ±1 / sqrt(input), as PEFT draws it, and B is zero.

    Args:
        model: The decoder, or its shape.
        config: Layers and size.
        key: Of the random numbers.

    Returns:
        The adapter.

    Raises:
        InputError: Where the model has fewer blocks than shall have an adapter.
    """
    shape = model.architecture if isinstance(model, Decoder) else model
    first = shape.num_layers - (config.last_layers or shape.num_layers)
    if first < 0:
        raise InputError("last_layers", f"is {config.last_layers}, and the model has {shape.num_layers}")
    paths = [f"blocks.{number}.{TARGETS[name]}" for number in range(first, shape.num_layers) for name in config.targets]
    loras = {}
    for path, own in zip(paths, jax.random.split(key, len(paths)), strict=True):
        size, out = shape.layer_sizes[path.split(".", 2)[2]]
        bound = size**-0.5
        down = jax.random.uniform(own, (size, config.rank), jnp.float32, -bound, bound)
        loras[path] = Lora(down, jnp.zeros((config.rank, out), jnp.float32), config.scale)
    return Adapter(loras)


def first_block(adapter: Adapter) -> int:
    """The first block that an adapter changes: below it the decoder's streams are those without.

    Example:
        >>> import jax.numpy as jnp
        >>> from hqre_jax.bridge.models import Adapter, Lora, first_block
        >>> first_block(Adapter({"blocks.20.attention.query": Lora(jnp.ones((4, 2)), jnp.zeros((2, 4)), scale=2.0)}))
        20
    """
    return min(int(path.split(".")[1]) for path in adapter.loras)


def with_adapter(decoder: Decoder, adapter: Adapter, roles: Int[Array, " sequence"] | None = None) -> Decoder:
    """The decoder with an adapter beside its layers.

    To train, take slopes in the adapter: ``jax.grad(lambda a: loss(with_adapter(decoder, a)))(adapter)``.

    Args:
        decoder: The frozen weights.
        adapter: One adapter, or several `stacked` ones.
        roles: With stacked ones, whose adapter each sequence of the batch takes.

    Returns:
        The decoder, for batches of as many sequences as there are roles.

    Raises:
        InputError: For an adapter of another architecture, for roles without stacked adapters or the reverse, and for
            a role that has none.
    """
    if (roles is None) != (adapter.num_roles is None):
        raise InputError("roles", "go with stacked adapters, and stacked adapters with roles")
    if roles is not None and not isinstance(roles, Tracer):
        strange = sorted(set(np.asarray(roles).tolist()) - set(range(adapter.num_roles or 0)))
        if strange:
            raise InputError("roles", f"hold {strange[0]}, and there are {adapter.num_roles} adapters, from 0")
    return _replace(decoder, adapter, lambda base, lora: AdaptedLinear(base, lora, roles))


def merged(decoder: Decoder, adapter: Adapter) -> Decoder:
    """The decoder with W + (α / r) A B in place of each W: as fast as without an adapter, equal but for rounding.

    Args:
        decoder: The weights.
        adapter: A single adapter.

    Returns:
        The decoder; what has no adapter is shared, not copied.

    Raises:
        InputError: For stacked adapters, or one of another architecture.
    """
    if adapter.num_roles is not None:
        raise InputError("adapter", f"holds those of {adapter.num_roles} roles, and only one can be merged")

    def add(base: Linear, lora: Lora) -> Linear:
        weight = base.weight.astype(jnp.float32) + lora.scale * (lora.down @ lora.up)
        return Linear(weight.astype(base.weight.dtype), base.bias)

    return _replace(decoder, adapter, add)


def stacked(adapters: Sequence[Adapter]) -> Adapter:
    """Adapters of several roles as one, with a leading axis ``role``.

    Args:
        adapters: Of the same layers, rank and scale.

    Returns:
        Their stack, for ``with_adapter(decoder, stack, roles)``.

    Raises:
        InputError: Where there is none, or they differ in shape.

    Example:
        >>> import jax.numpy as jnp
        >>> from hqre_jax.bridge.models import Adapter, Lora, stacked
        >>> adapter = Adapter({"blocks.0.attention.query": Lora(jnp.ones((4, 2)), jnp.zeros((2, 4)), scale=2.0)})
        >>> both = stacked([adapter, adapter])
        >>> both.num_roles, both.loras["blocks.0.attention.query"].down.shape
        (2, (2, 4, 2))
    """
    if not adapters:
        raise InputError("adapters", "are none; at least one is needed")
    kinds = {(jax.tree.structure(one), *(x.shape for x in jax.tree.leaves(one))) for one in adapters}
    if len(kinds) > 1:
        raise InputError("adapters", "differ in their layers, rank or scale; those of one batch are of one kind")
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *adapters)


def layer_at(decoder: Decoder, path: str) -> Linear:
    """The linear layer at a path, for instance "blocks.0.attention.query".

    Raises:
        InputError: Where there is none, or it has an adapter already.
    """
    _, number, part, name = path.split(".")
    if int(number) >= len(decoder.blocks):
        raise InputError("adapter", f"has a layer {path!r}; the model's last block is {len(decoder.blocks) - 1}")
    layer = getattr(getattr(decoder.blocks[int(number)], part), name)
    if not isinstance(layer, Linear):
        raise InputError("decoder", f"has an adapter at {path!r} already")
    return layer


def _replace(decoder: Decoder, adapter: Adapter, change: Callable[[Linear, Lora], eqx.Module]) -> Decoder:
    def layers(tree: Decoder) -> list[Linear]:
        return [layer_at(tree, path) for path in adapter.loras]

    for path, base, lora in zip(adapter.loras, layers(decoder), adapter.loras.values(), strict=True):
        sizes = lora.down.shape[-2], lora.up.shape[-1]
        if sizes != base.weight.shape:
            raise InputError("adapter", f"maps {sizes[0]} to {sizes[1]} numbers at {path!r}, not {base.weight.shape}")
    replaced = [change(base, lora) for base, lora in zip(layers(decoder), adapter.loras.values(), strict=True)]
    return eqx.tree_at(layers, decoder, replaced)
