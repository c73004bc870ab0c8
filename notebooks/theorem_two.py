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
# # A theorem, watched
#
# Theorem T2 of this library promises a speed. If everybody looks only at what it earns right now and moves a little
# towards it (*mirror descent*), then, where the *margin* $\kappa$ is positive and the step is $\eta \le \kappa/L^2$,
# the distance to the equilibrium falls by a known factor in every single round:
#
# $$D_{k+1} \;\le\; \frac{D_k}{1+\eta\kappa}, \qquad D_k = \sum_x w_x\,\mathrm{KL}(\pi^*_x \,\|\, \pi^k_x).$$
#
# Here we define a game, certify it, watch the promise being kept, break the hypothesis and see the promise fail.

# %%
import jax
import matplotlib.pyplot as plt
import numpy as np

import hqre_jax as hq

jax.config.update("jax_enable_x64", True)

# %% [markdown]
# ## 1. A game in which nobody can settle
#
# An inspector looks in one of three places, a smuggler uses one of them. They want opposite things, in different
# currencies: what the inspector gains, the smuggler loses twice.

# %%
caught = np.array([[3.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 1.0]])
labels = hq.Labels(
    title="Inspection",
    players=("inspector", "smuggler"),
    actions=((("road", "river", "pass"),),) * 2,
)
game = hq.NormalFormGame(np.stack([caught, -2 * caught]), labels=labels)
tau = 0.5

# %% [markdown]
# ## 2. Its certificate
#
# Weights cancel the interaction of a zero-sum game, whatever the currencies: $\kappa = \tau$, and $L$ says how much one
# can change what the other's choice is worth.

# %%
certificate = hq.certify(game, tau)
kappa, steepness = certificate.margin, certificate.lipschitz
largest = kappa / steepness**2
print(f"{certificate.verdict}: κ = {kappa:.4f}, L = {steepness:.4f}, largest step κ/L² = {largest:.4f}")
assert certificate.verdict == "unique"
assert abs(kappa - tau) < 1e-6

# %% [markdown]
# ## 3. The promise is kept
#
# The dashed line is the theorem's: nothing was fitted. From a start far away the first rounds are much faster than
# promised; in the end the slope of play is that of the Jacobian at $\pi^*$.

# %%
star = hq.solve(game, tau, solver="newton").policy
start = np.array([[[0.98, 0.01, 0.01]], [[0.01, 0.01, 0.98]]])
weights = np.asarray(certificate.weights)


def distances(step, num_rounds):
    """D of every round of play with the given step."""
    policies = hq.solve(
        game,
        tau,
        solver=hq.solvers.MirrorDescent(step=step),
        initial_policy=start,
        max_steps=num_rounds,
        history=True,
        throw=False,
    ).history.policies
    ratio = np.log(np.asarray(star)) - np.log(np.maximum(policies, 1e-300))
    return np.einsum("ix,kix->k", weights, np.sum(np.asarray(star) * ratio, axis=-1))


kept = distances(largest, 150)
promised = kept[0] / (1 + largest * kappa) ** np.arange(len(kept))
_, axes = plt.subplots()
axes.semilogy(kept, label="play")
axes.semilogy(promised, "k--", label="T2")
axes.set_xlabel("round")
axes.set_ylabel("distance to the equilibrium")
axes.legend()
plt.show()
loud = kept > 1e-12  # below, rounding speaks
worst = np.max(kept[1:][loud[1:]] / kept[:-1][loud[1:]])
print(f"worst factor in a round: {worst:.6f}; promised: {1 / (1 + largest * kappa):.6f}")
assert worst <= 1 / (1 + largest * kappa) + 1e-9

# %% [markdown]
# ## 4. The hypothesis is broken
#
# Same game, same margin, steps too large. A few times $\kappa/L^2$ still converges, for the theorem speaks of the
# worst game and this one is not; then comes a step from which on play circles for ever, although there is only one
# equilibrium and everybody moves towards what pays.

# %%
_, axes = plt.subplots()
finals = {}
for times in (1, 4, 16, 64):
    path = distances(times * largest, 150)
    finals[times] = path[-1]
    axes.semilogy(np.maximum(path, 1e-16), label=f"η = {times} κ/L²")
axes.semilogy(promised, "k--", label="T2, for η = κ/L²")
axes.set_xlabel("round")
axes.set_ylabel("distance to the equilibrium")
axes.legend()
plt.show()
for times, final in finals.items():
    print(f"η = {times:2d} κ/L²: distance after 150 rounds {final:.1e}")
assert finals[1] < 1e-3
assert finals[64] > 0.01

# %% [markdown]
# ## 5. Looking ahead
#
# The cure for circling is not a smaller step but a better one: *extragradient* first predicts where everybody will go
# and then moves with the payoffs found there. In zero-sum games it keeps the promise with $\kappa/L$ in the place of
# $\kappa^2/L^2$ (T2, part d).

# %%
for solver in ("mirror_descent", "extragradient"):
    sol = hq.solve(game, tau, solver=solver)
    print(f"{solver:15s} {int(sol.num_steps):4d} steps, residual {float(sol.residual):.1e}")

# %% [markdown]
# `python -m proofs_check` repeats this on thousands of random games, and lets an adversary with gradients look for one
# in which the promise is broken.
