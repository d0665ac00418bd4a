"""Probing frozen features: splits, crops, what may see what, and the program as a whole."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import cam_data
import localization
import nets
import probe
import weights
from cam_base import Category, InputError, Preprocessing
from cam_data import PictureSet
from cam_evaluation.frozen_network import FrozenNetwork, cut_out, largest_boxes
from cam_evaluation.linear_classifier import fit
from weights import Weights

from small_networks import randomise

CONFIG = {"name": "resnet", "depth": 26, "width": 8, "stem": "3x3/2", "output_stride": 8}
WNIDS = ("n00000001", "n00000002", "n00000003")
THEIR_NUMBERS = np.array([2, 0, 1])  # of these wnids, in the network


def write_weights(path, classes, config=CONFIG, keep=lambda name: True):
    net = nets.build(config, max(1, len(classes)), seed=5)
    randomise(net)
    tensors = {name: v.numpy() for name, v in nets.named_variables(net).items() if keep(name)}
    weights.save(path, Weights(config, tensors, classes, Preprocessing(size=32)), dtype="float32")
    return str(path)


@pytest.fixture(scope="module")
def things(tmp_path_factory):
    """Red, green and blue squares on grey noise in Tiny ImageNet's layout; one file is broken."""
    root = tmp_path_factory.mktemp("things")
    rng = np.random.default_rng(0)
    (root / "wnids.txt").write_text("\n".join(WNIDS) + "\n")
    (root / "words.txt").write_text("".join(f"{wnid}\tthing {wnid[-1]}\n" for wnid in WNIDS))

    def write(path, channel):
        picture = np.repeat(rng.integers(60, 190, (48, 40, 1), np.uint8), 3, axis=2)
        x, y = rng.integers(0, 20), rng.integers(0, 28)
        picture[y:y + 20, x:x + 20] = np.eye(3)[channel] * 255
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path, "PNG")
        return f"{path.name}\t{x}\t{y}\t{x + 19}\t{y + 19}\n"

    lines = []
    for channel, wnid in enumerate(WNIDS):
        folder = root / "train" / wnid
        boxes = [write(folder / "images" / f"{wnid}_{number}.JPEG", channel) for number in range(8)]
        (folder / f"{wnid}_boxes.txt").write_text("".join(boxes))
        for number in range(4):
            file, box = write(root / "val" / "images" / f"{wnid}_{number}.JPEG", channel).split("\t", 1)
            lines.append(f"{file}\t{wnid}\t{box}")
    (root / "val" / "val_annotations.txt").write_text("".join(lines))
    (root / "train" / WNIDS[1] / "images" / f"{WNIDS[1]}_3.JPEG").write_bytes(b"broken")
    return str(root)


def run(tmp_path, *arguments):
    assert probe.main([*arguments, "--out", str(tmp_path / "out")]) == 0
    with open(tmp_path / "out" / "probe.json", encoding="utf-8") as file:
        return json.load(file)


def drawn(count, classes, name="drawn", boxes=None):
    """A PictureSet whose picture `row` is 6 x 9 pixels: red is x, green is y, blue is the row."""
    def draw(row, epoch):
        y, x = np.mgrid[:6, :9]
        return np.stack([x, y, np.full_like(x, row)], 2).astype(np.uint8)

    return PictureSet(name, [Category(None, str(n)) for n in range(classes)],
                      np.arange(count, dtype=np.int32) % classes, [f"{name}-{n}" for n in range(count)], boxes, draw)


@pytest.fixture(scope="module")
def network_file(things, tmp_path_factory):
    """A network that knows these things, in another order and with a class more."""
    path = tmp_path_factory.mktemp("weights") / "net.npz"
    classes = [Category(wnid, f"thing {wnid[-1]}") for wnid in (WNIDS[1], WNIDS[2], WNIDS[0], "n00000009")]
    trained, pictures = weights.load(write_weights(path, classes)), cam_data.open_set(things, "val")
    features, _ = FrozenNetwork(trained).pooled(pictures)
    kernel, bias = fit(features, THEIR_NUMBERS[pictures.labels], 4, 1.0)
    tensors = dict(trained.tensors) | {"head/kernel": kernel, "head/bias": bias}
    weights.save(str(path), replace(trained, tensors=tensors), dtype="float32")
    return str(path)


# ---------------------------------------------------------------- splits

def split(pictures, held_out=None, train=4, test=None, seed=0):
    return probe.random_split(pictures, held_out, train, test, np.random.default_rng(seed))


def test_splits_are_disjoint_even_and_of_their_seed():
    pictures = drawn(30, 3)
    training, testing = split(pictures)
    assert sorted([*training, *testing]) == list(range(30))
    assert np.bincount(pictures.labels[training]).tolist() == [4, 4, 4]
    for part, same, other in zip((training, testing), split(pictures), split(pictures, seed=1)):
        assert part.tolist() == same.tolist() != other.tolist()
    _, few = split(pictures, test=2)
    assert np.bincount(pictures.labels[few]).tolist() == [2, 2, 2] and not set(few) & set(training)


def test_held_out_pictures_are_never_trained_on_and_others_never_tested_on():
    held_out = np.arange(30) >= 18
    for seed in range(5):
        training, testing = split(drawn(30, 3), held_out, seed=seed)
        assert len(training) == 12 and not held_out[training].any()
        assert testing.tolist() == list(range(18, 30))


@pytest.mark.parametrize("apart", [False, True])
def test_a_picture_of_several_classes_is_not_trained_on_as_one_and_tested_as_another(apart):
    """Rows of VOC: every picture is a 0, and a 1 or a 2, too."""
    labels = np.array([0, 1, 0, 2] * 10, np.int32)
    files = [f"{row // 2}.jpg" for row in range(40)]
    pictures = PictureSet("voc", [Category(None, str(n)) for n in range(3)], labels, files)
    for seed in range(10):
        training, testing = split(pictures, np.arange(40) >= 24 if apart else None, train=3, seed=seed)
        assert np.bincount(labels[training]).tolist() == [3, 3, 3] and np.bincount(labels[testing]).min() > 0
        assert not {files[row] for row in training} & {files[row] for row in testing}


def test_a_class_with_too_few_pictures_is_named():
    with pytest.raises(InputError, match="drawn has 10 pictures of '0': too few for --train 10"):
        split(drawn(30, 3), train=10)
    with pytest.raises(InputError, match="of '2'"):
        split(drawn(30, 3), np.arange(30) % 9 < 2)  # nothing of the third class to test on


def test_joined_sets_keep_every_row():
    boxes = [np.array([[n, 0, n + 1, 1]]) for n in range(7)]
    both = probe.joined(drawn(3, 2, "set/train", boxes[:3]), drawn(4, 2, "set/val", boxes[3:]))
    assert both.name == "set" and both.labels.tolist() == [0, 1, 0, 0, 1, 0, 1]
    assert both.files[2:4] == ["set/train-2", "set/val-0"] and [box[0, 0] for box in both.boxes] == list(range(7))
    assert [both.draw(row, 0)[0, 0, 2] for row in range(7)] == [0, 1, 2, 0, 1, 2, 3]
    assert probe.joined(drawn(3, 2, "set/train", boxes[:3]), drawn(4, 2)).boxes is None


def test_both_splits_have_the_classes_of_the_first(tmp_path, monkeypatch):
    """As COCO's files number theirs, each from its own list."""
    sets = {"train": drawn(6, 3, "set/train"), "val": replace(drawn(4, 2, "set/val"), largest=7)}
    sets["val"] = replace(sets["val"], categories=sets["train"].categories[:0:-1])  # "2", "1"
    monkeypatch.setattr(cam_data, "open_set", lambda _, split: sets[split])
    pictures, held_out = probe.open_pictures(probe.ProbeSettings(data="set", draw="apart", largest_picture=300))
    assert pictures.labels.tolist() == [0, 1, 2, 0, 1, 2, 2, 1, 2, 1] and held_out.sum() == 4 and pictures.largest == 300_000_000
    sets["val"] = replace(sets["val"], categories=[Category(None, "other"), Category(None, "1")])
    with pytest.raises(InputError, match="the class 'other'"):
        probe.open_pictures(probe.ProbeSettings(data="set"))


def test_the_cost_and_the_classifier_know_nothing_of_the_test_rows():
    """Test features that are not numbers, and labels turned round, would show in either."""
    rng, pictures = np.random.default_rng(0), drawn(60, 3)
    options = probe.parse(["--data", "-"])
    features = rng.normal(size=(60, 8)) + 2 * np.eye(3, 8)[pictures.labels]
    training, testing = split(pictures, train=10)
    classifier, figure = probe.Probe(pictures, options)(features, (training, testing))
    features[testing] = np.nan
    pictures.labels[testing] = 2 - pictures.labels[testing]
    blind, unseen = probe.Probe(pictures, options)(features, (training, testing))
    np.testing.assert_array_equal(blind.kernel, classifier.kernel)
    assert unseen["cost"] == figure["cost"] and figure["accuracy"] > 0.7


# ---------------------------------------------------------------- crops

def test_what_is_cut_out_is_the_box():
    cut = cut_out(drawn(2, 2), np.array([[2, 1, 5, 3], [0, 0, 9, 6]]))
    first = cut.draw(0, 0)
    assert first.shape == (2, 3, 3) and first[0, 0].tolist() == [2, 1, 0] and first[-1, -1].tolist() == [4, 2, 0]
    np.testing.assert_array_equal(cut.draw(1, 0), drawn(2, 2).draw(1, 0))


@pytest.mark.parametrize("box, shape, corner", [
    ([-3, -2, 4, 3], (3, 4), [0, 0]), ([7, 4, 50, 50], (2, 2), [7, 4]),
    ([3, 3, 3, 3], (1, 1), [3, 3]), ([20, 20, 30, 30], (1, 1), [8, 5])])
def test_a_box_beyond_the_picture_is_cut_to_it(box, shape, corner):
    crop = cut_out(drawn(1, 1), np.array([box])).draw(0, 0)
    assert crop.shape[:2] == shape and crop[0, 0, :2].tolist() == corner


def test_files_are_cut_out_as_the_network_sees_them(things, network_file):
    network, pictures = FrozenNetwork(weights.load(network_file)), cam_data.open_set(things, "val")
    boxes = largest_boxes(pictures)
    features, rows = network.pooled(cut_out(pictures, boxes))
    assert rows.tolist() == list(range(12))
    for row in (0, 7):
        x0, y0, x1, y1 = boxes[row]
        crop = np.asarray(Image.open(pictures.files[row]))[y0:y1, x0:x1]
        assert (x1 - x0, y1 - y0) == (20, 20) and (crop == crop[0, 0]).all()
        seen = network.net(cam_data.prepare(crop, network.preprocessing)[None])[1]["pooled"][0]
        np.testing.assert_allclose(features[row], seen, rtol=1e-4, atol=1e-5)


def test_of_several_true_boxes_the_largest_counts():
    boxes = [np.array([[0, 0, 2, 2], [1, 1, 4, 3], [0, 0, 3, 2]]), np.array([[5, 5, 6, 6]])]
    assert largest_boxes(drawn(2, 2, boxes=boxes)).tolist() == [[1, 1, 4, 3], [5, 5, 6, 6]]


# ---------------------------------------------------------------- the network

def test_the_networks_own_layer_guesses_and_localizes_as_the_localizer_does(things, network_file):
    trained, pictures = weights.load(network_file), cam_data.open_set(things, "val")
    network, localizer = FrozenNetwork(trained), localization.from_weights(trained)
    guesses = network.own.guesses(network.pooled(pictures)[0])
    assert (guesses == THEIR_NUMBERS[pictures.labels]).all()
    boxes = network.boxes(pictures, network.own.kernel, guesses, 0.2)
    for row, (found,) in enumerate(localizer.stream(pictures.files, 16, top=1)):
        assert guesses[row] == found.number
        assert boxes[row].tolist() == list(found.box)


def test_features_that_are_not_finite_are_an_error(things, network_file):
    network = FrozenNetwork(weights.load(network_file))
    beta = network.net.stages[-1][-1].norm3.beta  # of an earlier layer, oneDNN's ReLU would make 0 of what is no number
    beta.assign(np.full(beta.shape, 3e38))
    with pytest.raises(InputError, match="features of it are not finite"):
        network.pooled(cam_data.open_set(things, "val"))


def test_weights_without_the_last_layer_will_do_and_without_others_will_not(tmp_path):
    def in_front(config):
        return lambda name: not nets.is_head(nets.NETWORKS[config["name"]], name)

    network = FrozenNetwork(weights.load(write_weights(tmp_path / "a.npz", [], keep=in_front(CONFIG))))
    assert network.classes == []
    alexnet = {"name": "alexnet", "head": "gap", "conv5_units": 256}
    file = write_weights(tmp_path / "b.npz", [], alexnet, in_front(alexnet))
    with pytest.raises(InputError, match="they lack conv6/bias, in front of the pooling"):
        FrozenNetwork(weights.load(file))


# ---------------------------------------------------------------- the program

@pytest.mark.slow
@pytest.mark.parametrize("classifier", ["svm", "logistic"])
def test_colours_are_told_apart_over_random_splits(things, network_file, tmp_path, capsys, classifier):
    report = run(tmp_path, "--data", things, "--weights", network_file, "--train", "4", "--splits", "3",
                 "--classifier", classifier)
    full = report["figures"]["full"]
    accuracies = [split["accuracy"] for split in full["splits"]]
    assert len(accuracies) == 3 and full["accuracy"] == pytest.approx(np.mean(accuracies)) and full["accuracy"] > 0.9
    assert full["standard_deviation"] == pytest.approx(np.std(accuracies, ddof=1))
    assert set(report["figures"]) == {"full"} and report["threshold"] is None and report["draw"] == "both"
    assert f"{WNIDS[1]}_3.JPEG" in capsys.readouterr().err
    assert run(tmp_path, "--data", things, "--weights", network_file, "--train", "4", "--splits", "3",
               "--classifier", classifier) == report


def test_crops_are_classified_by_new_classifiers_and_by_the_network(things, network_file, tmp_path, capsys):
    report = run(tmp_path, "--data", things, "--weights", network_file, "--draw", "apart", "--train", "6",
                 "--splits", "1", "--crops")
    figures = report["figures"]
    assert list(figures) == ["full", "cam_crop", "true_box", "network_full", "network_cam_crop", "network_true_box"]
    assert figures["true_box"]["accuracy"] == 1 and figures["full"]["standard_deviation"] is None
    assert figures["cam_crop"]["accuracy"] > 0.5  # features of one part of the split alone would give a third
    assert report["training_pictures"] in (17, 18) and report["test_pictures"] == 12 and report["threshold"] == 0.2
    assert figures["network_full"]["accuracy"] == 1  # the network has the classes in another order
    assert "network_cam_crop" in capsys.readouterr().out


@pytest.mark.slow
def test_drawn_pictures_have_crops_and_classes_that_the_network_does_not_know(network_file, tmp_path):
    report = run(tmp_path, "--data", "synthetic", "--weights", network_file, "--draw", "val", "--classes", "2",
                 "--train", "5", "--test", "4", "--splits", "2", "--crops")
    assert list(report["figures"]) == ["full", "cam_crop", "true_box"]
    assert report["training_pictures"] == 10 and report["test_pictures"] == 8


def test_what_makes_no_sense_is_refused_in_one_line(things, network_file, tmp_path):
    for arguments, message in ((["--data", things, "--train", "1"], "--train is 1; it must be at least 2"),
                               (["--data", things, "--splits", "0"], "--splits is 0"),
                               (["--data", things, "--train", "9", "--draw", "apart"], "too few for --train 9"),
                               (["--data", things, "--classes", "7"], "has 3 classes"),
                               (["--data", things, "--classes", "1"], "--classes is 1; it must be at least 2"),
                               (["--data", str(tmp_path / "none")], "no such folder"),
                               (["--data", things, "--weights", str(tmp_path / "none.npz")], "none.npz")):
        with pytest.raises(InputError, match=message) as error:
            probe.main(arguments if "--weights" in arguments else ["--weights", network_file, *arguments])
        assert "\n" not in str(error.value)


def test_a_set_that_cannot_be_read_any_more_is_an_error(things, network_file):
    network, pictures = FrozenNetwork(weights.load(network_file)), cam_data.open_set(things, "train")
    with pytest.raises(InputError, match="1 picture cannot be read any more"):
        network.boxes(pictures, network.own.kernel, np.zeros(len(pictures), int), 0.2)
