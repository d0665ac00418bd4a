"""For all tests: NumPy and SciPy with one thread.

On cores that others use too, their threads wait for each other: small
problems of linear algebra then take fifty times as long.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
