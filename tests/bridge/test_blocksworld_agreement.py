"""unified-planning's validator and pyperplan's optimal planner agree about Blocksworld."""

import warnings

import pytest

from hqre_jax.bridge.tasks import all_tasks
from hqre_jax.bridge.tasks._blocks import follow, reached, shortest_plan

TASK = all_tasks()["blocksworld"]


def planning_problem(size, state, goal):
    """The four operators with their usual preconditions, and one problem."""
    shortcuts = pytest.importorskip("unified_planning.shortcuts", reason="validates plans")
    block = shortcuts.UserType("block")
    facts = {name: shortcuts.Fluent(name, shortcuts.BoolType(), x=block) for name in ("clear", "table", "held")}
    on = shortcuts.Fluent("on", shortcuts.BoolType(), x=block, y=block)
    free = shortcuts.Fluent("free", shortcuts.BoolType())
    problem = shortcuts.Problem("blocks")
    for fluent in (*facts.values(), on, free):
        problem.add_fluent(fluent, default_initial_value=False)

    def operator(name, names, needs, gains, losses):
        action = shortcuts.InstantaneousAction(name, **dict.fromkeys(names, block))
        values = [action.parameter(n) for n in names]
        for fact in needs(*values):
            action.add_precondition(fact)
        for fact in gains(*values):
            action.add_effect(fact, True)
        for fact in losses(*values):
            action.add_effect(fact, False)
        problem.add_action(action)

    clear, table, held = facts["clear"], facts["table"], facts["held"]
    lifted = lambda a: (clear(a), table(a), free())  # noqa: E731
    operator("pick_up", "a", lifted, lambda a: (held(a),), lifted)
    operator("put_down", "a", lambda a: (held(a),), lifted, lambda a: (held(a),))
    off = lambda a, b: (on(a, b), clear(a), free())  # noqa: E731
    operator("unstack", "ab", off, lambda a, b: (held(a), clear(b)), off)
    operator("stack", "ab", lambda a, b: (held(a), clear(b)), off, lambda a, b: (held(a), clear(b)))
    blocks = [shortcuts.Object(f"b{k}", block) for k in range(size)]
    problem.add_objects(blocks)
    for k, below in enumerate(state):
        if below == -1:
            problem.set_initial_value(table(blocks[k]), True)
        elif below == -2:
            problem.set_initial_value(held(blocks[k]), True)
        else:
            problem.set_initial_value(on(blocks[k], blocks[below]), True)
        problem.set_initial_value(clear(blocks[k]), k not in state and below != -2)
    problem.set_initial_value(free(), -2 not in state)
    for above, below in goal:
        problem.add_goal(on(blocks[above], blocks[below]))
    return problem, blocks


def as_plan(problem, blocks, moves):
    plans = pytest.importorskip("unified_planning.plans")
    return plans.SequentialPlan(
        [
            plans.ActionInstance(
                problem.action(name.replace(" ", "_")), [blocks[k] for k in (block, below)[: 1 + (below >= 0)]]
            )
            for name, block, below in moves
        ]
    )


@pytest.mark.parametrize("task_class", ["plan_2", "plan_4", "plan_6"])
def test_valid_plans_are_the_same_ones(task_class):
    engines = pytest.importorskip("unified_planning.engines", reason="validates plans")
    validator = engines.SequentialPlanValidator()
    for item in TASK.items(task_class, "dev", 4):
        state, goal = tuple(item.data["state"]), tuple((a, b) for a, b in item.data["goal"])
        problem, blocks = planning_problem(len(state), state, goal)
        plan = list(shortest_plan(state, goal) or ())
        for moves in (plan, plan[:-1], plan[1:], plan[::-1], [*plan, *plan[:1]]):
            ours = not isinstance(end := follow(state, moves), int) and reached(end, goal)
            theirs = bool(validator.validate(problem, as_plan(problem, blocks, moves)))
            assert ours == theirs


def test_shortest_plans_are_as_short_as_pyperplan_s():
    shortcuts = pytest.importorskip("unified_planning.shortcuts", reason="asks pyperplan for optimal plans")
    pytest.importorskip("up_pyperplan", reason="asks pyperplan for optimal plans")
    shortcuts.get_environment().credits_stream = None
    for task_class, length in (("plan_4", 4), ("plan_6", 6)):
        item = TASK.items(task_class, "dev", 1)[0]
        problem, _ = planning_problem(4, tuple(item.data["state"]), tuple((a, b) for a, b in item.data["goal"]))
        with warnings.catch_warnings(), shortcuts.OneshotPlanner(name="pyperplan-opt") as planner:
            warnings.simplefilter("ignore")  # pyperplan's own
            assert len(planner.solve(problem).plan.actions) == length
