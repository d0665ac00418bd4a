"""Lists of pictures: file,label, with boxes and splits or without."""

import csv
import unicodedata

import numpy as np
import pytest
from PIL import Image

from cam_base import InputError
from cam_data import open_set
from cam_data.layouts import is_held_out

from coloured import colour_weights, evaluate, paint
from small_sets import class_folders
from test_data_boxes import voc_folder


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
    ("file,label\n/etc/passwd,cat\n", "not a file below"), ("file,label\nC:\\pictures\\a.png,cat\n", "not a file below"), ("file,label\na.png,cat\na.png,dog\n", "line 3: a.png has another label than before: several labels of a picture are not supported"),
    ("file,label\na.png,\n", "no label"), ("file,label,x0,y0,x1,y1\na.png,cat,5,5,5,9\n", "is empty"),
    ("file,label,x0,y0,x1,y1\na.png,cat,a,5,5,9\n", "are no box"), ("file,label,x0,y0,x1,y1\na.png,cat,nan,5,5,9\n", "are no box"),
    ("file,label,split\na.png,cat,whatever\n", "of the split 'whatever'"), ("file,label,x0,y0,x1,y1,split\n00.png,cat,90,90,99,99,train\n", "lies outside of its 40 x 30"),
    ("file," + "a" * 4085 + ",labels\na.png,b,cat\n", "must name the columns file and label"), ("file,breed\na.png,cat\n", "must name the columns file and label; it names file, breed"),
    ("file,label,xmin,ymin,xmax,ymax\na.png,cat,0.1,0.2,0.5,1\n", "its boxes are fractions of the pictures' sides"),
    ("file,label,x0,y0,x1,y1\na.png,cat,-0.0002,0.2,0.5,1.0004\na.png,cat,0,0,1,1\n", "its boxes are fractions of the pictures' sides"),
    ("file,label,x,y,width,height\na.png,cat,10,10,5,5\na.png,dog, , ,,\n", "line 3: a.png has no box"),
    ("file,label,bbox\na.png,cat,1 2 3\n", "1 2 3 are no box"), ("file,label,x,y,w,h\na.png,cat,1,2,0,4\n", "is empty"),
    ("file,label,x0,y0,x1,y1,width,height\na.png,cat,1,2,3,4,a,5\n", "a x 5 is no picture's size"),
    ("file,label,split\na.png,cat,train\na.png,cat,val\n", "line 3: a.png is of another split"), ("name,class\na.png,cat\n", "must name the columns file and label")])
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


@pytest.mark.parametrize("head, cells", [
    ("file,label,x0,y0,x1,y1", "1,2,10,20"), ("file,label,xmin,ymin,xmax,ymax", "1,2,10,20"), ("file,label,x1,y1,x2,y2", "1,2,10,20"),
    ("filename,width,height,class,XMin,XMax,YMin,YMax", None), ("image_path,class_name,left,top,right,bottom", "1,2,10,20"),
    ("file,label,x,y,w,h", "1,2,9,18"), ("file,label,x1,y1,w,h", "1,2,9,18"), ("file,label,x,y,width,height", "1,2,9,18"),
    ("Image Index,Finding Label,Bbox [x,y,w,h]", "1,2,9,18"), ("image_id,category,bbox", '"[1.0, 2.0, 9.0, 18.0]"'),
    ("Filename;ClassId;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2", "1;2;10;20"), ("file\tlabel\tbbox_x1\tbbox_y1\tbbox_x2\tbbox_y2", "1\t2\t10\t20"),
    ("file, label, bbox_left, bbox_top, bbox_width, bbox_height", "1, 2, 9, 18")])
def test_boxes_by_every_name_that_their_columns_are_known_by(tmp_path, capsys, head, cells):
    pictures(tmp_path / "set", 1)
    between = next(one for one in ";\t," if one in head)
    row = between.join(["00.png", "cat", cells]) if cells else "00.png,40,30,cat,1,10,2,20"
    (tmp_path / "set" / "boxes.csv").write_text(f"{head}\n{row}\n")
    found = open_set(str(tmp_path / "set"), "train")
    assert [box.tolist() for box in found.boxes] == [[[1, 2, 10, 20]]] and found.ids == ["00.png"] and found.categories[0].label == "cat"
    assert "not read" not in capsys.readouterr().out


# As x, y, width and height, 24 + 36 is beyond 40, as corners all fit.
CORNERS = [[24, 2, 36, 20], [3, 14, 12, 28], [22, 16, 39, 30], [1, 2, 3, 4]]


@pytest.mark.parametrize("head", ["file,label,bbox", "file,label,x,y,width,height"])
def test_corners_in_columns_of_width_and_height_are_refused(tmp_path, head):
    pictures(tmp_path / "set", len(CORNERS))
    rows = [(f"{number:02}.png", "cat", *([str(box)] if head.endswith("bbox") else box), "train") for number, box in enumerate(CORNERS)]
    with open(tmp_path / "set" / "boxes.csv", "w", newline="") as file:
        csv.writer(file).writerows([[*head.split(","), "split"], *rows])
    with pytest.raises(InputError, match="of 4 boxes, read as x, y, width and height, 3 stick out of their pictures, and read as the corners"):
        open_set(str(tmp_path / "set"), "train")


# Corners in percent of the sides: the whole picture and three parts of it.
PERCENT = [[12.5, 20, 62.5, 70], [0, 0, 100, 100], [40, 5, 97.5, 55], [3, 61, 30, 99.9]]


def list_of_boxes(folder, boxes, size):
    """A list with a picture of size (width, height) for each box, all of the split train."""
    folder.mkdir()
    for number in range(len(boxes)):
        Image.new("RGB", size).save(folder / f"{number}.png")
    rows = "".join(f"{number}.png,cat,train,{','.join(map(str, box))}\n" for number, box in enumerate(boxes))
    (folder / "boxes.csv").write_text(f"file,label,split,x0,y0,x1,y1\n{rows}")
    return str(folder)


def test_boxes_in_percent_are_refused(tmp_path):
    with pytest.raises(InputError, match="its 4 boxes all lie within 0 to 100, and reach x = 100 and y = 100, though 4 of them are of pictures "
                                         "with sides of 240 pixels and more: they are taken for percent of the sides: write them in pixels$"):
        open_set(list_of_boxes(tmp_path / "set", PERCENT, (320, 240)), "train")


@pytest.mark.parametrize("boxes, size", [
    (PERCENT, (100, 100)), (PERCENT, (140, 120)),  # where pixels reach as far
    (PERCENT[:3], (320, 240)),  # too few to tell
    ([*PERCENT, [150, 100, 200, 160]], (320, 240)),  # one that percent cannot be
    ([[10, 10, 40, 30], [5, 60, 25, 80], [50, 2, 70, 45], [33, 33, 60, 60]], (320, 240)),  # small, and far from 100
    ([[10, 10, 100, 30], [5, 20, 25, 30], [50, 2, 70, 45], [33, 33, 60, 60]], (320, 240))])  # near 100 in one direction
def test_small_boxes_in_pixels_are_not_taken_for_percent(tmp_path, boxes, size):
    found = open_set(list_of_boxes(tmp_path / "set", boxes, size), "train")
    assert [box[0].tolist() for box in found.boxes] == [[*map(int, box[:2]), *(-int(-one // 1) for one in box[2:])] for box in boxes]


def test_boxes_of_width_and_height_that_stick_out_are_cut(tmp_path):
    """Most do, but as corners they are none: 30 is less than 35."""
    pictures(tmp_path / "set", 3)
    (tmp_path / "set" / "boxes.csv").write_text("file,label,split,x,y,w,h\n00.png,cat,train,35,2,30,20\n01.png,cat,train,36,2,12,20\n"
                                                "02.png,cat,train,1,2,3,4\n")
    found = open_set(str(tmp_path / "set"), "train")
    assert [box.tolist() for box in found.boxes] == [[[35, 2, 40, 22]], [[36, 2, 40, 22]], [[1, 2, 4, 6]]]


def test_other_columns_are_named_and_an_index_is_none(tmp_path, capsys):
    pictures(tmp_path / "set", 1)
    (tmp_path / "set" / "list.csv").write_text(",Unnamed: 0,file,label,x_center,y_centre\n0,0,00.png,cat,3,4\n")
    assert open_set(str(tmp_path / "set"), "train").boxes is None
    assert f"{tmp_path / 'set' / 'list.csv'}: columns that are not read: x_center, y_centre\n" == capsys.readouterr().out


def test_a_list_with_boxes_has_a_row_for_each_picture_and_class(tmp_path):
    pictures(tmp_path / "set", 2)
    (tmp_path / "set" / "list.csv").write_text("filename,class,xmin,ymin,xmax,ymax,split\n00.png,dog,1,2,3,4,val\n00.png,cat,5,6,7,8,val\n"
                                               "00.png,dog,0,0,40,30,val\n01.png,cat,0,0,1,1,val\n")
    found = open_set(str(tmp_path / "set"), "val")
    assert {name: (found.categories[label].label, box.tolist()) for name, label, box in zip(found.ids, found.labels, found.boxes)} == {
        "00#cat.png": ("cat", [[5, 6, 7, 8]]), "00#dog.png": ("dog", [[1, 2, 3, 4], [0, 0, 40, 30]]), "01.png": ("cat", [[0, 0, 1, 1]])}


@pytest.mark.parametrize("label, others, several", [
    ("Cardiomegaly|Effusion", [], True), ("cat;dog", ["cat", "dog"], True), ("cat, dog", ["Cat", "dog"], True),
    ("tabby, tabby cat", ["tabby"], False), ("cat;dog", ["cat"], False), ("hot dog", ["hot", "dog"], False)])
def test_several_labels_of_a_picture_are_not_one_class(tmp_path, label, others, several):
    pictures(tmp_path / "set", 4)
    (tmp_path / "set" / "list.csv").write_text("file,label,split\n" + "".join(
        f'{number:02}.png,"{name}",train\n' for number, name in enumerate([*others, label])))
    if several:
        with pytest.raises(InputError, match=f"line {len(others) + 2}: .* are several labels, and a row has one: several labels of a picture are not supported"):
            open_set(str(tmp_path / "set"), "train")
    else:
        assert [name for _, name in open_set(str(tmp_path / "set"), "train").categories] == sorted([*others, label])


@pytest.mark.parametrize("place", ["", "train_images", "images"])
@pytest.mark.parametrize("listed, file", [("p1", "p1.jpg"), ("P1.JPG", "p1.jpg"), (unicodedata.normalize("NFC", "Müller 1.jpg"), unicodedata.normalize("NFD", "Müller 1.jpg"))])
def test_pictures_are_found_without_their_ending_in_other_case_and_form(tmp_path, place, listed, file):
    folder = tmp_path / "set" / place
    folder.mkdir(parents=True)
    (tmp_path / "set" / "test_images").mkdir()
    for where in (folder, tmp_path / "set" / "test_images"):
        Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(where / file)
    (tmp_path / "set" / "train.csv").write_text(f"image_id,label\n{listed},cat\n")
    found = open_set(str(tmp_path / "set" / "train.csv"), "train" if not is_held_out(listed) else "val")
    assert found.files == [str(folder / file)] and found.ids == [listed]


@pytest.mark.parametrize("encoding, message", [
    ("utf-16", "must name the columns file and label, in UTF-8"), ("cp1252", "not a list in UTF-8 that can be read")])
def test_a_list_in_another_encoding_is_said_to_be(tmp_path, encoding, message):
    pictures(tmp_path / "set", 1)
    (tmp_path / "set" / "list.csv").write_text("file;label\n00.png;K\xe4fer\n", encoding=encoding)
    with pytest.raises(InputError, match=message):
        open_set(str(tmp_path / "set" / "list.csv"), "train")


def test_a_picture_in_two_folders_and_one_in_none_are_named(tmp_path):
    for name in ("a", "b"):
        pictures(tmp_path / "set" / name, 1)
    (tmp_path / "set" / "list.csv").write_text("file,label,split\n00.png,cat,train\n")
    with pytest.raises(InputError, match="00.png is in a and in b: write its folder"):
        open_set(str(tmp_path / "set"), "train")
    (tmp_path / "set" / "list.csv").write_text("file,label,split\nx.png,cat,train\n")
    with pytest.raises(InputError, match="x.png: no such picture, nor any other of"):
        open_set(str(tmp_path / "set"), "train")


def test_a_list_by_other_names_goes_behind_folders_of_classes(tmp_path):
    class_folders(tmp_path / "set" / "train", {"cat": 2, "dog": 1})
    for name in ("birds", "more birds"):
        (tmp_path / "set" / f"{name}.csv").write_text("filepaths,labels\ntrain/cat/cat-0.png,bird\n")
    assert [label for _, label in open_set(str(tmp_path / "set"), "train").categories] == ["cat", "dog"]


def test_a_list_by_other_names_goes_behind_other_forms(tmp_path):
    root = voc_folder(tmp_path / "set")
    (root / "list.csv").write_text("filename,class\na.jpg,toad\n")
    assert [label for _, label in open_set(str(root), "val").categories] == ["bird", "cat", "dog"]


def test_an_evaluation_without_boxes_says_why_it_has_no_figure_of_localization(tmp_path, monkeypatch, capsys):
    for number in range(4):
        paint(str(tmp_path / "set" / f"{number}.png"), red=(4, 4, 40, 30))
    rows = "".join(f"{number}.png,red thing,{{}},val\n" for number in range(4))
    weights = colour_weights(monkeypatch, tmp_path)
    for columns, cells, judged in (("xcentre,ycentre", "9,9", False), ("xmin,ymin,xmax,ymax", "4,4,40,30", True)):
        (tmp_path / "set" / "list.csv").write_text(f"file,label,{columns},split\n" + rows.format(*[cells] * 4))
        found = evaluate(tmp_path / "out", "--data", tmp_path / "set", "--weights", weights)
        assert (found.get("gt_known_localization") == 1) == judged
        said = capsys.readouterr().out
        assert ("no figure of localization: set/val has no boxes and no masks that are read" in said) != judged
        assert ("columns that are not read: xcentre, ycentre" in said) != judged
    (tmp_path / "set" / "list.csv").rename(tmp_path / "set" / "boxes.csv")
    for name in ("red thing", "green thing"):
        paint(str(tmp_path / "set" / "val" / name / "0.png"), red=(4, 4, 40, 30))
    (tmp_path / "set" / "boxes.csv").write_text("image,class,xmin,ymin,xmax,ymax\n0.png,red thing,4,4,40,30\n")
    evaluate(tmp_path / "out", "--data", tmp_path / "set", "--weights", weights)
    assert "says how they may be given; boxes.csv has boxes: name it by --data\n" in capsys.readouterr().out
