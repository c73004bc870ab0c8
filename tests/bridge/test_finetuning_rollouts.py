"""Plays that a server completes: it has the adapters of each step, and what it says is checked against them."""

from pathlib import Path

import faulty_endpoint as faulty
import finetuning
import pytest

from hqre_jax.bridge.evaluation import Lines
from hqre_jax.bridge.models import Controls, Prompt, load, load_adapter, sample_completions
from hqre_jax.cli import main

ONE = {"roles": [{"name": "solver", "max_tokens": 5, "tau": 0.05}], "steps": 3}


class Server:
    """The tiny model as vLLM would serve it."""

    def __init__(self, log_prob=None, refuses=(), loses=()):
        self.model, self.log_prob, self.refuses = load(f"hf:{finetuning.TINY}"), log_prob, refuses
        self.adapters, self.asked, self.seen, self.loses = {}, [], [], list(loses)

    def __call__(self, handler):
        path, body = handler.path.removeprefix("/v1"), handler.body
        if path in self.refuses:
            faulty.answer({"error": {"message": "out of order"}}, 400)(handler)
        elif path == "/load_lora_adapter" and body["lora_name"] in self.adapters:
            said = f"The lora adapter '{body['lora_name']}' has already been loaded."
            faulty.answer({"error": {"message": said}}, 400)(handler)
        elif path == "/load_lora_adapter":
            assert Path(body["lora_path"]).is_absolute()
            self.adapters[body["lora_name"]] = load_adapter(body["lora_path"], self.model.decoder)
            self.seen.append(body["lora_name"])
            (self.loses.pop() if self.loses else faulty.answer(b"Success"))(handler)
        elif path == "/unload_lora_adapter":
            del self.adapters[body["lora_name"]]
            faulty.answer(b"Success")(handler)
        else:
            self.asked.append(body["model"])
            faulty.answer({"choices": [self.completed(body)]})(handler)

    def completed(self, body):
        adapters = () if body["model"] == "tiny" else (self.adapters[body["model"]],)
        controls = Controls(body["temperature"], body["top_p"], body["max_tokens"], (), body["seed"] % 2**31)
        (said,) = sample_completions(self.model, [Prompt(tuple(body["prompt"]))], controls, adapters)
        log_probs = [min(one, 0.0) if self.log_prob is None else self.log_prob for one in said.log_probs]
        reason = "stop" if said.ended else "length"
        return {
            "token_ids": list(said.tokens),
            "logprobs": {"token_logprobs": log_probs},
            "finish_reason": reason,
        }


@pytest.fixture
def finetune(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    config = tmp_path / "finetuning.toml"
    config.write_text(finetuning.as_toml(finetuning.config(**ONE)))

    def run(*more):
        capsys.readouterr()
        code = main(["llm", "finetune", str(config), "--out", str(tmp_path / "out"), *more])
        return code, capsys.readouterr().err, list(Lines(tmp_path / "out" / "metrics.jsonl").read())

    return run


def test_a_server_plays_with_the_adapters_of_each_step(finetune, tmp_path):
    server = Server()
    with faulty.serving(server) as served:
        code, err, lines = finetune("--rollouts", "openai:tiny", "--base-url", served.address)
    assert (code, len(lines)) == (0, 3), err
    # First policy, two more that play, and the last one, which is only judged.
    assert len(server.seen) == len(set(server.seen)) == 4
    assert set(server.asked) == set(server.seen)
    assert server.adapters == {}
    assert not (tmp_path / "out" / "served").exists()
    assert lines[2]["adapters"]["solver"]["roles"]["solver"]["kinds"]["answer"]["kl"] > 1e-4
    for line in lines:
        assert line["adapters"]["solver"]["sampling_gap"] < 1e-4


def test_an_answer_that_is_lost_and_adapters_that_are_left(finetune, tmp_path):
    """An adapter is loaded though nobody heard of it; what a run that was killed has left is taken from the server."""
    server = Server(loses=[faulty.drop])
    left = tmp_path / "out" / "served" / "hqre-left"
    left.mkdir(parents=True)
    server.adapters["hqre-left"] = None
    with faulty.serving(server) as served:
        code, err, lines = finetune("--rollouts", "openai:tiny", "--base-url", served.address, "--steps", "1")
    assert (code, len(lines)) == (0, 1), err
    assert server.adapters == {}
    assert not left.exists()


def test_another_policy_than_the_one_that_is_trained_is_noticed(finetune):
    server = Server(log_prob=-9.0)
    with faulty.serving(server) as served:
        code, err, lines = finetune("--rollouts", "openai:tiny", "--base-url", served.address)
    assert (code, lines) == (1, [])
    assert "nats a token from those that are trained" in err
    assert "same weights" in err
    assert server.adapters == {}


@pytest.mark.parametrize("path", ["/load_lora_adapter", "/completions"])
def test_a_server_that_fails_for_good_ends_the_run_and_nothing_is_lost(finetune, path):
    server = Server()
    with faulty.serving(server) as served:
        where = "--rollouts", "openai:tiny", "--base-url", served.address
        assert finetune(*where, "--steps", "1")[0] == 0
        server.refuses = (path,)
        code, err, lines = finetune(*where)
    assert (code, len(lines)) == (1, 1)
    assert err.startswith("hqre: plays: ")
    assert "400" in err
    assert "the same command goes on" in err
    code, err, lines = finetune()
    assert (code, len(lines)) == (0, 3), err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--base-url", "http://127.0.0.1:1/v1"), "base_url: is the address of --rollouts"),
        (("--rollouts", "smollm2-135m"), "rollouts: is 'smollm2-135m'; openai:NAME"),
        (("--rollouts", "openai:tiny", "--base-url", "nowhere"), "base_url: is no address"),
    ],
)
def test_a_server_that_is_none(finetune, words, said):
    code, err, lines = finetune(*words)
    assert (code, said in err, err.count("\n"), lines) == (2, True, 1, [])
