"""Lists of pictures: file,label, with boxes and splits or without."""

import numpy as np
import pytest
from PIL import Image

from cam_base import InputError
from cam_data import open_set

from small_sets import class_folders


def pictures(folder, count=40):
    folder.mkdir(parents=True)
    for number in range(count):
        Image.fromarray(np.full((30, 40, 3), number, np.uint8)).save(folder / f"{number:02}.png")


@pytest.mark.parametrize("place", ["", "images", "deep/er"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_a_list_of_labels(tmp_path, place, bom):
    pictures(tmp_path / "set" / place)
    prefix = "deep\\er\\" if place.startswith("deep") else ""  # as Windows writes it
    rows = "".join(f"{prefix}{number:02}.png,{'cat' if number % 2 else 'dog'}\r\n" for number in range(40))
    (tmp_path / "set" / "labels.csv").write_bytes((bom + "file,label\r\n" + rows).encode())
    parts = {split: open_set(str(tmp_path / "set"), split) for split in ("train", "val")}
    assert sum(map(len, parts.values())) == 40 and len(parts["train"]) > 25 and len(parts["val"]) > 0
    for part in parts.values():
        assert [label for _, label in part.categories] == ["cat", "dog"]
        for file, label, name in zip(part.files, part.labels, part.ids):
            assert Image.open(file).size == (40, 30) and int(file[-6:-4]) % 2 == 1 - label and name.endswith(file[-6:])
    again = open_set(str(tmp_path / "set" / "labels.csv"), "train")  # the file itself
    assert again.files == parts["train"].files


def test_boxes_and_splits(tmp_path):
    pictures(tmp_path / "set", 3)
    (tmp_path / "set" / "boxes.csv").write_text("file,label,x0,y0,x1,y1,split\n00.png,cat,1,2,10,20,train\n01.png,dog,0,0,40,30,Validation\n"
                                                "01.png,dog,-5,3,9,99,Validation\n02.png,cat,3.0,4.0,5,6,valid\n")
    val = open_set(str(tmp_path / "set"), "val")
    assert [box.tolist() for box in val.boxes] == [[[0, 0, 40, 30], [0, 3, 9, 30]], [[3, 4, 5, 6]]] and val.clipped.tolist() == [1, 0]
    assert [box.tolist() for box in open_set(str(tmp_path / "set"), "train").boxes] == [[[1, 2, 10, 20]]]


def test_decimals_of_a_box_are_rounded_outward(tmp_path):
    pictures(tmp_path / "set", 2)
    (tmp_path / "set" / "boxes.csv").write_text("file,label,x0,y0,x1,y1,split\n00.png,cat,1.5,2,10.25,20.0,train\n01.png,dog,0.2,0.2,0.9,0.9,train\n")
    part = open_set(str(tmp_path / "set"), "train")
    found = dict(zip(part.ids, (box.tolist() for box in part.boxes)))
    assert found == {"00.png": [[1, 2, 11, 20]], "01.png": [[0, 0, 1, 1]]}


@pytest.mark.parametrize("text, message", [
    ("file,label\n", "lists no pictures"), ("file,label\na.png\n", "line 2: has another number of columns"),
    ("file,label\na.png,cat,3\n", "line 2: has another number"), ("file,label\n../a.png,cat\n", "not a file below the list's folder"),
    ("file,label\n/etc/passwd,cat\n", "not a file below"), ("file,label\nC:\\pictures\\a.png,cat\n", "not a file below"), ("file,label\na.png,cat\na.png,dog\n", "line 3: a.png has no label, or another one"),
    ("file,label\na.png,\n", "no label"), ("file,label,x0,y0,x1,y1\na.png,cat,5,5,5,9\n", "is empty"),
    ("file,label,x0,y0,x1,y1\na.png,cat,a,5,5,9\n", "are no box"), ("file,label,x0,y0,x1,y1\na.png,cat,nan,5,5,9\n", "are no box"),
    ("file,label,split\na.png,cat,whatever\n", "of the split 'whatever'"), ("file,label,x0,y0,x1,y1,split\n00.png,cat,90,90,99,99,train\n", "lies outside of its 40 x 30"),
    ("file," + "a" * 4085 + ",labels\na.png,b,cat\n", "must name the columns file and label"), ("name,class\na.png,cat\n", "must name the columns file and label")])
def test_damaged_lists_are_one_line(tmp_path, text, message):
    pictures(tmp_path / "set", 1)
    (tmp_path / "set" / "list.csv").write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        open_set(str(tmp_path / "set" / "list.csv"), "train")
    assert "\n" not in str(caught.value)


def test_without_a_part_for_validation_that_for_testing_is_taken(tmp_path):
    pictures(tmp_path / "set", 3)
    (tmp_path / "set" / "list.csv").write_text("file,label,split\n00.png,cat,train\n01.png,dog,train\n02.png,cat,test\n")
    assert open_set(str(tmp_path / "set"), "val").ids == ["02.png"]


def test_a_table_of_something_else_is_no_list_and_no_crash(tmp_path):
    """With the line ends of old Macs, which Python's reader refuses."""
    class_folders(tmp_path / "set" / "train", {"cat": 2})
    (tmp_path / "set" / "notes.csv").write_bytes(b"file,label\rcat.jpg,cat\r")
    assert len(open_set(str(tmp_path / "set"), "train")) == 2


def test_two_lists_are_refused(tmp_path):
    pictures(tmp_path / "set", 1)
    for name in ("a", "b"):
        (tmp_path / "set" / f"{name}.csv").write_text("file,label\n00.png,cat\n")
    with pytest.raises(InputError, match="a.csv and b.csv are both lists of pictures"):
        open_set(str(tmp_path / "set"), "train")
