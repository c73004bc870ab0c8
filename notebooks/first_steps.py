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
# # First steps
#
# Two reviewers read the same report. Each can *check* every claim, which pays only if the other does so too, or
# *skim* it. We ask how they will play if they respond to payoffs noisily, whether there is only one answer, and what
# happens when the noise gets too small for that.
#
# An equilibrium here is a **heterogeneous quantal response equilibrium** (HQRE): everybody plays better actions more
# often, given how everybody else plays,
#
# $$\pi_i(a) \;\propto\; \rho_i(a)\,\exp\!\big(Q_i^\pi(a)/\tau_i\big).$$
#
# The temperature $\tau_i$, in units of payoff, says how large a difference in payoff has to be to matter to player
# $i$; $\rho_i$ is what it would do without any payoffs (uniform, unless you say otherwise).

# %%
import jax
import matplotlib.pyplot as plt
import numpy as np

import hqre_jax as hq

jax.config.update("jax_enable_x64", True)  # residuals of 1e-10 need double precision

# %% [markdown]
# ## 1. A game
#
# `payoffs[i, a_1, a_2]` is what player `i` gets. Names are optional; pictures use them.

# %%
reviewer = np.array([[10.0, 1.0], [8.0, 5.0]])  # rows: my action; columns: the other's; check, skim
payoffs = np.stack([reviewer, reviewer.T])
labels = hq.Labels(
    title="Two reviewers",
    players=("Ada", "Ben"),
    actions=((("check", "skim"),), (("check", "skim"),)),
)
game = hq.NormalFormGame(payoffs, labels=labels)

# %% [markdown]
# ## 2. Its equilibrium
#
# A policy has the axes `(player, information state, action)`. A game in normal form has one information state.

# %%
sol = hq.solve(game, tau=4.0)
print(f"{sol.result}: residual {float(sol.residual):.1e} after {int(sol.num_steps)} steps")
print(f"P(check) = {sol.policy[0, 0, 0]:.4f} (Ada), {sol.policy[1, 0, 0]:.4f} (Ben)")

# %% [markdown]
# Success means one thing: the policy is its own response, up to the *residual*. Nothing in it is hidden, so let us
# compute it by hand.

# %%
ada, ben = np.asarray(sol.policy)[:, 0]
weights = np.exp(reviewer @ ben / 4.0)
print("Ada's response to Ben:", weights / weights.sum())
print("what Ada plays:       ", ada)
assert np.abs(weights / weights.sum() - ada).max() < 1e-10

# %% [markdown]
# ## 3. Is it the only one?
#
# `sol.selection` says `unique`, and the certificate says why: the *margin* $\kappa$ is positive. It is the temperature
# less the strength of the interaction, here half of a quarter of $(10 - 8 - 1 + 5) + (10 - 8 - 1 + 5)$, that is 1.5:
# only how much the other's choice changes what one's own choice is worth counts. If $\kappa > 0$ there is exactly
# one HQRE (theorem T1).

# %%
print("selection:  ", sol.selection)
print("certificate:", sol.certificate)
assert sol.selection == "unique"
assert abs(sol.certificate.margin - (4.0 - 1.5)) < 1e-9

# %% [markdown]
# The same margin says how fast plain mirror descent, in which both players only ever look at what they earn now, gets
# there: the divergence from the equilibrium shrinks by $1/(1+\eta\kappa)$ a step at least (theorem T2). The dashed
# line is that promise.

# %%
descent = hq.solve(game, tau=4.0, solver="mirror_descent", history=True)
_, axes = plt.subplots()
hq.plotting.convergence(descent, ax=axes)
plt.show()

# %% [markdown]
# ## 4. Different temperatures for different players
#
# One temperature per player: Ben is careful (0.5), Ada is not (8). The margin may still be positive.

# %%
mixed = hq.solve(game, tau=[8.0, 0.5])
print(f"P(check) = {mixed.policy[0, 0, 0]:.4f} (Ada), {mixed.policy[1, 0, 0]:.4f} (Ben)")
print("selection:", mixed.selection)
print("margin:   ", mixed.certificate.margin)

# %% [markdown]
# ## 5. The principal branch
#
# At $\tau = \infty$ everybody plays $\rho$, and that is the only equilibrium. Lower the temperature continuously and
# it moves along a curve, the *principal branch*. Where the curve turns back the library follows it round.

# %%
branch = hq.trace_branch(game, np.inf, 0.3)
print(f"{len(branch.scales)} points, {len(branch.folds)} folds")
_, axes = plt.subplots()
hq.plotting.branch(branch, ax=axes)
plt.show()

# %% [markdown]
# Both reviewers end up skimming, although both would be better off if both checked: against a coin flip, skimming
# pays more.
#
# ## 6. Breaking uniqueness
#
# The margin falls with the temperature. Where it is gone, nothing promises a single equilibrium any more, and the
# answer's `selection` says which one it is instead: the one on the principal branch.

# %%
print("   τ     margin   P(check)  selection")
selections = []
for tau in (6.0, 4.0, 2.0, 1.6, 1.4, 1.0, 0.5):
    sol = hq.solve(game, tau)
    selections.append(str(sol.selection))
    print(f"{tau:4.1f}  {sol.certificate.margin:9.4f}  {sol.policy[0, 0, 0]:8.4f}  {sol.selection}")
assert selections[0] == "unique"
assert selections[-1] == "principal_branch"

# %% [markdown]
# A margin that is not positive proves nothing either way. `certify` looks further: it searches for a second
# equilibrium, and does not claim one without two witnesses.

# %%
for tau in (4.0, 0.5):
    certificate = hq.certify(game, tau)
    print(f"τ = {tau}: {certificate}")
    for witness in certificate.witnesses:
        print(f"    P(check) = {witness[0, 0, 0]:.6f}, residual {float(hq.residual(game, witness, tau)):.1e}")
assert certificate.verdict == "not_unique"

# %% [markdown]
# Here are all of them. At a temperature, an equilibrium in which both reviewers do the same is a crossing of the
# response curve with the diagonal: one at $\tau = 4$, three at $\tau = 0.5$. Rings are the two witnesses, filled points
# the library's answers: at $\tau = 0.5$ the equilibrium that is connected to full randomness.

# %%
grid = np.linspace(0.0, 1.0, 401)
advantage = np.array([1.0, -1.0]) @ reviewer @ np.stack([grid, 1.0 - grid])  # of checking over skimming
_, axes = plt.subplots(figsize=(5, 4.5))
axes.plot(grid, grid, color="0.6", lw=1)
for tau, colour in ((4.0, "tab:blue"), (0.5, "tab:orange")):
    axes.plot(grid, 1.0 / (1.0 + np.exp(-advantage / tau)), color=colour, label=f"τ = {tau:g}")
    answer = float(hq.solve(game, tau).policy[0, 0, 0])
    axes.plot(answer, answer, "o", color=colour, ms=8)
    for witness in hq.certify(game, tau).witnesses:
        axes.plot(witness[1, 0, 0], witness[0, 0, 0], "o", mfc="none", mec=colour, ms=12)
axes.set_xlabel("P(Ben checks)")
axes.set_ylabel("P(Ada checks) in response")
axes.legend(loc="upper left")
plt.show()

# %% [markdown]
# ## 7. Where to go from here
#
# * Other games: `hq.PolymatrixGame`, `hq.BayesianGame`, `hq.MarkovGame`, `hq.PublicPrivateGame`,
#   `hq.ExtensiveFormGame.from_efg(path)`; `hq.list_games()` names those that come with the library.
# * Thousands of games at once: `jax.jit(jax.vmap(...))` around `hq.solve` works with every solver, and so does
#   `jax.grad`: below, how much more Ada checks per unit of payoff added to checking alone.


# %%
def checking(bonus):
    """P(Ada checks) when checking alone pays her ``bonus`` more."""
    sweetened = hq.NormalFormGame(jax.numpy.asarray(payoffs).at[0, 0, 1].add(bonus))
    return hq.solve(sweetened, 4.0, solver="newton", throw=False).policy[0, 0, 0]


slope = float(jax.grad(checking)(0.0))
difference = float(checking(1e-4) - checking(-1e-4)) / 2e-4
print(f"derivative {slope:.6f}, difference quotient {difference:.6f}")
assert abs(slope - difference) < 1e-6

# %% [markdown]
# * The theorems behind the words *unique* and *margin*, each with its proof and with an experiment that could refute
#   it: `python -m proofs_check`.
