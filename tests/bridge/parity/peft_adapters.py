"""An adapter as Hugging Face's PEFT writes it, what PEFT makes of it, and whether it reads one of ours.

    python tests/bridge/parity/peft_adapters.py [--out FOLDER]
    python tests/bridge/parity/peft_adapters.py --read FOLDER

needs `pip install peft torch transformers`, and nothing of this project. The first form writes an adapter of the tiny
model `qwen2` and `logits.json`, for `test_adapter_files.py`; the second prints the logits of that model with the
adapter in a folder, beside the layers and merged into them.
"""

import argparse
import json
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

DATA = Path(__file__).parents[1] / "data"
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
TOKENS = torch.arange(7, 300, 17)[None]
POSITIONS = (0, 9, 17)


def tiny_model() -> torch.nn.Module:
    return AutoModelForCausalLM.from_pretrained(DATA / "tiny_models" / "qwen2", dtype=torch.float32).eval()


def logits(model: torch.nn.Module) -> list[list[float]]:
    return [[round(x, 5) for x in model(TOKENS).logits[0, t].tolist()] for t in POSITIONS]


@torch.no_grad()
def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--out", type=Path, default=DATA / "tiny_adapter")
    arguments.add_argument("--read", type=Path)
    given = arguments.parse_args()
    if given.read:
        model = PeftModel.from_pretrained(tiny_model(), str(given.read)).eval()
        print(json.dumps({"beside": logits(model), "merged": logits(model.merge_and_unload())}))
        return
    torch.manual_seed(2)
    config = LoraConfig(r=4, lora_alpha=8, target_modules=TARGETS, lora_dropout=0.0, task_type="CAUSAL_LM")
    model = get_peft_model(tiny_model(), config).eval()
    for name, parameter in model.named_parameters():
        if "lora_B" in name:  # as drawn it is 0, which tells nothing
            torch.nn.init.normal_(parameter, std=0.2)
    model.peft_config["default"].base_model_name_or_path = "tiny_models/qwen2"
    model.peft_config["default"].target_modules = TARGETS  # a list keeps its order, a set does not
    model.save_pretrained(given.out)
    (given.out / "README.md").unlink()
    numbers = {"tokens": TOKENS[0].tolist(), "positions": POSITIONS, "logits": logits(model)}
    (given.out / "logits.json").write_text(json.dumps(numbers, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"{given.out}: an adapter of {sum(p.numel() for n, p in model.named_parameters() if 'lora' in n)} numbers")


if __name__ == "__main__":
    main()
