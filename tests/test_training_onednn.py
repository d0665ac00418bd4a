"""A step of training is the same whether TensorFlow has dilated gradients of its own, which oneDNN brings, or not."""

import numpy as np
import pytest
import tensorflow as tf
from small_networks import pictures, small_network

from nets import convolution


@pytest.mark.parametrize("name", ["resnet, 3x3/2 stem", "resnet of basic blocks, stride 8"])
def test_a_steps_gradients_are_the_same_with_dilated_gradients_of_tensorflows_and_without(monkeypatch, name):
    if not convolution.has_dilated_gradient(tf.float32):
        pytest.skip("TensorFlow has no dilated gradient on this CPU (no oneDNN)")
    net, inputs = small_network(name), pictures(name, 4)

    def gradients():
        with tf.GradientTape() as tape:
            logits, _ = net(inputs, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits([0, 1, 2, 3], logits))
        return tape.gradient(loss, net.trainable_variables)

    theirs = gradients()
    called = []
    dilated = convolution._dilated
    monkeypatch.setattr(convolution, "_dilated", lambda *arguments: called.append(1) or dilated(*arguments))
    monkeypatch.setattr(convolution, "has_dilated_gradient", lambda dtype: False)
    largest = max(np.abs(one).max() for one in theirs)
    for own, other in zip(gradients(), theirs):
        assert np.abs(own - other).max() < 1e-5 * largest
    assert called
