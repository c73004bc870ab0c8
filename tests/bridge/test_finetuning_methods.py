"""What fine-tuning methods make of given turns: by hand, by a published implementation, and on a small transformer."""

import json
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hqre_jax.bridge.finetuning._batch import Batch, _texts
from hqre_jax.bridge.finetuning._config import Optimizer
from hqre_jax.bridge.finetuning._learner import Learner, make_optimizer
from hqre_jax.bridge.finetuning._plays import Turn
from hqre_jax.bridge.finetuning._trees import tree_of
from hqre_jax.bridge.finetuning._turns import LogPolicies, Turns
from hqre_jax.bridge.finetuning.methods import CoTraining, Dice, Grpo, Raft, Reinforce, Settings, SupervisedFineTuning
from hqre_jax.bridge.models import LoraConfig, init_adapter
from hqre_jax.bridge.models._assemble import assemble
from hqre_jax.bridge.models._decoder import Architecture, TokenTrees, forward, lower_streams, streams

DATA = Path(__file__).parent / "data"
# Compiled as a whole: one by one their many operations take longer.
program = jax.jit(forward)


@partial(jax.jit, static_argnames="block")
def program_of_trees(decoder, trees, block):
    return decoder.logits(streams(decoder, trees, lower_streams(decoder, trees, block), block)[0])


def turns_of(group, score, lengths, steps=3, price=0.0, **changed):
    count, lengths = len(group), np.asarray(lengths)
    mask = np.arange(steps)[None] < lengths[:, None]
    nothing = np.zeros((count, steps), np.int32)
    fields = {
        "actions": nothing, "mask": mask, "kinds": nothing, "tau": nothing.astype(np.float32),
        "states": nothing + np.arange(steps, dtype=np.int32),  # every turn is a row by itself
        "group": np.asarray(group), "score": np.asarray(score, np.float32), "price": np.full(count, price, np.float32),
        "weight": np.ones(count, np.float32),
    } | changed  # fmt: skip
    return Turns(**{name: jnp.asarray(field) for name, field in fields.items()})


def test_grpo_is_that_of_tunix_loss_and_gradient():
    """A stored batch, what google-tunix 0.1.7 makes of it (parity/tunix_grpo.py), and what we do."""
    stored = json.loads((DATA / "grpo" / "tunix.json").read_text())
    now, before, reference = (jnp.asarray(stored[name], jnp.float32) for name in ("now", "before", "reference"))
    count, steps = now.shape[:2]
    turns = turns_of(
        np.repeat(np.arange(count // stored["plays"]), stored["plays"]), stored["score"], stored["lengths"], steps,
        actions=np.asarray(stored["actions"], np.int32),
    )  # fmt: skip
    method = Grpo(Settings(beta=stored["beta"], clip=stored["clip"]))
    signal = method.signal(turns, jnp.zeros(turns.mask.shape, jnp.float32))
    wanted = np.where(turns.mask, np.asarray(stored["advantages"])[:, None], 0)
    np.testing.assert_allclose(signal.advantages, wanted, rtol=1e-5, atol=1e-6)

    def loss(logits):
        policies = LogPolicies(*map(jax.nn.log_softmax, (logits, before, reference)))
        return jnp.sum(signal.weights * method.losses(policies, signal, turns))

    value, gradient = jax.jit(jax.value_and_grad(loss))(now)
    np.testing.assert_allclose(value, stored["loss"], rtol=1e-5)
    np.testing.assert_allclose(gradient, stored["gradient"], rtol=2e-5, atol=1e-7)


VALUING = [Dice(Settings()), Dice(Settings(continuation="plain")), Reinforce(Settings()), CoTraining(Settings())]


@pytest.mark.parametrize("method", VALUING, ids=lambda method: f"{method.name} {method.settings.continuation}")
def test_a_turn_in_two_rounds_is_a_turn(method):
    """Who says in two rounds what others say in one has decided the same: every decision is worth as much."""
    rng = np.random.default_rng(0)
    score, lengths = rng.random(4), np.array([4, 4, 4, 4])
    penalty = rng.random((4, 4)).astype(np.float32)
    whole = method.signal(turns_of([0, 0, 1, 1], score, lengths, 4, price=0.1), jnp.asarray(penalty)).advantages
    # Rows as in batches: the first round of all plays, then the second one.
    numbers = {"play": np.tile(np.arange(4), 2), "round": np.repeat(np.arange(2), 4)}
    halves = turns_of([0, 0, 1, 1, 2, 2, 3, 3], np.tile(score, 2), lengths.repeat(2) // 2, 2, price=0.1, **numbers)
    split = np.concatenate([penalty[:, :2], penalty[:, 2:]])
    found = method.signal(halves, jnp.asarray(split)).advantages
    np.testing.assert_allclose(np.concatenate([found[:4], found[4:]], axis=1), whole, atol=1e-6)


def test_grpo_counts_the_tokens_of_later_rounds():
    numbers = {"play": [0, 1, 0, 1], "round": [0, 0, 1, 1]}
    turns = turns_of([0, 0, 1, 1], [1.0, 1.0, 1.0, 1.0], [1, 1, 1, 3], price=0.1, **numbers)
    found = Grpo(Settings()).signal(turns, jnp.zeros(turns.mask.shape)).advantages[:, 0]
    np.testing.assert_allclose(found, np.array([1, -1, 1, -1]) / 2**0.5, atol=1e-4)


def test_advantages_by_hand():
    """Leave-one-out means of what was still to come: scores, own tokens ahead, and penalties of later decisions."""
    turns = turns_of([0, 0, 0, 1], [1.0, 0.0, 0.5, 1.0], [2, 1, 3, 1], price=0.1)
    penalty = jnp.asarray([[0.2, 0.4, 0.0], [0.3, 0.0, 0.0], [0.0, 0.1, 0.2], [0.0, 0.0, 0.0]], jnp.float32)
    returns = np.array([[1 - 0.2 - 0.4, 1 - 0.1, 1], [-0.1, 0, 0], [0.5 - 0.3 - 0.3, 0.5 - 0.2 - 0.2, 0.5 - 0.1]])
    others = np.array([(returns[1] + returns[2]) / 2, (returns[0] + returns[2]) / 2, (returns[0] + returns[1]) / 2])
    wanted = np.where(turns.mask[:3], returns - others, 0)
    found = Dice(Settings()).signal(turns, penalty)
    np.testing.assert_allclose(found.advantages[:3], wanted, atol=1e-6)
    np.testing.assert_allclose(found.advantages[3], [0.9, 0, 0], atol=1e-6)  # nobody else played that question
    np.testing.assert_allclose(found.weights, turns.mask / 4)
    without = Dice(Settings(continuation="plain")).signal(turns, penalty).advantages
    np.testing.assert_allclose(without[0, 0], 0.8 - (-0.1 + 0.2) / 2, atol=1e-6)
    # The verifier's score alone, whatever tokens cost; the penalty of one β is in the reward.
    np.testing.assert_allclose(
        CoTraining(Settings()).signal(turns, penalty).advantages[0, 0], 0.6 - (0.0 + 0.2) / 2, atol=1e-6
    )
    np.testing.assert_allclose(Reinforce(Settings()).signal(turns, penalty).advantages, without, atol=1e-6)


def test_what_is_imitated():
    turns = turns_of([0, 0, 0, 1, 1, 2], [0.5, 1.0, 1.0, 0.0, 0.0, 0.5], [2, 3, 1, 2, 2, 2])
    nothing = jnp.zeros(turns.mask.shape, jnp.float32)
    right = SupervisedFineTuning(Settings()).signal(turns, nothing).weights
    np.testing.assert_allclose(right, np.outer([0, 1, 1, 0, 0, 0], [1, 1, 1]) * turns.mask / 4)
    best = Raft(Settings()).signal(turns, nothing).weights  # the first of equals; where all is wrong, nothing
    np.testing.assert_allclose(best, np.outer([0, 1, 0, 0, 0, 1], [1, 1, 1]) * turns.mask / 5)


def gradient_of(method, turns, logits, reference=None):
    """Of the loss in the logits of the policy that has played."""
    signal = method.signal(turns, jnp.zeros(turns.mask.shape, logits.dtype))
    before = jax.nn.log_softmax(logits)
    held = before if reference is None else jax.nn.log_softmax(reference)

    def loss(logits):
        policies = LogPolicies(jax.nn.log_softmax(logits), before, held)
        return jnp.sum(signal.weights * method.losses(policies, signal, turns))

    return jax.grad(loss)(logits)


@pytest.mark.parametrize("method", [SupervisedFineTuning, Raft])
def test_what_is_imitated_becomes_likelier(method):
    """The gradient of the mean of −log π is π less the token that was taken, of turns that are kept alone."""
    turns = turns_of([0, 0], [1.0, 0.0], [1, 1], 1, actions=np.array([[2], [0]], np.int32))
    logits = jnp.asarray(np.random.default_rng(0).normal(size=(2, 1, 4)), jnp.float32)
    wanted = np.stack([np.asarray(jax.nn.softmax(logits[0])) - np.eye(4)[[2]], np.zeros((1, 4))])
    np.testing.assert_allclose(gradient_of(method(Settings()), turns, logits), wanted, atol=1e-6)


def test_cotraining_is_held_at_every_token():
    """All tokens played once each, for equal scores: what is left is β KL of the token itself, as in REINFORCE."""
    rng = np.random.default_rng(1)
    logits, reference = (jnp.asarray(rng.normal(size=4), jnp.float32) for _ in range(2))
    policy = np.asarray(jax.nn.softmax(logits))
    every = {"actions": np.arange(4, dtype=np.int32)[:, None], "tau": np.full((4, 1), 0.5, np.float32)}
    turns = turns_of([0] * 4, [1.0] * 4, [1] * 4, 1, **every)
    here, there = (jnp.broadcast_to(x, (4, 1, 4)) for x in (logits, reference))
    found = gradient_of(CoTraining(Settings(beta=0.5)), turns, here, there).sum(0)[0]
    gap = np.log(policy) - np.asarray(jax.nn.log_softmax(reference))
    np.testing.assert_allclose(found, 0.5 * policy * (gap - policy @ gap), atol=1e-6)
    np.testing.assert_allclose(
        found, gradient_of(Reinforce(Settings(beta=0.5)), turns, here, there).sum(0)[0], atol=1e-6
    )


def test_sequences_that_begin_alike_are_a_tree():
    sequences = [(7, 8, 1, 2), (7, 8, 1, 3), (7, 8, 2), (7, 8, 1, 2), (7, 8)]
    tree = tree_of(sequences)
    assert tree.tokens == [7, 8, 1, 2, 3, 2]
    assert tree.depths == [0, 1, 2, 3, 3, 2]
    assert tree.paths == [[0, 1, 2, 3], [0, 1, 2, 4], [0, 1, 5], [0, 1, 2, 3], [0, 1]]
    # A node's sequence is what is left of it, and has not ended.
    for sequence, path in zip(sequences, tree.paths, strict=True):
        read = [j for j in range(path[-1] + 1) if path[-1] < tree.ends[j]]
        assert (read, tuple(tree.tokens[j] for j in read)) == (path, sequence)


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=6).map(tuple), min_size=1, max_size=6))
def test_a_tree_has_the_sequences_and_every_beginning_once(sequences):
    tree = tree_of(sequences)
    beginnings = {sequence[: n + 1] for sequence in sequences for n in range(len(sequence))}
    assert len(tree.tokens) == len(beginnings)
    for sequence, path in zip(sequences, tree.paths, strict=True):
        assert tuple(tree.tokens[node] for node in path) == sequence
        assert [tree.depths[node] for node in path] == list(range(len(sequence)))
        assert path == [j for j in range(path[-1] + 1) if path[-1] < tree.ends[j]]


def test_streams_of_trees_are_those_of_sequences(decoder):
    """Whoever shares what comes before, and from whichever block on: the numbers of sequences read one by one."""
    rng = np.random.default_rng(2)
    start = tuple(rng.integers(0, 12, 3).tolist())
    sequences = [(*start, *rng.integers(0, 2, 4).tolist()) for _ in range(5)]
    tree = tree_of(sequences)
    assert len(tree.tokens) < 3 + 5 * 4
    filled = [np.pad(np.array(field, np.int32), (0, 3))[None] for field in tree[:3]]
    trees = TokenTrees(*map(jnp.asarray, filled))
    wanted = program(decoder, jnp.asarray(np.array(sequences, np.int32)))
    for block in (0, 1):
        logits = program_of_trees(decoder, trees, block)
        for k, path in enumerate(tree.paths):
            np.testing.assert_allclose(logits[np.array(path)], wanted[k], atol=2e-5)


@pytest.fixture(scope="module")
def decoder():
    """Random weights; so few tokens that a stream of 32 numbers can say any policy."""
    shape = Architecture(12, 32, 1, 2, 2, 16, 64, 16, 1e-5, tuple(10.0 ** -np.arange(8)))
    rng = np.random.default_rng(0)
    sizes = {"embedding": (12, 32), "norm": (32,), **{f"blocks.0.{name}_norm": (32,) for name in ("attention", "mlp")}}
    sizes |= {f"blocks.0.{path}.weight": size for path, size in shape.layer_sizes.items()}
    return assemble(
        shape,
        {name: rng.normal(size=size) / 32**0.5 + (len(size) == 1) for name, size in sizes.items()},
        jnp.dtype("float32"),
    )


def batch_of_two_questions(decoder):
    """Two questions of two plays each, which share a prompt and, of one question, a first token; likely tokens all."""
    prompts = np.random.default_rng(3).integers(0, decoder.architecture.vocabulary, (2, 3))
    tokens = np.zeros((4, 8), np.int32)
    tokens[:, :3] = np.repeat(prompts, 2, axis=0)
    likely = np.argsort(-program(decoder, jnp.asarray(tokens))[:, 2])
    first = tokens[:, 3] = likely[range(4), [0, 0, 0, 1]]
    likely = np.argsort(-program(decoder, jnp.asarray(tokens))[:, 3])
    second = tokens[:, 4] = likely[range(4), [0, 1, 0, 0]]
    states = np.zeros((4, 2), np.int32)
    said = [Turn(tuple(row[:3].tolist()), tuple(row[3:5].tolist()), (0.0, 0.0), "", None) for row in tokens]
    texts = _texts(said, 2, states)
    # The two plays of the first question decide twice at the same states.
    assert states[0].tolist() == states[1].tolist()
    assert states[2, 0] == states[3, 0]
    assert states[2, 1] != states[3, 1]
    turns = turns_of(
        [0, 0, 1, 1], [1.0, 0.0, 0.0, 1.0], [2, 2, 2, 2], 2, actions=np.stack([first, second], 1),
        states=states, kinds=np.tile(np.array([[0, 2]], np.int32), (4, 1)),
        tau=np.tile(np.array([[0.5, 0.1]], np.float32), (4, 1)),
    )  # fmt: skip
    return Batch(texts, turns, ("solver",) * 4, np.zeros((4, 2), np.float32))


def wanted(**changed):
    usual = {
        "learning_rate": 0.01,
        "decay": 0,
        "weight_decay": 0.0,
        "max_norm": 0.0,
        "groups": 2,
        "rematerialise": False,
    }
    return Optimizer(**{**usual, "step_limit": 5.0, **changed})


def test_a_transformer_trained_long_on_a_step_comes_to_the_exact_one(decoder):
    """KL to the closed form at the visited states: a half nat before, 1e-3 nats at most after 200 gradient steps."""
    learner = Learner(decoder, Dice(Settings(inner_steps=200)), wanted())
    config = LoraConfig(rank=8, targets=("q_proj", "v_proj", "o_proj", "down_proj"))
    adapter = init_adapter(decoder, config, jax.random.key(0))
    learnt = learner.learn(adapter, learner.init(adapter), batch_of_two_questions(decoder))
    assert learnt.failure is None
    assert np.mean(learnt.last.whole) > 0.5
    assert np.max(learnt.last.left) < 1e-3
    assert learnt.losses[-1] < learnt.losses[0]


def test_parts_of_a_batch_add_up_to_it(decoder):
    """Gradients of one question after the other, rematerialised, are those of all."""
    adapter = init_adapter(decoder, LoraConfig(rank=2), jax.random.key(1))
    adapter = jax.tree.map(lambda x: x + 0.1 * jnp.cos(jnp.arange(x.size, dtype=x.dtype)).reshape(x.shape), adapter)
    method, batch, found = Dice(Settings()), batch_of_two_questions(decoder), []
    for one in (wanted(), wanted(groups=1, rematerialise=True), wanted(groups=3)):
        learner = Learner(decoder, method, one)
        parts, frozen, signals, _ = learner._prepared(adapter, batch)
        found.append((learner.gradient(adapter, batch), learner._look(adapter, frozen, signals, parts, batch)))
    for other in found[1:]:
        for left, right in zip(jax.tree.leaves(found[0]), jax.tree.leaves(other), strict=True):
            np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-5)


def test_the_learning_rate_falls():
    """First steps of AdamW are as long as the rate is: it is halved after so many, whatever is still to come."""
    optimizer = make_optimizer(wanted(decay=4))
    place, state, moves = jnp.zeros(()), optimizer.init(jnp.zeros(())), []
    for _ in range(9):
        update, state = optimizer.update(jnp.ones(()), state, place)
        moves.append(-float(update))
    np.testing.assert_allclose(moves, 0.01 / (1 + np.arange(9) / 4), rtol=1e-3)
