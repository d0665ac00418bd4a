"""Train a network that localizes, from image labels alone: `python train_loop.py --help`."""

import math
import os
import sys
import time

import numpy as np
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

import cam_data
import cam_evaluation
import cam_training
import localization
import nets
import weights
from cam_base import InputError, check_folder
from cam_base.terminal import command_line, counted, run_program, say, warn
from cam_training import parse

# The network after the last epoch, and after that whose validation top-1 accuracy is highest, of equals the first.
LAST, BEST = "weights.npz", "best.npz"

# ---------------------------------------------------------------- epochs

def train_epoch(trainer, source, checkpoints, stop, devices):
    """Run the present epoch from where it stands, to its end or until it, or another worker, is asked to stop.

    Returns the rows that this worker should have read and did not: broken files; and the exit status of what asked to
    stop, or None.
    """
    settings, epoch = trainer.settings, int(trainer.epoch)
    order = cam_data.epoch_order(source.pictures, settings.seed, epoch)
    start = int(trainer.position)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[figures]}"),
               TimeRemainingColumn())
    read = np.zeros(len(order), bool)
    read[:start] = True
    stopped = None
    with Progress(*columns, transient=True, disable=not sys.stdout.isatty()) as bar:
        task = bar.add_task(f"epoch {epoch + 1}/{settings.epochs}", total=len(order), completed=start, figures="")
        began, done = time.perf_counter(), 0
        for inputs, labels, positions in source.training_batches(
                settings.batch, seed=settings.seed, epoch=epoch, start=start):
            loss = float(trainer.step(inputs, labels))
            trainer.position.assign(devices.end_of_step(read, positions.numpy(), int(trainer.position), settings.batch))
            done += len(labels)
            total, right, count = map(float, trainer.totals.numpy())
            if not math.isfinite(total):
                raise diverged(f"the loss is {loss}", trainer, checkpoints)
            rate = done / (time.perf_counter() - began)
            bar.update(task, completed=int(trainer.position), figures=
                       f"loss {total / max(1, count):.3f}  accuracy {right / max(1, count):.3f}  {rate:.0f} pictures/s")
            stopped = devices.agreed(stop.status)
            if stopped:
                break
    if not trainer.totals[2]:
        reasons = [reason for _, reason in cam_data.broken_files(source.pictures, order[:3])]
        raise InputError(f"{source.pictures.name}: not one batch of pictures could be read: {'; '.join(reasons)}")
    # The rows behind the last full batch were not asked for; without a full one all were.
    asked = int(trainer.position) if read.sum() >= settings.batch or stopped or devices.workers > 1 else len(order)
    return order[np.flatnonzero(~read[:asked])], stopped


def diverged(what, trainer, checkpoints):
    """The InputError that ends a run in which numbers grow without bound."""
    return InputError(
        f"{what} at step {int(trainer.step_number.numpy())}, with --learning-rate {trainer.settings.learning_rate}: start "
        f"again with a lower one; the last good checkpoint is {checkpoints.last or 'none yet' if checkpoints else 'with worker 0'}")


def validate(trainer, source, stop):
    """Top-1 accuracy of the network as it stands and, of more than five classes, top-5; None where it is asked to stop."""
    top1 = top5 = count = 0
    k = min(5, len(source.pictures.categories))
    for inputs, labels in source.viewing_batches(100):
        guesses = trainer.guesses(inputs, k)[:len(labels)]
        right = guesses == labels.numpy()[:, None]
        top1, top5, count = top1 + right[:, 0].sum(), top5 + right.any(1).sum(), count + len(labels)
        if stop.status:
            return None
    if not count:
        raise InputError(f"{source.pictures.name}: none of its pictures could be read")
    found = {"validation_top1": float(top1 / count), "validation_top5": float(top5 / count)}
    return found if len(source.pictures.categories) > k else {"validation_top1": found["validation_top1"]}


def figures_of_epoch(trainer, seconds, before):
    """What the log says of the present epoch, which had seen `before` pictures when it was begun or resumed."""
    loss, right, count = map(float, trainer.totals.numpy())
    return {"epoch": int(trainer.epoch) + 1, "step": int(trainer.step_number.numpy()),
            "loss": loss / count, "accuracy": right / count,
            "seconds": round(seconds, 1), "pictures_per_second": round((count - before) / seconds, 1)}


def train(trainer, training, validation, checkpoints, log, examples, devices):
    """All epochs that are left, on batches of `training`, watched on those of `validation` and on `examples`.

    Of several workers the chief judges and writes, while the others wait for what is agreed on next.
    Returns None, or the exit status of what asked to stop before their end.
    """
    broken, stopped = cam_training.BrokenFiles(training.pictures), None
    judging = devices.is_chief and trainer.settings.validate == "every"
    with cam_training.StopAfterStep() as stop:
        while trainer.epoch < trainer.settings.epochs and not (stopped := devices.agreed(stop.status)):
            began, before = time.perf_counter(), float(trainer.totals[2])
            rows, stopped = train_epoch(trainer, training, checkpoints, stop, devices)
            broken.name(rows)
            record = figures_of_epoch(trainer, time.perf_counter() - began, before)
            accuracy = None if stopped else validate(trainer, validation, stop) if judging else {}
            tensors, too_large = cam_training.tensors_of(trainer.judged)
            if too_large:
                raise diverged(f"{too_large} has grown beyond what a weights file holds", trainer, checkpoints)
            stopped = devices.agreed((stopped or stop.status) if accuracy is None else None)
            if stopped:
                if devices.is_chief:
                    checkpoints.save()
                break
            trainer.end_epoch(record | accuracy)
            if not devices.is_chief:
                continue
            # In this order: what was killed in between is made good from the checkpoint.
            checkpoints.save()
            export(trainer, training.pictures, tensors)
            if cam_training.is_best(trainer.log.numpy()):
                export(trainer, training.pictures, tensors, BEST)
            maps = examples.take(trainer, int(trainer.epoch))
            if maps is not None:
                log.show(examples.drawn(maps), int(trainer.epoch))
            log.write(record | accuracy, trainer.settings.epochs)
    return stopped if trainer.epoch < trainer.settings.epochs else None


def weights_path(settings, name=LAST):
    return os.path.join(settings.out, name)


def export(trainer, pictures, tensors, name=LAST):
    settings, epochs_done = trainer.settings, int(trainer.epoch)
    weights.save(weights_path(settings, name), cam_training.as_weights(settings, pictures, tensors, epochs_done))


# ---------------------------------------------------------------- main

def build(settings, categories, resumed=None):
    """The network: random, or with the layers of --init; that of a resumed run is left to its checkpoint."""
    try:
        net = nets.build(settings.network, len(categories), settings.seed)
        nets.check_size(net, settings.first_size or settings.preprocessing["size"])
    except ValueError as error:
        raise InputError(f"{settings.init or 'these settings'}: {error}") from None
    if not resumed:
        initialise(net, settings, categories)
    return net


def initialise(net, settings, categories):
    """Take over the layers of --init, where it was given, and say what that leaves random."""
    if not settings.init:
        return
    trained = weights.load(settings.init)
    tensors = trained.tensors
    if [tuple(category) for category in trained.classes] != [tuple(category) for category in categories]:
        # A head of other classes is of no use, even where its shape fits.
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith("head/")}
    try:
        left = nets.assign(net, tensors, partial=True)
    except ValueError as error:
        raise InputError(f"{settings.init}: {error}") from None
    extra = sorted(set(trained.tensors) - set(nets.named_variables(net)) | set(left) & set(trained.tensors))
    say(f"from {settings.init}: {len(nets.named_variables(net)) - len(left)} variables"
        + (f"; trained anew: {', '.join(left)}" if left else "")
        + (f"; not used: {', '.join(extra)}" if extra else ""))


def pick_up(trainer, pictures, checkpoints, log):
    """Go on from the newest checkpoint; from the beginning where the run was killed before its first."""
    settings, description = trainer.settings, trainer.meta.numpy()
    if not checkpoints.restore():
        cam_training.refuse_lost(settings.out)
        initialise(trainer.net, settings, pictures.categories)
        return
    cam_training.refuse_edited_settings(trainer.meta.numpy(), settings)
    trainer.meta.assign(description)
    if settings.epochs < trainer.epoch:
        raise InputError(f"--epochs is {settings.epochs}, and {settings.out} has done {int(trainer.epoch)} already")
    lacked = log.mend(trainer.log.numpy())
    at_end_of_epoch = trainer.epoch > 0 and trainer.position == 0
    for name, wanted in ((LAST, True), (BEST, cam_training.is_best(trainer.log.numpy()))):
        if at_end_of_epoch and wanted and (lacked or not os.path.exists(weights_path(settings, name))):
            export(trainer, pictures, cam_training.tensors_of(trainer.judged)[0], name)


def main(arguments):
    settings, resumed, dry_run = parse(arguments)
    with cam_training.refusals_in_one_line():
        return run(settings, resumed, dry_run)


def run(settings, resumed, dry_run=False):
    """A new run, one that goes on from the folder `resumed`, or one that is only tried; returns the exit status."""
    device = nets.prepare_devices()
    devices = cam_training.open_devices(settings, dry_run)
    with devices.losing_none(settings.out):
        return run_on(devices, devices.in_words(device), settings, resumed, dry_run)


def run_on(devices, device, settings, resumed, dry_run):
    """`run`, on its Devices; `device` says what they are."""
    if devices.is_chief:
        check_folder(settings.out)
    training, validation = cam_training.open_data(settings)
    settings.epochs = cam_training.epochs_of(settings, len(training))
    data = cam_training.of_sets(training, validation)
    description = weights.describe(cam_training.as_weights(settings, training, {}, None))
    devices.refuse_uneven(settings, len(training))
    devices.refuse_differences(settings, data)
    with devices.strategy.scope():
        net = build(settings, training.categories, resumed)
        averaged = nets.build(settings.network, len(training.categories), None) if settings.average else None
    class_weights = cam_training.balanced_weights(training) if settings.class_weights == "balanced" else None
    trainer = cam_training.Trainer(net, settings, max(1, len(training) // settings.batch), description, averaged, devices, class_weights)
    if dry_run:
        introduce(settings, training, device)
        say(cam_training.rehearse(trainer, training, validation, data).in_words())
        say("Dry run: nothing was written")
        return 0
    if not devices.is_chief:
        return assist(devices, trainer, settings, training, device)
    with cam_training.holding(settings.out):
        cam_training.go_on(settings, data, resumed) if resumed else cam_training.begin(settings, data)
        checkpoints = cam_training.Checkpoints(os.path.join(settings.out, "checkpoints"), trainer)
        log = cam_training.RunLog(settings.out)
        if resumed:
            pick_up(trainer, training, checkpoints, log)
            cam_training.write_settings(settings)
        devices.take_over(trainer)
        introduce(settings, training, device)
        sources = cam_training.open_sources(settings, trainer.net, data, training, validation, devices.share)
        examples = cam_training.Examples(settings, validation)
        stopped = train(trainer, *sources, checkpoints, log, examples, devices)
        if stopped:
            say(f"stopped; go on with: python train_loop.py --resume {command_line(settings.out)}")
            return stopped
        report(settings, validation, cam_training.training_curves(trainer.log.numpy()) | cam_training.schedule(trainer), examples)
        say_what_next(settings)
    return 0


def assist(devices, trainer, settings, training, device):
    """A worker's part that is not the chief: its share of every step, from where the chief stands. It writes nothing."""
    devices.take_over(trainer)
    introduce(settings, training, device)
    source = cam_training.Pictures(training, settings, devices.share)
    stopped = train(trainer, source, None, None, None, None, devices)
    say(f"worker {devices.number} of {devices.workers}: {'stopped with the others' if stopped else 'done; worker 0 judges and reports'}")
    return stopped or 0


def introduce(settings, training, device):
    """What is trained on."""
    if settings.data == "synthetic":
        say("Training on drawn pictures; --data FOLDER trains on your own (train/<class>/*.jpg).")
    say(f"{counted(len(training), 'picture')} of {len(training.categories)} classes, {settings.precision} {device}, "
        f"run folder {settings.out}")
    say(f"Classes, and their pictures: {cam_training.class_counts(training)}")
    for line in cam_training.uneven_classes(training, settings.class_weights == "balanced"):
        warn(line)
    # Of a large set, it would take longer to walk through all folders than to begin.
    others = cam_data.in_words(cam_data.others_in_set(settings.data)) if len(training) < cam_data.LEAST_PICTURES else ""
    if others:
        say(f"{settings.data}: not taken for pictures or lists: {others}")
    if settings.preset:
        say(cam_training.preset_in_words(settings))


def say_what_next(settings):
    """The commands that use what was trained."""
    for what, command in zip(("Localize with it:", "Judge it again:"), cam_training.next_commands(settings)):
        say(f"{what:18} {command}")


def report(settings, judged, curves, examples):
    """Figures of the pictures `judged`: what the exported file does, in float32; curves.png and report.html begin with the
    training's `curves`."""
    localizer = localization.load(weights_path(settings))
    records, warnings, noticed = cam_evaluation.evaluate_network(localizer, judged, **cam_training.noticing(localizer, judged))
    for line in warnings:
        warn(line)
    about = {"data": judged.name, "left_out": len(judged) - len(records), "weights": weights_path(settings),
             "boxes": "paper", "threshold": localizer.threshold, "map_scale": localizer.scale, "refine": localizer.refine, "precision": "float32"}
    names = [cam_evaluation.class_name(category) for category in localizer.classes]
    metrics = cam_evaluation.write_report(settings.out, records, about, names, more_curves=curves)
    cam_evaluation.show_figures(metrics)
    say("report: " + cam_training.write_training_page(settings, localizer, examples, curves, records, noticed, judged, metrics))


def command():
    run_program("train_loop.py", main)


if __name__ == "__main__":
    command()
