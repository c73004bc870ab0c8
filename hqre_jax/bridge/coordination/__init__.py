"""A team of language-model agents as a game: samples, plays, the empirical game, its policy.

    team = read_team("team.toml")
    samples = Samples(team, {"smollm2-135m": StoredModel(models.load("smollm2-135m"), store)})
    states = PublicStates.of(team, samples.tasks)
    items = states.items("dev", samples.tasks)

    game = TeamGame.from_samples(samples, items)           # every joint profile, from one store of samples
    solution = hq.solve(game.game, tau)                    # a MarkovGame, solved as any other
    policy = TeamPolicy.of(states, solution.policy, tau)
    outcomes = play_all(PolicyPlayer(states, policy.probabilities), questions, samples, seed=0)

Another way of making a team answer is an `AbstractMethod`: ``fit`` chooses hyper-parameters on dev under a budget and
returns an `AbstractPlayer`, whose ``play`` is a generator that yields `Ask`s, is sent what was `Said`, and returns the
reply that is the answer (see `_plays`). It never sees a score; costs, batches, replay and judging are `play_all`'s.
"""

from hqre_jax.bridge.coordination._collect import Collected as Collected
from hqre_jax.bridge.coordination._collect import available as available
from hqre_jax.bridge.coordination._collect import collect as collect
from hqre_jax.bridge.coordination._counterfactuals import needed as needed
from hqre_jax.bridge.coordination._game import TeamGame as TeamGame
from hqre_jax.bridge.coordination._game import uniform_law as uniform_law
from hqre_jax.bridge.coordination._intervals import Bootstrapped as Bootstrapped
from hqre_jax.bridge.coordination._intervals import bootstrap_team as bootstrap_team
from hqre_jax.bridge.coordination._offline import Temperatures as Temperatures
from hqre_jax.bridge.coordination._offline import Trained as Trained
from hqre_jax.bridge.coordination._offline import stability_of as stability_of
from hqre_jax.bridge.coordination._offline import train_offline as train_offline
from hqre_jax.bridge.coordination._online import Learnt as Learnt
from hqre_jax.bridge.coordination._online import train_online as train_online
from hqre_jax.bridge.coordination._plays import AbstractMethod as AbstractMethod
from hqre_jax.bridge.coordination._plays import AbstractPlayer as AbstractPlayer
from hqre_jax.bridge.coordination._plays import Course as Course
from hqre_jax.bridge.coordination._plays import Outcome as Outcome
from hqre_jax.bridge.coordination._plays import Step as Step
from hqre_jax.bridge.coordination._plays import play_all as play_all
from hqre_jax.bridge.coordination._policy import Board as Board
from hqre_jax.bridge.coordination._policy import PolicyPlayer as PolicyPlayer
from hqre_jax.bridge.coordination._policy import TeamPolicy as TeamPolicy
from hqre_jax.bridge.coordination._policy_file import policy_document as policy_document
from hqre_jax.bridge.coordination._policy_file import read_policy as read_policy
from hqre_jax.bridge.coordination._policy_file import write_policy as write_policy
from hqre_jax.bridge.coordination._samples import Ask as Ask
from hqre_jax.bridge.coordination._samples import Said as Said
from hqre_jax.bridge.coordination._samples import Sample as Sample
from hqre_jax.bridge.coordination._samples import Samples as Samples
from hqre_jax.bridge.coordination._samples import find_tasks as find_tasks
from hqre_jax.bridge.coordination._samples import load_tasks as load_tasks
from hqre_jax.bridge.coordination._simulator import TeamSimulator as TeamSimulator
from hqre_jax.bridge.coordination._stages import GameCertificate as GameCertificate
from hqre_jax.bridge.coordination._stages import certify_stages as certify_stages
from hqre_jax.bridge.coordination._stages import find_equilibria as find_equilibria
from hqre_jax.bridge.coordination._stages import solve_stages as solve_stages
from hqre_jax.bridge.coordination._stages import stage_games as stage_games
from hqre_jax.bridge.coordination._stages import stage_margins as stage_margins
from hqre_jax.bridge.coordination._states import PublicStates as PublicStates
from hqre_jax.bridge.coordination._states import State as State
