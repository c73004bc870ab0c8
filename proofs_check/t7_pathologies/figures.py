"""What best response, noisy best response and mirror play lose where two conventions compete."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import hqre_jax as hq
from hqre_jax.bounds import interactions_under, regret_majorant
from hqre_jax.core._simplex import kl, safe_log, span
from hqre_jax.core._types import LogPolicy, Policy, Scalar
from hqre_jax.learning import best_response_dynamics, mirror_dynamics, noisy_best_response_dynamics
from hqre_jax.plotting._canvas import COLOURS
from proofs_check.games.certified import Certified, posed
from proofs_check.numerics import accuracy
from proofs_check.numerics.compiled import each_game
from proofs_check.numerics.equilibria import best_equilibrium
from proofs_check.statement import Figure

# Payoffs of the two conventions, temperature, noise, rounds, runs of noisy play.
_CONVENTIONS, _TAU, _NOISE, _REGRET_ROUNDS, _RUNS = (1.5, 1.0), 0.9, 0.2, 1000, 32


def _summed_gaps(game: hq.AbstractGame, policies: Float[Array, "round player state action"]) -> Float[Array, " round"]:
    """Σ over players of what a best response would have earned more, by round."""
    problem = hq.Problem(game, 1.0)

    def gap(policy):
        values = problem.evaluate(safe_log(policy, game.action_mask)).action_values
        return jnp.sum(jnp.max(values, axis=-1) - jnp.sum(policy * values, axis=-1))

    return jax.vmap(gap)(policies)


def measure_regret(key: Any) -> dict[str, np.ndarray]:
    """Two conventions worth 1.5 and 1: what best response, noisy best response and mirror play lose."""
    payoffs = np.broadcast_to(np.diag(_CONVENTIONS), (1, 2, 2, 2))
    cases = posed(hq.NormalFormGame, (payoffs,), np.array([_TAU]))
    star = best_equilibrium(cases.problem, key[None])
    lost, bound = jax.tree.map(lambda leaf: leaf[0], _losses(cases, star, key[None]))
    # Apart stays apart, together together, with probability s: the chain forgets its start by 2s − 1 per round.
    same = (1 - _NOISE / 2) ** 2 + (_NOISE / 2) ** 2
    chance = 0.5 + 0.5 * (2 * same - 1) ** np.arange(_REGRET_ROUNDS)
    total = sum(_CONVENTIONS)
    curves = lost | {"best_response_theory": total * np.ones(_REGRET_ROUNDS), "drift_theory": total * chance}
    problem = cases.problem
    return {name: np.cumsum(curve) for name, curve in curves.items()} | {
        "mirror_bound": bound,
        "plain_slope": np.sum(problem.tau * np.log(problem.mask.sum(axis=-1))),
        "tau": np.asarray(_TAU),
        "noise": np.asarray(_NOISE),
        "margin": cases.known.margin[0],
    }


@functools.partial(each_game, size=1)
def _losses(case: Certified, star: LogPolicy, key: Any) -> tuple[dict[str, Float[Array, " round"]], Scalar]:
    """What is lost in each round, and the bound on what mirror play loses in all."""
    problem, known, game, rounds = case.problem, case.known, case.problem.game, _REGRET_ROUNDS - 1
    apart = jnp.asarray([[[1.0, 0.0]], [[0.0, 1.0]]])

    def noisy(key: Any) -> Float[Array, " round"]:
        return _summed_gaps(game, noisy_best_response_dynamics(game, apart, rounds, key, noise=_NOISE))

    policies = mirror_dynamics(problem, 0.98 * apart + 0.01, rounds, key, step=known.max_step)

    def regularised(policy: Policy) -> Scalar:
        log_policy = safe_log(policy, problem.mask)
        answer = problem.log_policy(problem.response_logits(log_policy))
        return jnp.sum(problem.tau * kl(log_policy, answer, problem.mask))

    start = jnp.log(policies[0])
    meetings = interactions_under(problem, 0)
    assert meetings is not None
    majorant = regret_majorant(
        problem.tau.ravel(), known.weights.ravel(), meetings.influence(), known.max_step, known.margin,
        accuracy.divergence(star, start, problem, known.weights), span(start - star, problem.mask).ravel(), 1,
    )  # fmt: skip
    lost = {
        "best_response": _summed_gaps(game, best_response_dynamics(game, apart, rounds, key)),
        "drift": jnp.mean(jax.vmap(noisy)(jax.random.split(key, _RUNS)), axis=0),
        "mirror": jax.vmap(regularised)(policies),
        "mirror_plain": _summed_gaps(game, policies),
    }
    return lost, jnp.sum(majorant.total)


def draw_regret(arrays: dict[str, np.ndarray], ax: Any) -> None:
    """Into axes."""
    rounds = np.arange(1, len(arrays["mirror"]) + 1)
    curves = (
        ("best_response", "best response: oscillates", COLOURS[1]),
        ("drift", f"best response with noise {arrays['noise']:g}: drifts", COLOURS[4]),
        ("mirror_plain", f"mirror play, τ = {arrays['tau']:g}: unregularised", COLOURS[5]),
        ("mirror", f"mirror play, κ = {arrays['margin']:.3g}: regularised", COLOURS[0]),
    )
    for name, label, colour in curves:
        ax.plot(rounds, arrays[name], color=colour, lw=2, label=label)
    ax.plot(rounds, arrays["best_response_theory"], color="black", ls="--", lw=1, label="closed forms (T7), bound (T3)")
    ax.plot(rounds, arrays["drift_theory"], color="black", ls="--", lw=1)
    ax.axhline(float(arrays["mirror_bound"]), color="black", ls="--", lw=1)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(1, len(rounds))
    ax.set_xlabel("round K")
    ax.set_ylabel("cumulative regret of both players (payoff)")
    ax.set_title("Regret where two conventions compete")
    ax.grid(alpha=0.3)
    ax.legend(fontsize="small")


FIGURES = (
    Figure(
        "regret",
        "Two conventions, worth 1.5 and 1, and opposed starts. Best response swaps for ever and noisy best "
        "response drifts: both lose linearly, as the closed forms say (dashed; noise: mean of 32 runs). Mirror "
        "play at κ > 0 has bounded regularised regret, below T3's constant; against the unregularised best "
        "response it loses a little in every round.",
        measure_regret,
        draw_regret,
    ),
)
