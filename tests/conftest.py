"""For all tests: NumPy and SciPy with one thread, and TensorFlow, too, where several workers share the cores.

On cores that others use too, their threads wait for each other: small
problems of linear algebra then take fifty times as long.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "2")
