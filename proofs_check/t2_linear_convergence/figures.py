"""How mirror descent converges, how fast, and where."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import hqre_jax as hq
from hqre_jax.core._simplex import center, log_softmax, mirror_step
from hqre_jax.core._types import LogPolicy, Scalar
from hqre_jax.games.random._draws import generator
from hqre_jax.plotting._canvas import COLOURS, GREY
from proofs_check.games.certified import GENERAL_SUM, NEAR_ZERO_SUM, Certified, certified, posed
from proofs_check.numerics import accuracy
from proofs_check.numerics.compiled import each_game, split_keys
from proofs_check.numerics.equilibria import best_equilibrium
from proofs_check.play.mirror import mirror_update
from proofs_check.statement import Figure

# Convergence: games of each family, and rounds.
_GAMES, _ROUNDS = 150, 1500
# Boundary: grid of temperatures and steps, rounds before play counts as not converging, and when it has converged.
_GRID, _PATIENCE, _ARRIVED = 32, 1000, 1e-6


def _jacobian(problem: hq.Problem, star: LogPolicy, eta: Scalar):
    """Jacobian of the update at π*, on centred logits."""
    mask = problem.mask

    def flat(z):
        z = center(z.reshape(mask.shape), mask)
        return center(mirror_step(z, problem.response_logits(problem.log_policy(z)), eta * problem.tau), mask).ravel()

    return jax.jacfwd(flat)(center(star, mask).ravel())


def _radius(jacobians: Any) -> np.ndarray:
    return np.abs(np.linalg.eigvals(np.asarray(jacobians))).max(axis=-1)


@each_game
def _mirror_runs(case: Certified, star: LogPolicy, key: Any):
    """D_k of a run from a random start at η = κ/L², and the update's Jacobian at π*."""
    problem, known = case.problem.centered(), case.known

    def step(log_policy, _):
        after = mirror_update(problem, log_policy, known.max_step)
        return after, accuracy.divergence(star, log_policy, problem, known.weights)

    start = log_softmax(2.0 * jax.random.normal(jax.random.split(key)[1], problem.mask.shape), problem.mask)
    _, divergences = jax.lax.scan(step, start, length=_ROUNDS)
    return divergences, _jacobian(problem, star, known.max_step)


def _runs(key: Any) -> dict[str, np.ndarray]:
    """Divergences, promised and predicted factors of D of games of two families, one after the other."""
    parts = []
    for f, family in enumerate((GENERAL_SUM, NEAR_ZERO_SUM)):
        rng = generator(jax.random.fold_in(key, f))
        cases = certified(family, rng, _GAMES)
        keys = split_keys(jax.random.key(int(rng.integers(2**31))), _GAMES)
        divergences, jacobians = _mirror_runs(cases, best_equilibrium(cases.problem, keys), keys)
        promised = 1 / (1 + cases.known.max_step * cases.known.margin)
        parts.append((divergences, promised, _radius(jacobians) ** 2, np.full(_GAMES, f)))
    names = ("divergence", "promised", "predicted", "family")
    return {name: np.concatenate(columns) for name, columns in zip(names, zip(*parts, strict=True), strict=True)}


@functools.partial(each_game, size=_GRID)
def _stability(problem: hq.Problem, etas: Any, star: LogPolicy):
    """For each temperature and step: the Jacobian at π*, and rounds until play from ρ is close to π*."""
    problem = problem.centered()

    def at_step(eta):
        def step(carry, k):
            log_policy, arrival = carry
            far = jnp.max(jnp.abs(jnp.exp(log_policy) - jnp.exp(star))) > _ARRIVED
            # The round after the last one that was far.
            return (mirror_update(problem, log_policy, eta), jnp.where(far, k + 1, arrival)), None

        rounds = jnp.arange(_PATIENCE)
        (_, arrival), _ = jax.lax.scan(step, (problem.log_reference, jnp.zeros((), rounds.dtype)), rounds)
        return _jacobian(problem, star, eta), arrival

    return jax.vmap(at_step)(etas)


def measure_convergence(key: Any) -> dict[str, np.ndarray]:
    """Three games, from slow to fast, of those whose D falls by ten orders within the run."""
    data = _runs(key)
    fell = data["divergence"][:, -1] <= 1e-10 * data["divergence"][:, 0]
    slow_to_fast = np.flatnonzero(fell)[np.argsort(-data["predicted"][fell])]
    chosen = slow_to_fast[(np.array([0.2, 0.5, 0.8]) * len(slow_to_fast)).astype(int)]
    return {name: array[chosen] for name, array in data.items()}


def draw_convergence(arrays: dict[str, np.ndarray], ax: Any) -> None:
    """Into axes."""
    steps = np.arange(arrays["divergence"].shape[1])
    shown = 0
    for g, (path, promised, predicted) in enumerate(
        zip(arrays["divergence"], arrays["promised"], arrays["predicted"], strict=True)
    ):
        resolved = path > 1e-14 * path[0]
        last = len(path) if resolved.all() else int(np.argmin(resolved))
        shown = max(shown, last)
        colour = COLOURS[g]
        ax.plot(steps[:last], path[:last], color=colour, label=f"measured, game {g + 1}")
        ax.plot(steps[:last], path[0] * promised ** steps[:last], color=colour, ls="--", lw=1)
        # The predicted slope is drawn beside the second half of the run, a little below it.
        late = steps[last // 2 : last]
        ax.plot(late, 0.2 * path[last // 2] * predicted ** (late - last // 2), color=colour, ls=":", lw=1.8)
    ax.plot([], [], color=GREY, ls="--", lw=1, label="T2, game by colour: $D_0/(1+\\eta\\kappa)^k$")
    ax.plot([], [], color=GREY, ls=":", lw=1.8, label="predicted, by colour: slope $r^{2k}$")
    ax.set_yscale("log")
    ax.set_ylim(1e-14, 30)
    ax.set_xlim(0, 1.02 * shown)
    ax.set_xlabel("step k of mirror descent at η = κ/L²")
    ax.set_ylabel("divergence $D_k$ from the HQRE (nats)")
    ax.set_title("T2: linear convergence of three games")
    ax.grid(alpha=0.3)
    ax.legend(fontsize="small")


def measure_rates(key: Any) -> dict[str, np.ndarray]:
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


def draw_rates(arrays: dict[str, np.ndarray], ax: Any) -> None:
    """Into axes."""
    known = np.isfinite(arrays["measured"])
    for f, name in enumerate(("general sum, 3 players", "near zero sum, 2 players")):
        of = known & (arrays["family"] == f)
        ax.plot(arrays["predicted"][of], arrays["measured"][of], "o", ms=4, alpha=0.7, color=COLOURS[f], label=name)
    ax.plot(
        arrays["predicted"][known], arrays["promised"][known], "_", ms=5, color=GREY, label="T2 promises: log(1+ηκ)"
    )
    every = np.concatenate([arrays["predicted"][known], arrays["measured"][known]])
    ends = np.array([0.8 * every.min(), 1.25 * every.max()])
    ax.plot(ends, ends, color="black", lw=1, label="measured = predicted")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(*ends)
    ax.set_xlabel("predicted rate 2 log(1/r) (nats per step)")
    ax.set_ylabel("rate of the divergence (nats per step)")
    ax.set_title(f"T2: rates of {known.sum()} games out of {known.size} drawn")
    ax.grid(alpha=0.3)
    ax.legend(fontsize="small")


def measure_boundary(key: Any) -> dict[str, np.ndarray]:
    """Rock-paper-scissors, its payoffs a little disturbed, on a grid of temperatures and steps."""
    rng = generator(key)
    cycle = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])
    payoffs = np.stack([cycle, -cycle]) + 0.1 * rng.uniform(-1, 1, (2, 3, 3))
    tau, eta = np.geomspace(0.02, 5.0, _GRID), np.geomspace(0.02, 100.0, _GRID)
    cases = posed(hq.NormalFormGame, (np.tile(payoffs, (_GRID, 1, 1, 1)),), tau)
    keys = split_keys(jax.random.key(int(rng.integers(2**31))), _GRID)
    star = best_equilibrium(cases.problem, keys)
    jacobians, rounds = _stability(cases.problem, np.tile(eta, (_GRID, 1)), star)
    margin = cases.known.margin
    return {
        "tau": tau,
        "eta": eta,
        "radius": _radius(jacobians),
        "rounds": np.where(rounds < _PATIENCE, rounds, np.nan),
        "certified": np.where(margin > 0, cases.known.max_step, np.nan),
    }


def draw_boundary(arrays: dict[str, np.ndarray], ax: Any) -> None:
    """Into axes."""
    from matplotlib.colors import LogNorm

    tau, eta = arrays["tau"], arrays["eta"]
    ax.set_facecolor("#bbbbbb")
    mesh = ax.pcolormesh(tau, eta, arrays["rounds"].T, norm=LogNorm(5, 1000), cmap="viridis_r", shading="nearest")
    ax.figure.colorbar(mesh, ax=ax, label="rounds until within 1e-6 of the HQRE (measured)")
    ax.contour(tau, eta, arrays["radius"].T, levels=[1.0], colors=COLOURS[1], linewidths=2)
    ax.plot([], [], color=COLOURS[1], lw=2, label="r = 1 (spectral radius of the Jacobian)")
    ax.plot(tau, arrays["certified"], color="black", ls="--", lw=2, label="η = κ/L² (T2: converges below)")
    ax.fill_between([], [], color="#bbbbbb", label="not within 1,000 rounds")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(tau[0], tau[-1])
    ax.set_ylim(eta[0], eta[-1])
    ax.set_xlabel("temperature τ (payoff; payoffs are of order 1)")
    ax.set_ylabel("step η (1/payoff)")
    ax.set_title("T2: where mirror descent converges in disturbed rock-paper-scissors")
    ax.legend(fontsize="small", loc="upper left", framealpha=0.9)


FIGURES = (
    Figure(
        "convergence",
        "Divergence from the HQRE along mirror descent with the largest step that T2 allows, in three random "
        "games: measured (solid), T2's bound (dashed), and the slope that the Jacobian at the HQRE predicts "
        "(dotted).",
        measure_convergence,
        draw_convergence,
    ),
    Figure(
        "rates",
        "The asymptotic rate that the spectral radius r of the update's Jacobian predicts, against the rate "
        "measured while D falls from 1e-4 to 1e-10 of its start, of those random games in which it falls that far "
        f"within {_ROUNDS:,} steps. Games whose slowest mode has not yet taken over lie above the line. Dashes: the "
        "rate that T2 promises each game.",
        measure_rates,
        draw_rates,
    ),
    Figure(
        "boundary",
        "Rock-paper-scissors with payoffs disturbed by 0.1, at every temperature and step: rounds that mirror "
        "descent from the uniform policy needs, measured. Play converges where r < 1; T2 promises it below the "
        "dashed line, however slow.",
        measure_boundary,
        draw_boundary,
    ),
)
