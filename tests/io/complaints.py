"""How tests look at what loading a broken file complains of."""

import pytest

from hqre_jax.core._types import InputError
from hqre_jax.io import load_game


def complaint(path, content):
    """The field and the problem that loading ``content`` complains of, less the folder's name."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as caught:
        load_game(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    assert message == f"{caught.value.field}: {caught.value.problem}"
    return caught.value.field.removeprefix(f"{path.parent}/"), caught.value.problem
