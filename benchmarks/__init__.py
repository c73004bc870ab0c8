"""Speed against peers, every answer verified: ``python -m benchmarks``, or ``make bench``.

A *workload* (``workloads/``) is a batch of games and a question; an *entrant* (``entrants/``) is a way to answer it.
Each is one file. All entrants of a case run in turns in the same process, and every policy they return is judged by
a few lines of numpy in the case itself (``_normal_form_case.py``, …), which share nothing with the library.
"""

import os

# The peers are timed on one thread each. This must precede the first import of numpy.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
