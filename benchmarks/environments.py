"""``python -m benchmarks.environments [kuhn] [hanabi]``: games with real rules, learned from rollouts, judged exactly.

``kuhn``: OpenSpiel's Kuhn poker, τ = 0.2, ``plain``: how far the HQRE found from plays alone is from the exact
one. ``hanabi``: OpenSpiel's tiny Hanabi: stochastic mirror descent against independent learners at equal numbers of
plays, paired over seeds: return of what was learned, and its residual, both computed exactly on the tree.
"""

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats

import hqre_jax as hq
from hqre_jax.bridge import open_spiel_tree

# Largest distance from the exact equilibrium, in probability.
_KUHN_GOAL = 0.02
_KUHN_ROUNDS, _KUHN_BATCH = 1024, 4096
# Tiny Hanabi pays up to 10.
_HANABI_TAU, _HANABI_ROUNDS, _HANABI_BATCH = 0.5, 200, 500


class Learned(NamedTuple):
    """One method's runs: arrays ``(seed,)``."""

    name: str
    returns: np.ndarray
    residuals: np.ndarray


def kuhn(seed: int, rounds: int = _KUHN_ROUNDS) -> tuple[float, int]:
    """Kuhn poker at τ = 0.2 from plays alone: OpenSpiel's tree is known to the simulator only.

    Args:
        seed: Seed of the plays.
        rounds: Rounds of stochastic mirror descent; as many plays again judge the result.

    Returns:
        Largest distance of a probability from the exact agent-form HQRE, and the number of plays.
    """
    tree = open_spiel_tree("kuhn_poker")
    game = hq.SampledGame.from_game(tree)
    solver = hq.solvers.StochasticMirror(batch_size=_KUHN_BATCH, check_every=rounds)
    found = hq.solve(
        game, 0.2, continuation="plain", solver=solver, key=jax.random.key(seed), max_steps=rounds, throw=False
    )
    exact = hq.solve(tree, 0.2, continuation="plain")
    return float(jnp.max(jnp.abs(found.policy - exact.policy))), 2 * rounds * _KUHN_BATCH


def hanabi(num_seeds: int, rounds: int = _HANABI_ROUNDS) -> tuple[float, list[Learned]]:
    """Tiny Hanabi, learned from equal numbers of plays.

    Stochastic mirror descent spends half of its plays on judging its answer: the others learn for twice as many rounds.

    Args:
        num_seeds: Number of seeds; every method starts from the uniform policy and draws its own plays.
        rounds: Rounds of stochastic mirror descent.

    Returns:
        Return of the exact HQRE on the principal branch, and what each method learned.
    """
    tree = open_spiel_tree("tiny_hanabi")
    nothing = jnp.zeros(tree.action_mask.shape[:2])
    sampled = hq.SampledGame.from_game(tree, num_episodes=_HANABI_BATCH)
    played = hq.Problem(sampled, _HANABI_TAU, continuation="plain")
    keys = jax.random.split(jax.random.key(0), num_seeds)
    solver = hq.solvers.StochasticMirror(batch_size=_HANABI_BATCH, check_every=rounds)

    def worth_of(policy: Any) -> Any:
        return tree.evaluate(jnp.log(jnp.where(policy > 0, policy, 1.0)), nothing, "plain").initial_values[0]

    def mirror(key: Any) -> Any:
        options = {"solver": solver, "continuation": "plain", "max_steps": rounds, "throw": False}
        return hq.solve(sampled, _HANABI_TAU, key=key, **options).policy

    def independent(rule: Any) -> Callable[[Any], Any]:
        return lambda key: hq.play(played, rule, 2 * rounds, key).policies[-1]

    def judged(name: str, learn: Callable[[Any], Any]) -> Learned:
        policies = jax.lax.map(learn, keys)
        worth = jax.vmap(worth_of)(policies)
        residuals = jax.vmap(lambda p: hq.residual(tree, p, _HANABI_TAU, continuation="plain"))(policies)
        return Learned(name, np.asarray(worth), np.asarray(residuals))

    exact = hq.solve(tree, _HANABI_TAU, continuation="plain")
    methods = {
        "stochastic mirror descent": mirror,
        "independent policy gradient": independent(hq.learning.PolicyGradient(1.0)),
        "independent Q-learning": independent(hq.learning.QLearning(0.1)),
    }
    return float(worth_of(exact.policy)), [judged(name, learn) for name, learn in methods.items()]


def interval(values: np.ndarray) -> tuple[float, float]:
    """Mean and half-width of its 95 % Student interval."""
    quantile = scipy.stats.t.ppf(0.975, len(values) - 1)
    return float(values.mean()), float(quantile * values.std(ddof=1) / np.sqrt(len(values)))


def main(argv: list[str] | None = None) -> int:
    """Run the chosen comparisons; exit code 1 if Kuhn poker's equilibrium was missed by more than 0.02."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.environments", description=__doc__.splitlines()[0])
    parser.add_argument("which", nargs="*", metavar="kuhn|hanabi", help="what to run (both)")
    parser.add_argument("--seeds", type=int, default=20, help="seeds of tiny Hanabi (20)")
    arguments = parser.parse_args(argv)
    if not set(arguments.which) <= {"kuhn", "hanabi"}:
        parser.error(f"{' '.join(arguments.which)} is not to be had; kuhn and hanabi are")
    if arguments.seeds < 2:
        parser.error("--seeds must be 2 or more")
    jax.config.update("jax_enable_x64", True)
    which, missed = arguments.which or ["kuhn", "hanabi"], False
    if "kuhn" in which:
        began = time.perf_counter()
        distance, plays = kuhn(0)
        missed = distance > _KUHN_GOAL
        print(f"Kuhn poker, τ = 0.2, {plays:,} plays: {distance:.4f} from the exact HQRE (goal {_KUHN_GOAL})")
        print(f"  {time.perf_counter() - began:.0f} s")
    if "hanabi" in which:
        best, learned = hanabi(arguments.seeds)
        plays = 2 * _HANABI_ROUNDS * _HANABI_BATCH
        print(f"tiny Hanabi, τ = {_HANABI_TAU}, {plays:,} plays a seed, {arguments.seeds} seeds, mean ± 95 % interval")
        print(f"  exact HQRE on the principal branch: return {best:.3f}")
        for method in learned:
            (worth, around), (residual, spread) = interval(method.returns), interval(method.residuals)
            print(f"  {method.name}: return {worth:.3f} ± {around:.3f}, residual {residual:.4f} ± {spread:.4f}")
        for method in learned[1:]:
            (worth, around), (residual, spread) = (
                interval(ours - theirs) for ours, theirs in zip(learned[0][1:], method[1:], strict=True)
            )
            gain = f"return {worth:+.3f} ± {around:.3f}, residual {residual:+.4f} ± {spread:.4f}"
            print(f"  {learned[0].name} less {method.name}, paired: {gain}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
