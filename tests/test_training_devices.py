"""Several devices, and several processes, train as one does: the same losses and weights, one writer, one end."""

import json
import os
import signal
import time
from types import SimpleNamespace

import numpy as np
import pytest
from small_training import files_below, log_of
from small_workers import BATCH, STEPS, end, new_run, pictures_of, start, start_workers, wait_for_epochs

import cam_data
import weights
from cam_base import InputError, Preprocessing
from cam_training.devices import Devices, tasks_of

from small_sets import class_folders

# Of losses and weights: sums of other parts, in another order. Statistics of half a batch differ by more than 1e-2.
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return pictures_of(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def alone(data, tmp_path_factory):
    """The run of one process on one device: to be compared with, not changed."""
    run = tmp_path_factory.mktemp("alone") / "run"
    [(status, _, said)] = end(start(new_run(data, run)))
    assert status == 0, said
    return run


def assert_like(run, other, tolerance=TOLERANCE):
    """The same log and weights; returns the largest difference of a loss, and of a weight."""
    ours, theirs = log_of(run), log_of(other)
    assert [line["epoch"] for line in ours] == [line["epoch"] for line in theirs]
    losses = np.abs([line["loss"] - same["loss"] for line, same in zip(ours, theirs)]).max()
    ours, theirs = (weights.load(os.path.join(folder, "weights.npz")).tensors for folder in (run, other))
    apart = max(np.abs(ours[name] - theirs[name]).max() for name in theirs)
    assert losses <= tolerance and apart <= 20 * tolerance, (losses, apart)  # kernels are kept as float16
    print(f"{run}: losses differ by {losses:.1e}, weights by {apart:.1e}")
    return losses, apart


# ---------------------------------------------------------------- what is given

WORKERS = {"worker": ["a:1", "b:2"]}


@pytest.mark.parametrize("config, said", [
    ("{", "cannot be read"), ("[]", "cannot be read"), ("3", "cannot be read"), ('{"cluster": {}}', "cannot be read"), ("[" * 70_000, "cannot be read"),
    ('{"cluster": {"worker": 5}, "task": {"type": "worker", "index": 0}}', "cannot be read"),
    (json.dumps({"cluster": WORKERS, "task": {"type": "worker", "index": 2}}), "'worker' 2 is not in the cluster, which has worker 0, worker 1"),
    (json.dumps({"cluster": WORKERS, "task": {"type": "worker", "index": "0"}}), "'worker' '0' is not in the cluster"),
    (json.dumps({"cluster": WORKERS, "task": {"type": "worker", "index": True}}), "'worker' True is not in the cluster"),
    (json.dumps({"cluster": {"worker": ["a:1", "b"]}, "task": {"type": "worker", "index": 0}}), "an address is not host:port"),
    (json.dumps({"cluster": {"worker": ["a:1", "b:0"]}, "task": {"type": "worker", "index": 0}}), "an address is not host:port"),
    (json.dumps({"cluster": {"worker": ["a:1", 7]}, "task": {"type": "worker", "index": 0}}), "an address is not host:port"),
    (json.dumps({"cluster": {"worker": ["a:1", "a:1"]}, "task": {"type": "worker", "index": 0}}), "an address twice"),
    (json.dumps({"cluster": WORKERS | {"ps": ["c:3"]}, "task": {"type": "ps", "index": 0}}), "the cluster has 'ps'")])
def test_a_tf_config_that_makes_no_sense_is_one_line(config, said):
    with pytest.raises(InputError, match="^TF_CONFIG") as caught:
        tasks_of(config)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_the_chief_is_the_first_worker():
    cluster = {"worker": ["a:1", "b:2"], "chief": ["c:3"]}
    found = [tasks_of(json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}}))
             for kind, index in (("chief", 0), ("worker", 0), ("worker", 1))]
    assert found == [(["c:3", "a:1", "b:2"], number) for number in range(3)]


def test_a_batch_or_pictures_that_cannot_be_shared_are_refused():
    devices = Devices(SimpleNamespace(num_replicas_in_sync=4))
    devices.refuse_uneven(SimpleNamespace(batch=8), 4)
    for batch, pictures, said in ((6, 10, "--batch 6 cannot be shared evenly by 4 replicas"), (8, 3, "3 pictures cannot be shared by 4")):
        with pytest.raises(InputError, match=said):
            devices.refuse_uneven(SimpleNamespace(batch=batch), pictures)


# ---------------------------------------------------------------- shares of the input

def batches_of(data, **place):
    pictures = cam_data.open_set(data, "train")
    return [[tensor.numpy() for tensor in batch] for batch in cam_data.training_batches(pictures, Preprocessing(size=16), BATCH, seed=3, epoch=1, **place)]


@pytest.mark.parametrize("start", [0, BATCH, 3])
def test_the_shares_of_all_workers_are_the_batches_of_one(data, start):
    whole, shares = batches_of(data, start=start), [batches_of(data, start=start, share=(number, 4)) for number in range(4)]
    assert len(whole) == (42 - start) // BATCH and {len(share) for share in shares} == {len(whole)}
    for batch, *parts in zip(whole, *shares):
        for ours, theirs in zip(batch, map(np.concatenate, zip(*parts))):
            np.testing.assert_array_equal(ours, theirs)


def test_a_set_smaller_than_a_batch_is_shared(tmp_path):
    class_folders(tmp_path / "train", {"cat": 2, "dog": 3})
    class_folders(tmp_path / "val", {"cat": 1, "dog": 1})
    shares = [batches_of(tmp_path, share=(number, 2)) for number in range(2)]
    assert [[len(labels) for _, labels, _ in share] for share in shares] == [[2], [3]]


def test_broken_files_make_a_share_shorter_and_no_worker_have_fewer_batches(tmp_path):
    data = pictures_of(tmp_path)
    order = cam_data.epoch_order(cam_data.open_set(data, "train"), 3, 1)
    files = cam_data.open_set(data, "train").files
    for place in (0, 9, 10):  # of 8: one of the first worker's four, and two of the first worker's next four
        with open(files[order[place]], "r+b") as file:
            file.seek(30)
            file.write(b"broken" * 20)
    shares = [batches_of(data, share=(number, 2)) for number in range(2)]
    assert [[positions.tolist() for _, _, positions in share][:2] for share in shares] == [[[1, 2, 3], [8, 11]], [[4, 5, 6, 7], [12, 13, 14, 15]]]
    assert [len(share) for share in shares] == [STEPS, STEPS]
    for place in range(4):
        os.truncate(files[order[place]], 20)
    assert [len(labels) for _, labels, _ in batches_of(data, share=(0, 2))] == [0, 2, 4, 4, 4]


# ---------------------------------------------------------------- as one device

@pytest.mark.slow
def test_two_workers_train_as_one_process_does_and_only_the_first_writes(data, alone, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    first, second = end(*start_workers(new_run(data, tmp_path / "run"), new_run(data, elsewhere), chief=True))
    assert (first[0], second[0]) == (0, 0), first[2] + second[2]
    assert "worker 0 of 2, 2 replicas of the network" in first[1] and "worker 1 of 2, 2 replicas of the network" in second[1]
    assert_like(tmp_path / "run", alone)
    assert not elsewhere.exists() and set(files_below(alone)) - set(files_below(tmp_path / "run")) <= {
        name for name in files_below(alone) if name.startswith("tensorboard")}


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--average", "0.9", "--clip", "0.5", "--first-size", "8", "--precision", "float16")])
def test_two_devices_of_one_process_train_as_one_does(data, alone, tmp_path, options):
    other = alone
    if options:
        other = tmp_path / "alone"
        assert end(start(new_run(data, other, *options)))[0][0] == 0
    [(status, said, error)] = end(start(new_run(data, tmp_path / "run", *options), LOGICAL_CPUS="2"))
    assert status == 0 and "2 replicas of the network" in said, error
    assert_like(tmp_path / "run", other, 2e-2 if options else TOLERANCE)
