"""Sets in the WSOL protocol's form, by boxes and by masks, and score maps of other tools."""

import os

import numpy as np
import pytest
from PIL import Image

import cam_data
import evaluate as program
from cam_base import Category, InputError
from cam_evaluation.evaluators import map_names, read_score_map
from weights.ilsvrc import categories

from coloured import CLASSES, SIDE, colour_weights, evaluate, metadata_folder, paint

BOX, GREEN_BOX = [8, 8, 40, 32], [30, 20, 60, 60]


@pytest.fixture
def boxed(tmp_path):
    """Two pictures in folders called by wnids; the second has two boxes, one of which is right."""
    red, green = CLASSES[0].wnid, CLASSES[1].wnid
    paint(str(tmp_path / "pictures" / red / "a.png"), red=BOX)
    paint(str(tmp_path / "pictures" / green / "b.jpg"), green=GREEN_BOX)
    # The list says .JPEG; numbers are the data's own.
    boxes = {f"{red}/a.JPEG": [BOX], f"{green}/b.JPEG": [[0, 0, 5, 5], GREEN_BOX]}
    metadata_folder(tmp_path / "metadata" / "val", boxes, [4, 1])
    return tmp_path


def test_a_network_is_judged_by_boxes(boxed, monkeypatch):
    weights = colour_weights(monkeypatch, boxed)
    found = evaluate(boxed / "out", "--metadata", boxed / "metadata" / "val", "--data", boxed / "pictures",
                     "--weights", weights, "--threshold", "0.5")
    assert found["data"] == "metadata/val" and found["pictures"] == 2 and found["left_out"] == 0
    assert found["top1_classification_error"] == found["top1_localization_error"] == 0
    assert found["gt_known_localization"] == found["max_box_acc"] == 1
    assert "pxap" not in found and "top1_localization_error_of_all" not in found


@pytest.mark.parametrize("places", [("", None), ("val", "train"), ("test", "train-weaksup")])
def test_lists_beside_images_are_recognised(boxed, places):
    red, green = CLASSES[0].wnid, CLASSES[1].wnid
    (boxed / "pictures").rename(boxed / "images")
    (boxed / "metadata" / "val").rename(boxed / "lists")
    for place, boxes in zip(places, ({f"{red}/a.png": [BOX]}, {f"{green}/b.jpg": [GREEN_BOX]})):
        if place is not None:
            metadata_folder(boxed / "metadata" / place, boxes, [0])
    judged = cam_data.open_set(str(boxed), "val")
    assert judged.ids == [f"{red}/a.png"] and judged.boxes[0].tolist() == [BOX]
    if places[1]:
        assert cam_data.open_set(str(boxed), "train").ids == [f"{green}/b.jpg"]
    else:
        with pytest.raises(InputError, match="has no image_ids.txt for the split 'train'"):
            cam_data.open_set(str(boxed), "train")


def test_the_threshold_is_chosen_on_another_split(boxed, monkeypatch):
    weights = colour_weights(monkeypatch, boxed)
    paint(str(boxed / "pictures" / CLASSES[0].wnid / "c.png"), red=BOX)
    for folder in ("test", "copy"):
        metadata_folder(boxed / "metadata" / folder, {f"{CLASSES[0].wnid}/c.png": [BOX]}, [0])
    arguments = ["--metadata", boxed / "metadata" / "test", "--data", boxed / "pictures", "--weights", weights,
                 "--threshold", "auto"]
    found = evaluate(boxed / "out", *arguments, "--threshold-metadata", boxed / "metadata" / "val")
    assert found["threshold_chosen_on"] == "metadata/val, 2 pictures"
    for more in ([], ["--threshold-metadata", boxed / "metadata" / "test"],
                 ["--threshold-metadata", boxed / "metadata" / "copy"]):
        with pytest.raises(InputError, match="--threshold auto"):
            evaluate(boxed / "out", *arguments, *more)


def test_a_picture_that_is_not_the_one_of_the_list_is_left_out_and_named(boxed, monkeypatch, capsys):
    weights = colour_weights(monkeypatch, boxed)
    paint(str(boxed / "pictures" / CLASSES[0].wnid / "a.png"), size=(2 * SIDE, SIDE), red=BOX)
    found = evaluate(boxed / "out", "--metadata", boxed / "metadata" / "val", "--data", boxed / "pictures",
                     "--weights", weights)
    assert found["pictures"] == 1 and found["left_out"] == 1
    assert f"a.png: has {2 * SIDE} x {SIDE} pixels, and the data set says {SIDE} x {SIDE}" in capsys.readouterr().err


def test_true_boxes_that_stick_out_are_cut_and_counted(boxed, monkeypatch, capsys):
    weights = colour_weights(monkeypatch, boxed)
    red = CLASSES[0].wnid
    paint(str(boxed / "pictures" / red / "a.png"), red=[40, 40, SIDE, SIDE])
    metadata_folder(boxed / "metadata" / "val", {f"{red}/a.png": [[40, 40, SIDE + 20, SIDE + 20]]}, [4])
    arguments = ["--metadata", boxed / "metadata" / "val", "--data", boxed / "pictures", "--weights", weights]
    assert evaluate(boxed / "out", *arguments, "--threshold", "0.5")["gt_known_localization"] == 1
    assert "1 true box sticks out of the picture and was cut" in capsys.readouterr().err


@pytest.mark.parametrize("ids, names, expected", [
    (["x/n01440764/1.png", "x/n01443537/1.png"], None, [Category("n01440764", "n01440764"), CLASSES[1][:1] * 2]),
    (["001.Finch/1.png", "002.Crow/1.png"], None, [(None, "001.Finch"), (None, "002.Crow")]),
    (["val/1.png", "val/2.png"], None, [(None, "0"), (None, "1")]),
    (["0/1.png", "1/2.png"], None, [(None, "0"), (None, "1")]),
    (["1.png", "2.png"], None, [(None, "0"), (None, "1")]),
    (["val/1.png", "val/2.png"], "finch\nn01440764\ttench, Tinca tinca\n",
     [(None, "finch"), ("n01440764", "tench, Tinca tinca")]),
])
def test_classes_get_the_names_that_people_gave_them(tmp_path, ids, names, expected):
    metadata_folder(tmp_path, {name: [BOX] for name in ids}, [0, 1])
    if names:
        (tmp_path / "class_names.txt").write_text(names)
    assert list(map(tuple, cam_data.open_metadata(str(tmp_path)).categories)) == list(map(tuple, expected))


def test_a_thousand_classes_without_names_are_ilsvrcs(tmp_path):
    metadata_folder(tmp_path, {"val/1.JPEG": [BOX], "val/2.JPEG": [BOX]}, [65, 999])
    assert cam_data.open_metadata(str(tmp_path)).categories == categories(1000)
    (tmp_path / "class_names.txt").write_text("one\ntwo\n")
    with pytest.raises(InputError, match="class_names.txt: names 2 classes, not 1000"):
        cam_data.open_metadata(str(tmp_path))
    (tmp_path / "class_labels.txt").write_text("val/1.JPEG,0\nval/2.JPEG,999999999\n")
    with pytest.raises(InputError, match="class_labels.txt: has a class 999999999"):
        cam_data.open_metadata(str(tmp_path))


# ---------------------------------------------------------------- score maps

@pytest.fixture
def scored(boxed):
    """Score maps of the two pictures of `boxed`: one where its box is, one of the same shape elsewhere."""
    os.makedirs(boxed / "scores" / CLASSES[0].wnid)
    os.makedirs(boxed / "scores" / CLASSES[1].wnid)
    for file, box in ((f"{CLASSES[0].wnid}/a.JPEG.npy", BOX), (f"{CLASSES[1].wnid}/b.npy", BOX)):
        scores = np.zeros((SIDE, SIDE))
        scores[box[1]:box[3], box[0]:box[2]] = 7
        np.save(boxed / "scores" / file, scores)
    return boxed


def header_of_score_map(text):
    """Writes a score map whose header says this."""
    header = text.ljust(117).encode() + b"\n"
    return lambda path: open(path, "wb").write(b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header + bytes(64))


def test_score_maps_need_neither_pictures_nor_classes(scored):
    found = evaluate(scored / "out", "--metadata", scored / "metadata" / "val", "--scores", scored / "scores",
                     "--per-class")
    assert found["gt_known_localization"] == 0.5 and found["max_box_acc"] == 0.5
    assert found["weights"] is None and "top1_classification_error" not in found and found["pictures"] == 2
    # Boxes are in the pixels of pictures that are twice as wide as the maps and half as high again.
    metadata_folder(scored / "wide", {f"{CLASSES[0].wnid}/a.JPEG": [[16, 12, 80, 48]]}, [0], size=(2 * SIDE, 96))
    wide = evaluate(scored / "out", "--metadata", scored / "wide", "--scores", scored / "scores")
    assert wide["gt_known_localization"] == wide["max_box_acc"] == 1
    # Without sizes in the set, the pictures say them.
    root = scored / "set" / "val"
    for name in ("red/a.png", "blue/b.png"):
        paint(str(root / name), red=BOX)
        os.makedirs(scored / "more" / name.split("/")[0])
        np.save(scored / "more" / f"{name}.npy", np.eye(4))
    assert evaluate(scored / "out", "--data", scored / "set", "--scores", scored / "more")["pictures"] == 2


def zip_of(path, array):
    with open(path, "wb") as file:
        np.savez(file, array)


@pytest.mark.parametrize("break_it, message", [
    (os.remove, "a.JPEG.npy: no score map"),
    (lambda path: np.save(path, np.zeros((1, 8, 8))), r"not a score map.*\(1, 8, 8\)"),
    (lambda path: np.save(path, np.zeros((0, 8))), "not a score map"),
    (lambda path: np.save(path, np.zeros((8, 8), complex)), "not a score map.*complex"),
    (lambda path: np.save(path, np.full((8, 8), np.nan)), "not finite"),
    (lambda path: np.save(path, np.full((8, 8), np.inf)), "not finite"),
    (lambda path: np.save(path, np.eye(4) * 1e300), "too large for float32"),
    (lambda path: np.save(path, np.where(np.eye(4), 3e38, -3e38).astype(np.float32)), "too large for float32"),
    (lambda path: zip_of(path, np.eye(4)), "an archive of arrays"),
    (lambda path: np.save(path, np.array([[{}]]), allow_pickle=True), "not a score map"),
    (lambda path: open(path, "wb").close(), "not a score map"),
    (lambda path: open(path, "r+b").truncate(200), "not a score map"),
    (lambda path: np.save(path, np.eye(4) * 1e-300), "too small for float32"),
    (header_of_score_map("{[]: 1}"), "not a score map"), (header_of_score_map("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), "), "not a score map"),
    (header_of_score_map("{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775808, 1)}"), "not a score map"),
])
def test_what_is_no_score_map_is_named(scored, break_it, message):
    break_it(scored / "scores" / CLASSES[0].wnid / "a.JPEG.npy")
    with pytest.raises(InputError, match=message) as caught:
        program.main(["--metadata", str(scored / "metadata" / "val"), "--scores", str(scored / "scores"),
                       "--out", str(scored / "out")])
    assert "a.JPEG.npy" in str(caught.value) and "\n" not in str(caught.value)


# ---------------------------------------------------------------- masks

def half(path, columns):
    """A mask of 224 x 224 that is white in these columns."""
    pixels = np.zeros((224, 224), np.uint8)
    pixels[:, slice(*columns)] = 255
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def masked(tmp_path):
    """One score map of three steps, 1 in columns 0 to 55, 1/2 up to 111, and 0; masks and what to ignore by test."""
    metadata_folder(tmp_path / "metadata", {"a.jpg": [BOX]}, [0])
    scores = np.zeros((224, 224))
    scores[:, :112] = 0.5
    scores[:, :56] = 1
    (tmp_path / "scores").mkdir()
    np.save(tmp_path / "scores" / "a.npy", scores)
    return tmp_path


@pytest.mark.parametrize("scale, expected", [("min-max", 56 / 168), ("max", 56 / 224)])
def test_metrics_judge_score_maps_as_their_scale_says(masked, scale, expected):
    """The object has 0 and a part of the background -1, which is 0, too, where negative values are cut off."""
    scores = np.load(masked / "scores" / "a.npy")
    scores[:, 168:] = -1
    np.save(masked / "scores" / "a.npy", scores)
    half(str(masked / "masks" / "a" / "0.png"), (112, 168))
    (masked / "metadata" / "localization.txt").write_text("a.jpg,a/0.png,\n")
    found = evaluate(masked / "out", "--metadata", masked / "metadata", "--masks", masked / "masks",
                     "--scores", masked / "scores", "--map-scale", scale)
    assert found["pxap"] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("objects, ignored, expected", [
    # Two masks of one object each, united: the first step is all right, the second half of it.
    ([(0, 56), (56, 84)], None, 2 / 3 + 1 / 3 * 84 / 112),
    # What is ignored of the second step's background is no mistake; the object is never ignored.
    ([(0, 56), (56, 84)], (70, 112), 1),
    ([(112, 224)], None, 1 / 2),
    ([(112, 224)], (0, 56), 112 / 168),
])
def test_pxap_by_hand(masked, objects, ignored, expected):
    lines = []
    for number, columns in enumerate(objects):
        half(str(masked / "masks" / "a" / f"{number}.png"), columns)
        lines.append(f"a.jpg,a/{number}.png,{'a/ignore.png' if ignored and not number else ''}\n")
    if ignored:
        half(str(masked / "masks" / "a" / "ignore.png"), ignored)
    (masked / "metadata" / "localization.txt").write_text("".join(lines))
    found = evaluate(masked / "out", "--metadata", masked / "metadata", "--masks", masked / "masks",
                     "--scores", masked / "scores")
    assert found["pxap"] == pytest.approx(expected)
    assert found["pxap_interval"] == [0, 1] and found["pxap_interval_by"] == "unknown"  # on every sample it is the same
    assert "max_box_acc" not in found and "gt_known_localization" not in found
    with open(masked / "out" / "precision.csv", encoding="utf-8") as file:
        assert file.readline() == "recall,precision\n"
        assert len(file.readlines()) == 1001
    assert not os.path.exists(masked / "out" / "accuracy.csv") and os.path.exists(masked / "out" / "curves.png")


def test_a_damaged_mask_leaves_its_picture_out(masked, capsys):
    metadata_folder(masked / "metadata", {"a.jpg": [BOX], "b.jpg": [BOX]}, [0, 0])
    np.save(masked / "scores" / "b.npy", np.load(masked / "scores" / "a.npy"))
    for name in "ab":
        half(str(masked / "masks" / name / "0.png"), (0, 56))
    (masked / "metadata" / "localization.txt").write_text("a.jpg,a/0.png,\nb.jpg,b/0.png,\n")
    (masked / "masks" / "b" / "0.png").write_bytes(b"no picture")
    found = evaluate(masked / "out", "--metadata", masked / "metadata", "--masks", masked / "masks", "--scores", masked / "scores")
    assert found["pictures"] == found["left_out"] == 1 and found["pxap"] == pytest.approx(1, abs=1e-3)
    assert "b/0.png" in capsys.readouterr().err


def test_a_map_is_one_rows_alone(tmp_path):
    names = map_names(cam_data.PictureSet("x", [], np.zeros(4, np.int32), ["d/a/1.jpg", "d/a/1.png", "d/b/2.jpg", "d/b/2.jpg"],
                                          ids=["a/1.jpg", "a/1.png", "b/2#cat.jpg", "b/2#dog.jpg"]))
    assert names == [["a/1.jpg", "1.jpg"], ["a/1.png", "1.png"], ["b/2#cat.jpg", "b/2#cat"], ["b/2#dog.jpg", "b/2#dog"]]
    np.save(tmp_path / "2.jpg.npy", np.eye(3))
    with pytest.raises(InputError, match="2#cat.jpg.npy: no score map.*must be called by its whole name"):
        read_score_map(str(tmp_path), names[2])


def test_nothing_of_an_earlier_evaluation_stays(masked, scored):
    evaluate(masked / "out", "--metadata", scored / "metadata" / "val", "--scores", scored / "scores", "--per-class")
    assert {"accuracy.csv", "classes.csv"} <= set(os.listdir(masked / "out"))
    half(str(masked / "1.png"), (0, 84))
    (masked / "metadata" / "localization.txt").write_text("a.jpg,1.png,\n")
    np.save(masked / "scores" / "a.npy", np.eye(8))
    evaluate(masked / "out", "--metadata", masked / "metadata", "--masks", masked, "--scores", masked / "scores")
    assert sorted(os.listdir(masked / "out")) == ["curves.npz", "curves.png", "maps.npz", "metrics.json", "pictures.csv", "precision.csv"]


def test_masks_that_are_missing_or_not_named(masked):
    (masked / "metadata" / "localization.txt").write_text("a.jpg,a/1.png,\n")
    arguments = ["--metadata", masked / "metadata", "--scores", masked / "scores"]
    with pytest.raises(InputError, match="has masks: name their folder with --masks"):
        evaluate(masked / "out", *arguments)
    with pytest.raises(InputError, match="1.png: no such mask; 1 of 1"):
        evaluate(masked / "out", *arguments, "--masks", masked)
    half(str(masked / "a" / "1.png"), (0, 0))
    with pytest.raises(InputError, match="no pixel of any mask is of an object"):
        evaluate(masked / "out", *arguments, "--masks", masked)
    assert not os.path.exists(masked / "out")


def test_a_network_is_judged_by_masks_and_classes_that_it_has_not_are_named(masked, monkeypatch):
    paint(str(masked / "pictures" / "a.jpg"), size=(224, 224), red=(0, 0, 84, 224))
    (masked / "metadata" / "image_sizes.txt").write_text("a.jpg,224,224\n")
    half(str(masked / "pictures" / "1.png"), (0, 84))
    (masked / "metadata" / "localization.txt").write_text("a.jpg,1.png,\n")
    arguments = ["--metadata", masked / "metadata", "--data", masked / "pictures",
                 "--weights", colour_weights(monkeypatch, masked)]
    with pytest.raises(InputError, match="no class of .*/metadata is among those of the weights, .* it has 0$"):
        evaluate(masked / "out", *arguments)
    (masked / "metadata" / "class_names.txt").write_text("Red Thing\n")
    found = evaluate(masked / "out", *arguments)
    assert found["pxap"] > 0.98 and found["top1_classification_error"] == 0
    assert "top1_localization_error" not in found
