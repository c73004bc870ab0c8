"""What a solver may say at its end, each with its remedy."""

from enum import StrEnum


class RESULTS(StrEnum):
    """Outcome of a solve: a string, so that ``sol.result == "successful"`` reads as it should.

    Success is decided by one number, the undamped residual
    ``max |π_i(a|x) − softmax(Q_i^π(x,·)/τ_i(x) + log ρ)(a)|`` of the final iterate at the requested
    temperatures: ``residual ≤ tol``.

    Example:
        >>> import hqre_jax as hq
        >>> hq.RESULTS.successful == "successful"
        True
        >>> list(hq.RESULTS)[:2]
        [<RESULTS.successful: 'successful'>, <RESULTS.almost_successful: 'almost_successful'>]
    """

    successful = "successful"
    almost_successful = "almost_successful"
    max_steps_reached = "max_steps_reached"
    diverged = "diverged"
    nonfinite = "nonfinite"

    @property
    def code(self) -> int:
        """The integer that stands for this result inside compiled code."""
        return _CODES[self]

    @property
    def message(self) -> str:
        """What happened and what to do about it, in one line."""
        return _MESSAGES[self]

    def message_of(self, solver: str) -> str:
        """The message about what a solver did: it does not advise that solver."""
        return (_OF_THE_MOST_ROBUST if solver == "principal_branch" else _MESSAGES).get(self, self.message)


_MESSAGES = {
    RESULTS.successful: "The residual is within the tolerance.",
    RESULTS.almost_successful: (
        "The residual is within 1000 times the tolerance but not within it: raise tol, raise tau, "
        "or use float64 (rounding alone leaves about eps·payoff/tau)."
    ),
    RESULTS.max_steps_reached: (
        "The steps ran out before the residual reached the tolerance: raise max_steps, "
        "or try another solver (principal_branch is the most robust)."
    ),
    RESULTS.diverged: (
        "The iteration stopped making progress: try another solver (principal_branch is the most robust), "
        "a smaller step, or raise tau."
    ),
    RESULTS.nonfinite: "A payoff is no finite number, or one overflowed: mend it, or rescale payoffs and tau together.",
}
_OF_THE_MOST_ROBUST = {
    RESULTS.max_steps_reached: "The steps ran out before the end of the branch: raise max_steps.",
    RESULTS.diverged: "No step along the branch made progress: raise tau.",
}


class SELECTIONS(StrEnum):
    """Which equilibrium was returned, where there may be several.

    Example:
        >>> import hqre_jax as hq
        >>> [str(one) for one in hq.SELECTIONS]
        ['unique', 'principal_branch', 'unselected']
    """

    unique = "unique"
    principal_branch = "principal_branch"
    unselected = "unselected"

    @property
    def code(self) -> int:
        """The integer that stands for this selection inside compiled code."""
        return _CODES[self]


# Looking for a member among all takes longer than solving a small game.
_CODES: dict[str, int] = {one: code for kind in (RESULTS, SELECTIONS) for code, one in enumerate(kind)}
