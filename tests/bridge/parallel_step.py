"""A training step on a grid of devices, in one process or several, beside the same step on one device.

    python tests/bridge/parallel_step.py [TENSOR ...]

Prints one JSON line: for each number of devices along `tensor`, the largest differences of loss and gradient from one
device's, the share of the weights that a device holds, and how devices communicate; and whether processes know what
each other sampled, and what is refused.
"""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from hqre_jax.bridge import models
from hqre_jax.bridge.models._adapters import TARGETS, Adapter
from hqre_jax.bridge.models._checkpoint import load
from hqre_jax.bridge.models._decoder import forward
from hqre_jax.core._types import InputError

TINY = Path(__file__).parent / "data" / "tiny_models"
MASK = np.random.default_rng(1).integers(2, size=(8, 11)).astype(np.float32)


def loss(adapter: Adapter, decoder, tokens, roles, mask):
    logits = forward(models.with_adapter(decoder, adapter, roles), tokens, rematerialise=True)
    log_probs = jnp.take_along_axis(jax.nn.log_softmax(logits[:, :-1]), tokens[:, 1:, None], axis=2)[..., 0]
    return -jnp.sum(mask * log_probs) / jnp.sum(mask)


def main() -> None:
    models.join_processes()
    model = load(str(TINY / "qwen2"))  # of its two blocks one is enough, and compiled sooner
    shape = replace(model.decoder.architecture, num_layers=1)
    decoder = replace(model.decoder, blocks=model.decoder.blocks[:1], architecture=shape)
    rng = np.random.default_rng(0)
    config = models.LoraConfig(rank=2, targets=tuple(TARGETS))
    adapters = [models.init_adapter(decoder, config, jax.random.key(seed)) for seed in range(2)]
    stack = jax.tree.map(lambda x: x + jnp.asarray(rng.normal(size=x.shape) * 0.1, x.dtype), models.stacked(adapters))
    batch = (rng.integers(300, size=(8, 12)).astype(np.int32), np.arange(8, dtype=np.int32) % 2, MASK)
    step = jax.jit(jax.value_and_grad(loss))
    expected, slopes = step(stack, decoder, *(jnp.asarray(x) for x in batch))
    scale = max(float(jnp.abs(x).max()) for x in jax.tree.leaves(slopes))
    found = []
    for tensor in [int(text) for text in sys.argv[1:]] or [1]:
        grid = models.device_grid(tensor)
        placed = models.place_decoder(decoder, grid)
        arguments = models.place_whole(stack, grid), placed, *models.place_batch(batch, grid)
        compiled = step.lower(*arguments).compile()
        value, gradient = compiled(*arguments)
        apart = [
            np.abs(np.asarray(x) - np.asarray(y)).max()
            for x, y in zip(*map(jax.tree.leaves, (gradient, slopes)), strict=True)
        ]
        held = sum(x.addressable_shards[0].data.nbytes for x in jax.tree.leaves(placed))
        found.append(
            {
                "grid": dict(grid.shape),
                "loss": abs(float(value) - float(expected)) / float(expected),
                "gradient": float(max(apart)) / scale,
                "held": held / sum(x.nbytes for x in jax.tree.leaves(decoder)),
                "communication": sorted(
                    set(re.findall(r"(all-\w+|collective-\w+|reduce-scatter)\(", compiled.as_text()))
                ),
            }
        )
    said = [models.Completion((place, 7), (-0.1 / 3, float(-place)), place == 2) for place in range(5)]
    together = models.gathered([said[place] for place in models.own_share(5)], 5) == said
    first = models.from_first({"process": jax.process_index(), "adapters": stack})
    together &= first["process"] == 0 and np.array_equal(
        jax.tree.leaves(first["adapters"])[0], jax.tree.leaves(stack)[0]
    )
    placed = models.fetched(models.place_batch(batch, models.device_grid()))
    together &= all(np.array_equal(x, y) for x, y in zip(placed, batch, strict=True))
    try:
        models.place_batch(np.zeros((7, 2), np.float32), models.device_grid())
        refused = ""
    except InputError as error:
        refused = str(error)
    told = {"devices": jax.device_count(), "found": found, "together": together, "refused": refused}
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
