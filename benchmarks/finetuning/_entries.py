"""What is compared: a game, a method and temperatures."""

from dataclasses import dataclass

from benchmarks.finetuning._games import Game, Inspection, Signalling, WhoAnswers
from hqre_jax.bridge.finetuning.methods import METHODS, AbstractMethod, Settings

INNER_STEPS = 10
# Larger temperatures than these weigh as much as what is to be won.
SMALL, MIDDLE, LARGE = 0.02, 0.1, 0.3


@dataclass(frozen=True)
class Entry:
    """A row of the table.

    Attributes:
        game: The game.
        method: Name of the method.
        tau: Temperature of each role's tokens, units of score.
        eta: η of mirror steps, 1/score.
        remark: What the temperatures are.
    """

    game: Game
    method: str
    tau: tuple[float, float]
    eta: float
    remark: str = ""

    @property
    def name(self) -> str:
        """Unique name."""
        return "/".join([self.game.name, self.method, *(f"{tau:g}" for tau in self.tau)])

    def make_method(self) -> AbstractMethod:
        """The method."""
        return METHODS[self.method](Settings(eta=self.eta, inner_steps=INNER_STEPS))


def all_entries() -> list[Entry]:
    """The rows, in order."""
    inspection, who_answers, signalling = Inspection(), WhoAnswers(), Signalling()
    certified, beta = round(inspection.certified(), 4), Settings().beta
    nothing = (0.0, 0.0)
    others = [("reinforce", nothing), ("grpo", nothing), ("raft", nothing), ("own_right", nothing)]
    first = [
        Entry(inspection, "dice", (certified, certified), 1.0, "certified: the logit map contracts"),
        Entry(inspection, "dice", (SMALL, SMALL), 1.0, "small"),
        Entry(inspection, "dice_zero", nothing, 1.0, "none"),
        *(Entry(inspection, method, tau, 1.0) for method, tau in others),
        Entry(inspection, "cotrain", (beta, beta), 1.0),
    ]
    pairs = [
        (SMALL, SMALL, "small"), (MIDDLE, MIDDLE, "middle"), (LARGE, LARGE, "large"),
        (MIDDLE, SMALL, "message middle, answer small"), (SMALL, MIDDLE, "message small, answer middle"),
        ((SMALL + MIDDLE) / 2, (SMALL + MIDDLE) / 2, "one, their mean"),
    ]  # fmt: skip
    enough = round(who_answers.certified(), 4)
    return [
        *first,
        Entry(who_answers, "dice", (enough, enough), 1.0, "certified: the logit map contracts"),
        Entry(who_answers, "dice", (SMALL, SMALL), 1.0, "small"),
        Entry(who_answers, "dice_zero", nothing, 1.0, "none"),
        Entry(signalling, "dice_zero", nothing, 4.0, "none"),
        *(Entry(signalling, "dice", (message, answer), 4.0, remark) for message, answer, remark in pairs),
        *(Entry(signalling, method, tau, 4.0) for method, tau in others if method != "own_right"),
    ]
