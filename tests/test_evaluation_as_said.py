"""What the user says of a network: the published centre crop, several labels, and what `weights convert` keeps of it."""

import os

import numpy as np
import pytest

import localization
import localization.localizer as localizer_module
import weights
from cam_base import InputError
import cam_data.decoding as decoding
from cam_data import prepare_centre_crop
from weights.__main__ import main as command

from coloured import CLASSES, colour_weights, evaluate, metadata_folder, paint

RED, GREEN, _ = CLASSES
# Of 128 x 64 pixels: green at both ends, which is most of it, and red in the middle, which is most of the middle square.
ENDS, MIDDLE = {"green": (0, 0, 34, 64)}, (44, 4, 84, 60)


@pytest.fixture
def wide(tmp_path, monkeypatch):
    for name in "ab":
        paint(str(tmp_path / "set" / RED.wnid / f"{name}.png"), (128, 64), green=(0, 0, 43, 64), red=MIDDLE)
    metadata = metadata_folder(tmp_path / "metadata", {f"{RED.wnid}/{name}.png": [MIDDLE] for name in "ab"}, [0, 0], (128, 64))
    return ["--metadata", metadata, "--data", tmp_path / "set"], ["--weights", colour_weights(monkeypatch, tmp_path)], tmp_path


def test_the_published_crop_classifies_and_judges_no_boxes(wide):
    data, network, folder = wide
    whole = evaluate(folder / "whole", *data, *network)
    assert whole["top1_classification_error"] == 1 and "gt_known_localization" in whole  # there is more green
    cropped = evaluate(folder / "cropped", *data, *network, "--centre-crop", "64")
    assert cropped["top1_classification_error"] == 0 and cropped["centre_crop"] == 64
    assert not {"gt_known_localization", "max_box_acc", "top1_localization_error", "threshold"} & set(cropped)
    assert not os.path.exists(folder / "cropped" / "maps.npz")
    with pytest.raises(InputError, match="--centre-crop 48: the network's input is 64 pixels a side"):
        evaluate(folder / "cropped", *data, *network, "--centre-crop", "48")
    # What the network saw is the crop that torchvision's transforms make: tests/test_weights_preprocessing.py.
    localizer = localization.load(network[1], preprocessing={"centre_crop": 64}, centre_crop=True)
    pixels = np.random.default_rng(0).integers(0, 256, (70, 90, 3), np.uint8)
    np.testing.assert_array_equal(localizer._prepare(pixels), prepare_centre_crop(pixels, localizer.viewing))


def test_the_published_crop_of_a_large_picture_keeps_its_shape(wide, monkeypatch):
    """Both sides are reduced by one factor: each cut to 64 pixels by itself, there would be green left and right."""
    data, network, folder = wide
    monkeypatch.setattr(decoding, "LARGE", 1)
    monkeypatch.setattr(localizer_module, "ENOUGH", 1)
    localizer = localization.load(network[1], preprocessing={"size": 16, "centre_crop": 16}, centre_crop=True)
    assert localizer(str(folder / "set" / RED.wnid / "a.png"))[0].number == 0
    pixels, size = decoding.read_reduced(str(folder / "set" / RED.wnid / "a.png"), 32, keep_shape=True)
    assert pixels.shape == (32, 64, 3) and size == (64, 128)
    assert decoding.read_reduced(str(folder / "set" / RED.wnid / "a.png"), 32)[0].shape == (32, 32, 3)


def test_a_crop_that_nobody_said_is_asked_for(wide):
    data, network, folder = wide
    with pytest.raises(InputError, match="do not say by which centre crop.*--centre-crop 256"):
        evaluate(folder / "out", *data, *network, "--centre-crop")
    assert command(["convert", network[1], "--out", str(folder / "kept.npz"), "--centre-crop", "64"]) == 0
    assert evaluate(folder / "out", *data, "--weights", str(folder / "kept.npz"), "--centre-crop")["centre_crop"] == 64
    for others in (["--boxes", "peak"], ["--crops", "2"], ["--report"], ["--scores", str(folder)]):
        with pytest.raises(InputError, match="does not go with"):
            evaluate(folder / "out", *data, *network, "--centre-crop", "64", *others)


def test_probabilities_of_several_labels_are_sigmoids(wide):
    _, network, folder = wide
    picture = str(folder / "set" / RED.wnid / "a.png")
    softmax, sigmoid = (localization.load(network[1], multi_label=several)(picture, top=3) for several in (False, True))
    logits = np.log([found.probability for found in softmax])
    assert sum(found.probability for found in softmax) == pytest.approx(1) and sigmoid[0].probability > 0.999 and sigmoid[1].probability > 0.999
    assert {found.label for found in sigmoid[:2]} == {found.label for found in softmax[:2]} and logits[0] - logits[1] > 1
    assert sigmoid[2].probability == pytest.approx(0.5)  # nothing blue: a logit of 0


def test_what_was_said_is_kept_by_convert(wide):
    _, network, folder = wide
    (folder / "names.txt").write_text("one\ntwo\nthree\n")
    out = str(folder / "kept.npz")
    assert command(["convert", network[1], "--out", out, "--size", "96", "--mean", "0.5", "0.4", "0.3", "--channels", "BGR", "--interpolation", "nearest",
                    "--pixel-scale", "0.5", "--deviation", "1", "2", "3", "--multi-label", "--class-names", str(folder / "names.txt")]) == 0
    kept = weights.load(out)
    said = kept.preprocessing
    assert (said.size, said.mean, said.deviation, said.channels, said.interpolation, said.scale) == (96, (0.5, 0.4, 0.3), (1, 2, 3), "BGR", "nearest", 0.5)
    assert kept.multi_label and [label for _, label in kept.classes] == ["one", "two", "three"]
    with pytest.raises(InputError, match="--size is 3"):
        command(["convert", network[1], "--out", out, "--size", "3"])


def test_where_no_picture_can_be_judged_the_reason_is_said(wide):
    data, network, folder = wide
    for name in "ab":
        paint(str(folder / "set" / RED.wnid / f"{name}.png"), (64, 32))
    with pytest.raises(InputError, match=r"none of its pictures could be judged: .*[ab]\.png: has 64 x 32 pixels, and the data set says 128 x 64"):
        evaluate(folder / "out", *data, *network)
