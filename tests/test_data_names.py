"""Names of classes that differ by case, blanks or the form of their letters alone are one class, which is said."""

import json
import unicodedata

import numpy as np
import pytest

from cam_base import Category, InputError, match_classes
from cam_data import open_set
from cam_training import uneven_classes

from small_sets import class_folders
from test_data_boxes import coco_contents, picture, voc

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "Café") for form in ("NFC", "NFD"))
ALIKE = [(DECOMPOSED, COMPOSED), ("Cat", "cat"), ("cat", "cat "), ("STRASSE", "Straße"), ("a  b", "A B")]


@pytest.mark.parametrize("first, second", ALIKE)
def test_folders_of_both_splits_are_one_class_called_as_that_of_training(tmp_path, capsys, first, second):
    class_folders(tmp_path / "train", {first: 3, "dog": 2})
    class_folders(tmp_path / "val", {second: 2, "dog": 1})
    train, val = (open_set(str(tmp_path), split) for split in ("train", "val"))
    assert train.categories == val.categories == sorted([Category(None, first), Category(None, "dog")], key=lambda category: category.label)
    mine = [label for _, label in train.categories].index(first)
    assert (train.labels == mine).sum() == 3 and (val.labels == mine).sum() == 2
    assert capsys.readouterr().out.count("are taken for one class") == 1


@pytest.mark.parametrize("first, second", ALIKE)
def test_folders_of_an_undivided_set_and_labels_of_a_list_are_one_class(tmp_path, capsys, first, second):
    class_folders(tmp_path / "folders", {first: 20, second: 20, "dog": 20})
    picture(tmp_path / "list" / "a.png")
    (tmp_path / "list" / "list.csv").write_text("file,label,split\n" + "".join(
        f"a.png,{label},train\n" for label in (first, second)) + "b.png,dog,train\n", encoding="utf-8")
    for root in ("folders", "list"):
        assert sorted(label for _, label in open_set(str(tmp_path / root), "train").categories) == sorted([min(first, second), "dog"])
        assert f"{min(first, second)!r} and {max(first, second)!r} are taken for one class" in capsys.readouterr().out


def test_classes_of_annotations_are_one_class(tmp_path):
    picture(tmp_path / "voc" / "JPEGImages" / "a.jpg")
    (tmp_path / "voc" / "Annotations").mkdir()
    (tmp_path / "voc" / "Annotations" / "a.xml").write_text(voc([("Dog", 1, 1, 4, 4), ("dog", 5, 5, 9, 9)]))
    (tmp_path / "voc" / "ImageSets" / "Main").mkdir(parents=True)
    (tmp_path / "voc" / "ImageSets" / "Main" / "val.txt").write_text("a\n")
    found = open_set(str(tmp_path / "voc"), "val")
    assert found.categories == [Category(None, "Dog")] and [box.tolist() for box in found.boxes] == [[[0, 0, 4, 4], [4, 4, 9, 9]]]
    for name in "ab":
        picture(tmp_path / "coco" / "images" / f"{name}.jpg")
    contents = coco_contents() | {"categories": [
        {"id": 18, "name": "dog"}, {"id": 1, "name": "Zebra"}, {"id": 5, "name": "zebra"}, {"id": 3, "name": "DOG"}]}
    contents["annotations"][2]["category_id"] = 3
    (tmp_path / "coco" / "val.json").write_text(json.dumps(contents))
    found = open_set(str(tmp_path / "coco"), "val")
    assert [label for _, label in found.categories] == ["Zebra", "DOG"]  # in the order of their ids
    assert {name: (int(label), len(boxes)) for name, label, boxes in zip(found.ids, found.labels, found.boxes)} == {
        "a#DOG.jpg": (1, 2), "a#Zebra.jpg": (0, 1), "b.jpg": (0, 1)}


@pytest.mark.parametrize("first, second", ALIKE)
def test_classes_of_weights_and_data_are_matched_alike(first, second):
    first, second = Category(None, first), Category(None, second)
    assert match_classes([Category(None, "dog"), first], [second, Category(None, "Dog ")]).tolist() == [1, 0]
    assert match_classes([first, second], [second]).tolist() == [1]  # the very same goes first


def test_classes_without_training_pictures_and_unbalanced_ones_are_named(tmp_path):
    class_folders(tmp_path / "train", {"cat": 3, "dog": 30})
    class_folders(tmp_path / "val", {"cat": 1, "eel": 2})
    train = open_set(str(tmp_path), "train")
    without, unbalanced = uneven_classes(train, False)
    assert without == "1 class without a training picture, of which nothing can be learnt: 'eel'"
    assert "from 3 pictures of 'cat' to 30 of 'dog', and no weights are applied" in unbalanced and "--class-weights balanced" in unbalanced
    assert uneven_classes(train, True) == [without]
    assert uneven_classes(train.rows(np.arange(20)).first_classes(2), False) == []


def test_folds_and_folders_of_pictures_are_no_classes(tmp_path):
    for names in (["fold0", "fold1", "fold2"], ["Split_1", "Split_2"], ["HAM10000_images_part_1", "HAM10000_images_part_2"]):
        root = tmp_path / names[0]
        for name in names:
            class_folders(root / name, {"cat": 2, "dog": 2})
        with pytest.raises(InputError, match=f"{names[0]!r} and {names[1]!r}.* would be taken for names of classes, and look like parts"):
            open_set(str(root), "train")
    for names in (["images"], ["images", "masks"], ["train_images", "test_images"], ["JPEGImages", "labels"]):
        root = class_folders(tmp_path / "-".join(names), dict.fromkeys(names, 20))
        with pytest.raises(InputError, match="would be taken for the name of a class"):
            open_set(root, "train")
    for names in (["mask", "no_mask"], ["fold0", "flat"], ["1", "2"], ["part", "whole"]):
        assert len(open_set(class_folders(tmp_path / "good" / names[0], dict.fromkeys(names, 20)), "train").categories) == 2
