"""Loss and gradient of GRPO on a small batch, by Tunix; writes tests/bridge/data/grpo/tunix.json.

    pip install google-tunix==0.1.7    # in an environment of its own
    python tests/bridge/parity/tunix_grpo.py

Advantages, loss and its parts are Tunix's own functions; the model is a table of logits, so that the gradient is one of
logits.
"""

import json
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from tunix.rl import algo_core

OUT = Path(__file__).parents[1] / "data" / "grpo" / "tunix.json"
GROUPS, PLAYS, STEPS, VOCABULARY, PROMPT = 3, 4, 5, 7, 2


class Table(nnx.Module):
    """A model whose logits are its parameters, whatever it reads."""

    def __init__(self, logits):
        self.logits = nnx.Param(logits)

    def __call__(self, tokens, positions, cache, attention_mask):
        del positions, attention_mask
        rows, length = tokens.shape
        # The logits before each token of the completion, those of the prompt's first tokens being of no concern.
        before = jnp.zeros((rows, PROMPT - 1, VOCABULARY))
        after = jnp.zeros((rows, length - PROMPT - STEPS + 1, VOCABULARY))
        return jnp.concatenate([before, self.logits[...], after], axis=1), cache


def main():
    rng = np.random.default_rng(11)
    rows = GROUPS * PLAYS
    now, before, reference = (rng.normal(size=(rows, STEPS, VOCABULARY)).astype(np.float32) * s for s in (1, 0.3, 0.3))
    before, reference = now + before, now + reference
    actions = rng.integers(2, VOCABULARY, size=(rows, STEPS)).astype(np.int32)
    lengths = rng.integers(1, STEPS + 1, size=rows)
    mask = np.arange(STEPS)[None] < lengths[:, None]
    score = rng.integers(0, 3, size=rows).astype(np.float32) / 2
    score[:PLAYS] = 0.5  # a group without a difference

    def taken(logits):
        return jnp.take_along_axis(jax.nn.log_softmax(logits), jnp.asarray(actions)[..., None], axis=-1)[..., 0]

    example = SimpleNamespace(
        prompt_ids=jnp.full((rows, PROMPT), 1),
        completion_ids=jnp.asarray(actions),
        completion_mask=jnp.asarray(mask, jnp.int32),
        advantages=jnp.asarray(algo_core.compute_advantages(score, PLAYS)),
        old_per_token_logps=taken(before),
        ref_per_token_logps=taken(reference),
    )
    config = SimpleNamespace(
        beta=0.04, epsilon=0.2, loss_algo="grpo", loss_agg_mode="sequence-mean-token-mean", temperature=1.0,
        kl_loss_mode="low_var_kl", kl_clamp_value=None,
    )  # fmt: skip

    def loss(logits):
        return algo_core.grpo_loss_fn(Table(logits), example, config, pad_id=0, eos_id=1)[0]

    value, gradient = jax.value_and_grad(loss)(jnp.asarray(now))
    inputs = {"now": now, "before": before, "reference": reference, "actions": actions, "lengths": lengths}
    outputs = {"score": score, "advantages": example.advantages, "loss": value, "gradient": gradient}
    document = {name: np.asarray(array).tolist() for name, array in (inputs | outputs).items()}
    settings = {"plays": PLAYS, "beta": config.beta, "clip": config.epsilon}
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps({"by": "google-tunix 0.1.7", **settings, **document}) + "\n")
    print(OUT, float(value))


if __name__ == "__main__":
    main()
