"""Judging with what is there: the samples, all splits, and score maps that localize.py wrote."""

import json
import os
import shutil

import numpy as np
import pytest

import cam_data
import evaluate as program
import localize
from cam_base import Category, InputError
from cam_data.picture_set import PictureSet, joined
from coloured import CLASSES, colour_weights, evaluate, metadata_folder, paint
from small_sets import class_folders, tiny_imagenet

ROOT = os.path.dirname(os.path.abspath(localize.__file__))
RED = CLASSES[0].wnid


def test_the_samples_are_a_set_with_boxes_inside_their_pictures():
    pictures = cam_data.open_set(os.path.join(ROOT, "samples"), "val")
    assert pictures.ids == ["chelsea.jpg", "china.jpg", "coffee.jpg", "hopper.jpg"]
    assert [pictures.categories[label].label for label in pictures.labels] == ["tabby, tabby cat", "palace", "espresso", "military uniform"]
    assert not pictures.clipped.any() and all(len(boxes) == 1 for boxes in pictures.boxes)


@pytest.fixture
def boxed(tmp_path, monkeypatch):
    """(arguments of a data set, arguments of a network, folder): fainter red lies beside the red."""
    boxes = {"a": (4, 4, 40, 40), "b": (8, 20, 50, 60)}
    for name, box in boxes.items():
        paint(str(tmp_path / "set" / RED / f"{name}.png"), red=box, green=(0, 62, 64, 64))
    metadata = metadata_folder(tmp_path / "metadata", {f"{RED}/{name}.png": [box] for name, box in boxes.items()}, [0] * 2)
    return ["--metadata", metadata, "--data", tmp_path / "set"], ["--weights", colour_weights(monkeypatch, tmp_path)], tmp_path


def test_score_maps_of_localize_are_judged_by_its_threshold_and_scale(boxed, capsys):
    data, network, folder = boxed
    assert localize.main([str(folder / "set"), *network, "--class", RED, "--maps", "npy", "--threshold", "0.45", "--map-scale", "max", "--boxes", "peak",
                          "--out", str(folder / "found")]) == 0
    maps = folder / "found" / "maps" / "1"
    capsys.readouterr()
    found = evaluate(folder / "out", *data, "--scores", maps)
    assert (found["threshold"], found["map_scale"]) == (0.45, "max")
    said = capsys.readouterr().out
    assert f"judging score maps of {maps}: threshold 0.45 (of " in said and "map scale max (of " in said and "those of --boxes peak" in said
    # What is given comes first; elsewhere, and from a file that is none of localize.py's, the usual ones are taken, and it is said.
    found = evaluate(folder / "out", *data, "--scores", maps, "--threshold", "0.3")
    assert (found["threshold"], found["map_scale"]) == (0.3, "max") and "threshold 0.3, map scale max (of " in capsys.readouterr().out
    for hostile in (b"", b"{", b'{"run": 5, "pictures": []}', b'{"run": {"options": {"threshold": 7.0, "scale": ["max"]}}}', b'{"run": ' + b"[" * 100_000):
        (folder / "found" / "localizations.json").write_bytes(hostile)
        found = evaluate(folder / "out", *data, "--scores", maps)
        assert (found["threshold"], found["map_scale"]) == (0.2, "min-max")
        assert "threshold 0.2 (the usual one), map scale min-max (the usual one)" in capsys.readouterr().out


def test_a_folder_of_score_maps_that_is_not_there_is_said_as_one(boxed):
    data, _, folder = boxed
    with pytest.raises(InputError, match=r"^--scores .*nowhere: no such folder$"):
        evaluate(folder / "out", *data, "--scores", folder / "nowhere")
    assert not os.path.exists(folder / "out")


def test_all_of_a_set_is_both_of_its_splits(tmp_path, capsys):
    # Of folders of classes, one in ten is held out; all is all of them.
    class_folders(tmp_path / "plain", {"cat": 30, "dog": 30})
    every = cam_data.open_set(str(tmp_path / "plain"), "all")
    assert sorted(every.ids) == sorted(f"{name}/{name}-{number}.png" for name in ("cat", "dog") for number in range(30))
    assert all((every.categories[label].label in file) for label, file in zip(every.labels, every.files)) and every.name == "plain/all"
    # Names that stand in both splits begin with theirs.
    for split in ("train", "val"):
        class_folders(tmp_path / "divided" / split, {"cat": 2, "dog": 1})
    every = cam_data.open_set(str(tmp_path / "divided"), "all")
    assert every.ids == [f"{split}/{name}" for split in ("train", "val") for name in ("cat/cat-0.png", "cat/cat-1.png", "dog/dog-0.png")]
    # Boxes and how many were cut stay with their pictures.
    tiny_imagenet(tmp_path / "tiny")
    parts = [cam_data.open_set(str(tmp_path / "tiny"), split) for split in ("train", "val")]
    every = cam_data.open_set(str(tmp_path / "tiny"), "all")
    np.testing.assert_array_equal(np.concatenate(every.boxes), np.concatenate([*parts[0].boxes, *parts[1].boxes]))
    assert len(every) == len(parts[0]) + len(parts[1]) == len(every.clipped) and every.categories == parts[0].categories
    # A split that is not there is said.
    class_folders(tmp_path / "one" / "train", {"cat": 2, "dog": 1})
    capsys.readouterr()
    assert len(cam_data.open_set(str(tmp_path / "one"), "all")) == 3
    assert "without the split 'val': " in capsys.readouterr().out


def test_of_all_a_split_that_is_damaged_is_an_error(tmp_path):
    # A list of boxes that is there and broken, in either split.
    tiny_imagenet(tmp_path / "tiny")
    (tmp_path / "tiny" / "val" / "val_annotations.txt").write_text("val_0.JPEG\n")
    with pytest.raises(InputError, match="val_annotations.txt, line 1"):
        cam_data.open_set(str(tmp_path / "tiny"), "all")
    # Pictures in no folders of classes.
    class_folders(tmp_path / "flat" / "train", {"cat": 2, "dog": 1})
    class_folders(tmp_path / "flat", {"val": 2})
    with pytest.raises(InputError, match="the pictures of its folder val are in no folders of classes"):
        cam_data.open_set(str(tmp_path / "flat"), "all")
    # A box of one split that is none.
    class_folders(tmp_path / "list", {"images": 2})
    rows = ["file,label,split,x0,y0,x1,y1", "images-0.png,cat,train,1,2,9,9", "images-1.png,cat,val,90,90,99,99"]
    (tmp_path / "list" / "boxes.csv").write_text("\n".join(rows))
    with pytest.raises(InputError, match="90, 90, 99, 99 of images-1.png lies outside"):
        cam_data.open_set(str(tmp_path / "list"), "all")


def test_of_all_a_split_that_is_absent_is_passed_over(tmp_path, capsys):
    def ids(folder):
        return cam_data.open_set(str(tmp_path / folder), "all").ids

    for lacking, kept in (("train", "val"), ("val", "train")):
        tiny_imagenet(tmp_path / lacking)
        shutil.rmtree(tmp_path / lacking / lacking)
        assert ids(lacking) == cam_data.open_set(str(tmp_path / lacking), kept).ids
        assert f"without the split {lacking!r}: {tmp_path / lacking} has no folder {lacking}" in capsys.readouterr().out
    class_folders(tmp_path / "list", {"images": 1})
    (tmp_path / "list" / "boxes.csv").write_text("file,label,split,x0,y0,x1,y1\nimages-0.png,cat,val,1,2,9,9\n")
    assert ids("list") == ["images-0.png"] and "without the split 'train': " in capsys.readouterr().out
    # Of so few pictures none may be held out.
    few = class_folders(tmp_path / "few", {"cat": 1, "dog": 1})
    assert ids("few") == ["cat/cat-0.png", "dog/dog-0.png"] and f"without the split 'val': {few}: none of its 2" in capsys.readouterr().out


def test_splits_that_differ_are_joined_by_their_classes_or_refused(tmp_path):
    def part(split, labels, **fields):
        return PictureSet(f"x/{split}", [Category(None, name) for name in labels], np.arange(len(labels), dtype=np.int32),
                          [f"{split}-{name}" for name in labels], **fields)

    every = joined({"train": part("train", ["a", "b"]), "val": part("val", ["c", "b"], excluded=np.array([True, False]))}, "x/all")
    assert [every.categories[label].label for label in every.labels] == ["a", "b", "c", "b"] and every.boxes is None
    assert every.excluded.tolist() == [False, False, True, False]
    drawn = [part(split, ["a", "b"], draw=lambda row, epoch, tone=tone: np.full((2, 2, 3), tone + row, np.uint8), masks=lambda row, tone=tone: tone + row)
             for split, tone in (("train", 10), ("val", 20))]
    every = joined(dict(zip(("train", "val"), drawn)), "x/all")
    assert [every.pixels(row)[0, 0, 0] for row in range(4)] == [every.masks(row) for row in range(4)] == [10, 11, 20, 21]
    with pytest.raises(InputError, match="its split val has boxes and its split train has none: judge one of them"):
        joined({"train": part("train", ["a"]), "val": part("val", ["a"], boxes=[np.array([[0, 0, 1, 1]])])}, "x/all")
    with pytest.raises(InputError, match="drawn anew without end"):
        cam_data.open_set("synthetic", "all")
    with pytest.raises(InputError, match="no such folder"):
        cam_data.open_set(str(tmp_path / "nowhere"), "all")


@pytest.mark.parametrize("given", [["--split", "all", "--threshold", "auto"], ["--split", "all", "--metadata", "m"]])
def test_all_leaves_no_others_to_choose_by(tmp_path, given):
    with pytest.raises(InputError, match="never chooses by the pictures that it judges|--split does not go with"):
        program.main(["--data", str(tmp_path), *given])


def test_all_is_judged(tmp_path, monkeypatch):
    for split, count in (("train", 3), ("val", 2)):
        for number in range(count):
            paint(str(tmp_path / "set" / split / RED / f"{number}.png"), red=(4, 4, 40, 40))
            paint(str(tmp_path / "set" / split / CLASSES[1].wnid / f"{number}.png"), green=(4, 4, 40, 40))
    network = ["--weights", colour_weights(monkeypatch, tmp_path)]
    assert [evaluate(tmp_path / split, "--data", tmp_path / "set", "--split", split, *network)["pictures"] for split in ("train", "val", "all")] == [6, 4, 10]
    assert json.loads((tmp_path / "all" / "metrics.json").read_text())["data"] == "set/all"


def test_of_all_a_list_without_splits_is_judged_once(tmp_path):
    class_folders(tmp_path, {"images": 2})
    images = [{"id": number, "file_name": f"images/images-{number}.png", "width": 24, "height": 24} for number in (0, 1)]
    boxes = [{"id": number, "image_id": number, "category_id": 1, "bbox": [1, 2, 8, 7]} for number in (0, 1)]
    (tmp_path / "boxes.json").write_text(json.dumps({"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "cat"}]}))
    assert len(cam_data.open_set(str(tmp_path / "boxes.json"), "all")) == 2
