"""Masks among the pictures are none of them; lists in forms that are not read are named where nothing else says what pictures are of."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from cam_base import InputError
from cam_data import open_set

from small_sets import class_folders


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(path)


@pytest.mark.parametrize("file, mask", [
    ("{0}.jpg", "{0}_mask.png"), ("{0}.png", "{0}_mask.png"), ("benign ({0}).png", "benign ({0})_mask_1.png"),
    ("{0}.tif", "{0}_Segmentation.png"), ("{0}.jpg", "{0}.mask.0.png"), ("{0}.jpg", "{0}-gt.bmp"), ("images/{0}.png", "masks/{0}.png"), ("{0}.jpg", "masks/{0}_mask.png")])
def test_masks_beside_their_pictures_are_no_pictures(tmp_path, capsys, file, mask):
    for split, count in (("train", 3), ("val", 2)):
        for name in ("cat", "dog"):
            for number in range(count):
                for path in (file, mask):
                    picture(tmp_path / split / name / path.format(number))
    train, val = (open_set(str(tmp_path), split) for split in ("train", "val"))
    assert train.ids == [f"{name}/{file.format(number)}" for name in ("cat", "dog") for number in range(3)] and len(val) == 4
    assert f"{tmp_path / 'train'}: left out 6 masks beside the pictures, such as cat/{mask.format(0)}\n" in capsys.readouterr().out


@pytest.mark.parametrize("names", [
    ["a_mask.png", "b_mask.png"], ["a.png", "b_mask.png"], ["mask/a.png", "b.png"], ["masks.png", "_mask.png"]])
def test_what_is_called_like_a_mask_and_is_of_no_picture_is_one(tmp_path, names):
    for name in ("cat", "masks"):
        for path in names:
            picture(tmp_path / "train" / name / path)
    found = open_set(str(tmp_path), "train")
    assert len(found) == 4 and [label for _, label in found.categories] == ["cat", "masks"]


def refused(root, split="train"):
    with pytest.raises(InputError) as caught:
        open_set(str(root), split)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("pictures, labels", [
    ("images/train", "labels/train"), ("train/images", "train/labels"), ("images", "labels"), ("", ""), ("images", "")])
def test_text_files_of_yolo_are_named(tmp_path, pictures, labels):
    for number in range(20):
        picture(tmp_path / pictures / f"{number}.jpg")
        path = tmp_path / labels / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{number % 2} 0.5 0.5 0.25 0.125\n1 0 0.5 .25 1e-3\n")
    (tmp_path / "data.yaml").write_text("names: [cat, dog]\n")
    file = os.path.join(labels, "0.txt")
    assert f"; {file} is YOLO's, whose text files are not read: export COCO or Pascal VOC" in refused(tmp_path)


def test_other_lists_are_named(tmp_path):
    for number in range(3):
        picture(tmp_path / "labelme" / f"{number}.jpg")
        (tmp_path / "labelme" / f"{number}.json").write_text(json.dumps({"shapes": [], "imagePath": f"{number}.jpg"}))
        picture(tmp_path / "hf" / "train" / f"{number}.jpg")
        picture(tmp_path / "kaggle" / "images" / f"{number}.jpg")
    assert "0.json is LabelMe's, whose files are not read" in refused(tmp_path / "labelme")
    (tmp_path / "hf" / "train" / "metadata.csv").write_text("file_name,label\n0.jpg,cat\n")
    for split in ("train", "val"):
        assert "train/metadata.csv is a list: name it by --data" in refused(tmp_path / "hf", split)
    assert len(open_set(str(tmp_path / "hf" / "train" / "metadata.csv"), "train")) == 1
    (tmp_path / "kaggle" / "labels.csv").write_text("id,breed\n0,cat\n")
    assert "labels.csv has the columns id, breed, and a list those called file and label" in refused(tmp_path / "kaggle")
    for number in range(3):
        picture(tmp_path / "loose" / f"cat.{number}.jpg")
    assert "3 pictures such as cat.0.jpg lie in the folder itself, and not in one of their class" in refused(tmp_path / "loose")


def test_a_split_whose_pictures_are_in_no_folders_of_classes_is_named(tmp_path):
    class_folders(tmp_path / "train", {"cat": 2, "dog": 2})
    picture(tmp_path / "test" / "0.jpg")
    assert len(open_set(str(tmp_path), "train")) == 4
    message = refused(tmp_path, "val")
    assert "the pictures of its folder test are in no folders of classes" in message and "--hold-out" in message


@pytest.mark.parametrize("contents", [b"\xff" * 100, b"[" * 100_000, b"{}", b"0 " * 100_000, b"0" + 4 * (b" " + 200 * b"1") + b"x", b""],
                         ids=["bytes", "nested", "object", "long", "digits", "empty"])
def test_lists_made_to_harm_are_passed_over(tmp_path, contents):
    picture(tmp_path / "images" / "0.jpg")
    for name in ("0.json", "0.txt", "0.csv"):
        (tmp_path / name).write_bytes(contents)
    assert "would be taken for the name of a class" in refused(tmp_path)
