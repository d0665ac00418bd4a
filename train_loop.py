"""Train a network that localizes, from image labels alone: `python train_loop.py --help`."""


import json
import math
import os
import signal
import sys
import time

import numpy as np
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

import cam_base
import cam_data
import cam_evaluation
import localization
import localize
import nets
import weights
from cam_base import InputError, Preprocessing
from cam_base.terminal import INTERRUPTED, run_program
from cam_training.settings import parse
from localization.settings import PAPER_THRESHOLD
from ops.quiet_tensorflow import tf
from weights import Weights

MOMENTUM = 0.9


# ---------------------------------------------------------------- the step

class Trainer(tf.Module):
    """A network, its momenta, and the place in the training: all that a checkpoint holds."""

    def __init__(self, net, settings, steps_per_epoch):
        super().__init__()
        self.net, self.settings = net, settings
        self.frozen = settings.freeze_features
        self.momenta = [tf.Variable(tf.zeros_like(v), trainable=False) for v in self.trained().values()]
        self.step_number = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.epoch = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.position = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.totals = tf.Variable(tf.zeros(3), trainable=False)  # loss, right, pictures of this epoch
        self.warm_up = max(1.0, settings.warm_up * steps_per_epoch)
        self.last_step = max(self.warm_up + 1, settings.epochs * steps_per_epoch)
        self.compute_dtype = tf.as_dtype(settings.precision)
        # On a CPU, XLA makes this step four times slower.
        on_gpu = bool(tf.config.list_physical_devices("GPU"))
        self.step = tf.function(self._step, jit_compile=on_gpu)
        self.classify = tf.function(lambda inputs: self._logits(inputs, False), autograph=False)

    def trained(self):
        """{path: variable} of what is trained. Not an attribute: a checkpoint would name variables by it."""
        return {name: variable for name, variable in nets.named_variables(self.net).items()
                if variable.trainable and (nets.is_head(name) or not self.frozen)}

    def _logits(self, inputs, training):
        """Logits of pictures, or of frozen maps where only the layers behind them are trained."""
        inputs = tf.cast(inputs, self.compute_dtype)
        return self.net.behind_frozen(inputs, training) if self.frozen else self.net(inputs, training)[0]

    def _step(self, inputs, labels):
        """One step of SGD with Nesterov's momentum; returns the loss."""
        trained = self.trained()
        with tf.GradientTape() as tape:
            logits = self._logits(inputs, True)
            loss = self._loss(logits, labels)
        gradients = tape.gradient(loss, list(trained.values()))
        if self.settings.clip:
            gradients, _ = tf.clip_by_global_norm(gradients, self.settings.clip)
        rate = self._learning_rate()
        for (name, variable), momentum, gradient in zip(trained.items(), self.momenta, gradients):
            if name.endswith("kernel"):
                gradient += self.settings.weight_decay * variable
            share = 1.0 if nets.is_head(name) else self.settings.features_rate
            tf.raw_ops.ResourceApplyMomentum(
                var=variable.handle, accum=momentum.handle, lr=rate * share, grad=gradient,
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


class Pictures:
    """Batches of a PictureSet: augmented to train on, whole to judge by. FrozenMaps answers the same calls."""

    def __init__(self, pictures, preprocessing):
        self.pictures, self.preprocessing = pictures, preprocessing

    def training_batches(self, batch, **place):
        return cam_data.training_batches(self.pictures, self.preprocessing, batch, **place)

    def viewing_batches(self, batch):
        for inputs, labels, _, _ in cam_data.viewing_batches(self.pictures, self.preprocessing, batch):
            yield inputs, labels


def train_epoch(trainer, source, checkpoints, stop):
    """Run the present epoch from where it stands, to its end or to Ctrl-C.

    Returns the rows that should have been read and were not: broken files.
    """
    settings, epoch = trainer.settings, int(trainer.epoch)
    order = cam_data.epoch_order(source.pictures, settings.seed, epoch)
    start = int(trainer.position)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[figures]}"),
               TimeRemainingColumn())
    read = np.zeros(len(order), bool)
    read[:start] = True
    with Progress(*columns, transient=True, disable=not sys.stdout.isatty()) as bar:
        task = bar.add_task(f"epoch {epoch + 1}/{settings.epochs}", total=len(order), completed=start, figures="")
        began, done = time.perf_counter(), 0
        for inputs, labels, positions in source.training_batches(
                settings.batch, seed=settings.seed, epoch=epoch, start=start):
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
        reasons = [reason for _, reason in cam_data.broken_files(source.pictures, order[:3])]
        raise InputError(f"{source.pictures.name}: not one batch of pictures could be read: {'; '.join(reasons)}")
    # The rows behind the last full batch were not asked for; without a full one all were.
    asked = int(trainer.position) if read.sum() >= settings.batch or stop.asked else len(order)
    return order[np.flatnonzero(~read[:asked])]


def check_finite(loss, trainer, checkpoints):
    if not math.isfinite(loss):
        raise InputError(
            f"the loss is {loss} at step {int(trainer.step_number)}: try a lower --learning-rate; "
            f"the last good checkpoint is {checkpoints.latest_checkpoint or 'none yet'}")


def validate(trainer, source):
    """Top-1 and top-5 accuracy of the network as it stands."""
    top1 = top5 = count = 0
    k = min(5, len(source.pictures.categories))
    for inputs, labels in source.viewing_batches(100):
        guesses = tf.math.top_k(trainer.classify(inputs), k).indices.numpy()[:len(labels)]
        right = guesses == labels.numpy()[:, None]
        top1, top5, count = top1 + right[:, 0].sum(), top5 + right.any(1).sum(), count + len(labels)
    if not count:
        raise InputError(f"{source.pictures.name}: none of its pictures could be read")
    return {"validation_top1": float(top1 / count), "validation_top5": float(top5 / count)}


def as_weights(settings, pictures, tensors, epochs_done):
    """The network as localize.py needs it, with how it was made."""
    left_out = ("out", "data", "init", "network", "preprocessing")
    provenance = {"trained_on": pictures.name, "pictures": len(pictures), "epochs_done": epochs_done,
                  "started_from": settings.init and os.path.basename(settings.init),
                  "tensorflow": tf.__version__,
                  "settings": {k: v for k, v in vars(settings).items() if k not in left_out}}
    return Weights(settings.network, tensors, pictures.categories,
                   Preprocessing.from_dict(settings.preprocessing), provenance)


def export(trainer, pictures, path):
    tensors = {name: v.numpy() for name, v in nets.named_variables(trainer.net).items()}
    weights.save(path, as_weights(trainer.settings, pictures, tensors, int(trainer.epoch)))


# ---------------------------------------------------------------- main

def open_data(settings):
    sets = [cam_data.open_set(settings.data, split) for split in ("train", "val")]
    if settings.classes:
        sets = [pictures.first_classes(settings.classes) for pictures in sets]
    if settings.rows:
        sets[0] = sets[0].first_rows(settings.rows)
    return sets


def build(settings, categories, resumed=False):
    """The network: random, or with the layers of --init; what that leaves random is said."""
    try:
        net = nets.build(settings.network, len(categories), settings.seed)
        nets.check_size(net, settings.preprocessing["size"])
        if resumed or not settings.init:  # a checkpoint holds all variables
            return net
        trained = weights.load(settings.init)
        tensors = trained.tensors
        if [tuple(category) for category in trained.classes] != [tuple(category) for category in categories]:
            # A head of other classes is of no use, even where its shape fits.
            tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith("head/")}
        left = nets.assign(net, tensors, partial=True)
    except ValueError as error:
        raise InputError(f"{settings.init or 'these settings'}: {error}") from None
    extra = sorted(set(trained.tensors) - set(nets.named_variables(net)) | set(left) & set(trained.tensors))
    print(f"from {settings.init}: {len(nets.named_variables(net)) - len(left)} variables"
          + (f"; trained anew: {', '.join(left)}" if left else "")
          + (f"; not used: {', '.join(extra)}" if extra else ""))
    return net


def freeze(trainer, training, validation):
    """Both sets as frozen maps in the run's folder, instead of pictures."""
    settings = trainer.settings
    preprocessing = Preprocessing.from_dict(settings.preprocessing)
    maps = tf.function(lambda inputs: trainer.net(tf.cast(inputs, trainer.compute_dtype))[1][trainer.net.frozen],
                       autograph=False)
    shape = maps.get_concrete_function(
        tf.TensorSpec([1, preprocessing.size, preprocessing.size, 3])).structured_outputs.shape[1:]
    return [cam_data.frozen_maps(os.path.join(settings.out, f"frozen-{split}.npy"), pictures, preprocessing, maps,
                             shape, mirrored=split == "training" and not settings.no_mirror)
            for split, pictures in (("training", training), ("validation", validation))]


def main(arguments):
    settings = parse(arguments)
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)
    training, validation = open_data(settings)
    folder = os.path.join(settings.out, "checkpoints")
    net = build(settings, training.categories, resumed=tf.train.latest_checkpoint(folder) is not None)
    trainer = Trainer(net, settings, max(1, len(training) // settings.batch))
    # A checkpoint says itself what its tensors are: `weights.load` reads it.
    trainer.meta = tf.Variable(weights.describe(as_weights(settings, training, {}, None)), trainable=False)
    checkpoints = tf.train.CheckpointManager(
        tf.train.Checkpoint(trainer=trainer), folder, max_to_keep=2)
    os.makedirs(settings.out, exist_ok=True)
    with cam_base.replacing(os.path.join(settings.out, "settings.json")) as file:
        file.write(json.dumps(vars(settings), indent=1).encode())
    if checkpoints.latest_checkpoint:
        restore(checkpoints)
    if settings.data == "synthetic":
        print("Training on drawn pictures; --data FOLDER trains on your own (train/<class>/*.jpg).")
    print(f"{len(training)} pictures of {len(training.categories)} classes, {settings.precision}, "
          f"run folder {settings.out}", flush=True)
    if settings.freeze_features:
        sources = freeze(trainer, training, validation)
    else:
        preprocessing = Preprocessing.from_dict(settings.preprocessing)
        sources = [Pictures(pictures, preprocessing) for pictures in (training, validation)]
    return run(trainer, *sources, validation, checkpoints)


def restore(checkpoints):
    try:
        checkpoints.checkpoint.restore(checkpoints.latest_checkpoint).assert_consumed()
    except (ValueError, AssertionError, IndexError, tf.errors.OpError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise InputError(f"{checkpoints.latest_checkpoint} is damaged, or the data have changed since: "
                         f"it cannot be gone on with ({reason})") from None


def run(trainer, training, validation, judged, checkpoints):
    """Train on batches of `training`, watch those of `validation`, report on the pictures `judged`."""
    settings = trainer.settings
    summary = tf.summary.create_file_writer(os.path.join(settings.out, "tensorboard"))
    exported = os.path.join(settings.out, "weights.npz")
    named = set()
    with StopAfterStep() as stop:
        while trainer.epoch < settings.epochs and not stop.asked:
            began, before = time.perf_counter(), float(trainer.totals[2])
            broken = train_epoch(trainer, training, checkpoints, stop)
            name_broken(training.pictures, broken, named)
            if stop.asked:
                break
            record = figures_of_epoch(trainer, time.perf_counter() - began, before)
            record |= validate(trainer, validation)
            trainer.next_epoch()
            export(trainer, training.pictures, exported)
            checkpoints.save()
            write_log(record, settings.out, summary)
        if trainer.epoch < settings.epochs:
            checkpoints.save()
            print(f"stopped; go on with: python train_loop.py --resume {settings.out}")
            return INTERRUPTED
    # What is reported is what the exported file does, in float32.
    localizer = localization.Localizer(weights.load(exported))
    records, said = cam_evaluation.judge(localizer, judged, localization.paper_rule(PAPER_THRESHOLD))
    for line in said:
        print(line, file=sys.stderr)
    about = {"data": judged.name, "left_out": len(judged) - len(records), "weights": exported, "boxes": "paper",
             "threshold": PAPER_THRESHOLD, "map_scale": "min-max", "precision": "float32"}
    names = [cam_evaluation.class_name(category) for category in localizer.classes]
    localize.show(cam_evaluation.write_report(settings.out, records, about, names))
    return 0


def name_broken(pictures, rows, named):
    """Say once of each broken file that it is skipped, and how many there are."""
    new = [reason for file, reason in cam_data.broken_files(pictures, rows) if file not in named]
    named.update(pictures.files[row] for row in rows)
    for reason in new:
        print(f"skipped {reason}", file=sys.stderr)
    if new:
        print(f"{len(named)} of {len(pictures)} files are skipped", file=sys.stderr)


def figures_of_epoch(trainer, seconds, before):
    """What the log says of the present epoch, which had seen `before` pictures when it was begun or resumed."""
    loss, right, count = map(float, trainer.totals.numpy())
    return {"epoch": int(trainer.epoch) + 1, "step": int(trainer.step_number),
            "loss": loss / count, "accuracy": right / count,
            "seconds": round(seconds, 1), "pictures_per_second": round((count - before) / seconds, 1)}


def write_log(record, folder, summary):
    """One line of log.jsonl, TensorBoard's scalars, and a line on the terminal."""
    with open(os.path.join(folder, "log.jsonl"), "a", encoding="utf-8") as log:
        log.write(json.dumps(record) + "\n")
    with summary.as_default(step=record["epoch"]):
        for name in ("loss", "accuracy", "validation_top1", "validation_top5"):
            tf.summary.scalar(name, record[name])
    summary.flush()
    print("  ".join(f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
                    for key, value in record.items()), flush=True)


if __name__ == "__main__":
    # TensorFlow has names of its own for a disk that is full when a checkpoint is written.
    run_program("train_loop.py", main, (OSError, tf.errors.ResourceExhaustedError, tf.errors.UnknownError))
