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
import train_loop
import weights
from cam_base import InputError, Preprocessing
from cam_training.devices import Devices, tasks_of

from small_sets import class_folders

# Of losses: their sums have another order (1e-7). Where batch norm takes the statistics of half a batch, they differ by 1e-4, and weights by 0.05.
TOLERANCE = 1e-5


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
    ('{"cluster": {}, "task": {}}', "cannot be read"), ('{"cluster": [["a"]], "task": 3}', "cannot be read"), ('{"cluster": "", "task": 3}', "cannot be read"),
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


def test_what_is_for_one_process_and_a_task_that_is_nobody_are_refused_before_anyone_waits(data, tmp_path, monkeypatch):
    def refused(index, *options, said):
        monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": WORKERS, "task": {"type": "worker", "index": index}}))
        with pytest.raises(InputError, match=said):
            train_loop.main(list(map(str, [*new_run(data, tmp_path / "run"), *options])))
        assert not (tmp_path / "run").exists()

    refused(0, "--dry-run", said="^--dry-run is for one process: unset TF_CONFIG$")
    refused(3, said="^TF_CONFIG: the task 'worker' 3 is not in the cluster")


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
@pytest.mark.parametrize("precision, options", [("float32", ()), ("float16", ("--average", "0.9", "--clip", "0.5", "--first-size", "16"))])
def test_two_devices_of_one_process_train_as_one_does(data, alone, tmp_path, precision, options):
    other = alone
    if options:
        other = tmp_path / "alone"
        [(status, _, error)] = end(start(new_run(data, other, *options, precision=precision)))
        assert status == 0, error
    [(status, said, error)] = end(start(new_run(data, tmp_path / "run", *options, precision=precision), LOGICAL_CPUS="2"))
    assert status == 0 and "2 replicas of the network" in said, error
    assert_like(tmp_path / "run", other, 5 * TOLERANCE if options else TOLERANCE)


@pytest.mark.slow
def test_broken_files_of_one_worker_are_left_out_and_nobody_waits(tmp_path):
    data = pictures_of(tmp_path / "data")
    pictures = cam_data.open_set(data, "train")
    order = cam_data.epoch_order(pictures, 0, 0)
    broken = [pictures.files[row] for row in order[[0, 1, 2, 3, 13]]]  # in the first epoch the whole first share of worker 0, and one of worker 1's
    for file in broken:
        os.truncate(file, 30)
    run = tmp_path / "run"
    both = end(*start_workers(new_run(data, run, epochs=2), new_run(data, run, epochs=2)))
    assert [status for status, _, _ in both] == [0, 0], both[0][2] + both[1][2]
    assert all(any(f"skipped {file}" in said for _, _, said in both) for file in broken)
    assert [line["step"] for line in log_of(run)] == [STEPS, 2 * STEPS]
    right = 35 * log_of(run)[0]["accuracy"]  # of the 40 pictures of five steps
    assert abs(right - round(right)) < 1e-4


# ---------------------------------------------------------------- an end before the end

EPOCHS = 7


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """A longer run of two workers that nothing interrupts, and its options; and what one process comes to."""
    root = tmp_path_factory.mktemp("whole")
    both = end(*start_workers(*2 * [new_run(data, root / "run", epochs=EPOCHS)]))
    assert [status for status, _, _ in both] == [0, 0], both[0][2] + both[1][2]
    return root / "run"


@pytest.mark.slow
@pytest.mark.parametrize("number, asked, status", [(1, signal.SIGINT, 130), (0, signal.SIGTERM, 143)])
def test_a_signal_to_one_worker_stops_all_and_any_number_of_workers_goes_on(data, whole, tmp_path, number, asked, status):
    run = tmp_path / "run"
    both = start_workers(*2 * [new_run(data, run, epochs=EPOCHS)])
    wait_for_epochs(run, 2, both[0])
    both[number].send_signal(asked)
    first, second = end(*both)
    assert (first[0], second[0]) == (status, status), first[2] + second[2]
    assert f"stopped; go on with: python train_loop.py --resume {run}" in first[1] and "worker 1 of 2: stopped with the others" in second[1]
    assert len(log_of(run)) < EPOCHS
    again = start_workers(*2 * [["--resume", run]]) if number else [start(["--resume", run])]
    assert [status for status, _, _ in end(*again)] == [0] * len(again)
    assert_like(run, whole, 0 if number else TOLERANCE)


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_worker_ends_the_other_in_one_line_and_both_go_on(data, whole, tmp_path, killed):
    run = tmp_path / "run"
    both = start_workers(*2 * [new_run(data, run, epochs=EPOCHS)])
    wait_for_epochs(run, 2, both[0])
    both[killed].kill()
    began = time.monotonic()
    status, _, said = end(both[1 - killed])[0]
    print(f"worker {1 - killed} ended {time.monotonic() - began:.1f} s after worker {killed} was killed")
    assert status == 2 and time.monotonic() - began < 45
    assert said.startswith(f"train_loop.py: worker {1 - killed} of 2: another worker has ended, or cannot be reached") and said.count("\n") == 1, said
    assert f"with --resume {run}" in said and len(log_of(run)) < EPOCHS
    both[killed].communicate()
    again = end(*start_workers(*2 * [["--resume", run]]))
    assert [status for status, _, _ in again] == [0, 0], again[0][2] + again[1][2]
    assert_like(run, whole, 0)


@pytest.mark.slow
def test_workers_with_other_options_are_refused_and_one_that_cannot_begin_ends_the_other(data, tmp_path):
    run = tmp_path / "run"
    both = end(*start_workers(new_run(data, run), new_run(data, run, "--seed", 1)))
    assert [(status, said) for status, _, said in both] == [
        (2, "train_loop.py: worker 1 has other options, pictures or another TensorFlow than worker 0: start all workers with the same\n")] * 2
    assert not run.exists()
    first, second = end(*start_workers(new_run(data, run), new_run(tmp_path / "nowhere", run)))
    assert second[0] == 2 and "no such folder" in second[2]
    assert first[0] == 2 and "another worker has ended" in first[2] and first[2].count("\n") == 1, first[2]
