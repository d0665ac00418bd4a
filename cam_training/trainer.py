"""The step: a network, its momenta, and how a batch changes them."""

import contextlib
import math

import nets
from ops.quiet_tensorflow import tf
from .mixing import mix, mixed_targets
from .run_log import line_of

MOMENTUM = 0.9
# Of float16's loss: its gradients would vanish below 6e-8.
FIRST_SCALE, LARGEST_SCALE, STEPS_TO_GROW = 2.0 ** 15, 2.0 ** 24, 2000


class Trainer(tf.Module):
    """A network, its momenta, and the place in the training: all that a checkpoint holds.

    net          what is trained
    averaged     the same network again, whose variables are moving averages (Polyak and Juditsky, 1992), or None; a
                 name that is not "net", by which `weights.load` knows it in a checkpoint
    description  what `weights.describe` says: by it `weights.load` reads a checkpoint
    devices      the Devices that share each batch; None: one. Both networks were made in its scope
    weights      float32 [classes]: by what the loss of a class's pictures is multiplied; None: all count alike
    """

    def __init__(self, net, settings, steps_per_epoch, description, averaged=None, devices=None, weights=None):
        super().__init__()
        self.net, self.settings, self.averaged, self.weights = net, settings, averaged, weights
        self.frozen = settings.freeze_features
        self.compute_dtype = tf.as_dtype(settings.precision)
        with devices.strategy.scope() if devices else contextlib.nullcontext():
            self._make_variables_of_steps()
        with tf.device("CPU:0"):  # where the loop counts
            self.epoch = tf.Variable(0, dtype=tf.int64, trainable=False)
            self.position = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.log = tf.Variable(b"", trainable=False)  # what log.jsonl says of the epochs that are done
        self.meta = tf.Variable(description, trainable=False)
        self.steps_per_epoch = steps_per_epoch
        warm_up = settings.warm_up if settings.warm_up < settings.epochs else settings.epochs / 2  # the rate has to fall, too
        self.warm_up = max(1.0, warm_up * steps_per_epoch)
        self.last_step = max(self.warm_up + 1, settings.epochs * steps_per_epoch)
        # On a CPU, XLA makes this step four times slower; it has no gamma variates, which mixing draws.
        compiled = bool(tf.config.list_physical_devices("GPU")) and not settings.mixup and not settings.cutmix
        shared = devices is not None and devices.replicas > 1
        self.step = (_shared(self._step, devices) if shared
                     else _of_many_sizes(tf.function(self._step, jit_compile=compiled, autograph=False)))
        self.classify = tf.function(lambda inputs: self._logits(self.judged, inputs, False), autograph=False)

    def _make_variables_of_steps(self):
        """What a step changes, besides the networks: where several devices share it, each has its own copies, all alike."""
        self.momenta = [tf.Variable(tf.zeros_like(v), trainable=False) for v in self.trained().values()]
        self.step_number = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.totals = tf.Variable(tf.zeros(3), trainable=False)  # loss, right, pictures of this epoch
        if self.compute_dtype == tf.float16:
            self.loss_scale = tf.Variable(FIRST_SCALE, trainable=False)
            # Since the scale was changed; an int32 would lie on the CPU, where the compiled step of a GPU cannot reach it.
            self.steps_since = tf.Variable(0, dtype=tf.int64, trainable=False)

    @property
    def judged(self):
        """The network that is judged and kept: the averaged one, where there is one."""
        return self.averaged or self.net

    def trained(self):
        """{path: variable} of what is trained. Not an attribute: a checkpoint would name variables by it."""
        return {name: variable for name, variable in nets.named_variables(self.net).items()
                if variable.trainable and (nets.is_head(self.net, name) or not self.frozen)}

    def _logits(self, net, inputs, training):
        """Logits of pictures, or of frozen maps where only the layers behind them are trained.

        Batch norm in layers of --init keeps its statistics: those of small batches of
        other pictures are worse (with them, 124 steps of CIFAR-10 end at 0.51, not 0.79).
        """
        inputs = tf.cast(inputs, self.compute_dtype)
        if self.settings.init and not self.frozen:
            inputs = net(inputs, False)[1][net.frozen]
        elif not self.frozen:
            return net(inputs, training)[0]
        return net.behind_frozen(inputs, training)

    def _step(self, inputs, labels):
        """One step of SGD with Nesterov's momentum; returns the loss.

        Where several devices share the batch, each is given its part, and all of them come to the same. There
        pictures of the class -1 count for nothing.
        """
        settings, trained, together = self.settings, self.trained(), nets.replicas()
        there = tf.cast(labels >= 0, tf.float32)
        seed = tf.stack([tf.constant(settings.seed, tf.int64), self.step_number])
        inputs, share = mix(inputs, mixup=settings.mixup, cutmix=settings.cutmix, seed=seed, batches=settings.mixed)
        scaled = self.compute_dtype == tf.float16
        with tf.GradientTape() as tape:
            logits = self._logits(self.net, inputs, True)
            targets = mixed_targets(labels, logits.shape[1], share)
            losses = self._losses(logits, targets)
            loss = tf.reduce_sum(there * losses) / settings.batch if together else tf.reduce_mean(losses)
            descended = self.loss_scale * loss if scaled else loss
        gradients = tape.gradient(descended, list(trained.values()))
        # Of two pictures in one, each class counts by its share.
        right = tf.reduce_sum(there[:, tf.newaxis] * targets * tf.one_hot(tf.argmax(logits, 1), logits.shape[1]))
        count = tf.reduce_sum(there)
        if together:
            loss, right, count, gradients = self._over_all(together, loss, right, count, gradients)
        if scaled:
            self._apply_scaled(trained, gradients)
        else:
            self._apply(trained, gradients)
        self.totals.assign_add(tf.stack([loss * count, right, count]))
        if self.averaged:
            self._move_averages()
        self.step_number.assign_add(1)
        return loss

    def _over_all(self, context, loss, right, count, gradients):
        """The mean loss and gradients, and the sums, over the pictures of all replicas, whose parts were divided by the full batch."""
        sums, *gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, [tf.stack([loss, right, count]), *gradients])
        loss, right, count = tf.unstack(sums)
        # It is 1 unless files were left out that cannot be read.
        full = tf.math.divide_no_nan(float(self.settings.batch), count)
        return full * loss, right, count, [full * gradient for gradient in gradients]

    def _apply(self, trained, gradients):
        """Move the variables along their gradients; returns the learning rate."""
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
        return rate

    def _apply_scaled(self, trained, gradients):
        """Move the variables unless a gradient overflowed; then the next loss scale: doubled after many good steps, halved after a bad one.

        Micikevicius et al., ICLR 2018, section 3.2.
        """
        gradients = [gradient / self.loss_scale for gradient in gradients]
        finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(gradient)) for gradient in gradients])
        tf.cond(finite, lambda: self._apply(trained, gradients), lambda: 0.0)
        since = tf.where(finite, self.steps_since + 1, tf.constant(0, tf.int64))
        grown = since >= STEPS_TO_GROW
        self.loss_scale.assign(tf.clip_by_value(tf.where(finite, tf.where(grown, 2.0, 1.0), 0.5) * self.loss_scale, 1.0, LARGEST_SCALE))
        self.steps_since.assign(tf.where(grown, tf.zeros_like(since), since))

    def _move_averages(self):
        """All variables, batch norm's statistics too. The first steps count less, the very first not at all: it is copied."""
        number = tf.cast(self.step_number, tf.float32)
        decay = tf.minimum(self.settings.average, number / (number + 10))
        own = nets.named_variables(self.net)
        for name, average in nets.named_variables(self.averaged).items():
            average.assign_sub((1 - decay) * (average - own[name]))

    def guesses(self, inputs, count):
        """The `count` likeliest classes of each of a batch, int32 [N, count]."""
        return tf.math.top_k(self.classify(inputs), count).indices.numpy()

    def end_epoch(self, record):
        """Begin the next epoch; `record` is what the log says of this one."""
        self.log.assign(self.log.numpy() + line_of(record))
        self.epoch.assign_add(1)
        self.position.assign(0)
        self.totals.assign(tf.zeros(3))

    def _losses(self, logits, targets):
        """Cross-entropy of each picture, with label smoothing (Szegedy et al., 2016, section 7), times its class's weight."""
        smoothing = self.settings.label_smoothing
        smoothed = targets * (1 - smoothing) + smoothing / logits.shape[1]
        losses = tf.nn.softmax_cross_entropy_with_logits(smoothed, logits)
        return losses if self.weights is None else losses * tf.linalg.matvec(targets, self.weights)

    def learning_rate(self, step):
        """Of the step of this number, from 0: rising in the warm-up, then along a cosine, or a line, down to 0."""
        step = tf.cast(step, tf.float32)
        rising = (step + 1) / self.warm_up
        part = tf.clip_by_value((step - self.warm_up) / (self.last_step - self.warm_up), 0, 1)
        falling = 1 - part if self.settings.schedule == "one-cycle" else 0.5 * (1 + tf.cos(math.pi * part))
        return self.settings.learning_rate * tf.minimum(rising, falling)


def _of_many_sizes(step):
    """`step`, a tf.function, called by its graph for the tensors' shapes: called itself, it warns of many of them within a few steps,
    which are what `--first-size` makes of a small set."""
    return lambda *tensors: step.get_concrete_function(*tensors)(*tensors)


def _shared(step, devices):
    """`step` as a function of this worker's share of the batch, each replica taking an even part of it."""
    local = devices.replicas // devices.workers

    def on_all(inputs, labels):
        # Of no picture at all, TensorFlow's kernels compute nothing, or crash: a replica for which none could be read has a grey one.
        with tf.device("CPU:0"):  # each device fetches its own part
            missing = tf.maximum(local - tf.shape(labels)[0], 0)
            inputs, labels = tf.pad(inputs, [[0, missing]] + 3 * [[0, 0]]), tf.pad(labels, [[0, missing]], constant_values=-1)
            ends = [tf.shape(labels)[0] * part // local for part in range(local + 1)]

        def part(values):
            with tf.device("CPU:0"):
                parts = [values[first:end] for first, end in zip(ends, ends[1:])]
            return devices.strategy.experimental_distribute_values_from_function(
                lambda context: parts[context.replica_id_in_sync_group % local])
        loss = devices.strategy.run(step, (part(inputs), part(labels)))
        return devices.strategy.experimental_local_results(loss)[0]

    # Of any size: a worker that traced it anew, alone, for a share that is short would wait for the others' collectives forever.
    return tf.function(on_all, autograph=False, input_signature=[
        tf.TensorSpec([None, None, None, 3], tf.float32), tf.TensorSpec([None], tf.int32)])
