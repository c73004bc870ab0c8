"""The axis legend of the library and its array aliases; beside them its labels and its one input error.

Every policy-like array has the axes ``(player, state, action)``, where ``state`` is the player's
*information state*. A normal form has one information state, a Bayesian game one per type, a Markov
game one per world state, a tree one per information set. Entries beyond a player's own number of
information states or actions are padding: ``False`` in the action mask and exactly 0 in a policy.
"""

from jaxtyping import Bool, Float

from hqre_jax.core._input import (
    InputError as InputError,
)
from hqre_jax.core._input import (
    Labels as Labels,
)
from hqre_jax.core._input import (
    checked_choice as checked_choice,
)
from hqre_jax.core._input import (
    checked_count as checked_count,
)
from hqre_jax.core._input import (
    checked_kind as checked_kind,
)
from hqre_jax.core._input import (
    checked_labels as checked_labels,
)
from hqre_jax.core._input import (
    name_at as name_at,
)
from hqre_jax.core._input import (
    shown as shown,
)
from hqre_jax.core._input import (
    spoken as spoken,
)
from hqre_jax.core._namespace import Array

ActionMask = Bool[Array, "player state action"]
Policy = Float[Array, "player state action"]
LogPolicy = Float[Array, "player state action"]
ActionValues = Float[Array, "player state action"]
StateValues = Float[Array, "player state"]
PerPlayer = Float[Array, " player"]
Scalar = Float[Array, ""]
