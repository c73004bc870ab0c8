"""The words of ``hqre llm finetune``; they are known before anything else is imported."""

import argparse
from collections.abc import Callable

EPILOG = """\
A configuration names tasks, roles with the format of their turns, and a temperature for every type of token:

  version = 1
  title = "one solver"            # in the report
  model = "smollm2-135m"
  method = "dice"                 # or what it is compared with
  seed = 0                        # of questions, plays and adapters
  steps = 40                      # batches of plays

  [[tasks]]
  name = "arithmetic"
  classes = ["product"]

  [[roles]]
  name = "solver"
  format = [{type = "reasoning"}, {type = "answer", after = "The answer is"}]
  tau = {reasoning = 0.05, answer = 0.02}
  # adapter = "solver", instructions = "", control = "direct", reads = [], answers = true, max_tokens = 48, price = 0.0

  # dtype = "float32" (or "bfloat16"), of the frozen weights
  # [plays] questions = 8, plays = 4, rounds = 1, pool = 100
  # [method_settings] eta = 1.0, inner_steps = 4, exploration = 0.0, continuation = "soft", entropy = "kl", beta = 0.04,
  #   clip = 0.2
  # [adapter] rank = 8, alpha = 16.0, targets = ["q_proj", "v_proj"]
  # [optimizer] learning_rate = 0.001, decay = 0, weight_decay = 0.0, max_norm = 0.0, groups = 4, rematerialise = false,
  #   step_limit = 2.0
  # [evaluation] questions = 50, every = 10, split = "dev"
  # [budget] tokens = 1000000, minutes = 60.0

Behind # stands what holds where nothing is said, but for max_tokens (then as many as the control takes) and budgets
(then none). [adapter] last_layers = 10 adapts the last ten layers and leaves the others out of training; after
[optimizer] decay = 20 gradient steps the learning rate is half of what it was.

DIR gets finetuning.json, metrics.jsonl, evaluations.jsonl, a checkpoint after every step, and adapters/NAME in PEFT's
files at the end. The same command goes on where it stopped, whatever stopped it, to the same bits. Exit codes: 0 all
steps are taken, 1 a budget ended the run, a step diverged or plays failed (what was learnt is kept), 2 bad input,
130 interrupted.

On several machines the same command runs on each, as one run: HQRE_COORDINATOR=HOST:PORT of the first, HQRE_PROCESSES=2
and HQRE_PROCESS=0 or 1 say so (docs/scripts/launch.sh sets them). The first one writes DIR.
"""


def add_finetune(command: Callable[..., argparse.ArgumentParser]) -> None:
    """The options of ``hqre llm finetune``."""
    parser = command("finetune", "train adapters by mirror steps, a temperature for every type of token", EPILOG)
    parser.add_argument("config", metavar="CONFIG", help="configuration, a TOML file")
    parser.add_argument("--out", metavar="DIR", required=True, help="folder of the run; goes on with what is there")
    parser.add_argument(
        "--method", metavar="M",
        help="dice, sft, raft, own_right, reinforce, grpo, cotrain, dice_zero or dice_common, in place of the file's",
    )  # fmt: skip
    parser.add_argument("--model", metavar="M", help="the frozen model, in place of the file's")
    parser.add_argument(
        "--rollouts", metavar="openai:NAME",
        help="a server with the same weights plays: vLLM with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True",
    )  # fmt: skip
    parser.add_argument("--base-url", metavar="U", help="address of that server, which reaches DIR under the same path")
    parser.add_argument(
        "--data", metavar="DIR",
        help="official data, held out: policies are judged on it; a file, or a folder with files called TASK.*",
    )  # fmt: skip
    parser.add_argument("--seed", metavar="S", help="of questions, plays and adapters, in place of the file's")
    parser.add_argument("--steps", metavar="N", help="steps in all, in place of the file's")
    parser.add_argument("--budget-tokens", metavar="N", help="most tokens generated in all, evaluation apart")
    parser.add_argument("--budget-minutes", metavar="N", help="no step of this command begins later than this")
    parser.add_argument("--tensor", metavar="N", default="1", help="devices that share each weight (default: 1)")
    parser.add_argument("--format", choices=("table", "json"), default="table", help="(default: table)")
