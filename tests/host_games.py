"""Simulators written in numpy, as a user would write them."""

import numpy as np

import hqre_jax as hq


class HostBayesian(hq.sampled.AbstractHostSimulator):
    """A Bayesian game of two players, played by a Python program."""

    horizon = num_moves = 1
    discount = 0.0

    def __init__(self, game: hq.BayesianGame):
        self.prior, self.payoffs = np.asarray(game.prior), np.asarray(game.payoffs)
        self.action_mask = np.asarray(game.action_mask)
        self.return_low, self.return_high = self.payoffs.min((1, 2, 3, 4)), self.payoffs.max((1, 2, 3, 4))

    def reset(self, seeds):
        drawn = [np.random.default_rng(seed).choice(self.prior.size, p=self.prior.ravel()) for seed in seeds]
        return np.stack(np.unravel_index(drawn, self.prior.shape), axis=1)

    def observe(self, state):
        return state

    def step(self, state, actions):
        paid = self.payoffs[:, state[:, 0], state[:, 1], actions[:, 0], actions[:, 1]].T
        over = np.ones(len(state), bool)
        return state, paid, over, ~over


class Crashing(HostBayesian):
    """The same, but one batch breaks down and some plays of the others do; which ones has nothing to do with types."""

    def reset(self, seeds):
        if seeds[0] % 4 == 0:
            raise OSError("out of order")
        return np.column_stack([super().reset(seeds), seeds % 10 == 0])

    def observe(self, state):
        return state[:, :2]

    def step(self, state, actions):
        _, paid, over, _ = super().step(state, actions)
        return state, paid, over, state[:, 2] == 1
