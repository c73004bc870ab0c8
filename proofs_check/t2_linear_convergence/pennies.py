"""Matching pennies, in which T2's constants are attained."""

import jax
import numpy as np

from proofs_check.games.certified import matching_pennies
from proofs_check.numerics.compiled import split_keys
from proofs_check.statement import Example
from proofs_check.t2_linear_convergence.asymptotics import spectrum
from proofs_check.t2_linear_convergence.claims import observe

# Close enough for an asymptotic ratio: matching pennies has no cubic terms (by symmetry), so D departs from a
# quadratic by a part of the order of D itself.
_CLOSE = 1e-3


def examples() -> tuple[Example, ...]:
    """Matching pennies: (b) at every τ, and D_{k+1} against D_k/(1+ηκ) where 40 steps lead close to the equilibrium.

    At τ = 0.1 they do not, and the ratio of (a) is not yet the asymptotic one that the statement speaks of.
    """
    tau = np.array([0.1, 0.5, 1.0, 2.0])
    cases = matching_pennies(tau)
    run = observe(cases, split_keys(jax.random.key(0), len(tau)))
    far = run.far
    q = 1 / (1 + cases.known.max_step * cases.known.margin)
    radius = spectrum(run.local).radius
    found = []
    for g, temperature in enumerate(tau):
        name, bound = f"matching pennies, τ = {temperature:g}", q[g] * far.before[g]
        promised, made = float(-np.log(q[g])), float(-2 * np.log(radius[g]))
        found.append(Example(name, "log(1+ηκ) / 2 log(1/r)", promised, made))
        close = np.flatnonzero((far.before[g] <= _CLOSE) & (far.slack[g] <= 1e-6 * bound))
        if close.size:
            last = close[-1]
            quantity = f"D_{last + 1} / (D_{last}/(1+ηκ))"
            found.append(Example(name, quantity, float(far.after[g, last]), float(bound[last])))
    return tuple(found)
