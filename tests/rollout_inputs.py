"""Every public function that takes rollouts, called with every argument spoilt in every way, one at a time.

Run as a program, without checked annotations: it prints one line for each call that ends in anything but a result
or an `InputError`, for each function that compiles again what it compiled before, and for each that has arguments
which are not tried. A result is allowed because some of what is tried is valid.
"""

import argparse
import inspect
import itertools
import os
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

import hqre_jax as hq

# Not an argument to get wrong: what makes random numbers.
UNSPOILT = {"key"}
COMPILATION = "/jax/core/compile/backend_compile_duration"

# What is spoilt, by kind: what is no number, what is no number that is wanted, and tables of no use.
WORDS = (None, "x", b"x", [], {}, object())
NUMBERS = (True, float("nan"), float("inf"), -1, -7, 2.5, 2, 0, 10**400, 1j)
TABLES = ([[1.0], [2.0, 3.0]], [[[]]], np.array("a"), np.array([None, 1.0]), np.zeros((0, 2)), np.zeros((2, 0)))


def spoilt(value: Any) -> dict[str, Sequence[Any]]:
    """Values that are not, or may not be, what is wanted, by kind."""
    kinds: dict[str, Sequence[Any]] = {"words": WORDS, "numbers": NUMBERS, "tables": TABLES}
    if isinstance(value, list | tuple) and not isinstance(value, hq.sampled.Episodes):
        kinds["lists"] = (
            *(value[:1], [*value, *value], [*value, None], [None] * len(value), value[0] if value else 0),
        )
    if isinstance(value, np.ndarray | jax.Array):
        array = np.asarray(value)
        kinds["shapes"] = (array[None], array[:-1], array.T[:1])
        kinds["types"] = (array.astype(str), array.astype(object), array.astype(complex), array.astype(float) * 1.5)
        kinds["entries"] = [
            changed(array.astype(kind), place, entry)
            for kind, place, entries in ((float, 0, (np.nan, np.inf, -7, 999, -1, 0.5)), (int, -1, (-7, 999, -1)))
            for entry in entries
        ]
    return kinds


def changed(array: np.ndarray, place: int, entry: float) -> np.ndarray:
    """The array, of its own, with another entry; an empty one has none."""
    if array.size:
        array.flat[place] = entry
    return array


def cases(folder: Path) -> tuple[dict[str, tuple[Callable[..., Any], dict[str, Any]]], list[Any]]:
    """The functions, each with arguments that are right."""
    rng = np.random.default_rng(0)
    mask, policies = np.ones((2, 1, 2), bool), [np.full((2, 1, 2), 0.5), np.array([[[0.6, 0.4]], [[0.45, 0.55]]])]
    actions = np.concatenate([np.repeat(np.argwhere(np.ones((2, 2))), 4, axis=0)] * 2)
    paid = rng.random(actions.shape)
    table = [[2], [2]]

    def log_of(run: int, policy: np.ndarray) -> hq.RolloutLog:
        propensities = np.log(policy[np.arange(2), 0, actions])
        return hq.RolloutLog.from_plays(actions, paid, run=run, log_propensities=propensities, num_actions=table)

    logs = [log_of(run, policy) for run, policy in enumerate(policies)]
    other = hq.RolloutLog.from_plays(np.full((4, 3), 2), np.zeros((4, 3)), num_actions=[[3]] * 3)
    empirical = hq.EmpiricalGame.from_log(logs[0])
    solution = hq.solve(empirical.game, 0.8, solver="fixed_point")
    estimates = hq.stability.ActionValueEstimates.from_rollouts(actions, paid, mask)
    interactions = hq.stability.InteractionEstimates.from_plays(actions, paid, mask)
    controller = hq.stability.TemperatureController()
    state = controller.init(mask, 0.3)
    sampled = hq.SampledGame.from_game(empirical.game)
    problem = hq.Problem(sampled, 0.8)
    episodes = hq.sampled.Episodes.from_log(logs[0], sampled)
    plan = hq.empirical.plan_rollouts(empirical, solution, 0.05)
    found = hq.sampled.action_values_from_log(problem, episodes, policies[1], method="importance")
    columns = {name: np.asarray(column) for name, column in logs[0].columns().items()}
    hq.io.save_rollout_log(logs[0], folder / "log.jsonl")
    # Of the right kind for some other argument, or of another game.
    elsewhere = [logs[0], logs, empirical, solution, estimates, interactions, other]

    def with_episodes(**parts: Any) -> Any:
        return hq.sampled.action_values_from_log(
            problem, hq.sampled.Episodes(**parts), policies[1], method="importance"
        )

    interval = {"step": 0.5, "weights": 1.0, "level": 0.95}
    functions = {
        "RolloutLog": (hq.RolloutLog, {**columns, "num_actions": table, "labels": hq.Labels()}),
        "RolloutLog.from_plays": (
            hq.RolloutLog.from_plays,
            {
                "actions": actions,
                "payoffs": paid,
                "information_states": np.zeros_like(actions),
                "log_propensities": np.zeros(actions.shape),
                "failed": np.zeros(actions.shape, bool),
                "run": 0,
                "first_episode": 0,
                "num_actions": table,
                "labels": hq.Labels(),
            },
        ),
        "RolloutLog.concatenate": (hq.RolloutLog.concatenate, {"logs": logs}),
        "RolloutLog.renumbered": (logs[0].renumbered, {"first_run": 3}),
        "RolloutLog.filter": (logs[0].filter, {"rows": np.ones(len(logs[0]), bool), "agent": 0, "action": [0, 1]}),
        "save_rollout_log": (hq.io.save_rollout_log, {"log": logs[0], "path": folder / "a.npz"}),
        "append_rollout_log": (
            hq.io.append_rollout_log,
            {"log": logs[1], "path": folder / "b.jsonl", "incomplete": "error"},
        ),
        "load_rollout_log": (hq.io.load_rollout_log, {"path": folder / "log.jsonl", "incomplete": "error"}),
        "EmpiricalGame.from_log": (
            hq.EmpiricalGame.from_log,
            {
                "log": logs[0],
                "num_actions": table,
                "prior": None,
                "failed": "error",
                "missing": "smoothing",
                "payoff_range": (0.0, 1.0),
                "pseudo_plays": 1.0,
            },
        ),
        "EmpiricalGame.from_moments": (
            hq.EmpiricalGame.from_moments,
            {"counts": empirical.counts, "means": empirical.means, "covariances": empirical.covariances}
            | {"third": empirical.third, "labels": hq.Labels()},
        ),
        "confidence_region": (
            hq.empirical.confidence_region,
            {"empirical": empirical, "solution": solution, "level": 0.95},
        ),
        "plan_rollouts": (
            hq.empirical.plan_rollouts,
            {"empirical": empirical, "solution": solution, "eps": 0.05, "level": 0.95},
        ),
        "RolloutPlan.batch": (plan.batch, {"num_rollouts": 5}),
        "bootstrap": (
            hq.empirical.bootstrap,
            {"log": logs[0], "empirical": empirical, "solution": solution, "level": 0.9, "num_resamples": 2, "seed": 0},
        ),
        "ActionValueEstimates.independent": (
            hq.stability.ActionValueEstimates.independent,
            {"mean": np.ones((2, 1, 2)), "variance": np.ones((2, 1, 2)), "count": np.full((2, 1, 2), 9.0)},
        ),
        "ActionValueEstimates.from_rollouts": (
            hq.stability.ActionValueEstimates.from_rollouts,
            {
                "actions": actions,
                "payoffs": paid,
                "action_mask": mask,
                "information_states": np.zeros_like(actions),
                "cluster": np.arange(len(actions)),
                "payoff_range": (0.0, 1.0),
            },
        ),
        "InteractionEstimates.from_plays": (
            hq.stability.InteractionEstimates.from_plays,
            {
                "actions": actions,
                "payoffs": paid,
                "action_mask": mask,
                "information_states": np.zeros_like(actions),
                "payoff_range": (0.0, 1.0),
            },
        ),
        "InteractionEstimates.+": (interactions.__add__, {"other": interactions}),
        "InteractionEstimates.seen_at_least": (interactions.seen_at_least, {"count": 2}),
        "InteractionEstimates.radius": (interactions.radius, {"level": 0.9}),
        "InteractionEstimates.least_temperatures": (
            interactions.least_temperatures,
            {"margin": 0.1, "cost": np.ones((2, 1))},
        ),
        "directional": (
            hq.stability.directional,
            {
                "policy": policies[0],
                "other": policies[1],
                "estimates": estimates,
                "other_estimates": estimates,
                "tau": np.array([0.3, 0.4]),
                "action_mask": mask,
            }
            | interval,
        ),
        "soft_gap": (
            hq.stability.soft_gap,
            {"policy": policies[1], "estimates": estimates, "tau": 0.3, "reference": policies[0]}
            | {"action_mask": mask, "level": 0.9},
        ),
        "effective_temperature": (
            hq.stability.effective_temperature,
            {"policy": policies[1], "estimates": estimates, "reference": policies[0]}
            | {"action_mask": mask, "level": 0.9},
        ),
        "oscillation_index": (hq.stability.oscillation_index, {"policies": np.stack([*policies, policies[0]])}),
        "drift_index": (hq.stability.drift_index, {"policies": np.stack(policies)}),
        "diagnose": (
            hq.diagnose,
            {
                "policies": np.stack(policies),
                "estimates": [estimates, estimates],
                "tau": np.array([0.3, 0.4]),
                "interactions": interactions,
                "reference": policies[0],
                "action_mask": mask,
                "margin": 0.1,
                "labels": hq.Labels(),
            }
            | interval,
        ),
        "diagnose_logs": (
            hq.diagnose_logs,
            {"logs": logs, "tau": 0.3, "policies": np.stack(policies), "discount": 0.0, "payoff_range": (0.0, 1.0)}
            | {"margin": 0.1, "action_mask": mask}
            | interval,
        ),
        "TemperatureController": (
            hq.stability.TemperatureController,
            {"reserve": 0.1, "heating": 1.5, "cooling": 0.5, "min_count": 20},
        ),
        "TemperatureController.init": (controller.init, {"action_mask": mask, "tau": 0.3}),
        "TemperatureController.step": (
            controller.step,
            {
                "state": state,
                "policy": policies[0],
                "actions": actions,
                "payoffs": paid,
                "action_mask": mask,
                "information_states": np.zeros_like(actions),
            },
        ),
        "Episodes.from_log": (hq.sampled.Episodes.from_log, {"log": logs[0], "game": sampled}),
        "Episodes.to_log": (episodes.to_log, {"game": sampled, "run": 0}),
        "action_values_from_log": (
            hq.sampled.action_values_from_log,
            {"problem": problem, "episodes": episodes, "policy": policies[1], "method": "doubly_robust"}
            | {"baseline": np.zeros((2, 1, 2))},
        ),
        "action_values_from_log, episodes": (with_episodes, episodes._asdict()),
        "estimate_action_values": (
            hq.sampled.estimate_action_values,
            {"problem": problem, "policy": policies[1], "num_episodes": 8, "key": jax.random.key(0)},
        ),
        "Estimate.interval": (found.interval, {"level": 0.9}),
    }
    return functions, elsewhere


def arguments_of(function: Callable[..., Any]) -> set[str]:
    """What a caller can name."""
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {name for name, one in inspect.signature(function).parameters.items() if one.kind in named} - UNSPOILT


def wrong_values(value: Any, objects: list[Any], turns: Iterator[int] | None) -> Iterator[Any]:
    """All values to try for an argument, or one of each kind, another one for every argument."""
    for values in (spoilt(value) | {"objects": objects}).values():
        yield from values if turns is None else [values[next(turns) % len(values)]]


def main() -> int:
    # Compiling is nearly all of the work.
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false")
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_disable_most_optimizations", True)
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("functions", nargs="*", help="beginnings of names (all)")
    parser.add_argument("--sample", action="store_true", help="of every kind one value for each argument")
    chosen = parser.parse_args()
    compiled: list[str] = []
    jax.monitoring.register_event_duration_secs_listener(lambda event, *_, **__: compiled.append(event))
    arguments, calls, bad = 0, 0, 0
    turns = itertools.count() if chosen.sample else None
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("error")
        functions, objects = cases(Path(folder))
        functions = {name: case for name, case in functions.items() if name.startswith(tuple(chosen.functions) or "")}
        for name, (function, right) in functions.items():
            function(**right)
            # Once more is no fault: after so many questions of a size a program answers them.
            for _ in range(2):
                compiled.clear()
                function(**right)
                if COMPILATION not in compiled:
                    break
            else:
                bad += 1
                print(f"{name}: compiles the same again at every call")
            if left := arguments_of(function) - set(right):
                bad += 1
                print(f"{name}: {', '.join(sorted(left))} not tried")
            for field, value in right.items():
                if field in UNSPOILT:
                    continue
                arguments += 1
                for wrong in wrong_values(value, objects, turns):
                    if field == "num_resamples" and type(wrong) is int and wrong > 9:
                        continue  # 10⁴⁰⁰ resamples are right, but take long
                    calls += 1
                    try:
                        function(**{**right, field: wrong})
                    except hq.InputError:
                        pass
                    except Exception as error:
                        bad += 1
                        place = traceback.extract_tb(error.__traceback__)[-1]
                        shown = repr(wrong).replace("\n", " ")[:60]
                        last = f"{Path(place.filename).name}:{place.lineno}"
                        print(f"{name}({field}={shown}): {type(error).__name__} at {last}: {str(error)[:80]!r}")
    print(f"{len(functions)} functions, {arguments} arguments, {calls} calls, {bad} faults")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
