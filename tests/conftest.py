"""For all tests: NumPy and SciPy with one thread, and TensorFlow, too, where several workers share the cores.

On cores that others use too, their threads wait for each other: small
problems of linear algebra then take fifty times as long.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "2")

# Files with the longest tests, longest first: begun last, one of them would keep one worker busy alone.
LONGEST = ("test_train_loop.py", "test_training_devices.py", "test_package.py", "test_data_pipeline.py", "test_data_large.py", "test_weights_keras.py",
           "test_nets.py", "test_localize_outputs.py", "test_weights_hostile.py")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))
