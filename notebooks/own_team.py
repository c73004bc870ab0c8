# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Your own team on your own endpoint
#
# Two agents of one model answer questions; each may abstain, answer in the way of four short examples, or after two
# worked ones. Tokens cost. Who should answer, when, and how? The team is a game, its policy an equilibrium, and what it
# is worth is seen on questions that it was not made from.
#
# Below, a *recording* answers in place of an endpoint (replies of SmolLM2-135M), so that this page needs neither. With
# yours, one line is another:
#
# ```python
# model = models.load("openai:my-model", base_url="http://127.0.0.1:8000/v1")  # key: OPENAI_API_KEY
# ```
#
# and the tasks may be a file of your own questions, `tasks = [{ name = "questions.csv" }]`.
#
# ## 1. The team

# %%
import tomllib
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np

import hqre_jax as hq
from hqre_jax.bridge import models
from hqre_jax.bridge.baselines import find_methods
from hqre_jax.bridge.coordination import (
    Ask,
    PolicyPlayer,
    PublicStates,
    Samples,
    TeamGame,
    collect,
    play_all,
    train_offline,
)
from hqre_jax.bridge.store import Store, StoredModel
from hqre_jax.bridge.team import read_team

jax.config.update("jax_enable_x64", True)
RECORDING = Path(hq.__file__).parents[1] / "notebooks" / "two_classes.jsonl.xz"

TEAM = """
version = 1
model = "smollm2-135m"
questions = 30
samples = 4
rounds = 2
price = { prompt = 0.1, completion = 1.0 } # for 1,000 tokens; a right answer is worth 1
tasks = [{ name = "arithmetic", classes = ["product"] }, { name = "hanabi", classes = ["next_rank"] }]
menu = [{ control = "abstain" }, { control = "answers_only", temperature = 0.7, max_tokens = 8 },
        { control = "two_examples", temperature = 0.7, max_tokens = 48 }]
agents = [{ name = "first" }, { name = "second" }]
"""
team = read_team(tomllib.loads(TEAM))
model = models.load(f"replay:{RECORDING}")

# %% [markdown]
# ## 2. Samples
#
# Thirty questions of each class under each control, four times. Whatever is asked is kept in a store before it is used:
# the same lines again ask nothing, and a budget or an interruption loses nothing.

# %%
store = Store("calls.sqlite")
stored = StoredModel(model, store)
samples = Samples(team, {"smollm2-135m": stored})
states = PublicStates.of(team, samples.tasks)
dev = states.items("dev", samples.tasks)
bought = collect(samples, states, dev, lambda what, done, total: None)
print(f"{bought.done} of {bought.total} samples, {len(store)} calls in the store")
assert not bought.failures

for c, (task, name) in enumerate(states.classes):
    for control in ("answers_only", "two_examples"):
        asked = [(item, Ask("first", control), k) for item in dev[c] for k in range(team.samples)]
        found = samples.get(asked)
        score = np.mean([one.score for one in found])
        tokens = np.mean([one.said.usage.prompt + one.said.usage.completion for one in found])
        print(f"{task + '/' + name:20s} {control:13s} right {score:.2f}, {tokens:.0f} tokens")

# %% [markdown]
# ## 3. The game, and an equilibrium of it
#
# One sample serves every joint profile: from these replies follow payoffs and transitions of *all* ways to combine
# them. Temperatures are fractions of the least ones that come with a certificate; the fraction is the one whose
# policies, fitted to half of the questions, do best on the other half.

# %%
game = TeamGame.from_samples(samples, dev)
trained = train_offline(game, "grid", factors=(1.0, 0.5, 0.25, 0.12))
print("fraction of the least certified temperatures:", trained.factor)
print("on held-out halves:", {factor: round(value, 3) for factor, value in trained.grid.items()})
print(f"{trained.solution.result}, {trained.selection}; certificate: {trained.certificate.verdict}")
for x, state in enumerate(states.states):
    for i, agent in enumerate(team.agents):
        chances = zip(agent.choices, trained.policy[i, x], strict=True)
        row = ", ".join(f"{choice.name} {chance:.2f}" for choice, chance in chances if chance > 0.01)
        print(f"{state!s:40s} {agent.name:7s} {row}")
assert float(trained.solution.residual) < 1e-8

# %% [markdown]
# Where the answers agree, everybody falls silent: a further answer costs tokens and changes nothing.
#
# ## 4. Is it worth its tokens?
#
# Thirty other questions of each class, and what people use today, each with the best setting on the questions above.

# %%
others = [item for items in states.items("dev", samples.tasks, 60).values() for item in items[30:]]
everything = [item for items in dev.values() for item in items]
players = {"the policy": PolicyPlayer(states, trained.policy)}
for method in find_methods(["single", "self_consistency_3", "best_profile_by_class"]):
    players[method.name] = method.fit(everything, samples, np.inf, 0)

rng, shown = np.random.default_rng(0), {}
for name, player in players.items():
    outcomes = [outcome for seed in range(3) for outcome in play_all(player, others, samples, seed)]
    scores = np.array([outcome.score for outcome in outcomes]).reshape(3, len(others))
    tokens = np.mean([outcome.tokens for outcome in outcomes])
    resampled = scores.mean(0)[rng.integers(len(others), size=(1000, len(others)))].mean(1)
    shown[name] = scores.mean(), np.quantile(resampled, [0.025, 0.975]), tokens
    print(f"{name:22s} right {scores.mean():.2f} {np.round(shown[name][1], 2)}, {tokens:.0f} tokens a question")

# %%
_, axes = plt.subplots(figsize=(6, 3.5))
for name, (score, (low, high), tokens) in shown.items():
    axes.errorbar(tokens, score, [[score - low], [high - score]], marker="o", capsize=3, label=name)
axes.set_xlabel("tokens a question")
axes.set_ylabel("right answers")
axes.legend(fontsize="small")
plt.show()

# %% [markdown]
# With sixty questions the intervals are wide: `hqre llm eval` plays all test questions with several seeds, all
# baselines and three token budgets, and compares pairwise ([Evaluations](../docs/evaluation.md)).
#
# ## 5. One question, round by round

# %%
outcome = play_all(players["the policy"], others[-1:], samples, 1)[0]
print(outcome.item.question)
for number, step in enumerate(outcome.trace, 1):
    for ask, said in zip(step.asks, step.said, strict=True):
        print(f"round {number}, {said.agent} ({ask.choice}, chosen with {ask.probability:.2f}): {said.text!r}")
print(outcome.judgement.reason)
store.close()

# %% [markdown]
# ## The same from the command line
#
# `hqre llm collect`, `train` and `eval` do all of this, with progress, budgets and resumption: [ten lines and three
# commands](../docs/teams.md).
