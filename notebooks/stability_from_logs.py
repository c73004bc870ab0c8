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
# # From a log of plays to a verdict on stability
#
# Three agents work on tasks: a *planner* and a *solver*, who must pick the same output format to be understood, and
# a *critic*, who meets nobody: it earns more by reading carefully. They adapt after every batch of tasks. All we have
# is a log: who did what, with which probability, and what it paid. Is what they do stable? If not, who is the cause,
# and what would help?
#
# Nothing below looks into the game, except the first cell, which stands for the world and writes the log.

# %%
import jax
import matplotlib.pyplot as plt
import numpy as np

import hqre_jax as hq

jax.config.update("jax_enable_x64", True)
rng = np.random.default_rng(0)
labels = hq.Labels(players=("planner", "solver", "critic"))


def world(actions):
    """Payoffs of a batch of tasks: noisy, and the luck of a task is shared by all."""
    understood = (actions[:, 0] == actions[:, 1]).astype(float)
    careful = 0.3 * actions[:, 2]
    luck = 0.2 * rng.standard_normal((len(actions), 1)) + 0.1 * rng.standard_normal(actions.shape)
    return np.stack([understood, understood, careful], axis=1) + luck


def batch(policy, run, tasks=800):
    """The log of one batch under one policy."""
    actions = np.stack([rng.choice(2, tasks, p=row) for row in policy[:, 0]], axis=1)
    propensities = np.log(policy[np.arange(3), 0, actions])
    return hq.RolloutLog.from_plays(
        actions, world(actions), log_propensities=propensities, run=run, num_actions=[[2]] * 3, labels=labels
    )


# %% [markdown]
# ## 1. Agents that answer too sharply
#
# Each agent estimates what its two actions earned in the last batch and answers by a logit response at its temperature
# $\tau$ (in units of payoff), nine times out of ten; the tenth time it explores.


# %%
def answer(log, tau):
    """Logit response to the mean payoffs of the last batch, with exploration."""
    policy = np.zeros((3, 1, 2))
    for i in range(3):
        own = log.filter(agent=i)
        means = np.array([own.payoff[own.action == a].mean() for a in range(2)])
        weights = np.exp((means - means.max()) / tau[i])
        policy[i, 0] = 0.9 * weights / weights.sum() + 0.05
    return policy


def run(tau, batches, start):
    """Policies and logs of a run at fixed temperatures."""
    policies, logs = [start], []
    for k in range(batches):
        logs.append(batch(policies[-1], k))
        policies.append(answer(logs[-1], tau))
    return np.stack(policies[:-1]), logs


start = np.array([[[0.9, 0.1]], [[0.2, 0.8]], [[0.5, 0.5]]])
tau = np.array([0.15, 0.15, 0.15])
policies, logs = run(tau, 8, start)
print(logs[0])

# %% [markdown]
# ## 2. The verdict
#
# `hq.diagnose_logs` takes one log per policy and compares what was earned before and after each move. Along a move
# $d = \pi - \pi'$ it estimates the *directional margin*
#
# $$\hat\kappa = \frac{\sum_x w_x\,\tau_x J_x - \sum_x w_x \langle \hat Q_x - \hat Q'_x, d_x\rangle}{\sum_x w_x J_x}$$
#
# and the *contraction ratio*, by which one round of answers multiplies the difference of two policies. A margin below 0
# refutes convergence; a ratio below $1 - 2/\sqrt{3} \approx -0.155$ says that the answers are too sharp to be
# certified. Both come with confidence intervals, and alarms are raised on the intervals, not on the estimates.

# %%
report = hq.diagnose_logs(logs, tau)
print(report)
assert report.verdict == "unstable"
assert {i for i, _ in report.culprits} <= {0, 1}

# %% [markdown]
# The planner and the solver swing to and fro: their oscillation index (the cosine of successive steps) is near −1. The
# critic settles, and is not blamed.

# %%
for i, name in enumerate(labels.players):
    print(f"{name:8s} oscillation {report.oscillation[i, 0]:+.2f}   path/displacement {report.drift[i, 0]:.1f}")
assert report.oscillation[:2].max() < -0.8

# %% [markdown]
# ## 3. The cure
#
# Each pair of actions was tried often enough to estimate how strongly the agents' choices interact. From that follow
# the least temperatures at which the margin is positive. (For these two it is $c/2 = 0.5$ in truth.)

# %%
print("least temperatures:", np.round(report.least_tau[:, 0], 3))
cured = np.maximum(tau, 1.2 * report.least_tau[:, 0])
assert abs(report.least_tau[0, 0] - 0.5) < 0.05
assert cured[2] == tau[2]  # the critic keeps its temperature
calm, calm_logs = run(cured, 8, start)
after = hq.diagnose_logs(calm_logs, cured)
print(after)
assert after.verdict == "stable"

# %% [markdown]
# ## 4. The same, while they play
#
# `hq.stability.TemperatureController` does this on the fly: it raises the temperatures of those who need it, and lowers
# what is higher than needed (the critic, who meets nobody, needs next to none). Here it starts from temperatures that
# are too low for the first two agents.

# %%
controller = hq.stability.TemperatureController(reserve=0.2)
mask = np.ones((3, 1, 2), bool)
state, policy = controller.init(mask, tau), start
path, temperatures = [], []
for k in range(20):
    log = batch(policy, k)
    actions, payoffs = log.action.reshape(-1, 3), log.payoff.reshape(-1, 3)
    state = controller.step(state, policy, actions, payoffs, mask)
    path.append(policy)
    temperatures.append(state.tau[:, 0])
    policy = answer(log, np.maximum(state.tau[:, 0], 0.05))

_, (top, bottom) = plt.subplots(2, 1, figsize=(6, 5), sharex=True)
for i, name in enumerate(labels.players):
    top.plot(np.stack(path)[:, i, 0, 0], label=f"{name}, controlled", color=f"C{i}")
    if i < 2:
        top.plot(policies[:, i, 0, 0], ":", color=f"C{i}", label=f"{name}, left alone")
    bottom.plot(np.stack(temperatures)[:, i], color=f"C{i}")
top.set_ylabel("P(first action)")
bottom.set_ylabel("temperature τ")
bottom.set_xlabel("batch of tasks")
top.legend(fontsize="x-small", ncols=2)
plt.show()
print("temperatures at the end:", np.round(state.tau[:, 0], 3))
last = np.abs(path[-1] - path[-2])[:2].max()
alone = np.abs(policies[-1] - policies[-2])[:2].max()
print(f"last step {last:.3f}, left alone {alone:.3f}")
assert last < 0.2 * alone
assert state.tau[:2].sum() <= 1.25 * 2 * 0.5

# %% [markdown]
# ## What this cannot say
#
# * One direction is one direction: a directional margin is an *upper* bound on the margin. It can refute; however
#   large, it certifies nothing. "Stable" above rests on the estimated interactions of all pairs of actions.
# * With three agents or more whose payoffs are not sums over pairs, interactions are those about the policies played.
# * Actions that were never tried have no payoffs: without exploration the verdict is *not enough data*.
