"""evaluate.py on a made CLS-LOC tree with answers worked by hand, and submissions to and from other tools."""

import csv
import os
import random
import shutil

import numpy as np
import pytest
import scipy.io
from harming import harmed
from PIL import Image

import cam_data
import cam_evaluation
import evaluate as program
from cam_base import Category, InputError
from cam_data.ilsvrc import read_submission

from coloured import CLASSES, colour_weights, evaluate, metadata_folder, paint

RED, GREEN, BLUE = (category.wnid for category in CLASSES)
KIT = [BLUE, RED, GREEN, *(f"n9000000{number}" for number in range(3))]  # the classes 1 to 6 of the kit, in an order of its own
OBJECT = ("<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax>"
          "<ymax>{}</ymax></bndbox></object>")
NAME = "ILSVRC2012_val_{:08}"


def annotation(*objects):
    return "<annotation>" + "".join(OBJECT.format(*o) for o in objects) + "</annotation>"


@pytest.fixture
def tree(tmp_path):
    """Six pictures of 64 x 64.

    1  red; one true box is far, the other is where the red is
    2  green and, larger, red; the true box is where the green is
    3  excluded: blue, and the true box is elsewhere
    4  red, but only something green is annotated
    5  missing
    6  called blue, but only something red is there
    """
    kit = tmp_path / "kit" / "data"
    kit.mkdir(parents=True)
    (kit / "ILSVRC2015_clsloc_validation_ground_truth.txt").write_text("2\n3\n1\n2\n3\n1\n")
    (kit / "ILSVRC2015_clsloc_validation_blacklist.txt").write_text("3\n")
    synsets = np.zeros((len(KIT), 1), [("ILSVRC2015_CLSLOC_ID", "O"), ("WNID", "O")])
    for number, wnid in enumerate(KIT):
        synsets[number, 0] = (float(number + 1), wnid)
    scipy.io.savemat(kit / "meta_clsloc.mat", {"synsets": synsets})
    objects = [[(RED, 50, 50, 63, 63), (RED, 8, 8, 39, 31)], [(GREEN, 4, 40, 19, 55)], [(BLUE, 0, 0, 9, 9)],
               [(GREEN, 8, 8, 39, 39)], [(GREEN, 0, 0, 9, 9)], [(BLUE, 8, 8, 19, 19)]]
    (tmp_path / "xml").mkdir()
    for number, some in enumerate(objects, 1):
        (tmp_path / "xml" / f"{NAME.format(number)}.xml").write_text(annotation(*some))
    # In folders of classes and with several endings, as people keep them.
    for number, name, boxes in ((1, "{}.JPEG", {"red": (8, 8, 40, 32)}),
                                (2, f"{GREEN}/{{}}.JPEG", {"red": (28, 4, 60, 36), "green": (4, 40, 20, 56)}),
                                (3, f"{BLUE}/{{}}.jpg", {"blue": (30, 30, 60, 60)}),
                                (4, "{}.JPEG", {"red": (8, 8, 40, 40)}),
                                (6, "{}.png", {"red": (8, 8, 20, 20)})):
        paint(str(tmp_path / "val" / name.format(NAME.format(number))), **boxes)
    return tmp_path


@pytest.fixture
def arguments(tree, monkeypatch):
    return ["--kit", tree / "kit", "--annotations", tree / "xml", "--data", tree / "val",
            "--weights", colour_weights(monkeypatch, tree), "--threshold", "0.5"]


def test_known_answers_and_the_way_back(tree, arguments, capsys):
    found = evaluate(tree / "out", *arguments, "--submission", tree / "guesses.txt", "--per-class")
    assert NAME.format(5) in capsys.readouterr().err
    assert found["pictures"] == 5 and found["left_out"] == 1
    # Right at once: 1, 3, 4. The others by a later one of three guesses.
    assert found["top1_classification_error"] == pytest.approx(2 / 5)
    # Of 1, 2, 4 and 6, which count: 1 at once, 2 by its second guess.
    assert found["top1_localization_error"] == pytest.approx(3 / 4)
    assert found["top1_localization_error_of_all"] == pytest.approx(4 / 5)
    assert not any("top5" in name for name in found)  # of three classes, the first five are all
    assert found["gt_known_localization"] == found["max_box_acc"] == pytest.approx(2 / 5)
    with open(tree / "out" / "pictures.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == [NAME.format(number) for number in (1, 2, 3, 4, 6)]
    assert [row["true_class"] for row in rows] == [RED, GREEN, BLUE, RED, BLUE]
    assert [row["rank"] for row in rows] == ["1", "2", "1", "1", "3"]
    assert [row["guess_1"] for row in rows] == [RED, RED, BLUE, RED, RED]
    assert [row["excluded"] for row in rows] == ["0", "0", "1", "0", "0"]
    assert float(rows[0]["gt_known_iou"]) > 0.8 and float(rows[1]["guess_2_iou"]) > 0.6
    assert rows[3]["gt_known_iou"] == rows[3]["guess_1_iou"] == "0.0000"
    with open(tree / "out" / "classes.csv", encoding="utf-8") as file:
        assert [(row["class"], row["localization_accuracy"]) for row in csv.DictReader(file)] \
            == [(BLUE, "0"), (RED, "0.5"), (GREEN, "1")]

    classes, boxes = read_submission(tree / "guesses.txt", 6)
    assert classes[:, 0].tolist() == [2, 2, 1, 2, 0, 2]  # of the kit, by wnid
    assert classes[1, :3].tolist() == [2, 3, 1] and not classes[4].any()
    assert abs(boxes[0, 0] - [8, 8, 40, 32]).max() <= 1
    # From another tool, no network and no pictures: the missing one is wrong now.
    again = evaluate(tree / "again", *arguments[:4], "--guesses", tree / "guesses.txt", "--per-class")
    assert again["pictures"] == 6 and again["weights"] is None and "threshold" not in again
    assert again["top1_classification_error"] == pytest.approx(3 / 6)
    assert again["top5_classification_error"] == pytest.approx(1 / 6)
    assert again["top1_localization_error"] == pytest.approx(4 / 5)
    assert again["top5_localization_error"] == pytest.approx(3 / 5)
    assert again["top5_localization_error_of_all"] == pytest.approx(4 / 6)
    with open(tree / "again" / "pictures.csv", encoding="utf-8") as file:
        assert [row["guess_1"] for row in csv.DictReader(file)] == [RED, RED, BLUE, RED, "", RED]
    with open(tree / "again" / "classes.csv", encoding="utf-8") as file:
        assert {row["class"]: (row["localization_accuracy"], float(row["mean_iou"]) > 0.4) for row in csv.DictReader(file)} \
            == {BLUE: ("0", True), RED: ("0.5", True), GREEN: ("0", False)}
    with pytest.raises(InputError, match=f"1 are in one only, such as {NAME.format(5)}"):
        program.main(["--compare", str(tree / "out"), str(tree / "again")])


def test_the_threshold_is_chosen_on_pictures_of_another_form(tree, arguments):
    paint(str(tree / "others" / RED / "1.png"), red=(8, 8, 40, 32))
    metadata_folder(tree / "metadata", {f"{RED}/1.png": [[8, 8, 40, 32]]}, [0])
    given = [*arguments[:-1], "auto", "--threshold-metadata", tree / "metadata", "--threshold-data", tree / "others"]
    found = evaluate(tree / "out", *given)
    assert found["threshold_chosen_on"].endswith("metadata, 1 picture") and found["pictures"] == 5


def test_only_an_excluded_picture_has_no_kit_error(tree):
    guesses = "1 0 0 9 9"
    pictures = cam_data.open_validation(str(tree / "kit"), str(tree / "xml")).rows([2])
    (tree / "one.txt").write_text(guesses + "\n")
    found = cam_evaluation.figures(cam_evaluation.evaluate_guesses(str(tree / "one.txt"), pictures))
    assert "top1_localization_error" not in found and found["top1_localization_error_of_all"] == 0


def test_a_class_that_the_kit_has_not_takes_its_place(tree):
    pictures = cam_data.open_validation(str(tree / "kit"), str(tree / "xml"))
    classes = [Category("n99999999", "zebra"), *CLASSES]
    boxes = np.tile([[0, 0, 5, 5], [8, 8, 40, 32], [0, 0, 1, 1]], (1, 1, 1))
    records = cam_evaluation.Records([NAME.format(1)], [RED], np.arange(3.0), guesses=np.array([[0, 1, 0]]),
                                   guess_boxes=boxes)
    path = str(tree / "guesses.txt")
    cam_evaluation.write_submission(path, records, classes, pictures)
    with open(path, encoding="ascii") as file:
        assert file.read() == "0 0 0 0 0 2 8 8 39 31\n" + "0\n" * 5
    judged = cam_evaluation.evaluate_guesses(path, pictures)
    assert judged.right[0].tolist() == judged.located[0].tolist() == [False, True, True, True, True]


def test_classes_without_wnids_are_submitted_by_their_names(tree):
    pictures = cam_data.open_validation(str(tree / "kit"), str(tree / "xml"))
    named = {category.wnid: category.label for category in pictures.categories}
    classes = [Category(None, named.get(RED, RED)), Category(None, "nothing of the kit")]
    records = cam_evaluation.Records([NAME.format(1)], [RED], np.arange(3.0), guesses=np.array([[0, 1]]), guess_boxes=np.tile([8, 8, 40, 32], (1, 2, 1)))
    cam_evaluation.write_submission(str(tree / "guesses.txt"), records, classes, pictures)
    assert (tree / "guesses.txt").read_text() == "2 8 8 39 31\n" + "0\n" * 5


def test_a_picture_without_a_true_box_of_its_class_is_judged_alone(tree, arguments):
    for number in (1, 2, 3, 6):
        for path in (tree / "val").rglob(f"*{number}.*"):
            path.unlink()
    found = evaluate(tree / "out", *arguments)
    assert found["pictures"] == 1 and found["gt_known_localization"] == found["max_box_acc"] == 0


def test_where_other_pictures_are_left_out_their_errors_are_not_compared(tree, arguments, capsys):
    evaluate(tree / "a", *arguments)
    next((tree / "kit").rglob("*blacklist*")).unlink()
    found = evaluate(tree / "b", *arguments)
    assert found["excluded"] == 0
    compared = cam_evaluation.compare_folders(str(tree / "a"), str(tree / "b"))
    assert "leave different pictures out" in capsys.readouterr().out
    assert "top1_localization_error" not in compared and compared["top1_localization_error_of_all"][0] == pytest.approx(4 / 5)


def test_what_is_wrong_is_one_line(tree, arguments):
    (tree / "empty").mkdir()
    (tree / "short.txt").write_text("1 0 0 1 1\n")
    (tree / "high.txt").write_text("7 0 0 1 1\n" * 6)
    (tree / "huge.txt").write_text("1 0 0 1 1e308\n" * 6)
    (tree / "other").mkdir()
    paint(str(tree / "other" / "other.png"))
    kit = ["--kit", tree / "kit", "--annotations", tree / "xml"]
    for given, message in (
            ([*kit, "--data", tree / "nowhere"], "nowhere: no such folder"),
            ([*kit, "--data", tree / "empty"], "no pictures in this folder"),
            ([*kit, "--data", tree / "other"], f"no picture called {NAME.format(1)}"),
            (["--kit", tree / "kit"], "go together"),
            (kit, "--data is needed"),
            ([*kit, "--metadata", tree], "not both"),
            ([*kit, "--guesses", tree / "short.txt"], "has 1 lines; one for each of 6"),
            ([*kit, "--guesses", tree / "high.txt"], "high.txt, line 1: .*class from 1 to 6"),
            ([*kit, "--guesses", tree / "huge.txt"], "huge.txt, line 1: not five numbers"),
            ([*kit, "--guesses", tree / "none.txt"], "none.txt: No such file"),
            ([*kit, "--guesses", tree / "short.txt", "--rows", "2"], "all of its pictures"),
            (["--data", tree / "val", "--submission", "x"], "need --kit"),
            ([*kit, "--data", tree / "val", "--threshold", "auto"], "pictures to choose by"),
            ([*kit, "--guesses", "a", "--scores", "b"], "give one of"),
            (["--guesses", "a"], "need --kit"),
            (["--scores", "a"], "need --data")):
        with pytest.raises(InputError, match=message) as caught:
            program.main([*map(str, given), "--out", str(tree / "out")])
        assert "\n" not in str(caught.value)
    assert not os.path.exists(tree / "out")


def test_a_submission_that_cannot_be_written_is_found_before_the_work(tree, arguments, monkeypatch):
    monkeypatch.setattr(cam_evaluation, "evaluate_network", lambda *_, **__: pytest.fail("it was judged"))
    (tree / "file").write_text("")
    for place, message in ((tree / "xml", "is a folder; name a file"), (tree / "file" / "s.txt", "cannot be written to"),
                           (tree / "file" / "below" / "s.txt", "cannot be written to")):
        with pytest.raises(InputError, match=message):
            evaluate(tree / "out", *arguments, "--submission", place)
    with pytest.raises(InputError, match="file: cannot be written to"):
        evaluate(tree / "file", *arguments)


# ---------------------------------------------------------------- older kits, and Kaggle's lists

def test_the_kit_of_2012_has_no_list_of_excluded_pictures(tree, tmp_path, monkeypatch, capsys):
    """Its files have other names; nothing is left out, and that is said."""
    old = tmp_path / "kit12" / "data"
    shutil.copytree(tree / "kit", old)
    (excluded,) = old.rglob("*blacklist.txt")
    excluded.unlink()
    (truth,) = old.rglob("*ground_truth.txt")
    truth.rename(truth.with_name("ILSVRC2012_validation_ground_truth.txt"))
    (table,) = old.rglob("meta_clsloc.mat")
    table.rename(table.with_name("meta.mat"))
    new = cam_data.open_validation(str(tree / "kit"), str(tree / "xml"))
    capsys.readouterr()
    found = cam_data.open_validation(str(truth.parent), str(tree / "xml"))
    assert "no list of excluded pictures, so none is left out" in capsys.readouterr().out
    assert found.categories == new.categories and found.labels.tolist() == new.labels.tolist() and found.ids == new.ids
    assert new.excluded.any() and not found.excluded.any()


def kaggle(folder, names, labels, boxes):
    folder.mkdir(parents=True)
    wnids = sorted(set(labels))
    (folder / "LOC_synset_mapping.txt").write_text("".join(f"{wnid} some words, others\n" for wnid in wnids))
    lines = [f"{name}," + "".join(f"{label} {' '.join(map(str, box))} " for box in some) for name, label, some in zip(names, labels, boxes)]
    (folder / "LOC_val_solution.csv").write_text("ImageId,PredictionString\n" + "".join(line + "\n" for line in reversed(lines)))


def test_kaggles_lists_say_what_the_kit_says(tmp_path, capsys):
    names = [f"ILSVRC2012_val_{number:08}" for number in (1, 2)]
    kaggle(tmp_path / "kaggle", names, ["n02123045", "n01440764"], [[(1, 2, 10, 20), (30, 30, 39, 39)], [(0, 0, 5, 5)]])
    (tmp_path / "val").mkdir()
    for name in names:
        Image.new("RGB", (50, 50)).save(tmp_path / "val" / f"{name}.JPEG")
    for found in (cam_data.open_validation(str(tmp_path / "kaggle"), None, str(tmp_path / "val")), cam_data.open_set(str(tmp_path), "val")):
        assert found.ids == names and [found.categories[label].wnid for label in found.labels] == ["n02123045", "n01440764"]
        assert [box.tolist() for box in found.boxes] == [[[1, 2, 11, 21], [30, 30, 40, 40]], [[0, 0, 6, 6]]]  # half-open
        assert not found.excluded.any()
    assert capsys.readouterr().out.count("no list of excluded pictures") == 2


def test_boxes_of_kaggles_lists_are_cut_at_the_border_and_counted(tmp_path):
    name = "ILSVRC2012_val_00000001"
    kaggle(tmp_path / "kaggle", [name], ["n02123045"], [[(1, 2, 50, 20), (0, 0, 5, 5)]])
    (tmp_path / "val").mkdir()
    Image.new("RGB", (50, 50)).save(tmp_path / "val" / f"{name}.JPEG")
    found = cam_data.open_set(str(tmp_path), "val")
    assert found.boxes[0].tolist() == [[1, 2, 50, 21], [0, 0, 6, 6]] and found.clipped.tolist() == [1]
    found.check_size(0, (50, 50))


def test_kaggles_lists_may_begin_with_a_byte_order_mark(tmp_path):
    kaggle(tmp_path / "kaggle", ["ILSVRC2012_val_00000001"], ["n02123045"], [[(1, 2, 10, 20)]])
    plain = cam_data.open_validation(str(tmp_path / "kaggle"), None)
    for name in ("LOC_synset_mapping.txt", "LOC_val_solution.csv"):
        path = tmp_path / "kaggle" / name
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    again = cam_data.open_validation(str(tmp_path / "kaggle"), None)
    assert again.ids == plain.ids and again.categories == plain.categories and again.boxes[0].tolist() == plain.boxes[0].tolist()


@pytest.mark.parametrize("line, message", [
    ("x,n02123045 1 2 3 4 ", "not a picture and five cells"), ("ILSVRC2012_val_00000001,", "five cells"),
    ("ILSVRC2012_val_00000001,n02123045 1 2 3", "five cells"), ("ILSVRC2012_val_00000001,n99999999 1 2 3 4", "a class that the mapping has not"),
    ("ILSVRC2012_val_00000001,n02123045 1 2 3 x", "a box that is none"), ("ILSVRC2012_val_00000001,n02123045 9 2 3 4", "ends before it begins")])
def test_damaged_kaggle_lists_are_one_line(tmp_path, line, message):
    kaggle(tmp_path / "kaggle", [], ["n02123045"], [])
    (tmp_path / "kaggle" / "LOC_val_solution.csv").write_text(f"ImageId,PredictionString\n{line}\n")
    with pytest.raises(InputError, match=f"line 2: .*{message}"):
        cam_data.open_validation(str(tmp_path / "kaggle"), None)


@pytest.mark.parametrize("file", ["LOC_val_solution.csv", "LOC_synset_mapping.txt"])
def test_mutated_kaggle_lists_are_read_or_refused_in_one_line(tmp_path, file):
    kaggle(tmp_path / "kaggle", ["ILSVRC2012_val_00000001", "ILSVRC2012_val_00000002"], ["n02123045", "n01440764"], [[(1, 2, 10, 20)], [(0, 0, 5, 5)]])
    path, rng = tmp_path / "kaggle" / file, random.Random(0)
    good, read = path.read_bytes(), 0
    for _ in range(200):
        path.write_bytes(harmed(good, rng))
        try:
            cam_data.open_validation(str(tmp_path / "kaggle"), None)
            read += 1
        except InputError as error:
            assert "\n" not in str(error)
    assert 0 < read < 200
