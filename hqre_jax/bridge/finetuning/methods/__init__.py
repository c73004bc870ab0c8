"""Ways of fine-tuning: DICE-FT and what it is compared with, one file each."""

from collections.abc import Mapping

from hqre_jax.bridge.finetuning.methods._interface import AbstractMethod as AbstractMethod
from hqre_jax.bridge.finetuning.methods._interface import Settings as Settings
from hqre_jax.bridge.finetuning.methods._interface import Signal as Signal
from hqre_jax.bridge.finetuning.methods.cotrain import CoTraining as CoTraining
from hqre_jax.bridge.finetuning.methods.dice import Dice as Dice
from hqre_jax.bridge.finetuning.methods.dice import DiceCommon as DiceCommon
from hqre_jax.bridge.finetuning.methods.dice import DiceZero as DiceZero
from hqre_jax.bridge.finetuning.methods.grpo import Grpo as Grpo
from hqre_jax.bridge.finetuning.methods.own_right import OwnRight as OwnRight
from hqre_jax.bridge.finetuning.methods.raft import Raft as Raft
from hqre_jax.bridge.finetuning.methods.reinforce import Reinforce as Reinforce
from hqre_jax.bridge.finetuning.methods.sft import SupervisedFineTuning as SupervisedFineTuning

# A method is one file; here it joins the others.
METHODS: Mapping[str, type[AbstractMethod]] = {
    method.name: method
    for method in (
        Dice,
        SupervisedFineTuning,
        Raft,
        OwnRight,
        Reinforce,
        Grpo,
        CoTraining,
        DiceZero,
        DiceCommon,
    )
}
