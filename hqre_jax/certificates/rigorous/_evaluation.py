"""The equations of an HQRE, written once more, from theory.md §2 and for any kind of scalar.

This is what a proof rests on. It shares no code with the solvers, solves no linear system and takes every game by
summation over what can happen. Unknowns:

* logits ``z`` of each decision point with two actions or more, its last action's logit being 0;
* continuation values ``V_i(t)`` where play goes on;
* occupancies ``d(w)`` where beliefs depend on the policy, for worlds that can be reached.

Equations: ``z_a − [(Q_a − Q_last)/τ + log ρ_a − log ρ_last] = 0``, ``V − backup(V, π) = 0``, ``d − ν − γ dP = 0``.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from hqre_jax.certificates.rigorous._arithmetic import exp, log
from hqre_jax.certificates.rigorous._data import Data
from hqre_jax.certificates.rigorous._worlds import Worlds, worlds

Scalars = list[Any]


class Equations:
    """The system F(y) = 0 of one problem.

    Args:
        data: See `problem_data`.
        lift: How a stored float becomes a scalar: ``float``, or ``arb`` for exact arithmetic.

    Attributes:
        points: Decision points ``(player, information state, valid actions)`` with two actions or more.
        num_logits: Number of logits among the unknowns; they come first.
        size: Number of unknowns.
    """

    def __init__(self, data: Data, lift: Callable[[float], Any]):
        self.data, self.lift = data, lift
        mask = data["action_mask"]
        self.points = [
            (i, x, np.flatnonzero(mask[i, x])) for i, x in np.ndindex(*mask.shape[:2]) if mask[i, x].sum() > 1
        ]
        self.num_logits = sum(len(actions) - 1 for _, _, actions in self.points)
        self.tau = {(i, x): lift(float(data["tau"][i, x])) for i, x, _ in self.points}
        self.log_reference = {(i, x): self._reference(i, x, actions) for i, x, actions in self.points}
        known = data["game"] in ("PolymatrixGame", "ExtensiveFormGame")
        self.worlds: Worlds | None = None if known else worlds(data)
        self.goes_on = self.worlds is not None and self.worlds.kernel is not None
        self.payoffs, self.kernels = _lifted(self.worlds, data["action_mask"], lift) if self.worlds else ({}, {})
        self.reached = self.worlds.reached() if self.worlds is not None and self.worlds.occupied else []
        num_values = data["payoffs"].shape[0] * self.worlds.gather.shape[0] if self.worlds and self.goes_on else 0
        self.size = self.num_logits + num_values + len(self.reached)

    def _reference(self, i: int, x: int, actions: np.ndarray) -> Scalars:
        """``log ρ`` on the valid actions, exactly normalised."""
        stored = [self.lift(float(v)) for v in self.data["log_reference"][i, x, actions]]
        norm = log(sum(exp(v) for v in stored))
        return [v - norm for v in stored]

    def __call__(self, y: Scalars) -> Scalars:
        """F at y.

        Args:
            y: Unknowns, logits first.

        Returns:
            As many scalars.
        """
        logits, rest = y[: self.num_logits], y[self.num_logits :]
        policy, bonus = self._policies(logits)
        if self.worlds is not None:
            action_values, defects = self._worlds_defects(policy, bonus, rest)
        elif self.data["game"] == "PolymatrixGame":
            action_values, defects = self._edges(policy), []
        else:
            action_values, defects = self._tree(policy, bonus), []
        equations, k = [], 0
        for i, x, actions in self.points:
            values, tau, reference = action_values[i, x], self.tau[i, x], self.log_reference[i, x]
            for a in range(len(actions) - 1):
                equations.append(logits[k] - ((values[a] - values[-1]) / tau + (reference[a] - reference[-1])))
                k += 1
        return equations + defects

    def _policies(self, logits: Scalars) -> tuple[dict, dict]:
        """``π`` on valid actions and ``τ H`` by decision point: 1 and 0 where there is no choice."""
        mask = self.data["action_mask"]
        policy: dict = {(i, x): [1] for i, x in np.ndindex(*mask.shape[:2])}
        bonus: dict = dict.fromkeys(policy, 0)
        pays = self.data["continuation"] != "plain" and (self.goes_on or self.data["game"] == "ExtensiveFormGame")
        k = 0
        for i, x, actions in self.points:
            z = [*logits[k : k + len(actions) - 1], self.lift(0.0)]
            k += len(actions) - 1
            odds = [sum(1 if a == b else exp(z[b] - z[a]) for b in range(len(z))) for a in range(len(z))]
            policy[i, x] = [1 / o for o in odds]
            if pays:
                reference = self.log_reference[i, x]
                shift = [0] * len(z) if self.data["shannon"] else reference
                gaps = [p * (log(o) + s) for p, o, s in zip(policy[i, x], odds, shift, strict=True)]
                bonus[i, x] = self.tau[i, x] * sum(gaps)
        return policy, bonus

    def _shared(self, bonus: Scalars, i: int) -> Any:
        """``Σ_j E_ij τ_j H_j`` of one world, given every player's ``τ_j H_j`` there."""
        rule = self.data["continuation"]
        return bonus[i] if rule == "soft" else 0 if rule == "plain" else bonus[i] - bonus[1 - i]

    def _worlds_defects(self, policy: dict, bonus: dict, rest: Scalars) -> tuple[dict, Scalars]:
        game = self.worlds
        assert game is not None
        players, targets = game.payoffs.shape[0], game.gather.shape[0] if self.goes_on else 0
        values = [np.array(rest[i * targets : (i + 1) * targets], object) for i in range(players)]
        occupancy = dict(zip(self.reached, rest[players * targets :], strict=True))
        backups = [[0] * targets for _ in range(players)]
        inflow: dict = {w: self.lift(game.law[w]) for w in self.reached}
        own: dict = {}
        for w in range(game.payoffs.shape[1]):
            states = game.observed[:, w]
            here = [np.array(policy[j, x], object) for j, x in enumerate(states)]
            kernel = self.kernels[w]
            bonuses = [bonus[j, x] for j, x in enumerate(states)]
            for i in range(players):
                pays = self.payoffs[i, w]
                if kernel is not None:
                    pays = pays + np.dot(kernel, values[i])
                own[i, w] = _average(pays, here, keep=i)
                worth = np.dot(here[i], own[i, w]) + self._shared(bonuses, i)
                for t in np.flatnonzero(game.gather[:, w]) if self.goes_on else ():
                    backups[i][t] = backups[i][t] + self.lift(game.gather[t, w]) * worth
            if w in occupancy and kernel is not None:
                moves = [_average(kernel[..., t], here) for t in range(targets)]
                for t, move in enumerate(moves):
                    if t in inflow:
                        inflow[t] = inflow[t] + occupancy[w] * move
        action_values = {}
        for i, x, _ in self.points:
            belief = game.belief(i, x, self.lift, occupancy)
            action_values[i, x] = sum(own[i, w] * weight for w, weight in belief.items())
        defects = [v - b for i in range(players) for v, b in zip(values[i], backups[i], strict=True)]
        return action_values, defects + [occupancy[w] - inflow[w] for w in self.reached]

    def _edges(self, policy: dict) -> dict:
        values: dict = {}
        mask = self.data["action_mask"]
        for (i, j), (to_i, to_j) in zip(self.data["edges"].tolist(), self.data["payoffs"], strict=True):
            for own, other, payoffs in ((i, j, to_i), (j, i, to_j.T)):
                legal = payoffs[np.ix_(np.flatnonzero(mask[own, 0]), np.flatnonzero(mask[other, 0]))]
                worth = [sum(self.lift(u) * p for u, p in zip(row, policy[other, 0], strict=True)) for row in legal]
                values[own] = [u + v for u, v in zip(values[own], worth, strict=True)] if own in values else worth
        return {(i, 0): values.get(i, [self.lift(0.0)] * len(actions)) for i, _, actions in self.points}

    def _tree(self, policy: dict, bonus: dict) -> dict:
        data, lift = self.data, self.lift
        parent, player, state = data["parent"].tolist(), data["player"].tolist(), data["information_set"].tolist()
        players, mask = range(data["payoffs"].shape[0]), data["action_mask"]
        below: list[list[int]] = [[] for _ in parent]
        for node, above in enumerate(parent):
            if above >= 0:
                below[above].append(node)
        order = [parent.index(-1)]
        for node in order:
            order += below[node]
        # Edges; reach by chance and everybody but i, None where that is surely zero.
        edge: dict = {}
        reach: list[dict] = [{order[0]: lift(1.0)} for _ in players]
        for node in order[1:]:
            above, action = parent[node], data["branch"][node]
            mover, x = player[above], state[above]
            if mover >= 0 and mask[mover, x, action]:
                edge[node] = policy[mover, x][int(mask[mover, x, :action].sum())]
            elif mover < 0 and data["probability"][node] > 0:
                edge[node] = lift(data["probability"][node])
            for i in players:
                before = reach[i].get(above)
                if before is not None and (i == mover or node in edge):
                    reach[i][node] = before if i == mover else before * edge[node]
        worth: list[dict] = [{} for _ in players]
        for node in reversed(order):
            mover = player[node]
            paid = [bonus[mover, state[node]] if j == mover else 0 for j in players]
            for i in players:
                total = lift(data["payoffs"][i, node]) + self._shared(paid, i)
                for child in below[node]:
                    if child in edge:
                        total = total + edge[child] * worth[i][child]
                worth[i][node] = total
        values = {}
        for i, x, actions in self.points:
            nodes = [n for n in order if player[n] == i and state[n] == x]
            weights = [(n, reach[i][n]) for n in nodes if n in reach[i]] or [(n, lift(1.0)) for n in nodes]
            total = sum(weight for _, weight in weights)
            child = {(n, int(data["branch"][c])): c for n in nodes for c in below[n]}
            values[i, x] = [sum(b * worth[i][child[n, int(a)]] for n, b in weights) / total for a in actions]
        return values


def _lifted(game: Worlds, mask: np.ndarray, lift: Callable[[float], Any]) -> tuple[dict, dict]:
    """Payoffs ``r_i(w, ·)`` by (i, w) and rows ``γ P(·|w, ·)`` by w as scalars, legal actions only."""
    as_scalars = np.vectorize(lift, otypes=[object])
    payoffs, kernels = {}, {}
    for w in range(game.payoffs.shape[1]):
        legal = np.ix_(*(np.flatnonzero(mask[j, x]) for j, x in enumerate(game.observed[:, w])))
        for i in range(len(mask)):
            payoffs[i, w] = as_scalars(game.payoffs[i, w][legal])
        kernels[w] = None if game.kernel is None else as_scalars(game.kernel[w][legal]) * lift(game.gamma)
    return payoffs, kernels


def _average(tensor: np.ndarray, policies: list[np.ndarray], keep: int = -1) -> Any:
    """``E_{a~π}`` of a tensor over joint actions, player ``keep``'s own action kept."""
    for j in reversed(range(len(policies))):
        if j != keep:
            tensor = np.tensordot(tensor, policies[j], axes=(j, 0))
    return tensor if keep >= 0 else tensor[()] if isinstance(tensor, np.ndarray) else tensor
