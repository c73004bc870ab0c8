"""Pictures of solutions: matplotlib axes, never a window, never a global state.

Each function draws into the axes that it is given, or into those of a new figure of 6×4 inches, and returns
the axes; ``axes.figure.savefig("name.png")`` writes a file.
"""

from hqre_jax.plotting._branch import branch
from hqre_jax.plotting._convergence import convergence
from hqre_jax.plotting._policy import policy

__all__ = ["branch", "convergence", "policy"]
