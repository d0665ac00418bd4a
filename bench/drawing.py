"""Encoders of overlays: ours against TensorFlow's and Pillow's, on strips of these pictures.

    python bench/drawing.py ilsvrc-val-400/images
"""

import argparse
import io
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from PIL import Image

import localization
import ops
from cam_localization import find_pictures
from ops.quiet_tensorflow import tf


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pictures", nargs="+", help="files, folders or globs")
    parser.add_argument("--most", type=int, default=40)
    options = parser.parse_args()
    files = find_pictures(options.pictures)[:options.most]
    strips = [result.panels() for result in localization.load().stream(files, keep=ops.panel) if not result.error]
    print(f"{len(strips)} strips: processor milliseconds and kilobytes of each, on average")
    for name, encode in (("tf.io.encode_png", lambda strip: tf.io.encode_png(strip).numpy()),
                         ("Pillow, PNG, level 6", lambda strip: pillow(strip, format="PNG")),
                         ("Pillow, PNG, level 1", lambda strip: pillow(strip, format="PNG", compress_level=1)),
                         ("ops.encode_png", ops.encode_png), ("ops.encode_jpeg", ops.encode_jpeg)):
        encode(strips[0])
        start = time.process_time()
        sizes = [len(encode(strip)) for strip in strips]
        each = 1000 * (time.process_time() - start) / len(strips)
        print(f"{name:24}{each:8.1f} ms{np.mean(sizes) / 1000:10.0f} kB")


def pillow(strip, **options):
    file = io.BytesIO()
    Image.fromarray(strip).save(file, **options)
    return file.getvalue()


if __name__ == "__main__":
    main()
