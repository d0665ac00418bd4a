"""The step: a network, its momenta, and how a batch changes them."""

import math

import nets
from cam_training.run_log import line_of
from ops.quiet_tensorflow import tf

MOMENTUM = 0.9


class Trainer(tf.Module):
    """A network, its momenta, and the place in the training: all that a checkpoint holds.

    description  what `weights.describe` says: by it `weights.load` reads a checkpoint
    """

    def __init__(self, net, settings, steps_per_epoch, description):
        super().__init__()
        self.net, self.settings = net, settings
        self.frozen = settings.freeze_features
        self.momenta = [tf.Variable(tf.zeros_like(v), trainable=False) for v in self.trained().values()]
        self.step_number = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.epoch = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.position = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.totals = tf.Variable(tf.zeros(3), trainable=False)  # loss, right, pictures of this epoch
        self.log = tf.Variable(b"", trainable=False)  # what log.jsonl says of the epochs that are done
        self.meta = tf.Variable(description, trainable=False)
        self.steps_per_epoch = steps_per_epoch
        self.warm_up = max(1.0, settings.warm_up * steps_per_epoch)
        self.last_step = max(self.warm_up + 1, settings.epochs * steps_per_epoch)
        self.compute_dtype = tf.as_dtype(settings.precision)
        # On a CPU, XLA makes this step four times slower.
        on_gpu = bool(tf.config.list_physical_devices("GPU"))
        self.step = tf.function(self._step, jit_compile=on_gpu, autograph=False)
        self.classify = tf.function(lambda inputs: self._logits(inputs, False), autograph=False)

    def trained(self):
        """{path: variable} of what is trained. Not an attribute: a checkpoint would name variables by it."""
        return {name: variable for name, variable in nets.named_variables(self.net).items()
                if variable.trainable and (nets.is_head(self.net, name) or not self.frozen)}

    def _logits(self, inputs, training):
        """Logits of pictures, or of frozen maps where only the layers behind them are trained.

        Batch norm in layers of --init keeps its statistics: those of small batches of
        other pictures are worse (with them, 124 steps of CIFAR-10 end at 0.51, not 0.79).
        """
        inputs = tf.cast(inputs, self.compute_dtype)
        if self.settings.init and not self.frozen:
            inputs = self.net(inputs, False)[1][self.net.frozen]
        elif not self.frozen:
            return self.net(inputs, training)[0]
        return self.net.behind_frozen(inputs, training)

    def _step(self, inputs, labels):
        """One step of SGD with Nesterov's momentum; returns the loss."""
        trained = self.trained()
        with tf.GradientTape() as tape:
            logits = self._logits(inputs, True)
            loss = self._loss(logits, labels)
        gradients = tape.gradient(loss, list(trained.values()))
        if self.settings.clip:
            gradients, _ = tf.clip_by_global_norm(gradients, self.settings.clip)
        rate = self.learning_rate(self.step_number)
        for (name, variable), momentum, gradient in zip(trained.items(), self.momenta, gradients):
            if name.endswith("kernel"):
                gradient += self.settings.weight_decay * variable
            share = 1.0 if nets.is_head(self.net, name) else self.settings.features_rate
            tf.raw_ops.ResourceApplyMomentum(
                var=variable.handle, accum=momentum.handle, lr=rate * share, grad=gradient,
                momentum=MOMENTUM, use_nesterov=True)
        right = tf.reduce_sum(tf.cast(tf.argmax(logits, 1, tf.int32) == labels, tf.float32))
        count = tf.cast(tf.shape(labels)[0], tf.float32)
        self.totals.assign_add(tf.stack([loss * count, right, count]))
        self.step_number.assign_add(1)
        return loss

    def guesses(self, inputs, count):
        """The `count` likeliest classes of each of a batch, int32 [N, count]."""
        return tf.math.top_k(self.classify(inputs), count).indices.numpy()

    def end_epoch(self, record):
        """Begin the next epoch; `record` is what the log says of this one."""
        self.log.assign(self.log.numpy() + line_of(record))
        self.epoch.assign_add(1)
        self.position.assign(0)
        self.totals.assign(tf.zeros(3))

    def _loss(self, logits, labels):
        """Cross-entropy with label smoothing (Szegedy et al., 2016, section 7)."""
        smoothing, classes = self.settings.label_smoothing, logits.shape[1]
        targets = tf.one_hot(labels, classes) * (1 - smoothing) + smoothing / classes
        return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(targets, logits))

    def learning_rate(self, step):
        """Of the step of this number, from 0: rising in the warm-up, then a cosine down to 0."""
        step = tf.cast(step, tf.float32)
        rising = (step + 1) / self.warm_up
        part = tf.clip_by_value((step - self.warm_up) / (self.last_step - self.warm_up), 0, 1)
        falling = 0.5 * (1 + tf.cos(math.pi * part))
        return self.settings.learning_rate * tf.minimum(rising, falling)
