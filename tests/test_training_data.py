"""What a run remembers of its data, and data that cannot teach to tell anything apart."""

import os

import numpy as np
import pytest

from cam_base import Category, InputError
from cam_data import PictureSet, open_set, open_synthetic
from cam_training import fingerprint, open_data
from cam_training.settings import Settings

from small_sets import class_folders, write_picture


def two_splits(root, **classes):
    for split in ("train", "val"):
        class_folders(root / split, classes)
    return str(root)


def opened(root):
    return fingerprint.of_sets(open_set(str(root), "train"), open_set(str(root), "val"))


# ---------------------------------------------------------------- the fingerprint

def test_a_fingerprint_holds_classes_rows_sizes_and_contents(tmp_path):
    two_splits(tmp_path, cat=1, dog=2)
    held = opened(tmp_path)
    assert held["classes"] == [[None, "cat"], [None, "dog"]]
    assert [row[:2] for row in held["training"]] == [["cat/cat-0.png", 0], ["dog/dog-0.png", 1], ["dog/dog-1.png", 1]]
    path = tmp_path / "train" / "dog" / "dog-1.png"
    assert held["training"][2][2] == os.path.getsize(path)
    assert held["training"][1][3] == held["training"][0][3] != held["training"][2][3]  # of the same and of other pixels
    assert fingerprint.difference(held, opened(tmp_path)) is None


def test_of_many_pictures_names_and_sizes_are_compared(tmp_path, monkeypatch):
    two_splits(tmp_path, cat=2, dog=2)
    path = tmp_path / "val" / "cat" / "cat-1.png"
    for limit in ("HASHED_FILES", "HASHED_BYTES"):
        with monkeypatch.context() as patch:
            patch.setattr(fingerprint, limit, 7)
            before, content = opened(tmp_path), path.read_bytes()
            assert {row[3] for row in before["training"] + before["validation"]} == {None}
            path.write_bytes(content[:-1] + b"x")
            assert fingerprint.difference(before, opened(tmp_path)) is None
            path.write_bytes(content + b"x")
            assert fingerprint.difference(before, opened(tmp_path)) == "validation pictures: 1 changed (cat/cat-1.png)"
            path.write_bytes(content)


def test_drawn_pictures_and_what_is_no_file_have_no_size(tmp_path):
    held = fingerprint.of_sets(open_synthetic("train").first_rows(3), open_synthetic("val").first_rows(2))
    assert [row[1:] for row in held["training"]] == [[0, None, None], [1, None, None], [2, None, None]]
    two_splits(tmp_path, cat=2, dog=1)
    pictures = open_set(str(tmp_path), "train")
    os.unlink(tmp_path / "train" / "cat" / "cat-0.png")
    os.mkfifo(tmp_path / "train" / "cat" / "cat-0.png")  # it would be waited for
    os.unlink(tmp_path / "train" / "cat" / "cat-1.png")
    held = fingerprint.of_sets(pictures, open_set(str(tmp_path), "val"))
    assert [row[2:] for row in held["training"][:2]] == [[None, None], [None, None]]


def rows(*named):
    return [[name, label, 5, None] for name, label in named]


@pytest.mark.parametrize("change, said", [
    ({"classes": [[None, "dog"], [None, "cat"]]}, "the classes have another order"),
    ({"classes": [[None, "cat"], ["n1", "dog"]]}, "classes: 1 missing (dog); classes: 1 new (n1 dog)"),
    ({"training": rows(("a", 0), ("b", 0), ("c", 1))}, "training pictures: 1 of another class (b)"),
    ({"training": rows(("b", 1), ("a", 0), ("c", 1))}, "training pictures: in another order"),
    ({"training": rows(("a", 0), ("x", 1)), "validation": []},
     "training pictures: 2 missing (b), 1 new (x); validation pictures: 1 missing (v)")])
def test_what_changed_is_said_with_an_example(change, said):
    then = {"classes": [[None, "cat"], [None, "dog"]], "training": rows(("a", 0), ("b", 1), ("c", 1)),
            "validation": rows(("v", 0))}
    assert fingerprint.difference(then, then | change) == said


# ---------------------------------------------------------------- classes

def refused(root, **settings):
    with pytest.raises(InputError) as caught:
        open_data(Settings(data=str(root), **settings))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_one_class_is_not_trained_on(tmp_path):
    assert "has one class only, 'cat'" in refused(two_splits(tmp_path, cat=3))
    assert open_set(str(tmp_path), "val").categories == [Category(None, "cat")]  # but may be judged on
    write_picture(str(tmp_path / "val" / "dog" / "0.png"), 0)
    assert "3 pictures of one class alone" in refused(tmp_path)
    write_picture(str(tmp_path / "train" / "dog" / "0.png"), 0)
    assert "1 picture of one class alone" in refused(tmp_path, rows=1)
    assert [len(pictures) for pictures in open_data(Settings(data=str(tmp_path)))] == [4, 4]


@pytest.mark.parametrize("names", [("Train", "Val"), ("training", "validation"), ("Testing", "cat"), ("cat", "TEST"),
                                   ("Valid", "dog", "cat")])
def test_parts_of_a_data_set_are_not_taken_for_classes(tmp_path, names):
    parts = [name for name in sorted(names) if name not in ("cat", "dog")]
    undivided = class_folders(tmp_path / "undivided", dict.fromkeys(names, 30))
    divided = two_splits(tmp_path / "divided", **dict.fromkeys(names, 2))
    for root in (undivided, divided) if "cat" in names else (divided,):  # splits alone are splits
        assert f"{root}: {' and '.join(map(repr, parts))} would be taken" in refused(root)


@pytest.mark.parametrize("train, val", [("training", "validation"), ("train", "valid"), ("Train", "Test"), ("TRAIN", "Val"), ("Training", "testing")])
@pytest.mark.parametrize("wrapped", ["", "dataset"])
def test_splits_are_known_by_what_people_call_them(tmp_path, capsys, train, val, wrapped):
    root = tmp_path / wrapped
    for part, count in ((train, 4), (val, 2)):
        class_folders(root / part, {"cat": count, "dog": count})
    for name in ("__MACOSX", ".ipynb_checkpoints", "annotations"):
        (tmp_path / name).mkdir()
    (tmp_path / "annotations" / "0.xml").write_text("")
    if wrapped:
        (tmp_path / "annotations" / "0.xml").unlink()
        (tmp_path / "annotations").rmdir()
    assert [len(pictures) for pictures in open_data(Settings(data=str(tmp_path)))] == [8, 4]
    assert [label for _, label in open_set(str(tmp_path), "val").categories] == ["cat", "dog"]
    assert (f"{tmp_path}: the data set is the folder dataset within it" in capsys.readouterr().out) == bool(wrapped)


def test_a_folder_without_pictures_is_no_class(tmp_path):
    class_folders(tmp_path, {"cat": 30, "dog": 30})
    for name in ("annotations", "__MACOSX"):
        (tmp_path / name).mkdir()
    (tmp_path / "annotations" / "0.xml").write_text("<annotation/>")
    class_folders(tmp_path / "__MACOSX", {"cat": 3})
    assert [label for _, label in open_set(str(tmp_path), "train").categories] == ["cat", "dog"]


def test_two_folders_for_one_split_are_refused(tmp_path):
    for part in ("train", "val", "Valid"):
        class_folders(tmp_path / part, {"cat": 2, "dog": 2})
    assert "Valid and val are both folders for the split 'val': keep one" in refused(tmp_path)


def test_among_other_classes_a_train_is_a_vehicle(tmp_path):
    two_splits(tmp_path, bus=2, train=2)
    assert [label for _, label in open_data(Settings(data=str(tmp_path)))[0].categories] == ["bus", "train"]
    assert "'train' would be taken" in refused(two_splits(tmp_path / "nested", train=2))


def test_a_class_whose_name_is_not_utf_8_is_one_line(tmp_path):
    two_splits(tmp_path, cat=1, dog=1)
    os.rename(os.fsencode(tmp_path) + b"/train/dog", os.fsencode(tmp_path) + b"/train/caf\xe9")
    assert r"the class 'caf\udce9' has a name that is not UTF-8" in refused(tmp_path)


def test_a_picture_whose_name_is_not_utf_8_is_remembered(tmp_path):
    two_splits(tmp_path, cat=1, dog=1)
    os.rename(tmp_path / "train" / "dog" / "dog-0.png", os.fsencode(tmp_path) + b"/train/dog/caf\xe9.png")
    assert opened(tmp_path)["training"][1][0] == "dog/caf\udce9.png"


def test_labels_tell_the_same_names_apart():
    one, other = (PictureSet("some", [Category(None, "a"), Category(None, "b")], np.array(labels, np.int32), ["x", "y"],
                             draw=lambda row, epoch: None) for labels in ([0, 1], [1, 0]))
    assert fingerprint.difference(fingerprint.of_sets(one, one), fingerprint.of_sets(other, one)) == (
        "training pictures: 2 of another class (x)")
