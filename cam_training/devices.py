"""What a training computes on: one device, several of this machine, or several machines by TensorFlow's TF_CONFIG."""

import contextlib
import hashlib
import json
import os
import signal
from dataclasses import asdict

import numpy as np

import cam_data
from cam_base import InputError, first_line
from cam_base.terminal import INTERRUPTED, TERMINATED, TERMINATING, counted, say
from ops.quiet_tensorflow import tf
from .fingerprint import without_names

FORM = 'it must be like {"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'
LARGEST = 1 << 16  # characters of a TF_CONFIG
# What TensorFlow raises, and says, where another worker is gone.
LOST, ABORTED = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError), "Collective ops is aborted by: "
PATHS = ("data", "init", "out")  # which may differ from machine to machine


class Devices:
    """One process's part in a training: a worker, which has one or more replicas of the network.

    strategy         a tf.distribute.Strategy; on one device TensorFlow's default, which does nothing
    number, workers  of this process, from 0, and how many there are. Number 0 is the chief, which alone writes files
    """

    def __init__(self, strategy, number=0, workers=1):
        self.strategy, self.number, self.workers = strategy, number, workers
        self.replicas = strategy.num_replicas_in_sync
        self.is_chief = number == 0
        self.share = number, workers
        self._sum = tf.function(self._summed, autograph=False)

    def refuse_uneven(self, settings, pictures):
        """InputError for a batch that the replicas do not share evenly, or fewer pictures than replicas."""
        if settings.batch % self.replicas:
            raise InputError(f"--batch {settings.batch} cannot be shared evenly by {self.replicas} replicas of the network: "
                             f"choose a multiple of {self.replicas}")
        if pictures < self.replicas:
            raise InputError(f"{counted(pictures, 'picture')} cannot be shared by {self.replicas} replicas of the network: train on fewer")

    def refuse_differences(self, settings, data):
        """InputError, in all workers, where one was started with other options or pictures than the chief."""
        if self.workers == 1:
            return
        options = {name: value for name, value in asdict(settings).items() if name not in PATHS}
        seen = [data["classes"], without_names(data["training"]), without_names(data["validation"])]
        digest = hashlib.sha256(json.dumps([options, seen, tf.__version__], sort_keys=True).encode()).digest()
        own = int.from_bytes(digest[:7], "big")
        all_of_them = self._total(tf.one_hot(self.number, self.workers, tf.constant(own, tf.int64), tf.constant(0, tf.int64))).numpy()
        for number, other in enumerate(all_of_them):
            if other != all_of_them[0]:
                raise InputError(f"worker {number} has other options, pictures or another TensorFlow than worker 0: start all workers with the same")

    def end_of_step(self, read, positions, first, batch):
        """Where the next step begins in the epoch's order; marks in `read` (bool) what this one, begun at `first`, has read, or left to others."""
        if self.workers == 1:
            end = positions[-1] + 1
        else:
            end = min(first + batch, len(read))
            own = first + np.arange(*cam_data.share_of(end - first, *self.share))
            read[first:end] = True
            read[own] = False
        read[positions] = True
        return end

    def agreed(self, status):
        """The exit status that any worker was asked to stop with, the same in all of them, or None: all ask at the same places."""
        if self.workers == 1:
            return status
        interrupted, terminated = self._total(tf.constant([status == INTERRUPTED, status == TERMINATED], tf.int64)).numpy()
        return TERMINATED if terminated else INTERRUPTED if interrupted else None

    def take_over(self, trainer):
        """Give the trainer's variables, in all workers, the values that they have in the chief; but for what only it writes."""
        if self.workers == 1:
            return
        variables = [variable for variable in trainer.variables if variable.dtype != tf.string]
        for floating, dtype in ((True, tf.float32), (False, tf.int64)):
            group = [variable for variable in variables if variable.dtype.is_floating == floating]
            own = [tf.cast(variable, dtype) for variable in group]
            values = self._total(own if self.is_chief else [tf.zeros_like(value) for value in own])
            for variable, value in zip(group, values):
                variable.assign(tf.cast(value, variable.dtype))

    def _total(self, values):
        """The sum of tensors over all workers."""
        return tf.nest.map_structure(lambda value: self.strategy.experimental_local_results(value)[0], self._sum(values))

    def _summed(self, values):
        def on_replica(values):
            context = tf.distribute.get_replica_context()
            # Of a worker's replicas the first one speaks for it.
            first = tf.equal(context.replica_id_in_sync_group % (self.replicas // self.workers), 0)
            values = tf.nest.map_structure(lambda value: tf.where(first, value, tf.zeros_like(value)), values)
            return context.all_reduce(tf.distribute.ReduceOp.SUM, values)
        return self.strategy.run(on_replica, (values,))

    @contextlib.contextmanager
    def losing_none(self, run):
        """What TensorFlow raises when another worker has ended, as InputError."""
        try:
            yield
        except tf.errors.OpError as error:
            if self.workers == 1 or not isinstance(error, LOST) and ABORTED not in str(error):
                raise
            raise InputError(f"worker {self.number} of {self.workers}: another worker has ended, or cannot be reached "
                             f"({reason_in(error)}): start all of them again, with --resume {run}") from None

    def in_words(self, device):
        """`device`, what `nets.prepare_devices` says, and this process's part."""
        if self.replicas == 1:
            return device
        part = f"worker {self.number} of {self.workers}, " if self.workers > 1 else ""
        return f"{device}, {part}{self.replicas} replicas of the network"


def open_devices(settings, dry_run=False):
    """The Devices of this process. With TF_CONFIG it waits for all other workers, and says so.

    A head that is trained on frozen features is too small to be shared: one device takes it.
    raises  InputError for a TF_CONFIG that makes no sense, or where a worker's address cannot be listened at
    """
    text = os.environ.get("TF_CONFIG", "")
    tasks, number = tasks_of(text) if text.strip() else ([None], 0)
    if len(tasks) > 1:
        if settings.freeze_features or dry_run:
            raise InputError(f"{'--dry-run' if dry_run else '--freeze-features'} is for one process: unset TF_CONFIG")
        return _worker(tasks, number)
    local = next((found for kind in ("GPU", "CPU") if len(found := tf.config.list_logical_devices(kind)) > 1), None)
    if local and not settings.freeze_features:
        return Devices(tf.distribute.MirroredStrategy([device.name for device in local]))
    return Devices(tf.distribute.get_strategy())


def _worker(tasks, number):
    say(f"worker {number} of {len(tasks)}, at {tasks[number]}: waiting until all of them are there")
    # TensorFlow waits where Python hears of no signal.
    before = {one: signal.signal(one, signal.SIG_DFL) for one in (signal.SIGINT, *TERMINATING)}
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy(communication_options=_communication())
    except (tf.errors.OpError, RuntimeError) as error:
        raise InputError(f"worker {number} of {len(tasks)} cannot take its place at {tasks[number]} ({first_line(error)}): "
                         "look for another program at this address, or correct TF_CONFIG") from None
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
    return Devices(strategy, number, len(tasks))


def _communication():
    """NCCL between GPUs, unless $CAM_COLLECTIVES says RING: TensorFlow's own choice sends all by gRPC through the hosts' memory."""
    kinds = tf.distribute.experimental.CommunicationImplementation
    ring = os.environ.get("CAM_COLLECTIVES", "").upper() == "RING"
    nccl = tf.config.list_physical_devices("GPU") and not ring
    return tf.distribute.experimental.CommunicationOptions(implementation=kinds.NCCL if nccl else kinds.AUTO)


def tasks_of(text):
    """(addresses of all workers, the chief's first; which one this process is) of a TF_CONFIG; InputError for nonsense."""
    try:
        held = json.loads(text) if len(text) <= LARGEST else None
        cluster, task = dict(held["cluster"]), dict(held["task"])
        kind_of_task, index_of_task = task["type"], task["index"]
        kinds = [kind for kind in ("chief", "worker") if kind in cluster]
        tasks = [(kind, index, address) for kind in kinds for index, address in enumerate(cluster[kind])]
        places = [place for place, (kind, index, _) in enumerate(tasks) if (kind, index) == (kind_of_task, index_of_task)]
        others = sorted(set(cluster) - {"chief", "worker"})
    except (ValueError, TypeError, LookupError, RecursionError):
        raise InputError(f"TF_CONFIG cannot be read: {FORM}") from None
    addresses = [address for _, _, address in tasks]
    if others:
        raise InputError(f"TF_CONFIG: the cluster has {others[0]!r}; here it may have 'worker' and one 'chief' only")
    if not all(isinstance(address, str) and _is_address(address) for address in addresses):
        raise InputError(f"TF_CONFIG: an address is not host:port; {FORM}")
    if len(set(addresses)) < len(addresses) or sum(kind == "chief" for kind, _, _ in tasks) > 1:
        raise InputError("TF_CONFIG: the cluster has an address twice, or two chiefs")
    if not places or isinstance(index_of_task, bool):
        raise InputError(f"TF_CONFIG: the task {kind_of_task!r} {index_of_task!r} is not in the cluster, "
                         f"which has {', '.join(f'{kind} {index}' for kind, index, _ in tasks) or 'nobody'}")
    return addresses, places[0]


def _is_address(text):
    host, _, port = text.rpartition(":")
    return bool(host) and text.isprintable() and " " not in text and port.isascii() and port.isdigit() and 0 < int(port[:9]) < 65536


def reason_in(error):
    """What a failed collective says of the cause."""
    return first_line(str(error).split(ABORTED)[-1])
