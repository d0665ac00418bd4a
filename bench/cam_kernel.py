"""Times the CAM kernel against the plain ways to the same heat maps.

    python bench/cam_kernel.py

32 pictures, 7 x 7 x 2048 features, the five classes of each picture out of a
thousand, heat maps of 224 x 224: what the last layers of a ResNet-50 for
ILSVRC ask for. Prints the median and the best time of every way and how far
its heat maps are from those of NumPy and SciPy. The kernel's times are after
its compilation.
"""

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from scipy import ndimage

from ops import heat_maps
from ops.quiet_tensorflow import tf

PICTURES, MAP, CHANNELS, ALL_CLASSES, CLASSES, SIZE = 32, 7, 2048, 1000, 5, 224
SECONDS, FEWEST, MOST = 3, 5, 100  # of timing for each way; runs


def with_numpy_and_scipy(features, kernel, classes):
    answer = np.empty((PICTURES, CLASSES, SIZE, SIZE), np.float32)
    for picture in range(PICTURES):
        maps = features[picture] @ kernel[:, classes[picture]]
        for number in range(CLASSES):
            # Half-pixel centres, as everywhere in this field.
            heat = ndimage.zoom(maps[..., number], SIZE / MAP, order=1, mode="nearest", grid_mode=True)
            heat -= heat.min()
            answer[picture, number] = heat / heat.max()
    return answer


def with_tf_image_resize(features, kernel, classes):
    columns = tf.transpose(tf.gather(kernel, classes, axis=1), [1, 0, 2])
    maps = tf.reshape(features, [PICTURES, MAP * MAP, CHANNELS]) @ columns
    heat = tf.image.resize(tf.reshape(maps, [PICTURES, MAP, MAP, CLASSES]), [SIZE, SIZE])
    heat -= tf.reduce_min(heat, axis=(1, 2), keepdims=True)
    return tf.transpose(heat / tf.reduce_max(heat, axis=(1, 2), keepdims=True), [0, 3, 1, 2])


def with_the_kernel(features, kernel, classes):
    return heat_maps(features, kernel, classes, (SIZE, SIZE))


def milliseconds(function, *arguments):
    """Median and best time of a call, after three that are not counted."""
    for _ in range(3):
        function(*arguments)
    times, end = [], time.perf_counter() + SECONDS
    while len(times) < FEWEST or (time.perf_counter() < end and len(times) < MOST):
        start = time.perf_counter()
        function(*arguments)
        times.append(1000 * (time.perf_counter() - start))
    return np.median(times), min(times)


def main():
    rng = np.random.default_rng(0)
    features = np.maximum(rng.normal(size=(PICTURES, MAP, MAP, CHANNELS)), 0).astype(np.float32)
    kernel = rng.normal(0, 0.01, (CHANNELS, ALL_CLASSES)).astype(np.float32)
    classes = rng.integers(0, ALL_CLASSES, (PICTURES, CLASSES))
    tensors = [tf.constant(array) for array in (features, kernel, classes)]
    halves = [tf.cast(tensors[0], tf.bfloat16), *tensors[1:]]
    ways = [("NumPy and scipy.ndimage.zoom", with_numpy_and_scipy, (features, kernel, classes)),
            ("tf.image.resize, without XLA", tf.function(with_tf_image_resize), tensors),
            ("ops.heat_maps, float32", with_the_kernel, tensors),
            ("ops.heat_maps, bfloat16 features", with_the_kernel, halves)]
    expected = with_numpy_and_scipy(features, kernel, classes)
    print(f"{PICTURES} x {MAP} x {MAP} x {CHANNELS} features, {CLASSES} of {ALL_CLASSES} classes each, "
          f"to {SIZE} x {SIZE}; {os.cpu_count()} cores\n")
    print(f"{'':34}{'median':>10}{'best':>10}{'speed':>9}{'difference':>12}")
    slowest = None
    for name, function, arguments in ways:
        median, best = milliseconds(function, *arguments)
        slowest = slowest or median
        difference = np.abs(function(*arguments) - expected).max()
        # bfloat16 has 8 bits: the features themselves differ by 1 in 256.
        if not difference < (0.02 if "bfloat16" in name else 1e-4):
            sys.exit(f"{name} disagrees with NumPy and SciPy by {difference:.2g}")
        print(f"{name:34}{median:7.1f} ms{best:7.1f} ms{slowest / median:8.1f}x{difference:12.1e}")


if __name__ == "__main__":
    main()
