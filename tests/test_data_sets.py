"""Picture sets on disk are recognised by looking, and what is wrong with them is said in one line."""

import os
import shutil
from dataclasses import replace

import numpy as np
import pytest

from cam_base import Category, InputError
from cam_data import PictureSet, open_set, walk_pictures
from cam_data.walking import pictures_below

from small_sets import WORDS, class_folders, tiny_imagenet, write_picture


def rows(pictures):
    """{(file name, label)} of all rows."""
    return {(os.path.basename(file), int(label)) for file, label in zip(pictures.files, pictures.labels)}


def refused(root, split="train"):
    """The one line that says why."""
    with pytest.raises(InputError) as caught:
        open_set(str(root), split)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---------------------------------------------------------------- Tiny ImageNet's layout

def test_tiny_imagenet_has_its_classes_in_the_order_of_wnids_txt(tmp_path):
    for split in ("train", "val"):
        pictures = open_set(tiny_imagenet(tmp_path / split), split)
        assert pictures.categories == [Category(wnid, WORDS[wnid]) for wnid in sorted(WORDS, reverse=True)]


def test_tiny_imagenet_reads_rows_and_half_open_boxes(tmp_path):
    root = tiny_imagenet(tmp_path / "tiny")
    train, val = open_set(root, "train"), open_set(root, "val")
    assert (train.name, len(train), val.name, len(val)) == ("tiny/train", 9, "tiny/val", 6)
    assert train.labels.dtype == np.int32 and train.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert rows(val) == {(f"val_{number}.JPEG", number % 3) for number in range(6)}
    assert all(os.path.isfile(file) for file in train.files + val.files)
    # Inclusive 2, 1, 12, 12 of the file.
    np.testing.assert_array_equal(train.boxes[5], [[2, 1, 13, 13]])
    for label, box in zip(val.labels, val.boxes):
        np.testing.assert_array_equal(box, [[0, 0, label + 1, 16]])
        assert box.dtype == np.int32


def test_tiny_imagenet_does_without_words_and_without_a_class(tmp_path):
    root = tmp_path / "tiny"
    tiny_imagenet(root)
    (root / "words.txt").unlink()
    (root / "wnids.txt").write_text("n02124075\r\n\r\nn01443537\r\n")  # as Windows writes lines
    pictures = open_set(str(root), "val")
    assert pictures.categories == [Category("n02124075", "n02124075"), Category("n01443537", "n01443537")]
    assert len(pictures) == 4 and sorted(pictures.labels) == [0, 0, 1, 1]


@pytest.mark.parametrize("line, what", [
    ("x.JPEG\tn02124075\t0\t0\t5", "not 6 columns"),
    ("x.JPEG\tn02124075\t0\t0\t5\t5\t5", "not 6 columns"),
    ("x.JPEG n02124075 0 0 5 5", "not 6 columns"),
    ("x.JPEG\tn02124075\t0\t0\t5\tfive", "not 6 columns"),
    ("x.JPEG\tn02124075\t0\t0\t5\t-5", "not 6 columns"),
    ("x.JPEG\tn02124075\t0\t0\t5\t5.0", "not 6 columns"),
    ("x.JPEG\tn02124075\t0\t0\t5\t99999999999", "not 6 columns"),
    ("x.JPEG\tn02124075\t6\t0\t5\t5", "the box 6, 0, 5, 5 ends before it begins"),
    ("../x.JPEG\tn02124075\t0\t0\t5\t5", "'../x.JPEG' is not a plain file name"),
    ("/etc/passwd\tn02124075\t0\t0\t5\t5", "is not a plain file name"),
    ("..\tn02124075\t0\t0\t5\t5", "'..' is not a plain file name"),
    ("\tn02124075\t0\t0\t5\t5", "'' is not a plain file name")])
def test_a_malformed_annotation_is_named_with_file_and_line(tmp_path, line, what):
    root = tmp_path / "tiny"
    tiny_imagenet(root)
    path = root / "val" / "val_annotations.txt"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:2], "", line, *lines[2:]]))  # a blank line counts
    message = refused(root, "val")
    assert message.startswith(f"{path}, line 4: ") and what in message
    assert len(open_set(str(root), "train")) == 9


@pytest.mark.parametrize("name, what", [("../../secret", "is not a plain file name"), ("..", "is not a plain"),
                                        ("n02124075", "n02124075 stands there twice, the first time in line 2")])
def test_wnids_lead_nowhere_else_and_stand_once(tmp_path, name, what):
    root = tmp_path / "tiny"
    tiny_imagenet(root)
    with open(root / "wnids.txt", "a") as file:
        file.write(name + "\n")
    message = refused(root)
    assert message.startswith(f"{root / 'wnids.txt'}, line 4: ") and what in message


@pytest.mark.parametrize("line, what", [
    ("val_1.JPEG\tn02124075\t0\t0\t1\t14", "says something else of val_1.JPEG than line 3"),
    ("val_1.JPEG\tn07920052\t0\t0\t1\t15", "says something else of val_1.JPEG than line 3"),
    ("x.JPEG\tn02124075\t64\t0\t70\t5", "the box 64, 0, 70, 5 lies outside of the 64 x 64 pixels"),
    ("x.JPEG\tn02124075\t-9\t-9\t1\t1", None), ("val_1.JPEG\tn02124075\t0\t0\t1\t15", None),
    ("val_1.JPEG\tn02124075\t20\t0\t90\t15", "says something else")])
def test_rows_that_contradict_each_other_or_the_picture_are_named(tmp_path, line, what):
    root = tmp_path / "tiny"
    tiny_imagenet(root)
    path = root / "val" / "val_annotations.txt"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, line]))
    if what:
        message = refused(root, "val")
        assert message.startswith(f"{path}, line 7: ") and what in message
    else:
        assert len(open_set(str(root), "val")) == (7 if line.startswith("x") else 6)


def test_tiny_imagenets_boxes_are_cut_at_the_picture_and_counted(tmp_path):
    root = tmp_path / "tiny"
    tiny_imagenet(root)
    path = root / "val" / "val_annotations.txt"
    wnid = path.read_text().split("\t")[1]
    write_picture(str(root / "val" / "images" / "wide.JPEG"), 0, (100, 64))
    path.write_text(f"gone.JPEG\t{wnid}\t-2\t60\t9\t64\nwide.JPEG\t{wnid}\t60\t0\t90\t9\n"
                    f"val_0.JPEG\t{wnid}\t5\t0\t64\t3\n")
    pictures = open_set(str(root), "val")
    assert [boxes.tolist() for boxes in pictures.boxes] == [[[0, 60, 10, 64]], [[60, 0, 91, 10]], [[5, 0, 20, 4]]]
    assert pictures.clipped.tolist() == [1, 0, 1]
    path.write_text(f"val_0.JPEG\t{wnid}\t20\t0\t64\t3\n")  # of a picture of 20 x 16
    assert "val_annotations.txt, line 1: the box 20, 0, 64, 3 lies outside of the 20 x 16 pixels" in refused(root, "val")


def test_other_words_for_a_wnid_are_refused(tmp_path):
    root = tmp_path / "tiny"
    tiny_imagenet(root)
    with open(root / "words.txt", "a") as file:
        file.write("n02124075\tEgyptian cat\n")
    open_set(str(root), "val")
    with open(root / "words.txt", "a") as file:
        file.write("n02124075\tSiamese cat\n")
    assert "words.txt, line 6: gives n02124075 other words than line 3" in refused(root, "val")


def test_a_picture_of_another_size_than_the_data_say_is_found_out():
    boxes = [np.array([[0, 0, 20, 10]]), np.array([[3, 3, 5, 5], [1, 1, 10, 21]])]
    without = PictureSet("pictures", [Category(None, "a")], np.zeros(2, np.int32), ["a.png", "b.png"], boxes)
    said = replace(without, sizes=np.array([[10, 20], [21, 10]]))
    for pictures in (without, said, replace(without, boxes=None)):
        pictures.check_size(0, (10, 20))
        pictures.check_size(np.int64(1), np.array([21, 10]))
    with pytest.raises(InputError, match="b.png: has 21 x 10 pixels, and the data set says 10 x 21"):
        said.check_size(1, (10, 21))
    with pytest.raises(InputError, match=r"b.png: has 21 x 10 pixels, and its true box \[1, 1, 10, 21\]"):
        without.check_size(1, (10, 21))
    said.rows([1]).check_size(0, (21, 10))


def test_missing_annotations_are_named(tmp_path):
    root = tmp_path / "tiny"
    tiny_imagenet(root)
    path = root / "val" / "val_annotations.txt"
    path.unlink()
    assert refused(root, "val") == f"{path}: No such file or directory (Tiny ImageNet's layout has it)"
    path.write_bytes(b"\xff\xfe\x00")
    assert "is not a text file in UTF-8" in refused(root, "val")
    path.write_text("")
    assert "lists no picture for its split 'val'" in refused(root, "val")


# ---------------------------------------------------------------- folders of classes

@pytest.mark.parametrize("validation", ["val", "test"])
def test_split_folders_of_classes(tmp_path, validation):
    class_folders(tmp_path / "train", {"dog": 3, "cat": 2})
    class_folders(tmp_path / validation, {"dog": 1, "cat": 2}, ".JPG")
    (tmp_path / "train" / "cat" / "notes.txt").write_text("not a picture")
    (tmp_path / "train" / "cat" / "._cat-0.png").write_bytes(b"left behind by another system")
    os.makedirs(tmp_path / "train" / ".hidden")
    write_picture(str(tmp_path / "train" / "dog" / "more" / "deep.gif"), 0)
    train, val = open_set(str(tmp_path), "train"), open_set(str(tmp_path), "val")
    assert train.categories == val.categories == [Category(None, "cat"), Category(None, "dog")]
    assert rows(train) == {("cat-0.png", 0), ("cat-1.png", 0), ("dog-0.png", 1), ("dog-1.png", 1), ("dog-2.png", 1),
                           ("deep.gif", 1)}
    assert rows(val) == {("cat-0.JPG", 0), ("cat-1.JPG", 0), ("dog-0.JPG", 1)}
    assert train.boxes is None and train.labels.dtype == np.int32


def test_val_goes_before_test(tmp_path):
    class_folders(tmp_path / "val", {"cat": 1, "dog": 1})
    class_folders(tmp_path / "test", {"cat": 4, "dog": 4})
    assert len(open_set(str(tmp_path), "val")) == 2
    assert refused(tmp_path, "train") == f"{tmp_path} has no folder train for its split 'train'"


def test_a_class_that_a_split_lacks_does_not_shift_the_others(tmp_path):
    class_folders(tmp_path / "train", {"ant": 2, "bee": 2, "cat": 2})
    class_folders(tmp_path / "val", {"ant": 1, "cat": 1})
    train, val = open_set(str(tmp_path), "train"), open_set(str(tmp_path), "val")
    assert train.categories == val.categories and len(val.categories) == 3
    assert rows(val) == {("ant-0.png", 0), ("cat-0.png", 2)}


def test_folders_that_are_wnids_get_their_words(tmp_path):
    class_folders(tmp_path / "train", {"n02124075": 1, "n01443537": 1})
    (tmp_path / "words.txt").write_text("n02124075\tEgyptian cat\nno tab here\n")
    assert open_set(str(tmp_path), "train").categories == [
        Category("n01443537", "n01443537"), Category("n02124075", "Egyptian cat")]


def test_an_undivided_folder_holds_out_a_tenth(tmp_path):
    root = class_folders(tmp_path / "mine", {"cat": 150, "dog": 150})
    train, val = open_set(root, "train"), open_set(root, "val")
    assert len(train) + len(val) == 300 and 15 <= len(val) <= 45
    assert not set(train.files) & set(val.files)
    assert train.categories == val.categories
    assert all(os.path.basename(file).startswith(["cat", "dog"][label])
               for pictures in (train, val) for file, label in zip(pictures.files, pictures.labels))


def test_the_hold_out_does_not_change_when_pictures_and_classes_come_or_the_folder_moves(tmp_path):
    root = class_folders(tmp_path / "mine", {"cat": 60, "dog": 60})
    before = {split: {os.path.relpath(file, root) for file in open_set(root, split).files}
              for split in ("train", "val")}
    moved = str(shutil.move(root, tmp_path / "theirs"))
    class_folders(tmp_path / "theirs", {"ape": 40, "dog": 90})
    for split, files in before.items():
        assert files < {os.path.relpath(file, moved) for file in open_set(moved, split).files}


def test_too_few_pictures_to_hold_one_out_are_named_as_such(tmp_path):
    message = refused(class_folders(tmp_path, {"cat": 1, "dog": 1}), "val")
    assert message.startswith(f"{tmp_path}: none of its 2 pictures falls to the split 'val'")


def test_names_need_not_be_utf_8(tmp_path):
    root = class_folders(tmp_path / "mine", {"cat": 30})
    os.rename(f"{root}/cat/cat-3.png", os.fsencode(root) + b"/cat/caf\xe9.png")
    assert sum(len(open_set(root, split)) for split in ("train", "val")) == 30


def test_an_unknown_layout_says_what_was_looked_for(tmp_path):
    (tmp_path / "notes.txt").write_text("no pictures")
    write_picture(str(tmp_path / "loose.png"), 0)
    message = refused(tmp_path)
    for part in ("no known layout", "wnids.txt", "train/", "val/", "folder for each class", ".jpeg", ".png"):
        assert part in message
    os.makedirs(tmp_path / "train")  # but without a class
    assert "no known layout" in refused(tmp_path)


def test_what_is_no_folder_and_no_split(tmp_path):
    assert refused(tmp_path / "none") == f"{tmp_path}/none: no such folder"
    assert "no split is called 'dev'" in refused(tmp_path, "dev")


# ---------------------------------------------------------------- parts of a set

def some_set(counts):
    """Class k has counts[k] rows, mixed; the picture's file says its row."""
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts)).astype(np.int32)
    return PictureSet("some", [Category(None, str(k)) for k in range(len(counts))], labels,
                      [str(row) for row in range(len(labels))], [np.full((1, 4), row) for row in range(len(labels))],
                      lambda row, epoch: np.full((1, 1, 3), row + epoch))


def assert_rows_hold_together(part, whole):
    for row, file in enumerate(part.files):
        assert part.labels[row] == whole.labels[int(file)]
        assert part.boxes[row][0, 0] == int(file)
        assert part.draw(row, 3)[0, 0, 0] == int(file) + 3


def test_rows_keep_what_belongs_to_them_in_the_order_asked_for():
    whole = some_set([4, 5, 6])
    part = whole.rows([7, 2, 11]).rows([2, 0])
    assert part.files == ["11", "7"]
    assert_rows_hold_together(part, whole)


def test_first_classes_keep_their_numbers():
    whole = some_set([4, 5, 6])
    part = whole.first_classes(2)
    assert len(part) == 9 and set(part.labels) == {0, 1} and part.categories == whole.categories[:2]
    assert_rows_hold_together(part, whole)
    assert part.files == [file for file in whole.files if whole.labels[int(file)] < 2]


@pytest.mark.parametrize("count, expected", [(3, [1, 1, 1]), (9, [3, 3, 3]), (10, [4, 3, 3]), (2, [1, 1, 0]),
                                             (13, [4, 5, 4]), (15, [4, 5, 6])])
def test_first_rows_are_spread_over_the_classes_as_evenly_as_they_allow(count, expected):
    whole = some_set([4, 5, 6])
    part = whole.first_rows(count)
    assert np.bincount(part.labels, minlength=3).tolist() == expected
    assert_rows_hold_together(part, whole)
    assert len(part.categories) == 3


@pytest.mark.parametrize("ask, message", [
    (lambda s: s.first_classes(4), "some has 3 classes; asked for the first 4"),
    (lambda s: s.first_classes(1), "some has 3 classes; asked for the first 1"),
    (lambda s: s.first_rows(16), "some has 15 pictures; asked for 16"),
    (lambda s: s.first_rows(0), "some has 15 pictures; asked for 0")])
def test_more_than_there_is_is_refused(ask, message):
    with pytest.raises(InputError, match=message):
        ask(some_set([4, 5, 6]))


# ---------------------------------------------------------------- what is no file

def test_pipes_sockets_and_devices_are_no_pictures_and_broken_links_are(tmp_path):
    root = class_folders(tmp_path / "train", {"cat": 2, "dog": 2})
    os.mkfifo(f"{root}/cat/pipe.jpg")
    os.symlink("/dev/zero", f"{root}/cat/zero.png")
    os.symlink(f"{root}/cat/pipe.jpg", f"{root}/dog/link.jpg")
    os.symlink(f"{root}/dog/nothing.jpg", f"{root}/dog/gone.jpg")  # its reader says that there is no such file
    os.symlink(f"{root}/cat/cat-0.png", f"{root}/dog/linked.png")
    names = ["cat-0.png", "cat-1.png", "dog-0.png", "dog-1.png", "gone.jpg", "linked.png"]
    assert [os.path.basename(file) for file in open_set(str(tmp_path), "train").files] == names
    assert sorted(os.path.basename(file) for file in pictures_below(root).values()) == names
    assert [(os.path.basename(path), found) for path, found in walk_pictures(root)] \
        == [("train", []), ("cat", names[:2]), ("dog", names[2:])]
