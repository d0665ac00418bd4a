"""Train a network that localizes, from image labels alone: `python train_loop.py --help`."""

import quiet_tensorflow  # noqa: F401  (before TensorFlow)

import argparse
import json
import math
import os
import signal
import sys
import time

import numpy as np
import tensorflow as tf
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

import data
import localize
import nets
import weights
from weights import InputError, Preprocessing, Weights

MOMENTUM = 0.9
INTERRUPTED = 130  # the shell's exit status for Ctrl-C


# ---------------------------------------------------------------- settings

def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="train_loop.py", formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        description="Train a network that ends in global average pooling and one linear layer.")
    add = parser.add_argument
    add("--data", default="synthetic", help="folder of a data set, or 'synthetic'")
    add("--classes", type=int, help="only the first so many classes")
    add("--rows", type=int, help="only so many training pictures, spread over the classes")
    add("--out", help="folder of this run (default: runs/<data>-<network>)")
    add("--resume", metavar="RUN", help="go on with the run in this folder; no other option goes with it")
    add("--network", choices=sorted(nets.NETWORKS), default="resnet")
    add("--depth", type=int, default=26, help="resnet: 26, 50, 101 or 152")
    add("--width", type=int, default=32, help="resnet: channels of the first stage; published weights have 64")
    add("--stem", default="3x3/2", help="resnet: 7x7/4, or 3x3/2 and 3x3/1 for small pictures")
    add("--output-stride", type=int, default=8, help="resnet: picture size over map size")
    add("--head", choices=("gap", "star"), default="gap", help="alexnet: AlexNet-GAP or AlexNet*-GAP")
    add("--size", type=int, help="side of the input in pixels (default: 64; alexnet: 227)")
    add("--epochs", type=int, default=12)
    add("--batch", type=int, default=64)
    add("--learning-rate", type=float, default=0.05, help="at its peak, after warm-up")
    add("--warm-up", type=float, default=1.0, help="epochs of linear warm-up; then a cosine down to 0")
    add("--weight-decay", type=float, default=5e-4, help="on kernels; never on biases and batch norm")
    add("--label-smoothing", type=float, default=0.1)
    add("--clip", type=float, default=0.0, help="largest global norm of the gradient; 0: any")
    add("--precision", choices=("auto", "float32", "bfloat16"), default="auto",
        help="to compute in; auto: bfloat16 where the hardware has it")
    add("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if options.resume:
        if len(arguments) > (1 if arguments[0].startswith("--resume=") else 2):
            raise InputError("--resume takes all settings from the run: give no other option with it")
        return _saved_settings(options.resume)
    for name, least in (("epochs", 1), ("batch", 1), ("width", 8), ("size", 16)):
        value = getattr(options, name)
        if value is not None and value < least:
            raise InputError(f"--{name} is {value}; it must be at least {least}")
    if options.network == "alexnet":
        options.size = options.size or 227
        config = {"name": "alexnet", "head": options.head}
    else:
        options.size = options.size or 64
        config = {"name": "resnet", "depth": options.depth, "width": options.width,
                  "stem": options.stem, "output_stride": options.output_stride}
    place = os.path.basename(os.path.abspath(options.data))
    settings = vars(options) | {"out": options.out or os.path.join("runs", f"{place}-{options.network}"),
                                "network": config}
    for spent in ("resume", "depth", "width", "stem", "output_stride", "head"):
        del settings[spent]
    if settings["precision"] == "auto":
        settings["precision"] = "bfloat16" if nets.hardware_has_bfloat16() else "float32"
    if os.path.exists(os.path.join(settings["out"], "settings.json")):
        raise InputError(f"{settings['out']} already holds a run: go on with it by --resume "
                         f"{settings['out']}, or choose another folder by --out")
    return argparse.Namespace(**settings)


def _saved_settings(run):
    try:
        with open(os.path.join(run, "settings.json"), encoding="utf-8") as file:
            return argparse.Namespace(**json.load(file) | {"out": run})
    except (OSError, ValueError, TypeError):
        raise InputError(f"{run} holds no run that could be resumed (no readable settings.json)") from None


# ---------------------------------------------------------------- the step

class Trainer(tf.Module):
    """A network, its momenta, and the place in the training: all that a checkpoint holds."""

    def __init__(self, net, settings, steps_per_epoch):
        super().__init__()
        self.net = net
        self.kernels = [v for name, v in nets.named_variables(net).items() if name.endswith("kernel")]
        self.momenta = [tf.Variable(tf.zeros_like(v), trainable=False) for v in net.trainable_variables]
        self.step_number = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.epoch = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.position = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.totals = tf.Variable(tf.zeros(3), trainable=False)  # loss, right, pictures of this epoch
        self.settings = settings
        self.warm_up = max(1.0, settings.warm_up * steps_per_epoch)
        self.last_step = max(self.warm_up + 1, settings.epochs * steps_per_epoch)
        self.compute_dtype = tf.as_dtype(settings.precision)
        # On a CPU, XLA makes this step four times slower.
        on_gpu = bool(tf.config.list_physical_devices("GPU"))
        self.step = tf.function(self._step, jit_compile=on_gpu)
        self.classify = tf.function(lambda x: net(tf.cast(x, self.compute_dtype))[0], autograph=False)

    def _step(self, pictures, labels):
        """One step of SGD with Nesterov's momentum; returns the loss."""
        variables = self.net.trainable_variables
        with tf.GradientTape() as tape:
            logits, _ = self.net(tf.cast(pictures, self.compute_dtype), training=True)
            loss = self._loss(logits, labels)
        gradients = tape.gradient(loss, variables)
        if self.settings.clip:
            gradients, _ = tf.clip_by_global_norm(gradients, self.settings.clip)
        rate = self._learning_rate()
        decayed = {kernel.ref() for kernel in self.kernels}
        for variable, momentum, gradient in zip(variables, self.momenta, gradients):
            if variable.ref() in decayed:
                gradient += self.settings.weight_decay * variable
            tf.raw_ops.ResourceApplyMomentum(
                var=variable.handle, accum=momentum.handle, lr=rate, grad=gradient,
                momentum=MOMENTUM, use_nesterov=True)
        right = tf.reduce_sum(tf.cast(tf.argmax(logits, 1, tf.int32) == labels, tf.float32))
        count = tf.cast(tf.shape(labels)[0], tf.float32)
        self.totals.assign_add(tf.stack([loss * count, right, count]))
        self.step_number.assign_add(1)
        return loss

    def next_epoch(self):
        self.epoch.assign_add(1)
        self.position.assign(0)
        self.totals.assign(tf.zeros(3))

    def _loss(self, logits, labels):
        """Cross-entropy with label smoothing (Szegedy et al., 2016, section 7)."""
        smoothing, classes = self.settings.label_smoothing, logits.shape[1]
        targets = tf.one_hot(labels, classes) * (1 - smoothing) + smoothing / classes
        return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(targets, logits))

    def _learning_rate(self):
        step = tf.cast(self.step_number, tf.float32)
        rising = (step + 1) / self.warm_up
        part = tf.clip_by_value((step - self.warm_up) / (self.last_step - self.warm_up), 0, 1)
        falling = 0.5 * (1 + tf.cos(math.pi * part))
        return self.settings.learning_rate * tf.minimum(rising, falling)


# ---------------------------------------------------------------- epochs

class StopAfterStep:
    """Ctrl-C asks to stop after the current step; a second one stops at once."""

    def __enter__(self):
        self.asked = False
        self.before = signal.signal(signal.SIGINT, self._ask)
        return self

    def _ask(self, *_):
        self.asked = True
        signal.signal(signal.SIGINT, self.before)

    def __exit__(self, *_):
        signal.signal(signal.SIGINT, self.before)


def train_epoch(trainer, pictures, preprocessing, checkpoints, stop):
    """Run the present epoch from where it stands, to its end or to Ctrl-C.

    Returns the rows that should have been read and were not: broken files.
    """
    settings, epoch = trainer.settings, int(trainer.epoch)
    order = data.epoch_order(pictures, settings.seed, epoch)
    start = int(trainer.position)
    batches = data.training_batches(pictures, preprocessing, settings.batch,
                                    seed=settings.seed, epoch=epoch, start=start)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[figures]}"),
               TimeRemainingColumn())
    read = np.zeros(len(order), bool)
    read[:start] = True
    with Progress(*columns, transient=True, disable=not sys.stdout.isatty()) as bar:
        task = bar.add_task(f"epoch {epoch + 1}/{settings.epochs}", total=len(order), completed=start, figures="")
        began, done = time.perf_counter(), 0
        for inputs, labels, positions in batches:
            check_finite(float(trainer.step(inputs, labels)), trainer, checkpoints)
            trainer.position.assign(positions[-1] + 1)
            read[positions.numpy()] = True
            done += len(labels)
            total, right, count = trainer.totals.numpy()
            rate = done / (time.perf_counter() - began)
            bar.update(task, completed=int(trainer.position), figures=
                       f"loss {total / count:.3f}  accuracy {right / count:.3f}  {rate:.0f} pictures/s")
            if stop.asked:
                break
    if not read.any():
        reasons = [reason for _, reason in data.broken_files(pictures, order[:3])]
        raise InputError(f"{pictures.name}: not one batch of pictures could be read: {'; '.join(reasons)}")
    # The rows behind the last full batch were not asked for.
    return order[np.flatnonzero(~read[:int(trainer.position)])]


def check_finite(loss, trainer, checkpoints):
    if not math.isfinite(loss):
        raise InputError(
            f"the loss is {loss} at step {int(trainer.step_number)}: try a lower --learning-rate; "
            f"the last good checkpoint is {checkpoints.latest_checkpoint or 'none yet'}")


def validate(trainer, pictures, preprocessing):
    """Top-1 and top-5 accuracy of the network as it stands."""
    top1 = top5 = count = 0
    k = min(5, len(pictures.categories))
    for inputs, labels, _, _ in data.viewing_batches(pictures, preprocessing, 100):
        guesses = tf.math.top_k(trainer.classify(inputs), k).indices.numpy()[:len(labels)]
        right = guesses == labels.numpy()[:, None]
        top1, top5, count = top1 + right[:, 0].sum(), top5 + right.any(1).sum(), count + len(labels)
    if not count:
        raise InputError(f"{pictures.name}: none of its pictures could be read")
    return {"validation_top1": float(top1 / count), "validation_top5": float(top5 / count)}


def export(trainer, pictures, preprocessing, path):
    """Write the network as it stands to `path`, with all that localize.py needs."""
    settings = trainer.settings
    tensors = {name: v.numpy() for name, v in nets.named_variables(trainer.net).items()}
    provenance = {"trained_on": pictures.name, "pictures": len(pictures),
                  "epochs_done": int(trainer.epoch), "tensorflow": tf.__version__,
                  "settings": {k: v for k, v in vars(settings).items() if k not in ("out", "data")}}
    weights.save(path, Weights(settings.network, tensors, pictures.categories, preprocessing, provenance))


# ---------------------------------------------------------------- main

def open_data(settings):
    sets = [data.open_set(settings.data, split) for split in ("train", "val")]
    if settings.classes:
        sets = [pictures.first_classes(settings.classes) for pictures in sets]
    if settings.rows:
        sets[0] = sets[0].first_rows(settings.rows)
    return sets


def main(arguments):
    settings = parse(arguments)
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)
    training, validation = open_data(settings)
    preprocessing = Preprocessing(size=settings.size)
    try:
        net = nets.build(settings.network, len(training.categories), settings.seed)
    except ValueError as error:
        raise InputError(str(error)) from None
    trainer = Trainer(net, settings, max(1, len(training) // settings.batch))
    checkpoints = tf.train.CheckpointManager(
        tf.train.Checkpoint(trainer=trainer), os.path.join(settings.out, "checkpoints"), max_to_keep=2)
    os.makedirs(settings.out, exist_ok=True)
    with weights.replacing(os.path.join(settings.out, "settings.json")) as file:
        file.write(json.dumps(vars(settings), indent=1).encode())
    if checkpoints.latest_checkpoint:
        checkpoints.checkpoint.restore(checkpoints.latest_checkpoint).assert_consumed()
    if settings.data == "synthetic":
        print("Training on drawn pictures; --data FOLDER trains on your own (train/<class>/*.jpg).")
    print(f"{len(training)} pictures of {len(training.categories)} classes, {settings.precision}, "
          f"run folder {settings.out}")
    return run(trainer, training, validation, preprocessing, checkpoints)


def run(trainer, training, validation, preprocessing, checkpoints):
    settings = trainer.settings
    summary = tf.summary.create_file_writer(os.path.join(settings.out, "tensorboard"))
    exported = os.path.join(settings.out, "weights.npz")
    named = set()
    with StopAfterStep() as stop:
        while trainer.epoch < settings.epochs and not stop.asked:
            began = time.perf_counter()
            broken = train_epoch(trainer, training, preprocessing, checkpoints, stop)
            name_broken(training, broken, named)
            if stop.asked:
                break
            record = figures_of_epoch(trainer, time.perf_counter() - began)
            record |= validate(trainer, validation, preprocessing)
            trainer.next_epoch()
            export(trainer, training, preprocessing, exported)
            checkpoints.save()
            write_log(record, settings.out, summary)
        if trainer.epoch < settings.epochs:
            checkpoints.save()
            print(f"stopped; go on with: python train_loop.py --resume {settings.out}")
            return INTERRUPTED
    # What is reported is what the exported file does, in float32.
    metrics = localize.judge(localize.Localizer(weights.load(exported)), validation, localize.PAPER_THRESHOLD)
    localize.report(metrics | {"weights": exported, "data": validation.name}, settings.out)
    return 0


def name_broken(pictures, rows, named):
    """Say once of each broken file that it is skipped, and how many there are."""
    new = [reason for file, reason in data.broken_files(pictures, rows) if file not in named]
    named.update(pictures.files[row] for row in rows)
    for reason in new:
        print(f"skipped {reason}", file=sys.stderr)
    if new:
        print(f"{len(named)} of {len(pictures)} files are skipped", file=sys.stderr)


def figures_of_epoch(trainer, seconds):
    loss, right, count = map(float, trainer.totals.numpy())
    return {"epoch": int(trainer.epoch) + 1, "step": int(trainer.step_number),
            "loss": loss / count, "accuracy": right / count,
            "seconds": round(seconds, 1), "pictures_per_second": round(count / seconds, 1)}


def write_log(record, folder, summary):
    """One line of log.jsonl, TensorBoard's scalars, and a line on the terminal."""
    with open(os.path.join(folder, "log.jsonl"), "a", encoding="utf-8") as log:
        log.write(json.dumps(record) + "\n")
    with summary.as_default(step=record["epoch"]):
        for name in ("loss", "accuracy", "validation_top1", "validation_top5"):
            tf.summary.scalar(name, record[name])
    summary.flush()
    print("  ".join(f"{key} {value:.4g}" for key, value in record.items()), flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except InputError as error:
        print(f"train_loop.py: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
