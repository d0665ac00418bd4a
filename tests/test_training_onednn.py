"""A step of training is the same whether TensorFlow has oneDNN or not: of each, in a process of its own."""

import os
import subprocess
import sys

import numpy as np
import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
STEP = """
import sys
import numpy as np
import cam_training, nets
from cam_training.settings import parse
from ops.quiet_tensorflow import tf

settings = parse(["--rows", "32", "--epochs", "1", "--precision", "float32"])[0]
training, _ = cam_training.open_data(settings)
net = nets.build(settings.network, len(training.categories), settings.seed)
inputs, labels, *_ = next(iter(cam_training.Pictures(training, settings).training_batches(32, seed=0, epoch=0, start=0)))
with tf.GradientTape() as tape:
    logits, _ = net(inputs, training=True)
    loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
np.savez(sys.argv[1], *(value.numpy() for value in tape.gradient(loss, net.trainable_variables)))
"""


@pytest.mark.slow
def test_the_first_steps_gradients_are_the_same_with_onednn_and_without(tmp_path):
    found = []
    for setting in "01":
        path = tmp_path / f"{setting}.npz"
        subprocess.run([sys.executable, "-c", STEP, str(path)], cwd=ROOT, check=True,
                       env=os.environ | {"TF_ENABLE_ONEDNN_OPTS": setting, "PYTHONPATH": ROOT})
        with np.load(path) as file:
            found.append([file[name] for name in file.files])
    largest = max(np.abs(one).max() for one in found[0])
    assert largest > 1e-3 and len(found[0]) > 50
    for without, with_it in zip(*found):
        assert np.abs(without - with_it).max() < 1e-5 * largest
