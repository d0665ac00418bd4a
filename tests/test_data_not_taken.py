"""Files of a data set that are not taken are counted, said, and in metrics.json."""

import json

import numpy as np
import pytest
import train_loop
from PIL import Image

import cam_data

from coloured import colour_weights, evaluate, paint
from test_data_boxes import coco_contents, cub_folder, picture, voc, voc_folder

OTHERS = ("a.dcm", "deep/b.DCM", "deep/c.tar.gz", "LICENSE", ".hidden.dcm", ".git/d.dcm", "Thumbs.db")
COUNTED = {".dcm": 2, ".gz": 1, "without an ending": 1}
SAID = "not taken for pictures or lists: 2 .dcm, 1 .gz, 1 without an ending\n"


def leave(root):
    for name in OTHERS:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")


def test_evaluate_judges_each_class_of_a_picture_and_says_what_it_has_not_taken(tmp_path, monkeypatch, capsys):
    root = tmp_path / "set"
    for number in range(3):
        paint(str(root / "JPEGImages" / f"{number}.jpg"), red=(4, 4, 40, 30), green=(8, 40, 30, 60))
        (root / "Annotations").mkdir(exist_ok=True)
        (root / "Annotations" / f"{number}.xml").write_text(voc([("red thing", 5, 5, 40, 30), ("green thing", 9, 41, 30, 60)], (64, 64)))
    (root / "ImageSets" / "Main").mkdir(parents=True)
    (root / "ImageSets" / "Main" / "val.txt").write_text("0\n1\n2\n")
    weights = colour_weights(monkeypatch, tmp_path)
    assert "left_out_files" not in evaluate(tmp_path / "out", "--data", root, "--weights", weights)
    leave(root)
    found = evaluate(tmp_path / "out", "--data", root, "--weights", weights)
    assert found["pictures"] == 6 and found["gt_known_localization"] == 1 and found["top1_classification_error"] == 0.5
    assert found["left_out_files"] == COUNTED and found["left_out"] == 0
    said = capsys.readouterr().out
    assert said.count(f"{root}: {SAID}") == 1 and "left_out_files             2 .dcm, 1 .gz, 1 without an ending" in said


def tiny(root):
    (root / "train" / "n00000001" / "images").mkdir(parents=True)
    (root / "wnids.txt").write_text("n00000001\n")
    (root / "train" / "n00000001" / "n00000001_boxes.txt").write_text("x.png\t0\t0\t3\t3\n")


def coco_folder(root):
    picture(root / "a.jpg")
    (root / "my.json").write_text(json.dumps(coco_contents()))


def list_folder(root):
    picture(root / "a.png")
    (root / "labels.csv").write_text("file,label\na.png,cat\n")


@pytest.mark.parametrize("write", [voc_folder, cub_folder, coco_folder, list_folder, tiny])
def test_what_the_form_itself_reads_is_not_counted(tmp_path, write):
    root = tmp_path / "set"
    write(root)
    assert cam_data.others_in_set(str(root)) == {}
    leave(root)
    assert cam_data.others_in_set(str(root)) == COUNTED
    assert list(COUNTED) == list(cam_data.others_in_set(str(root)))  # the most frequent first


def test_a_drawn_set_has_no_folder(tmp_path, monkeypatch):
    (tmp_path / "synthetic").mkdir()
    (tmp_path / "synthetic" / "a.dcm").touch()
    monkeypatch.chdir(tmp_path)
    assert cam_data.others_in_set("synthetic") == {}


@pytest.mark.slow
def test_train_loop_says_it_before_it_trains(tmp_path, capsys):
    for part in ("train", "val"):
        for name in ("cat", "dog"):
            for number in range(4):
                (tmp_path / "set" / part / name).mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.full((16, 16, 3), 50 * number, np.uint8)).save(tmp_path / "set" / part / name / f"{number}.png")
    leave(tmp_path / "set")
    train_loop.main(["--data", str(tmp_path / "set"), "--out", str(tmp_path / "run"), "--size", "16", "--batch", "4", "--dry-run",
                     "--width", "8"])
    assert capsys.readouterr().out.count(f"{tmp_path / 'set'}: {SAID}") == 1
