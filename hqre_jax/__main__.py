"""``python -m hqre_jax`` is ``hqre``."""

import sys

from hqre_jax.cli import main

sys.exit(main())
