"""Which dtype a network is fastest in on this machine, found by trying."""

import time

from ops.quiet_tensorflow import tf

from .building import class_of
from .layers import initial_numbers
from .resnet import Bottleneck

PRECISIONS = ("float32", "bfloat16")
ROUNDS, SECONDS = 5, 1.5  # of trials, in turn; and after how many seconds no more are begun
# bfloat16 has to be worth its rounding: below this share of float32's time.
WORTHWHILE = 0.95


def measure_precisions(config):
    """{"float32": seconds, "bfloat16": seconds} of a training step of one block of the network of `nets.build`'s arguments.

    bfloat16 is missing where this machine cannot compute such a block in it. It takes one to two seconds. No list of
    CPU's features is asked: which of them TensorFlow makes use of depends on its version and its settings.
    """
    seconds = {}
    steps = {precision: _step(class_of(config), precision) for precision in PRECISIONS}
    start = time.perf_counter()
    for number in range(ROUNDS + 1):
        for precision in list(steps):
            begun = time.perf_counter()
            try:
                steps[precision]().numpy()
            except tf.errors.OpError:
                if precision == "float32":
                    raise
                del steps[precision]
                seconds.pop(precision, None)
                continue
            if number:  # the first traces
                seconds[precision] = min(time.perf_counter() - begun, seconds.get(precision, float("inf")))
        if number and time.perf_counter() - start > SECONDS:
            break
    return seconds


def faster_precision(seconds):
    """"bfloat16" or "float32", by what `measure_precisions` found."""
    return "bfloat16" if seconds.get("bfloat16", float("inf")) < WORTHWHILE * seconds["float32"] else "float32"


def _bottleneck():
    """(a function of x, its variables, the shape of x): what is tried for networks that have no `trial_block` of their own."""
    block = Bottleneck(128, 32, stride=1, dilation=1, stride_on="3x3", rng=initial_numbers(0), epsilon=1e-5)
    return lambda x: block(x, True), block.trainable_variables, (32, 16, 16, 128)


def _step(network, precision):
    block, variables, shape = getattr(network, "trial_block", _bottleneck)()
    inputs = tf.random.stateless_normal(shape, [0, 0])

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            x = tf.cast(inputs, precision)
            tape.watch(x)
            loss = tf.reduce_mean(tf.cast(block(x), tf.float32) ** 2)
        gradients = tape.gradient(loss, [x, *variables])
        return tf.add_n([tf.cast(tf.reduce_sum(gradient), tf.float32) for gradient in gradients])

    return step
