"""What makes a training on ILSVRC possible: its folders, an index of them, digests of them."""

import os
import time

import numpy as np
import pytest

from cam_base import Category, InputError
from cam_data import PictureSet, folder_index, open_set, walking
from cam_training import fingerprint

from small_sets import class_folders, write_picture

WNIDS = ("n01440764", "n01443537")


def cls_loc(root):
    """Data/CLS-LOC with two classes and three flat validation pictures, of the classes 1, 0, 1."""
    for wnid in WNIDS:
        for number in range(2):
            write_picture(str(root / "Data/CLS-LOC/train" / wnid / f"{wnid}_{number}.JPEG"), number)
    (root / "Annotations/CLS-LOC/val").mkdir(parents=True)
    for number, label in enumerate((1, 0, 1), 1):
        name = f"ILSVRC2012_val_{number:08}"
        write_picture(str(root / "Data/CLS-LOC/val" / f"{name}.JPEG"), number)
        (root / "Annotations/CLS-LOC/val" / f"{name}.xml").write_text(
            f"<annotation><size><width>20</width><height>16</height></size><object><name>{WNIDS[label]}</name><bndbox><xmin>1</xmin>"
            "<ymin>2</ymin><xmax>9</xmax><ymax>8</ymax></bndbox></object></annotation>")


@pytest.mark.parametrize("wrapped", ["", "ILSVRC"])
def test_validation_labels_come_from_annotations(tmp_path, wrapped):
    cls_loc(tmp_path / wrapped)
    train, val = (open_set(str(tmp_path), split) for split in ("train", "val"))
    assert train.categories == val.categories and [wnid for wnid, _ in train.categories] == list(WNIDS)
    assert train.labels.tolist() == [0, 0, 1, 1] and val.labels.tolist() == [1, 0, 1]
    assert train.ids[3] == "n01443537/n01443537_1.JPEG" and os.path.exists(train.files[3])
    assert val.names[1] == "ILSVRC2012_val_00000002" and len(val.boxes[1]) == 1


def test_a_picture_without_an_annotation_is_named(tmp_path):
    cls_loc(tmp_path)
    (tmp_path / "Annotations/CLS-LOC/val/ILSVRC2012_val_00000003.xml").unlink()
    with pytest.raises(InputError, match="00000003.xml"):
        open_set(str(tmp_path), "val")


def test_kaggles_lists_train_in_their_own_order(tmp_path):
    cls_loc(tmp_path / "ILSVRC")
    (tmp_path / "LOC_synset_mapping.txt").write_text("".join(f"{wnid} words\n" for wnid in reversed(WNIDS)))
    (tmp_path / "LOC_val_solution.csv").write_text("ImageId,PredictionString\n" + "".join(
        f"ILSVRC2012_val_{number:08},{WNIDS[label]} 1 2 9 8 \n" for number, label in enumerate((1, 0, 1), 1)))
    train, val = (open_set(str(tmp_path), split) for split in ("train", "val"))
    assert train.categories == val.categories and [wnid for wnid, _ in train.categories] == list(reversed(WNIDS))
    assert train.labels.tolist() == [0, 0, 1, 1] and val.labels.tolist() == [0, 1, 0]
    assert train.ids[0] == "n01443537/n01443537_0.JPEG"


# ---------------------------------------------------------------- the index

@pytest.fixture
def settled(tmp_path, monkeypatch):
    """A set that has not changed for a minute and is large enough for an index, which it has."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(folder_index, "LEAST_PICTURES", 1)
    root = tmp_path / "set"
    for split in ("train", "val"):
        class_folders(root / split, {"cat": 2, "dog": 2})
    for folder, _, _ in os.walk(root):
        os.utime(folder, ns=(time.time_ns() - 60 * 10 ** 9,) * 2)
    open_set(str(root), "train")
    return root


def test_an_index_spares_the_walk(settled, monkeypatch):
    assert os.path.exists(folder_index.index_path(settled))
    first = open_set(str(settled), "val")
    monkeypatch.setattr(walking, "_scan", None)  # to call it is an error
    again = open_set(str(settled), "val")
    assert again.files == first.files and again.ids == first.ids


def test_files_that_come_and_go_are_seen(settled):
    write_picture(str(settled / "train/cat/new.png"), 5)
    os.unlink(settled / "train/dog/dog-0.png")
    assert open_set(str(settled), "train").ids == ["cat/cat-0.png", "cat/cat-1.png", "cat/new.png", "dog/dog-1.png"]


def test_a_folder_that_has_just_changed_is_not_remembered(settled):
    write_picture(str(settled / "train/cat/new.png"), 5)
    stamp = os.stat(settled / "train/cat").st_mtime_ns
    open_set(str(settled), "train")
    write_picture(str(settled / "train/cat/newer.png"), 5)
    os.utime(settled / "train/cat", ns=(stamp, stamp))  # within the same tick
    assert "cat/newer.png" in open_set(str(settled), "train").ids


@pytest.mark.parametrize("content", ["", "[]", '{"a": 1}', '{"a": [1, 2, ["../../b.png"], []]}', "[" * 10 ** 5])
def test_a_damaged_index_is_none(settled, content):
    with open(folder_index.index_path(settled), "w", encoding="utf-8") as file:
        file.write(content)
    assert len(open_set(str(settled), "train")) == 4


def test_a_small_set_leaves_no_index(settled, monkeypatch):
    os.unlink(folder_index.index_path(settled))
    monkeypatch.setattr(folder_index, "LEAST_PICTURES", 20_000)
    open_set(str(settled), "train")
    assert not os.path.exists(folder_index.index_path(settled))


# ---------------------------------------------------------------- digests

def many(names, labels):
    return PictureSet("some", [Category(None, "a"), Category(None, "b")], np.array(labels, np.int32), list(names), ids=list(names))


@pytest.mark.parametrize("names, labels, said", [
    ("wxyz", [0, 0, 1, 1], None),
    ("wxy", [0, 0, 1], "training pictures: 1 class has less (1 in b)"),
    ("wxyzq", [0, 0, 1, 1, 0], "training pictures: 1 class has more (1 in a)"),
    ("wxyq", [0, 0, 1, 1], "training pictures: 1 class has other names (in b)"),
    ("wyxz", [0, 1, 0, 1], "training pictures: in another order")])
def test_of_a_large_set_it_is_said_which_classes_changed(monkeypatch, names, labels, said):
    monkeypatch.setattr(fingerprint, "LISTED_ROWS", 2)
    val = many("v", [0])
    before = fingerprint.of_sets(many("wxyz", [0, 0, 1, 1]), val)
    assert fingerprint.difference(before, fingerprint.of_sets(many(names, labels), val)) == said


def test_sizes_of_a_sample_are_compared(monkeypatch, tmp_path):
    monkeypatch.setattr(fingerprint, "LISTED_ROWS", 2)
    root = class_folders(tmp_path / "train", {"cat": 2, "dog": 2})
    sets = [many(sorted(str(path) for path in (tmp_path / "train").rglob("*.png")), [0, 0, 1, 1])] * 2
    before = fingerprint.of_sets(*sets)
    with open(os.path.join(root, "dog", "dog-1.png"), "ab") as file:
        file.write(b"x")
    assert "training pictures: 1 changed (" in fingerprint.difference(before, fingerprint.of_sets(*sets))
