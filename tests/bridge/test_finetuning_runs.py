"""Fine-tuning runs with a tiny random model: they go on to the same bits, and end within budgets, or with a reason."""

import fcntl
import json
import signal
import subprocess
import sys
import time
from functools import partial

import finetuning
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from finetuning import ENVIRONMENT, SOLVER, lines_of, run

from hqre_jax.bridge.finetuning import _plays, _samplers, read_config
from hqre_jax.bridge.finetuning._batch import batch_of
from hqre_jax.bridge.finetuning._format import Part, kinds_of, message_of
from hqre_jax.bridge.finetuning._learner import Learner
from hqre_jax.bridge.models import Completion, LoraConfig, init_adapter, load, sample_completions
from hqre_jax.cli import main
from hqre_jax.core._types import InputError


@pytest.fixture
def write(tmp_path):
    return partial(finetuning.written, tmp_path)


def adapters_in(folder):
    return {
        path.relative_to(folder): path.read_bytes() for path in sorted((folder / "adapters").rglob("*.safetensors"))
    }


def test_a_run_killed_twice_ends_with_the_same_bits(capsys, write, tmp_path, monkeypatch):
    """Ctrl-C between two adapters of a step, kill -9 wherever it is; then to the end, as a run that nobody stopped."""
    config, out, learn, learnt = write(evaluation={"questions": 0}), tmp_path / "stopped", Learner.learn, []

    def interrupted(*given):
        learnt.append(learn(*given))
        if len(learnt) == 3:
            raise KeyboardInterrupt
        return learnt[-1]

    with monkeypatch.context() as patch:
        patch.setattr(Learner, "learn", interrupted)
        code, _, said = run(capsys, config, "--out", out, "--steps", "10000")
    assert (code, len(learnt), len(lines_of(out))) == (130, 3, 1)
    assert "this goes on with it: hqre llm finetune" in said
    command = [sys.executable, "-m", "hqre_jax", "llm", "finetune", config, "--out", str(out), "--steps", "10000"]
    with subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        deadline = time.monotonic() + 300
        while len(lines_of(out)) < 2 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        process.kill()
        said = process.communicate(timeout=120)[1].decode()
    assert process.returncode == -signal.SIGKILL, said
    steps = len(lines_of(out)) + 1
    assert run(capsys, config, "--out", out, "--steps", steps)[0] == 0
    assert run(capsys, config, "--out", tmp_path / "whole", "--steps", steps)[0] == 0
    assert adapters_in(out) == adapters_in(tmp_path / "whole") != {}
    stopped, whole = lines_of(out), lines_of(tmp_path / "whole")
    for line in (*stopped, *whole):
        del line["seconds"]
    assert stopped == whole
    assert [line["step"] for line in whole] == list(range(1, steps + 1))


def test_what_a_run_leaves_behind(capsys, write, tmp_path):
    out = tmp_path / "out"
    code, said, err = run(capsys, write(), "--out", out, "--format", "json")
    assert code == 0, err
    document = json.loads(said)
    assert (document["how"], document["steps"]) == ("done", 2)
    last = lines_of(out)[-1]
    assert last["tokens"] == document["tokens"] == sum(line["generated"] for line in lines_of(out))
    assert list(last["adapters"]) == ["planner", "solver"]
    planner = last["adapters"]["planner"]["roles"]["planner"]
    assert planner["tokens"] == sum(kind["tokens"] for kind in planner["kinds"].values())
    assert {kind: seen["tau"] for kind, seen in planner["kinds"].items()}["reasoning"] == pytest.approx(0.1)
    assert [line["step"] for line in lines_of(out, "evaluations.jsonl")] == [0, 2]
    assert json.loads((out / "finetuning.json").read_text())["ended"] == "done"
    # The same command has nothing left to do, and changes nothing.
    before = adapters_in(out)
    assert run(capsys, write(), "--out", out)[0] == 0
    assert adapters_in(out) == before
    code, _, err = run(capsys, write(), "--out", out, "--seed", "7")
    assert (code, err.startswith("hqre: out: "), "with other seed: name another folder" in err) == (2, True, True)
    code, _, err = run(capsys, write(), "--out", out, "--steps", "1")
    assert (code, err) == (2, "hqre: steps: is 1, and 2 are taken already: name as many or more\n")
    with (out / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        code, _, err = run(capsys, write(), "--out", out, "--steps", "3")
    assert (code, "another process works in" in err) == (2, True)
    assert len(lines_of(out)) == 2


# Those whose losses are another one's run only when asked.
ALIKE = [pytest.param(name, marks=pytest.mark.thorough) for name in ("raft", "own_right", "dice_zero")]


@pytest.mark.parametrize("method", ["sft", "reinforce", "grpo", "cotrain", *ALIKE])
def test_every_method_runs(capsys, write, tmp_path, method):
    config = write(steps=1, roles=[SOLVER])
    code, _, err = run(capsys, config, "--out", tmp_path / "out", "--method", method)
    assert code == 0, err
    line = lines_of(tmp_path / "out")[0]["adapters"]["solver"]
    # Nothing the random model says is right: there is nothing to imitate; costs still teach who counts them.
    assert len(line["losses"]) == {"reinforce": 1, "grpo": 2, "cotrain": 2, "dice_zero": 2}.get(method, 0)
    assert (line["distance"] is None) == (method != "dice_zero")


def test_bfloat16_and_one_temperature(capsys, write, tmp_path):
    role = {key: value for key, value in finetuning.config()["roles"][0].items() if key != "answers"}
    config = write(
        dtype="bfloat16", steps=1, method="dice_common", optimizer={"rematerialise": True, "groups": 1},
        roles=[role], evaluation={"questions": 0},
    )  # fmt: skip
    code, _, err = run(capsys, config, "--out", tmp_path / "out")
    assert code == 0, err
    kinds = lines_of(tmp_path / "out")[0]["adapters"]["planner"]["roles"]["planner"]["kinds"]
    assert [seen["tau"] for seen in kinds.values()] == pytest.approx([0.06] * len(kinds))


def test_what_is_learnt_from_is_what_was_sampled():
    """Log-probabilities of the sampler are those of the forward pass that gradients are of, decision by decision."""
    config = read_config(finetuning.config())
    model = load(config.model)
    adapter = init_adapter(model.decoder, LoraConfig(rank=2), jax.random.key(0))
    adapter = jax.tree.map(lambda x: x + 0.1 * jnp.cos(jnp.arange(x.size, dtype=x.dtype)).reshape(x.shape), adapter)
    players, sampled = _plays.Players(config, model), []

    def listen(*given):
        sampled.extend(found := sample_completions(*given))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_samplers, "sample_completions", listen)
        plays = players.play(players.questions_of(1), 2, dict.fromkeys(["planner", "solver"], adapter), "test")
    batch = batch_of(plays, config.roles, config.make_method(), model.tokenizer.decode)
    learner = Learner(model.decoder, config.make_method(), config.optimizer)
    found = np.asarray(learner.learn(adapter, learner.init(adapter), batch).played)
    for row, completion in zip(found, sampled, strict=True):
        np.testing.assert_allclose(row[: len(completion.tokens)], completion.log_probs, atol=1e-4)
    assert batch.roles == ("planner",) * 4 + ("solver",) * 4


def test_budgets_end_a_run_cleanly(capsys, write, tmp_path):
    out = tmp_path / "out"
    code, _, err = run(capsys, write(steps=50), "--out", out, "--budget-tokens", "150")
    assert code == 1
    assert err.startswith("hqre: budget: ")
    taken = lines_of(out)
    assert 72 >= 150 - taken[-1]["tokens"] >= 0  # a step takes 2 · 3 · (5 + 7) tokens at most
    assert adapters_in(out)
    code, _, err = run(capsys, write(steps=50), "--out", out, "--budget-minutes", "0.000001")
    assert (code, "minutes are over" in err, len(lines_of(out))) == (1, True, len(taken))


@pytest.mark.parametrize(
    ("changed", "reason"),
    [({"optimizer": {"learning_rate": 1e3}}, "step_limit"), ({"method_settings": {"eta": 1e-300}}, "the loss is nan")],
)
def test_a_step_that_diverges_is_not_taken(capsys, write, tmp_path, changed, reason):
    code, _, err = run(capsys, write(**changed), "--out", tmp_path / "out")
    assert code == 1
    assert err.startswith("hqre: diverged: step 1 of adapter planner: ")
    assert reason in err
    assert "learning_rate" in err
    assert lines_of(tmp_path / "out") == []
    assert json.loads((tmp_path / "out" / "finetuning.json").read_text())["ended"] == "diverged"


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"version": 2}, "config: version"),
        ({"steps": 0}, "config: steps"),
        ({"method": "magic"}, "config: method"),
        ({"colour": "red"}, "config: colour"),
        ({"plays": {"plays": 1}}, "config: plays: plays"),
        ({"adapter": {"targets": ["head"]}}, "config: adapter: targets"),
        ({"optimizer": {"learning_rate": 0}}, "config: optimizer: learning_rate"),
        ({"method_settings": {"eta": float("inf")}}, "config: method_settings: eta"),
        ({"evaluation": {"split": "train"}}, "config: evaluation: split"),
        ({"budget": {"tokens": 0}}, "config: budget: tokens"),
        ({"roles": [{"name": "a", "tau": {"message": 1.0}}]}, "config: roles[0]: tau"),
        ({"roles": [{"name": "a", "tau": -1}]}, "config: roles[0]: tau"),
        ({"roles": [{"name": "a", "tau": 0, "reads": ["b"]}]}, "config: roles[0]: reads"),
        ({"roles": [{"name": "a", "tau": 0, "reads": ["a"]}]}, "config: roles[0]: reads"),
        ({"plays": {"rounds": 0}}, "config: plays: rounds"),
        ({"roles": [{"name": "a", "tau": 0, "answers": False}]}, "config: roles"),
        ({"roles": [{"name": "a b", "tau": 0}]}, "config: roles[0]: adapter"),
        ({"roles": [{"name": "a", "tau": 0, "instructions": 0}]}, "config: roles[0]: instructions"),
        ({"roles": [{"name": "a", "tau": 0, "reads": ""}]}, "config: roles[0]: reads"),
        ({"roles": [{"name": "a", "tau": 0, "control": "abstain"}]}, "config: roles[0]: control"),
        ({"roles": [{"name": "a", "tau": 0, "format": [{"type": "song"}]}]}, "config: roles[0]: format[0]: type"),
        (
            {"roles": [{"name": "a", "tau": 0, "format": [{"type": "message"}, {"type": "answer"}]}]},
            "config: roles[0]: format[1]: after",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place(changed, field):
    with pytest.raises(InputError) as caught:
        read_config(finetuning.config(**changed))
    assert caught.value.field == field


def test_a_prompt_that_has_become_too_long_ends_the_run_and_says_whose(capsys, write, tmp_path):
    """What is read is longer than the model's context: what was learnt is kept all the same."""
    roles = finetuning.config()["roles"]
    out = tmp_path / "out"
    code, _, err = run(capsys, write(roles=[{**roles[0], "max_tokens": 250}, roles[1]]), "--out", out)
    assert code == 1
    assert err.startswith("hqre: plays: solver cannot be asked: ")
    assert "let planner say less" in err
    assert adapters_in(out)
    assert json.loads((out / "finetuning.json").read_text())["ended"] == "failed"


def test_splits_are_told_apart(capsys, write, tmp_path):
    """What is judged on dev and then on test is no progress from the one to the other."""
    out = tmp_path / "out"
    for split in ("dev", "test"):
        assert run(capsys, write(steps=1, roles=[SOLVER], evaluation={"split": split}), "--out", out)[0] == 0
    assert [(line["step"], line["split"]) for line in lines_of(out, "evaluations.jsonl")] == [
        (0, "dev"), (1, "dev"), (1, "test"),
    ]  # fmt: skip
    assert main(["llm", "report", str(out)]) == 0
    told = (out / "report.md").read_text(encoding="utf-8")
    assert "questions of the test split" in told.replace("\\", "")
    assert [row["split"] for row in json.loads((out / "report.json").read_text())["tables"]["held_out"]] == ["test"]


def test_policies_are_judged_on_official_files(capsys, write, tmp_path):
    """In place of the task's own questions; another file is another thing to be judged on, in the same run."""
    out, file = tmp_path / "out", tmp_path / "word_problems.jsonl"
    tasks = [{"name": "word_problems"}, {"name": "arithmetic", "classes": ["sum"]}]
    config = write(tasks=tasks, steps=1, roles=[SOLVER])
    for answer in (2, 3):
        file.write_text(json.dumps({"question": "1 + 1?", "answer": f"so #### {answer}"}) + "\n")
        code, _, err = run(capsys, config, "--out", out, "--data", file)
        assert code == 0, err
    lines = lines_of(out, "evaluations.jsonl")
    assert [line["step"] for line in lines] == [0, 1, 1]
    assert all(list(line["classes"]) == ["arithmetic/sum", "word_problems/official"] for line in lines)
    assert len({line["split"] for line in lines}) == 2
    assert main(["llm", "report", str(out)]) == 0
    assert "On 3 questions of official files (" in (out / "report.md").read_text(encoding="utf-8").replace("\\", "")
    code, _, err = run(capsys, config, "--out", out, "--data", tmp_path)
    assert (code, "finetuning.toml" in err) == (0, False), err
    code, _, err = run(capsys, config, "--out", out, "--data", config)
    assert (code, err.startswith("hqre: data: ")) == (2, True)


def test_other_questions_are_another_run(capsys, write, tmp_path):
    questions = tmp_path / "questions.csv"
    for answer in "07":
        rows = "".join(f"What is {k}?,{answer}\n" for k in range(40))
        questions.write_text(f"question,answer\n{rows}")
        config = write(tasks=[{"name": "questions.csv"}], steps=1, roles=[SOLVER], evaluation={"questions": 0})
        code, _, err = run(capsys, config, "--out", tmp_path / "out")
        assert code == (0 if answer == "0" else 2), err
    assert "holds a run with other weights" in err
    assert "or questions" in err


def test_an_unknown_task_or_class_is_named_with_its_place(capsys, write, tmp_path):
    for tasks, said in (
        ([{"name": "arithmatic"}], "tasks[0]: name: 'arithmatic' is not known"),
        ([{"name": "arithmetic", "classes": ["summ"]}], "tasks[0]: classes: is 'summ'"),
    ):
        config = write(tasks=tasks)
        code, _, err = run(capsys, config, "--out", tmp_path / "out")
        assert (code, err.startswith(f"hqre: {config}: {said}"), err.count("\n")) == (2, True, 1)


def test_what_decides_a_run_and_what_does_not():
    base = read_config(finetuning.config())
    assert read_config(finetuning.config(), steps=9, budget={"tokens": 5}).digest == base.digest
    for changed in ({"seed": 1}, {"adapter": {"rank": 2}}, {"method": "grpo"}):
        assert read_config(finetuning.config(**changed)).digest != base.digest


PARTS = (Part("reasoning"), Part("message", "Say:"), Part("answer", "Answer:"))


def test_a_decisions_type_is_that_of_the_text_before_it():
    """The words that open a part belong to the part before; what follows them is of the new type."""
    text = "hm Say: yes. Answer: 4"
    kinds = kinds_of([ord(c) for c in text], PARTS, lambda tokens: "".join(map(chr, tokens)))
    assert kinds == [0] * len("hm Say:") + [1] * len(" yes. Answer:") + [2] * len(" 4")
    assert message_of(text, PARTS) == "yes."
    assert message_of("Answer: 4", PARTS) == ""  # parts come in their order
    assert message_of(" all of it ", (Part("answer"),)) == "all of it"


def test_plays_are_of_the_policy_and_scores_of_the_verifier(monkeypatch):
    """The team's answer is the plurality; a reader is shown the message, and nothing else."""
    parts = [{"type": "reasoning"}, {"type": "message", "after": "Say:"}]
    planner = {"name": "planner", "answers": False, "tau": 0, "format": parts}
    wanted = finetuning.config(roles=[planner, *({"name": name, "reads": ["planner"], "tau": 0} for name in "abc")])
    model = load(wanted["model"])
    texts = iter(["hidden Say: add them"] * 2 + ["1", "17", "1", "17", "5", "17"])
    shown = []

    def scripted(model, prompts, controls, adapters=()):
        shown.extend(model.tokenizer.decode(prompt.tokens) for prompt in prompts)
        said = [tuple(model.tokenizer.encode_said(next(texts))) for _ in prompts]
        return [Completion(tokens, (0.0,) * len(tokens), True) for tokens in said]

    monkeypatch.setattr(_samplers, "sample_completions", scripted)
    players = _plays.Players(read_config(wanted), model)
    item = next(item for item in players.questions_of(1) if item.answer != "1")
    item = type(item)(**(vars(item) | {"answer": "17"}))
    plays = players.play([item], 2, dict.fromkeys(["planner", "a", "b", "c"]), "test")
    assert [(play.score, play.answer) for play in plays] == [(0.0, "1"), (1.0, "17")]
    assert all("planner says: add them" in text and "hidden" not in text for text in shown[2:])
    assert plays[1].turns["planner"][0].judgement is None
    np.testing.assert_equal(
        [play.num_tokens for play in plays], [sum(len(t[0].tokens) for t in p.turns.values()) for p in plays]
    )
