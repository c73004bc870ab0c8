"""A run: steps that go on where they stopped, whatever stopped them."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
from jax.sharding import Mesh

from hqre_jax.bridge.evaluation import Lines
from hqre_jax.bridge.finetuning._batch import batch_of
from hqre_jax.bridge.finetuning._config import UNDECISIVE, Config
from hqre_jax.bridge.finetuning._learner import Learner
from hqre_jax.bridge.finetuning._metrics import learning_metrics, play_metrics, sampling_gap, shown
from hqre_jax.bridge.finetuning._plays import Players
from hqre_jax.bridge.finetuning._samplers import SERVED, AbstractSampler, CallFailed, LocalSampler, ServerSampler
from hqre_jax.bridge.models import Adapter, LocalModel, by_first, from_first, init_adapter, save_adapter
from hqre_jax.bridge.models._endpoint import EndpointModel
from hqre_jax.core._checkpoint import fingerprint, load_checkpoint, save_checkpoint
from hqre_jax.core._types import InputError
from hqre_jax.io._files import write_whole

FORMAT, VERSION = "hqre-jax fine-tuning", 1
PLAN, METRICS, EVALUATIONS, CHECKPOINT, ADAPTERS = (
    "finetuning.json", "metrics.jsonl", "evaluations.jsonl", "checkpoint.npz", "adapters",
)  # fmt: skip
_NUM_LOST = 3  # steps in a row that lead away from the mirror step
_MOST_GAP = 0.2  # nats a token, between who sampled and what is trained
_OTHER_WEIGHTS = "whoever completes the prompts must have the same weights, in the same precision, and the adapters"
_FAR = 0.1  # share of `step_limit` that a move must have to count as one


How = Literal["done", "budget", "diverged", "failed"]


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Attributes:
        how: "done": all steps were taken; "budget"; "diverged"; "failed": prompts could not be completed.
        step: Steps taken, earlier runs included.
        tokens: Tokens generated in them.
        why: What ended it, and what to change; "" where it is done.
        held_out: The last evaluation; None without one.

    Example:
        >>> from hqre_jax.bridge.finetuning import Ended
        >>> Ended("budget", step=12, tokens=50_000, why="no tokens are left", held_out=None).how
        'budget'
    """

    how: How
    step: int
    tokens: int
    why: str
    held_out: dict[str, Any] | None


@dataclass
class _State:
    """Where a run is; all of it is in its checkpoint."""

    adapters: dict[str, Adapter]
    optimizers: dict[str, Any]
    step: int
    tokens: int
    seconds: float
    lost: int


class Run:
    """A fine-tuning run in a folder.

    Every step is a function of the configuration and of the adapters and optimisers before it. A step's line is written
    before its checkpoint, so a run that was killed repeats at most one step, to the last bit, and drops its line.

    Of several processes (`hqre_jax.bridge.models.join_processes`) all make the same one, on a grid of all devices, and
    the first one alone reads and writes the folder; what they are given must be the same on every machine.

    Args:
        config: The configuration.
        model: The frozen model, its decoder without adapters.
        out: The folder; it is made where it is missing.
        folder: What the names of files of questions are relative to.
        grid: Devices that share the gradients' work, see `hqre_jax.bridge.models.device_grid`; None for one device.
        rollouts: A server that completes the prompts of plays, with the adapters of each step; the model by default.
        official: Files of official questions by task, which policies are judged on in place of the task's own.

    Raises:
        InputError: The folder holds another run, or cannot be written to, or the configuration does not fit the tasks.
    """

    def __init__(
        self,
        config: Config,
        model: LocalModel,
        out: str | Path,
        folder: str | Path = ".",
        grid: Mesh | None = None,
        rollouts: EndpointModel | None = None,
        official: Mapping[str, Path] | None = None,
    ):
        self.config, self.model, self.out = config, model, Path(out)
        self.method = config.make_method()
        self._sampler: AbstractSampler = LocalSampler(model)
        if rollouts is not None:
            most = len(config.adapters)
            self._sampler = ServerSampler(rollouts, self.out / SERVED, config.adapter, model.name, most)
        self.players = Players(config, model, folder, self._sampler, official)
        self._learner = Learner(model.decoder, self.method, config.optimizer, grid)
        self._question = fingerprint(config.digest, model.identity, self.players.question_digest)
        if from_first(self._question) != self._question:
            raise InputError("config", "has other questions or weights here than where the first process is")
        by_first(self._open_folder)
        self._metrics, self._evaluations = lines_of(self.out)

    def run(self, announce: Callable[[str, int, int], None] = lambda what, done, total: None) -> Ended:
        """Take the steps that are left.

        Args:
            announce: Takes words, steps taken and steps in all.

        Returns:
            How it ended; what it left in the folder is whole in any case.

        Raises:
            InputError: Another process works in the folder, or it cannot be written to.
        """
        with ExitStack() as held:
            by_first(lambda: held.enter_context(_alone(self.out)))
            return self._run(announce)

    def _run(self, announce: Callable[[str, int, int], None]) -> Ended:
        self._state = state = by_first(self._load)
        config, began = self.config, time.monotonic()
        if state.step > config.steps:
            raise InputError("steps", f"is {config.steps}, and {state.step} are taken already: name as many or more")
        by_first(self._write_plan)
        by_first(self._sampler.open)
        try:
            how, why = self._steps(began, announce)
        except CallFailed as failed:
            how, why = "failed", str(failed)
        finally:
            if jax.process_index() == 0:  # however it ends: others may be gone
                self._sampler.close()
        held_out = by_first(lambda: self._finish(how))
        return Ended(how, state.step, state.tokens, why, held_out[-1] if held_out else None)

    def _finish(self, how: How) -> list[dict[str, Any]]:
        """Write what was learnt, and read what came of it."""
        for name, adapter in self._state.adapters.items():
            save_adapter(self.out / ADAPTERS / name, adapter, self.config.adapter, self.model.name)
        self._write_plan(how)
        return list(self._evaluations.read())

    def _steps(self, began: float, announce: Callable[[str, int, int], None]) -> tuple[How, str]:
        """All steps that are left, with their evaluations."""
        config, state = self.config, self._state
        how, why = "done", ""
        announce("first policy", state.step, config.steps)
        self._evaluate(due=state.step == 0)
        while state.step < config.steps:
            how, why = self._budget(from_first(time.monotonic() - began))
            if how == "done":
                how, why, words = self._step()
                announce(words, state.step, config.steps)
            if how != "done":
                break
            self._evaluate(due=state.step % config.evaluation.every == 0)
        self._evaluate(due=True)
        return how, why

    def _step(self) -> tuple[Literal["done", "diverged"], str, str]:
        """One step; the state is left as it was where it diverges."""
        config, state, began = self.config, self._state, time.monotonic()
        step = state.step + 1
        own = self._policies() if self.method.on_policy else dict.fromkeys(role.name for role in config.roles)
        plays = self.players.play(self.players.questions_of(step), config.plays, own, f"step {step}")
        tokens = state.tokens + sum(play.num_tokens for play in plays)
        adapters, optimizers, lines, lost = {}, {}, {}, False
        for name, roles in config.adapters.items():
            batch = batch_of(plays, roles, self.method, self.model.tokenizer.decode)
            learnt = self._learner.learn(state.adapters[name], state.optimizers[name], batch)
            gap = sampling_gap(batch, learnt) if self.method.on_policy else None
            if gap is not None and not gap <= _MOST_GAP:
                why = f"log-probabilities of what was sampled are {gap:.2g} nats a token from those that are trained"
                return "diverged", f"step {step} of adapter {name}: {why}; {_OTHER_WEIGHTS}", "diverged"
            if learnt.failure is not None:
                return "diverged", f"step {step} of adapter {name}: {learnt.failure}; {_remedy(config)}", "diverged"
            adapters[name], optimizers[name] = learnt.adapter, learnt.optimizer
            lines[name] = {"sampling_gap": gap, **learning_metrics(batch, learnt, self.method.is_mirror)}
            lost |= self._has_lost(learnt.moved, lines[name])
        if (num_lost := state.lost + 1 if lost else 0) == _NUM_LOST:
            why = f"the gradient steps of {_NUM_LOST} steps in a row lead away from the mirror step"
            return "diverged", f"step {step}: {why}; {_remedy(config)}", "diverged"
        state.adapters, state.optimizers, state.step, state.tokens = adapters, optimizers, step, tokens
        state.seconds, state.lost = state.seconds + time.monotonic() - began, num_lost
        line = {"step": step, "tokens": tokens, "seconds": state.seconds, **play_metrics(plays), "adapters": lines}
        by_first(lambda: self._save(line))
        return "done", "", shown(line)

    def _has_lost(self, moved: float, line: dict[str, Any]) -> bool:
        """Whether a policy really moved, and away from the mirror step; where plays tell little, any move does that."""
        after, before = line["distance"], line["distance_before"]
        far = moved > _FAR * self.config.optimizer.step_limit
        return far and after is not None and before is not None and after > before

    def _policies(self) -> dict[str, Adapter]:
        """What each role speaks with now."""
        return {role.name: self._state.adapters[role.adapter] for role in self.config.roles}

    def _evaluate(self, due: bool) -> None:
        """Judge the policy of now, once."""
        state, items, split = self._state, self.players.held_out(), self.players.judged_on
        known = by_first(lambda: {(line["step"], line["split"]) for line in self._evaluations.read()})
        if not due or not items or (state.step, split) in known:
            return
        plays = self.players.play(items, 1, self._policies(), "held out", temperature=0.0)
        classes: dict[str, list[float]] = {}
        for play in plays:
            classes.setdefault(f"{play.item.task}/{play.item.task_class}", []).append(play.score)
        line = {
            "step": state.step,
            "split": split,
            "tokens": state.tokens,
            **play_metrics(plays),
            "questions": len(plays),
            "scores": [play.score for play in plays],
            "classes": {name: float(np.mean(scores)) for name, scores in classes.items()},
        }
        by_first(lambda: self._evaluations.add(line))

    def _budget(self, seconds: float) -> tuple[Literal["done", "budget"], str]:
        """Whether another step fits."""
        config, most = self.config, self.players.most_tokens
        if config.budget_tokens is not None and self._state.tokens + most > config.budget_tokens:
            left = f"{self._state.tokens} of {config.budget_tokens} tokens are generated, and a step may take {most}"
            return "budget", left
        if config.budget_minutes is not None and seconds > 60 * config.budget_minutes:
            return "budget", f"{config.budget_minutes:g} minutes are over"
        return "done", ""

    def _open_folder(self) -> None:
        try:
            self.out.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:
            raise InputError("out", f"{str(self.out)!a} cannot be made: {getattr(error, 'strerror', error)}") from None
        found = read_plan(self.out)
        if found is None or found["question"] == self._question:
            return
        asked, known = json.loads(json.dumps(asdict(self.config))), found["config"]
        others = [name for name in asked if name not in UNDECISIVE and asked[name] != known.get(name)]
        differs = ", ".join(others) or f"weights ({known['model']}) or questions"
        raise InputError("out", f"{str(self.out)!a} holds a run with other {differs}: name another folder")

    def _write_plan(self, ended: str | None = None) -> None:
        document = {
            "format": FORMAT,
            "version": VERSION,
            "question": self._question,
            "model": self.model.identity,
            "method": {"name": self.method.name, "title": self.method.title, "paper": self.method.paper},
            "config": json.loads(json.dumps(asdict(self.config))),
            "judged_on": self.players.judged_on,
            "versions": {name: version(name) for name in ("hqre-jax", "jax", "optax")},
            "ended": ended,
        }
        write_whole(self.out / PLAN, (json.dumps(document, indent=1) + "\n").encode("ascii"))

    def _load(self) -> _State:
        config, key = self.config, jax.random.key(self.config.seed)
        adapters = {
            name: init_adapter(self.model.decoder, config.adapter, jax.random.fold_in(key, number))
            for number, name in enumerate(config.adapters)
        }
        optimizers = {name: self._learner.init(adapter) for name, adapter in adapters.items()}
        path = self.out / CHECKPOINT
        state = _State(adapters, optimizers, 0, 0, 0.0, 0)
        if path.exists():
            like = (adapters, optimizers, np.int64(0), np.float64(0), np.int64(0)), np.int64(0)
            (adapters, optimizers, tokens, seconds, lost), step = load_checkpoint(path, like, self._question)
            state = _State(adapters, optimizers, int(step), int(tokens), float(seconds), int(lost))
        for lines in (self._metrics, self._evaluations):
            found = list(lines.read())
            kept = [line for line in found if line["step"] <= state.step]
            if len(kept) < len(found):
                write_whole(lines.path, "".join(json.dumps(line) + "\n" for line in kept).encode("ascii"))
        return state

    def _save(self, line: dict[str, Any]) -> None:
        """A step's line, and then the checkpoint that has it."""
        self._metrics.add(line)
        state = self._state
        told = (state.adapters, state.optimizers, np.int64(state.tokens), np.float64(state.seconds))
        try:
            save_checkpoint(self.out / CHECKPOINT, (*told, np.int64(state.lost)), np.int64(state.step), self._question)
        except OSError as error:
            raise InputError("out", f"{CHECKPOINT} cannot be written there: {error.strerror or error}") from None


def lines_of(folder: Path) -> tuple[Lines, Lines]:
    """The lines of a folder's steps, and those of its evaluations."""
    steps = Lines(folder / METRICS, "step", "tokens", "seconds", "score", "adapters")
    return steps, Lines(folder / EVALUATIONS, "step", "split", "questions", "score")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder; however this one ends, it is free again."""
    try:
        import fcntl
    except ImportError:  # not on Windows
        yield
        return
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError("out", f"another process works in {str(folder)!a}: wait for it, or stop it") from None
        yield


def read_plan(folder: Path) -> dict[str, Any] | None:
    """What a folder's run is; None where there is none.

    Args:
        folder: Any folder.

    Returns:
        The plan as JSON has it: what is learnt, from what, and how the run ended.

    Raises:
        InputError: The file is not as it was written, or a newer program's.

    Example:
        >>> import pathlib
        >>> import tempfile
        >>> from hqre_jax.bridge.finetuning import read_plan
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     print(read_plan(pathlib.Path(folder)))
        None
    """
    path = folder / PLAN
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(str(path), f"cannot be read: {error}") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InputError(str(path), "is no plan of a fine-tuning run: name another folder")
    if document.get("version") != VERSION:
        raise InputError(f"{path}: version", f"is {document.get('version')!a}, this one reads {VERSION}")
    return document


def _remedy(config: Config) -> str:
    """What to change where a step diverges."""
    return (
        f"lower optimizer: learning_rate ({config.optimizer.learning_rate:g}) or method_settings: eta "
        f"({config.settings.eta:g}), or set optimizer: max_norm, and begin in another folder"
    )
