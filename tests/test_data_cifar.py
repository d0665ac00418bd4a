"""CIFAR's binary files."""

import numpy as np
import pytest

from cam_base import InputError, Preprocessing
from cam_data import open_set, training_batches
from cam_training import fingerprint


def cifar10(root, rows=3):
    """Six files of random rows; {file: uint8 [rows, 3073]}."""
    root.mkdir(exist_ok=True)
    (root / "batches.meta.txt").write_text("\n".join(f"class{number}" for number in range(10)) + "\n\n")
    made = {}
    for seed, name in enumerate([*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]):
        content = np.random.default_rng(seed).integers(0, 256, (rows, 3073), np.uint8)
        content[:, 0] %= 10
        (root / name).write_bytes(content.tobytes())
        made[name] = content
    return made


@pytest.mark.parametrize("wrapped", ["", "cifar-10-batches-bin"])
def test_planes_become_pixels_in_the_order_of_the_files(tmp_path, wrapped):
    made = cifar10(tmp_path / wrapped)
    train, val = (open_set(str(tmp_path), split) for split in ("train", "val"))
    assert [len(train), len(val)] == [15, 3] and train.categories[3].label == "class3"
    content = made["data_batch_3.bin"][1]
    assert train.labels[7] == content[0] and train.ids[7] == "data_batch_3.bin/1"
    picture = train.draw(7, 0)
    for x, y in ((0, 0), (31, 0), (5, 17)):
        assert picture[y, x].tolist() == [content[1 + plane * 1024 + y * 32 + x] for plane in range(3)]
    np.testing.assert_array_equal(train.rows([7]).draw(0, 4), picture)


def test_the_second_label_of_cifar_100_counts(tmp_path):
    (tmp_path / "fine_label_names.txt").write_text("\n".join(f"fine{number}" for number in range(100)))
    row = np.zeros((2, 3074), np.uint8)
    row[1, :3] = 7, 93, 11
    for name in ("train.bin", "test.bin"):
        (tmp_path / name).write_bytes(row.tobytes())
    val = open_set(str(tmp_path), "val")
    assert val.labels.tolist() == [0, 93] and val.draw(1, 0)[0, 0].tolist() == [11, 0, 0]


def test_held_pictures_are_cropped_and_mirrored(tmp_path):
    cifar10(tmp_path)
    pictures = open_set(str(tmp_path), "train").rows([0] * 8)
    inputs, _, _ = next(training_batches(pictures, Preprocessing(size=32), 8, seed=0, epoch=0))
    assert len({view.tobytes() for view in inputs.numpy()}) > 1  # of one picture


@pytest.mark.parametrize("damage, said", [
    (lambda root: (root / "data_batch_2.bin").write_bytes(b"\0" * 3072), "3,072 bytes, which are not rows of 3,073"),
    (lambda root: (root / "data_batch_2.bin").write_bytes(b""), "not rows"),
    (lambda root: (root / "data_batch_2.bin").unlink(), "is the data set complete"),
    (lambda root: (root / "data_batch_2.bin").write_bytes(b"\x0a" + b"\0" * 3072), "has the label 10"),
    (lambda root: (root / "batches.meta.txt").write_text("cat\ndog\n"), "names 2 classes, not 10")])
def test_damaged_files_are_one_line(tmp_path, damage, said):
    cifar10(tmp_path)
    damage(tmp_path)
    with pytest.raises(InputError, match=said):
        open_set(str(tmp_path), "train")


def test_pickles_are_refused_with_what_to_take(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in ("data_batch_1", "batches.meta"):
        (folder / name).write_bytes(b"\x80")
    for root in (tmp_path, folder):
        with pytest.raises(InputError, match="take the binary version"):
            open_set(str(root), "train")


def test_other_pixels_are_other_data(tmp_path):
    made = cifar10(tmp_path)
    before = fingerprint.of_sets(*(open_set(str(tmp_path), split) for split in ("train", "val")))
    made["test_batch.bin"][1, 9] ^= 1
    (tmp_path / "test_batch.bin").write_bytes(made["test_batch.bin"].tobytes())
    after = fingerprint.of_sets(*(open_set(str(tmp_path), split) for split in ("train", "val")))
    assert fingerprint.difference(before, after) == "validation pictures: 1 changed (test_batch.bin/1)"
