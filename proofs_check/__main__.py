"""``python -m proofs_check`` is ``hqre verify``, with the same options."""

import sys

from hqre_jax.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["verify"]
    sys.exit(main())
