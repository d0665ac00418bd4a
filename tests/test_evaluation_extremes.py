"""evaluate.py --overlays: the pictures that went worst, with what is true of them; and what its tables say."""

import csv
import os

import numpy as np
import pytest

import cam_data
import cam_evaluation
import evaluate as program
from cam_base import InputError

from coloured import CLASSES, colour_weights, evaluate, metadata_folder, paint

RED = CLASSES[0].wnid
# Red rectangles, and boxes that are said to be true: the overlap falls from picture to picture.
RECTANGLES = {"a": (4, 4, 40, 40), "b": (4, 4, 40, 40), "c": (4, 4, 40, 40), "d": (20, 20, 60, 60)}
TRUE = {"a": (4, 4, 40, 40), "b": (8, 8, 44, 44), "c": (30, 30, 60, 60), "d": (24, 24, 60, 60)}


@pytest.fixture
def boxed(tmp_path, monkeypatch):
    """The arguments of evaluate.py for four pictures, and where they are."""
    for name, box in RECTANGLES.items():
        paint(str(tmp_path / "set" / RED / f"{name}.png"), red=box)
    metadata = metadata_folder(tmp_path / "metadata", {f"{RED}/{name}.png": [box] for name, box in TRUE.items()}, [0] * 4)
    return ["--metadata", metadata, "--data", tmp_path / "set"], ["--weights", colour_weights(monkeypatch, tmp_path)], tmp_path


def green(path):
    """The smallest box around the pixels that are greener than all else, in a strip's first panel."""
    pixels = cam_data.read_picture(path).astype(int)[:240, :240]
    rows, columns = np.nonzero((pixels[..., 1] > 180) & (pixels[..., 0] < 90) & (pixels[..., 2] < 130))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@pytest.mark.parametrize("judge", ["network", "scores"])
@pytest.mark.parametrize("which", ["worst", "best"])
def test_the_worst_are_drawn_with_their_true_boxes(boxed, capsys, judge, which):
    data, network, folder = boxed
    if judge == "scores":
        (folder / "maps").mkdir()
        for name, (x0, y0, x1, y1) in RECTANGLES.items():
            np.save(folder / "maps" / f"{name}.png.npy", np.pad(np.ones((y1 - y0, x1 - x0)), [(y0, 64 - y1), (x0, 64 - x1)]))
        network = ["--scores", folder / "maps"]
    evaluate(folder / "out", *data, *network, "--overlays", f"{which}:9")
    evaluate(folder / "out", *data, *network, "--overlays", f"{which}:3")
    with open(folder / "out" / "pictures.csv", encoding="utf-8") as file:
        ious = {os.path.basename(row["id"])[0]: float(row["gt_known_iou"]) for row in csv.DictReader(file)}
    order = sorted(ious, key=ious.get, reverse=which == "best")[:3]
    assert order == (["c", "b", "d"] if which == "worst" else ["a", "d", "b"])
    drawn = sorted(os.listdir(folder / "out" / which))
    assert drawn == [f"{number:02}-{name}.jpg" for number, name in enumerate(order, 1)]  # none is left of the nine
    assert f"the {which} 3 pictures, with true boxes in green" in capsys.readouterr().out
    for file, name in zip(drawn, order):
        np.testing.assert_allclose(green(str(folder / "out" / which / file)), np.array(TRUE[name]) * 240 / 64, atol=3)


def test_the_first_guess_is_drawn_where_it_is_another_class(tmp_path, monkeypatch):
    """A panel for the true class, and one more where the network takes another one for it."""
    paint(str(tmp_path / "set" / RED / "a.png"), red=(4, 4, 12, 12), blue=(20, 20, 60, 60))
    paint(str(tmp_path / "set" / RED / "b.png"), red=(20, 20, 60, 60))
    metadata = metadata_folder(tmp_path / "metadata", {f"{RED}/{name}.png": [[4, 4, 12, 12]] for name in "ab"}, [0, 0])
    evaluate(tmp_path / "out", "--metadata", metadata, "--data", tmp_path / "set", "--weights", colour_weights(monkeypatch, tmp_path),
             "--overlays", "worst:2")
    widths = {name: cam_data.read_picture(str(tmp_path / "out" / "worst" / name)).shape[1] for name in os.listdir(tmp_path / "out" / "worst")}
    assert sorted(widths.values()) == [240 * 2 + 6, 240 * 3 + 12]
    assert next(name for name in widths if widths[name] > 600).endswith("a.jpg")


@pytest.mark.parametrize("text", ["worst", "worst:0", "worst:x", "bad:3", "worst:-1", "worst:99999999"])
def test_other_overlays_are_refused(text):
    with pytest.raises(InputError, match="is not worst:20 or best:20"):
        program.main(["--data", "x", "--overlays", text])


def test_without_maps_there_are_no_overlays():
    with pytest.raises(InputError, match="--overlays does not go with --guesses"):
        program.main(["--kit", "k", "--annotations", "a", "--guesses", "g", "--overlays", "worst:3"])


def test_figures_stand_apart_from_settings_and_say_which_way_is_better(boxed, capsys):
    data, network, folder = boxed
    evaluate(folder / "out", *data, *network, "--threshold", "0.3")
    said = capsys.readouterr().out
    table, settings = said[:said.rindex("┘")], said[said.rindex("┘"):].splitlines()
    rows = {cells[0].strip(): cells[-1].strip() for cells in (line.strip("│").split("│") for line in table.splitlines() if line.startswith("│"))}
    assert rows["top1_localization_error"] == rows["top1_classification_error"] == "lower"
    assert rows["gt_known_localization"] == rows["max_box_acc"] == "higher" and "threshold" not in rows and "pictures" not in rows
    notes = [line for line in settings[1:] if ": " in line]
    told = dict(line.split(None, 1) for line in settings[1:] if line.strip() and line not in notes)
    assert told["threshold"] == "0.3" and told["pictures"] == "4"  and told["data"].endswith("metadata")
    # What nobody touched is not listed; what is not plain has a line, what is plain none.
    assert not {"scales", "crops", "merge", "align", "precision", "method", "boxes", "map_scale", "refine", "refine_grid", "left_out"} & set(told)
    about = dict(line.split(": ", 1) for line in notes)
    assert "a fixed box in the middle; below it nothing is localized" in about["centre_box_baseline"]
    assert set(about) == {*rows, "Wilson"} - {"figure", "top1_classification_error"}
    evaluate(folder / "out", *data, *network, "--crops", "2", "--map-scale", "max", "--refine", "3")
    said = capsys.readouterr().out
    told = dict(line.split(None, 1) for line in said[said.rindex("┘"):].splitlines()[1:] if line.strip())
    assert [told[name] for name in ("crops", "map_scale", "refine", "refine_grid")] == ["2", "max", "3", "56"]


def test_an_error_is_told_by_its_name():
    assert all(map(cam_evaluation.is_error, ("top1_classification_error", "top5_localization_error_of_all")))
    assert not any(map(cam_evaluation.is_error, ("gt_known_localization", "max_box_acc", "pxap", "centre_box_baseline")))
