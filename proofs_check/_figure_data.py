"""What the pictures of the ledger show: measurements, and the numbers of the theory to draw beside them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import hqre_jax as hq
from hqre_jax.bounds import interactions_under, regret_majorant
from hqre_jax.core._simplex import center, kl, log_softmax, mirror_step, safe_log, span
from hqre_jax.core._types import LogPolicy, Scalar
from hqre_jax.games.random._draws import generator
from hqre_jax.learning import best_response_dynamics, mirror_dynamics, noisy_best_response_dynamics
from proofs_check import _accuracy as accuracy
from proofs_check._cases import (
    BATCH,
    COORDINATION,
    GENERAL_SUM,
    NEAR_ZERO_SUM,
    Cases,
    certified,
    posed,
    quick_jit,
    scaled,
)
from proofs_check._equilibria import find_equilibria
from proofs_check.t1_uniqueness import coordination, num_equilibria

Data = dict[str, np.ndarray]

_NUM_STARTS = 4
# Convergence: games of each family, and rounds.
_GAMES, _ROUNDS = 150, 1500
# Boundary: grid of temperatures and steps, rounds before play counts as not converging, and when it has converged.
_GRID, _PATIENCE, _ARRIVED = 32, 1000, 1e-6
# Regret: payoffs of the two conventions, temperature, noise, rounds, runs of noisy play.
_CONVENTIONS, _TAU, _NOISE, _REGRET_ROUNDS, _RUNS = (1.5, 1.0), 0.9, 0.2, 1000, 32
_MAX_LEAVES = 10
# Coordination games whose HQRE are counted.
_COUNTED = 160


def _update(problem: hq.Problem, log_policy: LogPolicy, eta: Scalar) -> LogPolicy:
    return problem.log_policy(mirror_step(log_policy, problem.response_logits(log_policy), eta * problem.tau))


def _equilibrium(problem: hq.Problem, key: Any) -> LogPolicy:
    found, sizes = find_equilibria(problem, _NUM_STARTS, key)
    return found[jnp.argmin(jnp.where(jnp.isnan(sizes), jnp.inf, sizes))]


def _jacobian(problem: hq.Problem, star: LogPolicy, eta: Scalar):
    """Jacobian of the update at π*, on centred logits."""
    mask = problem.mask

    def flat(z):
        z = center(z.reshape(mask.shape), mask)
        return center(mirror_step(z, problem.response_logits(problem.log_policy(z)), eta * problem.tau), mask).ravel()

    return jax.jacfwd(flat)(center(star, mask).ravel())


def _radius(jacobians: Any) -> np.ndarray:
    return np.abs(np.linalg.eigvals(np.asarray(jacobians))).max(axis=-1)


@quick_jit
def _mirror_runs(cases: Cases, keys: Any):
    """D_k of a run from a random start at η = κ/L², and the update's Jacobian at π*."""

    def one(problem, known, key):
        problem = problem.centered()
        solve_key, start_key = jax.random.split(key)
        star = _equilibrium(problem, solve_key)

        def step(log_policy, _):
            after = _update(problem, log_policy, known.max_step)
            return after, accuracy.divergence(star, log_policy, problem, known.weights)

        start = log_softmax(2.0 * jax.random.normal(start_key, problem.mask.shape), problem.mask)
        _, divergences = jax.lax.scan(step, start, length=_ROUNDS)
        return divergences, _jacobian(problem, star, known.max_step)

    return jax.vmap(one)(cases.problem, cases.known, keys)


def _runs(key: Any) -> Data:
    """Divergences, promised and predicted factors of D of games of two families, one after the other."""
    parts = []
    for f, family in enumerate((GENERAL_SUM, NEAR_ZERO_SUM)):
        rng = generator(jax.random.fold_in(key, f))
        # As many as the checks draw at once, so that what certifies them is compiled.
        cases = jax.tree.map(lambda leaf: leaf[:_GAMES], certified(family, rng, BATCH))
        divergences, jacobians = _mirror_runs(cases, jax.random.split(jax.random.key(int(rng.integers(2**31))), _GAMES))
        promised = 1 / (1 + np.asarray(cases.known.max_step * cases.known.margin))
        parts.append((np.asarray(divergences), promised, _radius(jacobians) ** 2, np.full(_GAMES, f)))
    names = ("divergence", "promised", "predicted", "family")
    return {name: np.concatenate(columns) for name, columns in zip(names, zip(*parts, strict=True), strict=True)}


def convergence(key: Any) -> Data:
    """Three games, from slow to fast, of those whose D falls by ten orders within the run."""
    data = _runs(key)
    fell = data["divergence"][:, -1] <= 1e-10 * data["divergence"][:, 0]
    slow_to_fast = np.flatnonzero(fell)[np.argsort(-data["predicted"][fell])]
    chosen = slow_to_fast[(np.array([0.2, 0.5, 0.8]) * len(slow_to_fast)).astype(int)]
    return {name: array[chosen] for name, array in data.items()}


def rates(key: Any) -> Data:
    """Rates promised, predicted and measured, the last where D has fallen from 1e-4 to 1e-10 of its start."""
    data = _runs(key)
    size = data["divergence"] / data["divergence"][:, :1]
    first, last = ((size <= level).argmax(axis=1) for level in (1e-4, 1e-10))
    measured = np.full(len(size), np.nan)
    for g in np.flatnonzero((size[:, -1] <= 1e-10) & (last > first)):
        measured[g] = np.log(size[g, first[g]] / size[g, last[g]]) / (last[g] - first[g])
    return {
        "promised": -np.log(data["promised"]),
        "predicted": -np.log(data["predicted"]),
        "measured": measured,
        "family": data["family"],
    }


@quick_jit
def _stability(problem: hq.Problem, etas: Any, keys: Any):
    """For each temperature and step: the Jacobian at π*, and rounds until play from ρ is close to π*."""

    def one(problem, key):
        problem = problem.centered()
        star = _equilibrium(problem, key)

        def at_step(eta):
            def step(carry, k):
                log_policy, arrival = carry
                far = jnp.max(jnp.abs(jnp.exp(log_policy) - jnp.exp(star))) > _ARRIVED
                # The round after the last one that was far.
                return (_update(problem, log_policy, eta), jnp.where(far, k + 1, arrival)), None

            rounds = jnp.arange(_PATIENCE)
            (_, arrival), _ = jax.lax.scan(step, (problem.log_reference, jnp.zeros((), rounds.dtype)), rounds)
            return _jacobian(problem, star, eta), arrival

        return jax.vmap(at_step)(etas)

    return jax.vmap(one)(problem, keys)


def boundary(key: Any) -> Data:
    """Rock-paper-scissors, its payoffs a little disturbed, on a grid of temperatures and steps."""
    rng = generator(key)
    cycle = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])
    payoffs = np.stack([cycle, -cycle]) + 0.1 * rng.uniform(-1, 1, (2, 3, 3))
    tau, eta = np.geomspace(0.02, 5.0, _GRID), np.geomspace(0.02, 100.0, _GRID)
    cases = posed(hq.NormalFormGame, (np.tile(payoffs, (BATCH, 1, 1, 1)),), np.resize(tau, BATCH))
    cases = jax.tree.map(lambda leaf: leaf[:_GRID], cases)
    keys = jax.random.split(jax.random.key(int(rng.integers(2**31))), _GRID)
    jacobians, rounds = _stability(cases.problem, jnp.asarray(eta), keys)
    margin = np.asarray(cases.known.margin)
    return {
        "tau": tau,
        "eta": eta,
        "radius": _radius(jacobians),
        "rounds": np.where(np.asarray(rounds) < _PATIENCE, np.asarray(rounds), np.nan),
        "certified": np.where(margin > 0, np.asarray(cases.known.max_step), np.nan),
    }


def _summed_gaps(game: hq.AbstractGame, policies: Any) -> Any:
    """Σ over players of what a best response would have earned more, by round."""
    problem = hq.Problem(game, 1.0)

    def gap(policy):
        values = problem.evaluate(safe_log(policy, game.action_mask)).action_values
        return jnp.sum(jnp.max(values, axis=-1) - jnp.sum(policy * values, axis=-1))

    return jax.vmap(gap)(policies)


def regret(key: Any) -> Data:
    """Two conventions worth 1.5 and 1: what best response, noisy best response and mirror play lose."""
    payoffs = np.broadcast_to(np.diag(_CONVENTIONS), (2, 2, 2))
    game, rounds = hq.NormalFormGame(payoffs), _REGRET_ROUNDS - 1
    apart = jnp.asarray([[[1.0, 0.0]], [[0.0, 1.0]]])
    best = _summed_gaps(game, best_response_dynamics(game, apart, rounds, key))

    @quick_jit
    def noisy(keys):
        def run(key):
            return _summed_gaps(game, noisy_best_response_dynamics(game, apart, rounds, key, noise=_NOISE))

        return jax.vmap(run)(keys)

    drift = noisy(jax.random.split(key, _RUNS))
    cases = jax.tree.map(lambda leaf: leaf[0], posed(hq.NormalFormGame, (payoffs[None],), np.array([_TAU])))
    problem, known = cases.problem, cases.known
    policies = mirror_dynamics(problem, 0.98 * apart + 0.01, rounds, key, step=known.max_step)

    def regularised(policy):
        log_policy = safe_log(policy, problem.mask)
        answer = problem.log_policy(problem.response_logits(log_policy))
        return jnp.sum(problem.tau * kl(log_policy, answer, problem.mask))

    star, start = _equilibrium(problem.centered(), key), jnp.log(policies[0])
    meetings = interactions_under(problem, 0)
    assert meetings is not None
    majorant = regret_majorant(
        problem.tau.ravel(), known.weights.ravel(), meetings.influence(), known.max_step, known.margin,
        accuracy.divergence(star, start, problem, known.weights), span(start - star, problem.mask).ravel(), 1,
    )  # fmt: skip
    # Apart stays apart, together together, with probability s: the chain forgets its start by 2s − 1 per round.
    same = (1 - _NOISE / 2) ** 2 + (_NOISE / 2) ** 2
    chance = 0.5 + 0.5 * (2 * same - 1) ** np.arange(_REGRET_ROUNDS)
    total = sum(_CONVENTIONS)
    curves = {
        "best_response": best,
        "best_response_theory": total * np.ones(_REGRET_ROUNDS),
        "drift": np.mean(np.asarray(drift), axis=0),
        "drift_theory": total * chance,
        "mirror": jax.vmap(regularised)(policies),
        "mirror_plain": _summed_gaps(game, policies),
    }
    data = {name: np.cumsum(np.asarray(curve)) for name, curve in curves.items()}
    log_counts = np.log(np.asarray(problem.mask).sum(axis=-1))
    return data | {
        "mirror_bound": np.sum(np.asarray(majorant.total)),
        "plain_slope": np.sum(np.asarray(problem.tau) * log_counts),
        "tau": np.asarray(_TAU),
        "noise": np.asarray(_NOISE),
        "margin": np.asarray(known.margin),
    }


def equilibria(key: Any) -> Data:
    """Numbers of HQRE of 2×2 games c·I and of random 3×3 coordination games, against κ/τ."""
    rng = generator(key)
    ratio = np.linspace(0.26, 0.9, 40)
    sizes = 5.0 ** rng.uniform(-1, 1, len(ratio))
    square = coordination(sizes, ratio * sizes)
    general = jax.tree.map(lambda leaf: leaf[:_COUNTED], scaled(COORDINATION, rng, BATCH, 0.35, 1.3))
    data = {}
    for name, cases in (("square", square), ("general", general)):
        data[f"{name}_margin"] = np.asarray(cases.known.margin) / np.asarray(cases.problem.tau)[:, 0, 0]
        data[f"{name}_count"] = num_equilibria(cases)
    return data


def star(key: Any) -> Data:
    """Least temperatures of stars whose edges are c·I with c = 1, all in arrays of one shape."""
    del key
    players = _MAX_LEAVES + 2
    edges = np.stack([np.zeros(players - 1, int), np.arange(1, players)], axis=1)
    leaves = np.arange(1, _MAX_LEAVES + 1)
    hub, leaf, common = [], [], []
    for n in leaves:
        met = np.arange(players) <= n
        payoffs = np.where(met[1:, None, None, None], np.eye(2), 0.0) * np.ones((1, 2, 1, 1))
        # Who meets nobody has one action, and by the default prices (log A) costs nothing.
        mask = np.stack([np.ones(players, bool), met], axis=1)[:, None]
        least = hq.least_temperatures(hq.PolymatrixGame(edges, payoffs, action_mask=mask))
        hub.append(least.tau[0, 0])
        leaf.append(least.tau[1, 0])
        common.append(least.common)
    return {"leaves": leaves, "hub": np.array(hub), "leaf": np.array(leaf), "common": np.array(common)}
