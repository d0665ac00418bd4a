"""What a training will take, found out by the first steps of it. Nothing is kept."""

import itertools
import os
import sys
import tempfile
import time
from dataclasses import replace
from typing import NamedTuple

import weights
from cam_base import InputError
from cam_base.terminal import counted
from .checkpoints import Checkpoints
from .exporting import as_weights, tensors_of
from .sources import open_sources

SECONDS, STEPS = 10.0, 30  # of steps that are timed: whichever are fewer
JUDGED = 100  # pictures in a batch that is judged
FROZEN = 4  # batches whose frozen maps are computed, of a training on them


class Rehearsal(NamedTuple):
    """What was found of a training of so many epochs.

    batch, steps, judged        pictures of a step; steps of an epoch; pictures that are judged after it
    first_step, step, judging   seconds: of the first step, with compilation; of each after it, with reading; of judging
    saving                      seconds of what is written after an epoch: checkpoint and weights
    preparing                   seconds before the first epoch
    judged_each                 whether it is after every epoch, or once
    memory                      bytes, at most so far; 0 where the system does not say
    """

    epochs: int
    batch: int
    steps: int
    judged: int
    first_step: float
    step: float
    judging: float
    saving: float
    preparing: float
    memory: int
    judged_each: bool = True

    @property
    def total(self):
        """Seconds of all of it."""
        return (self.preparing + self.first_step + self.epochs * (self.steps * self.step + self.saving)
                + (self.epochs if self.judged_each else 1) * self.judging)

    def in_words(self):
        memory = f"; memory so far: {self.memory / 1e9:.1f} GB at most" if self.memory else ""
        return (f"First step, with compilation: {duration(self.first_step)}; then {1000 * self.step:.0f} ms a step of "
                f"{counted(self.batch, 'picture')} ({self.batch / self.step:,.0f} pictures/s)\n"
                f"An epoch: {counted(self.steps, 'step')} in {duration(self.steps * self.step)}, and "
                f"{counted(self.judged, 'validation picture')} in {duration(self.judging)}; "
                f"checkpoint and weights in {duration(self.saving)}\n"
                f"{counted(self.epochs, 'epoch')}: about {duration(self.total)}{memory}")


def duration(seconds):
    """"0.4 s", "12 s", "3 min 20 s", "2 h 5 min"."""
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, seconds = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    return f"{minutes // 60:,} h {minutes % 60} min"


def rehearse(trainer, training, validation, data):
    """A Rehearsal of a new run: some steps on its pictures, and a batch that is judged.

    training, validation  PictureSets
    data                  their fingerprint
    raises                InputError where not one batch of pictures can be read
    """
    settings, preparing = trainer.settings, 0.0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # Windows keeps what is mapped
        seen = [training, validation]
        if settings.freeze_features:
            # The maps of all pictures would be the work itself.
            seen = [pictures.first_rows(min(len(pictures), FROZEN * settings.batch)) for pictures in seen]
        began = time.perf_counter()
        # At the full size: what grows to it is faster before.
        sources = open_sources(replace(settings, out=folder, first_size=None), trainer.net, data, *seen)
        if settings.freeze_features:
            preparing = (time.perf_counter() - began) * (len(training) + len(validation)) / sum(map(len, seen))
        first, each = _steps(trainer, sources[0])
        judging = _judged(trainer, sources[1]) * len(validation)
        saving = _saved(trainer, training, folder)
    return Rehearsal(settings.epochs, min(settings.batch, len(training)), trainer.steps_per_epoch, len(validation), first, each, judging, saving, preparing,
                     peak_memory(), settings.validate == "every")


def _steps(trainer, source):
    """Seconds of the first step, and of those after it."""
    began = time.perf_counter()
    done, first, started = 0, 0.0, began
    for inputs, labels, _ in itertools.islice(_batches(trainer.settings, source), STEPS):
        float(trainer.step(inputs, labels))
        now = time.perf_counter()
        if not done:
            first, started = now - began, now
        done += 1
        if now - started > SECONDS:
            break
    if not done:
        raise InputError(f"{source.pictures.name}: not one batch of pictures could be read")
    return first, (time.perf_counter() - started) / (done - 1) if done > 1 else first


def _batches(settings, source):
    """Epoch after epoch: a small set has few steps."""
    for epoch in range(STEPS):
        yield from source.training_batches(settings.batch, seed=settings.seed, epoch=epoch, start=0)


def _judged(trainer, source):
    """Seconds of each picture that is judged."""
    seconds = []
    for inputs, labels in itertools.islice(source.viewing_batches(JUDGED), 3):
        began = time.perf_counter()
        trainer.guesses(inputs, 1)
        seconds.append((time.perf_counter() - began) / len(labels))
    if not seconds:
        raise InputError(f"{source.pictures.name}: none of its pictures could be read")
    return min(seconds)  # the first one is compiled


def _saved(trainer, pictures, folder):
    """Seconds of a checkpoint and of the exported weights."""
    checkpoints, seconds = Checkpoints(os.path.join(folder, "checkpoints"), trainer), []
    for _ in range(2):  # the first one is slower
        began = time.perf_counter()
        tensors, too_large = tensors_of(trainer.judged)
        if too_large:
            raise InputError(f"{too_large} has grown beyond what a weights file holds after {counted(int(trainer.step_number), 'step')}: "
                             "--learning-rate must be lower")
        checkpoints.save()
        weights.save(os.path.join(folder, "weights.npz"), as_weights(trainer.settings, pictures, tensors, 1))
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def peak_memory():
    """Bytes that this process has had at a time; 0 where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
