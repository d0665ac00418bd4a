"""localize.py: boxes in the picture's own pixels, the files that scripts rely on, one-line errors."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from PIL import ExifTags, Image

import cam_base
import cam_data
import cam_evaluation
import evaluate
import localization
import localize
import metrics
import nets
import ops
import weights
from cam_base import Category, InputError, Preprocessing
from weights import Weights

ROOT = os.path.dirname(localize.__file__)
CLASSES = [Category("n02012849", "crane"), Category("n03126707", "crane"),
           Category("n02123045", "tabby, tabby cat"), Category(None, "red thing")]


@pytest.fixture
def trained(tmp_path):
    """A file of random weights for four classes."""
    config = {"name": "resnet", "depth": 26, "width": 8, "stem": "3x3/2", "output_stride": 8}
    net = nets.build(config, len(CLASSES))
    tensors = {name: variable.numpy() for name, variable in nets.named_variables(net).items()}
    path = str(tmp_path / "small.npz")
    weights.save(path, Weights(config, tensors, CLASSES, Preprocessing(size=32)))
    return path


class Redness(tf.Module):
    """A network whose map of class 3 is how red the picture is there: its boxes can be told by eye."""

    def __init__(self):
        super().__init__()
        self.smallest = 2
        self.head = tf.Module()
        self.head.kernel = tf.constant([[0.0, 0.0, 0.0, 1.0]])

    def __call__(self, pictures, training=False):
        red = tf.nn.relu(pictures[..., :1] - pictures[..., 1:2])
        features = tf.nn.avg_pool2d(red, 2, 2, "VALID")
        return ops.gap(features) @ self.head.kernel, {"features": features}


@pytest.fixture
def redness():
    return localization.Localizer(Redness(), CLASSES, Preprocessing(size=128))


def run(monkeypatch, localizer, *arguments):
    """localize.py with a localizer that is in memory; its exit status."""
    monkeypatch.setattr(localization, "load", lambda *_, **__: localizer)
    return localize.main([*map(str, arguments)])


def entries_of(out):
    with open(out / "localizations.json", encoding="utf-8") as file:
        return json.load(file)["pictures"]


@pytest.mark.parametrize("width, height, orientation", [
    (200, 700, 1), (900, 150, 1), (640, 480, 6), (640, 480, 3), (480, 640, 8), (300, 200, 5), (64, 64, 1)])
def test_a_box_goes_back_to_the_pixels_of_the_upright_picture(redness, tmp_path, width, height, orientation):
    """A red rectangle is drawn where people see it; the box must be that rectangle."""
    true = np.array([width * 0.25, height * 0.5, width * 0.5, height * 0.75]).astype(int)
    upright = np.full((height, width, 3), 90, np.uint8)
    upright[true[1]:true[3], true[0]:true[2]] = (255, 0, 0)
    # Pillow's own inverse of each orientation.
    undo = {1: None, 3: Image.Transpose.ROTATE_180, 5: Image.Transpose.TRANSPOSE,
            6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}[orientation]
    stored = Image.fromarray(upright)
    stored = stored if undo is None else stored.transpose(undo)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    file = str(tmp_path / "red.png")
    stored.save(file, exif=exif)
    np.testing.assert_array_equal(cam_data.read_picture(file), upright)  # what the overlay is drawn on
    result = redness(file, top=1)
    assert result.size == (height, width) and len(result) == 1
    (found,) = result
    assert found.label == "red thing" and found.wnid is None and found.number == 3
    np.testing.assert_array_equal(result.picture, upright)
    # The map has cells of two input pixels, and the box may reach one input pixel beyond.
    tolerance = np.array([width, height, width, height]) * 1.5 / 128 + 1
    assert (abs(np.array(found.box) - true) <= tolerance).all()
    x, y = found.peak
    assert true[0] <= x < true[2] and true[1] <= y < true[3]


def test_the_round_trip_of_a_box_is_exact():
    for width, height in ((1000, 37), (37, 1000), (224, 224), (4032, 3024)):
        whole = localization.to_picture([[0, 0, 224, 224]], (224, 224), height, width)
        assert whole.tolist() == [[0, 0, width, height]]
        halves = localization.to_picture([[0, 0, 112, 224], [112, 0, 224, 224]], (224, 224), height, width)
        assert halves[0, 2] == halves[1, 0]
    assert localization.to_picture([[223, 223, 224, 224]], (224, 224), 3, 3).tolist() == [[2, 2, 3, 3]]


def test_localizations_have_the_form_that_scripts_rely_on(trained, tmp_path):
    files = [str(tmp_path / "a" / "same.png"), str(tmp_path / "b" / "same.png")]
    for file, size in zip(files, ((50, 40), (30, 60))):
        os.makedirs(os.path.dirname(file))
        Image.fromarray(np.random.default_rng(1).integers(0, 255, (*size, 3), np.uint8)).save(file)
    assert localize.main([*files, "--weights", trained, "--out", str(tmp_path / "out")]) == 0
    entries = entries_of(tmp_path / "out")
    assert [entry["image"] for entry in entries] == files
    assert (entries[0]["width"], entries[0]["height"]) == (40, 50)
    for entry in entries:
        assert len(entry["predictions"]) == 3
        assert set(entry) == {"image", "width", "height", "overlay", "predictions"}
        chances = [prediction["probability"] for prediction in entry["predictions"]]
        assert chances == sorted(chances, reverse=True)
        for prediction in entry["predictions"]:
            assert set(prediction) == {"class", "wnid", "label", "probability", "box", "peak"}
            x0, y0, x1, y1 = prediction["box"]
            assert 0 <= x0 < x1 <= entry["width"] and 0 <= y0 < y1 <= entry["height"]
            assert 0 <= prediction["peak"][0] < entry["width"]
    # Two pictures of one name keep two overlays, which are told apart, and an overlay can be decoded.
    assert [entry["overlay"] for entry in entries] == ["same.jpg", "same-2.jpg"]
    assert sorted(os.listdir(tmp_path / "out")) == ["localizations.json", "same-2.jpg", "same.jpg"]
    assert cam_data.read_picture(str(tmp_path / "out" / "same.jpg")).ndim == 3


def test_no_picture_is_written_over(trained, tmp_path, capsys):
    """The overlays go where the pictures are, also those that are not looked at; brackets in names are no markup."""
    files = [str(tmp_path / name) for name in ("a.png", "a.jpg", "b [bold] [i].png")]
    for file in files:
        Image.new("RGB", (20, 20), (9, 99, 200)).save(file)
    before = [open(file, "rb").read() for file in files]
    assert localize.main([*files, "--weights", trained, "--out", str(tmp_path)]) == 0
    assert [open(file, "rb").read() for file in files] == before
    assert "b [bold] [i].png" in capsys.readouterr().out
    for _ in range(2):  # a.jpg is not among the pictures
        assert localize.main([files[0], "--weights", trained, "--out", str(tmp_path)]) == 0
        assert [entry["overlay"] for entry in entries_of(tmp_path)] == ["a-2.jpg"]
    assert [open(file, "rb").read() for file in files] == before
    assert {"a.png.jpg", "a.jpg.jpg", "b [bold] [i].jpg", "localizations.json"} <= set(os.listdir(tmp_path))


def test_classes_that_the_network_is_less_sure_of_are_left_out(trained, tmp_path, capsys):
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 255, (50, 40, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    arguments = [str(tmp_path / "?.png"), "--weights", trained, "--out", str(tmp_path / "out")]
    assert localize.main(arguments) == 0
    everything = entries_of(tmp_path / "out")
    capsys.readouterr()
    chances = sorted(one["probability"] for entry in everything for one in entry["predictions"])
    for least in (chances[len(chances) // 2], (1 + chances[-1]) / 2):
        assert localize.main([*arguments, "--min-probability", str(least)]) == 0
        assert entries_of(tmp_path / "out") == [entry | {"predictions": [
            one for one in entry["predictions"] if one["probability"] >= least]} for entry in everything]
    assert capsys.readouterr().out.count("none") >= 3  # above the most probable one, each picture's row says so
    assert cam_data.read_picture(str(tmp_path / "out" / "0.jpg")).shape[0] > 240
    with pytest.raises(InputError, match="--min-probability"):
        localize.main([*arguments, "--min-probability", "1.5"])


def test_heat_maps_have_the_colours_and_the_opacity_that_are_asked_for(trained, tmp_path):
    file = str(tmp_path / "p.png")
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (240, 240, 3), np.uint8)).save(file)

    def strip(*options):
        assert localize.main([file, "--weights", trained, "--top", "1", "--overlay-format", "png",
                              "--out", str(tmp_path / "out"), *options]) == 0
        found = cam_data.read_picture(str(tmp_path / "out" / "p.png")).astype(int)
        return found[:240, :240], found[8:232, 254:478]  # the picture; its panel

    plain, panel = strip()
    np.testing.assert_array_equal(strip("--alpha", "0.5", "--colormap", "jet")[1], panel)
    picture, bare = strip("--alpha", "0")
    np.testing.assert_array_equal(picture, plain)
    assert (bare == picture[8:232, 8:232]).all(-1).mean() > 0.9  # the frame of the box alone is drawn
    half = (bare + strip("--alpha", "1")[1]) / 2
    assert (abs(panel - half).max(-1) <= 1).mean() > 0.9 and abs(panel - bare).mean() > 10
    grey = strip("--alpha", "1", "--colormap", "gray")[1]
    assert (grey.max(-1) == grey.min(-1)).mean() > 0.9
    for options, message in ((["--colormap", "nice"], "no colour map 'nice'"), (["--alpha", "1.5"], "must be 0 to 1"),
                             (["--overlay", "none", "--alpha", "1"], "--alpha does not go with --overlay none")):
        with pytest.raises(InputError, match=message):
            localize.main([file, "--weights", trained, "--out", str(tmp_path / "out"), *options])


@pytest.mark.parametrize("form", ["jpg", "png"])
def test_its_own_overlays_are_never_pictures_again(trained, tmp_path, capsys, form):
    """A folder that is its own `--out` gave two pictures, then four, then eight."""
    folder = tmp_path / "holiday"
    folder.mkdir()
    for name in ("a.png", "b.jpg"):
        Image.new("RGB", (20, 20), (9, 99, 200)).save(folder / name)
    arguments = ["--weights", trained, "--overlay-format", form, "--out", str(folder)]
    for call in range(3):
        assert localize.main([str(folder), *arguments]) == 0
        assert [os.path.basename(entry["image"]) for entry in entries_of(folder)] == ["a.png", "b.jpg"]
        assert ("Left out 2 files that localize.py drew" in capsys.readouterr().out) == (call > 0)
    overlays = [str(folder / entry["overlay"]) for entry in entries_of(folder)]
    assert sorted(os.listdir(folder)) == sorted(["a.png", "b.jpg", "localizations.json", *map(os.path.basename, overlays)])
    with pytest.raises(InputError, match="an overlay that localize.py drew, and no other picture is given"):
        localize.main([overlays[0], *arguments])


def test_one_class_can_be_asked_for_by_name(trained, tmp_path):
    file = str(tmp_path / "p.png")
    Image.new("RGB", (20, 20)).save(file)
    arguments = [file, "--weights", trained, "--out", str(tmp_path / "out")]
    assert localize.main([*arguments, "--class", "Tabby Cat", "--class", "3", "--class", "n02012849"]) == 0
    (entry,) = entries_of(tmp_path / "out")
    assert [prediction["class"] for prediction in entry["predictions"]] == [2, 3, 0]
    with pytest.raises(InputError, match="nearest names are: tabby"):
        localize.main([*arguments, "--class", "taby"])
    with pytest.raises(InputError, match="no class 4"):
        localize.main([*arguments, "--class", "4"])


def test_a_word_stands_for_all_classes_that_are_called_so(trained, tmp_path, capsys):
    """As --list-classes lists them; the same of the call. ILSVRC's two cranes are told apart in the table and in captions."""
    file = str(tmp_path / "p.png")
    Image.new("RGB", (20, 20)).save(file)
    for word, numbers in (("crane", [0, 1]), ("cat", [2]), ("thing", [3])):
        assert localize.main([file, "--weights", trained, "--out", str(tmp_path / "out"), "--class", word]) == 0
        said = capsys.readouterr().out
        (entry,) = entries_of(tmp_path / "out")
        assert [found["class"] for found in entry["predictions"]] == numbers
        assert localize.main(["--weights", trained, "--list-classes", word]) == 0
        assert [int(line.split()[0]) for line in capsys.readouterr().out.splitlines()] == numbers
        result = localization.load(trained)(file, classes=word)
        assert [found.number for found in result] == numbers
        if word == "crane":
            assert "'crane' is taken for crane; crane" in said
            assert all(f"crane ({wnid})" in said for wnid, _ in CLASSES[:2]) and [found.name for found in result] == [
                "crane (n02012849)", "crane (n03126707)"]
    assert [found.number for found in localization.load(trained)(file, classes=["tabby", "n03126707", "crane"])] == [2, 1, 0]


def test_more_classes_than_can_be_seen_are_refused(redness, monkeypatch, tmp_path):
    Image.new("RGB", (20, 20), (255, 0, 0)).save(tmp_path / "p.png")
    monkeypatch.setattr(localize, "MOST_ASKED", 1)
    with pytest.raises(InputError, match="crane: the names of 2 classes, of which at most 1 are drawn"):
        run(monkeypatch, redness, tmp_path / "p.png", "--class", "crane", "--out", tmp_path / "out")


def test_classes_are_listed_and_a_part_of_a_name_is_said_what_it_is_taken_for(tmp_path, capsys):
    weights_of = ["--weights", "tiny-imagenet-100"]
    assert localize.main(["--list-classes", *weights_of]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 100
    for word in ("aligator", "ALLIGATOR", "n01698640", "American_alligator", "2"):
        assert localize.main(["--list-classes", word, *weights_of]) == 0
        said = capsys.readouterr()
        assert said.out == "     2  n01698640  American alligator, Alligator mississipiensis\n"
        assert ("no class of these weights is called 'aligator'; the nearest names are: alligator" in said.err) == (word == "aligator")
    with pytest.raises(InputError, match="no class of these weights is called 'zzzz'"):
        localize.main(["--list-classes", "zzzz", *weights_of])
    for name, said in (("alligator", True), ("american_alligator", False), ("2", False), ("n01698640", False)):
        assert localize.asked_classes(localization.load("tiny-imagenet-100"), [name]) == [2]
        told = "'alligator' is taken for American alligator, Alligator mississipiensis\n" if said else ""
        assert capsys.readouterr().out == told


@pytest.mark.parametrize("sure", [True, False])
def test_it_is_said_how_many_classes_there_are_and_where_the_network_is_unsure(redness, monkeypatch, tmp_path, capsys, sure):
    Image.new("RGB", (20, 20), (255, 0, 0)).save(tmp_path / "p.png")
    monkeypatch.setattr(localize, "UNSURE", 0.0 if sure else 1.1)
    assert run(monkeypatch, redness, tmp_path / "p.png", "--out", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert f"The network names one of {len(CLASSES)} classes (--list-classes), whatever a picture shows" in said
    assert said.count(" ? ") == (0 if sure else 2) and ("; ? is below 1.1: it may be none of them" in said) != sure
    assert run(monkeypatch, redness, tmp_path / "p.png", "--class", "red thing", "--class", "tabby", "--out", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "A box is drawn for every class of --class, whether a picture shows it or not" in said
    assert said.count(" ? ") == (0 if sure else 3) and ("; ? is below 1.1: it may not be there" in said) != sure


def test_classes_are_matched_by_wnid_then_by_name_never_by_number():
    theirs = [Category("n03126707", "crane"), Category("n02123045", "cat"), Category(None, "Red Thing"),
              Category(None, "crane"), Category("n99999999", "tabby, tabby cat")]
    assert cam_base.match_classes(CLASSES, theirs).tolist() == [1, 2, 3, -1, -1]


def boxed_set(tmp_path, boxes, labels, categories):
    """Pictures of 100 x 80 that are grey but for a red rectangle where the last box is."""
    files = []
    for number, box in enumerate(boxes):
        picture = np.full((80, 100, 3), 100, np.uint8)
        x0, y0, x1, y1 = box[-1]
        picture[y0:y1, x0:x1] = (255, 0, 0)
        files.append(str(tmp_path / f"{number}.png"))
        Image.fromarray(picture).save(files[-1])
    return cam_data.PictureSet("made/val", categories, np.array(labels, np.int32), files,
                           [np.array(box, np.int32) for box in boxes])


def test_a_data_set_is_judged_as_ilsvrc_does(redness, tmp_path):
    far, red = [60, 40, 95, 70], [10, 10, 50, 40]
    # The network always says class 3. Two are of that class: one box fits, of two true boxes
    # one fits; the third is of class 2, which is among the first five guesses but has no map.
    pictures = boxed_set(tmp_path, [[red], [far, red], [red], [red]], [0, 0, 1, 2],
                         [Category(None, "red thing"), Category("n02123045", "x"), Category(None, "moon")])
    pictures = cam_data.PictureSet(pictures.name, pictures.categories, pictures.labels, pictures.files,
                               pictures.boxes[:1] + [np.array([far, red])] + pictures.boxes[2:])
    records, warnings, _ = cam_evaluation.evaluate_network(redness, pictures)
    assert warnings == ["left out, since the weights do not know them: moon"]
    assert records.classes == len(CLASSES)
    found = cam_evaluation.figures(replace(records, classes=None))  # of so few, the first five guesses would be no figure
    assert found["pictures"] == 3  # no class of the network is called moon
    assert found["top1_classification_error"] == pytest.approx(1 / 3)
    assert found["top5_classification_error"] == 0
    assert found["top1_localization_error"] == pytest.approx(1 / 3)
    # Class 2's map is constant, so its box is the whole picture: wrong.
    assert found["top5_localization_error"] == pytest.approx(1 / 3)
    assert found["gt_known_localization"] == pytest.approx(2 / 3)
    # The map is exact to half a cell: the red box fits at the best threshold.
    assert found["max_box_acc"] == pytest.approx(2 / 3)


def test_the_centre_box_baseline_is_the_best_of_400():
    boxes = [np.array([[30, 30, 70, 70]]), np.array([[25, 25, 75, 75]]), np.array([[0, 0, 4, 4], [2, 0, 9, 9]])]
    share, width, height = metrics.centre_box_baseline(boxes, [(100, 100)] * 3)
    assert share == pytest.approx(2 / 3)
    assert ops.iou([50 - 50 * width, 50 - 50 * height, 50 + 50 * width, 50 + 50 * height], boxes[0][0]) >= 0.5
    everything = metrics.centre_box_baseline([np.array([[0, 0, 60, 40]])], [(40, 60)])
    assert everything[0] == 1


def test_a_finer_output_stride_keeps_the_weights(trained):
    picture = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)
    (coarse,), (fine,) = (localization.load(trained, output_stride=stride)(picture, top=1) for stride in (None, 4))
    assert coarse.class_map.shape[0] * 2 == fine.class_map.shape[0]


def test_bad_input_is_one_line(trained, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("hello")
    with open(trained, "rb") as file:
        half = file.read()[:5000]
    (tmp_path / "half.npz").write_bytes(half)
    picture = str(tmp_path / "p.png")
    Image.new("RGB", (20, 20)).save(picture)
    for arguments, message in (
            (["nowhere.jpg"], "nowhere.jpg: no such file"),
            ([str(tmp_path / "empty")], "no pictures in this folder"),
            ([picture, "--weights", str(tmp_path / "half.npz")], "half.npz"),
            ([picture, "--weights", str(tmp_path / "none.npz")], "none.npz"),
            ([picture, "--weights", trained, "--class", "zebra"], "no class"),
            ([picture, "--weights", trained, "--threshold", "1.5"], "--threshold is 1.5"),
            ([picture, "--weights", trained, "--threshold", "abc"], "--threshold: invalid .*abc"),
            ([picture, "--weights", trained, "--output-stride", "0"], "--output-stride is 0"),
            ([picture, "--weights", trained, "--output-stride", "5"], "output_stride is 5"),
            (["--weights", trained, "--data", str(tmp_path / "empty")], "looked for wnids.txt"),
            (["--weights", trained, "--data", "synthetic"], "no class of synthetic/val")):
        with pytest.raises(InputError, match=message) as caught:
            (evaluate if "--data" in arguments else localize).main([*arguments, "--out", str(tmp_path / "out")])
        assert "\n" not in str(caught.value)


def test_the_program_exits_with_2_and_no_traceback(trained, tmp_path):
    text = tmp_path / "text.jpg"
    text.write_text("hello")
    ran = subprocess.run([sys.executable, os.path.join(ROOT, "localize.py"), str(text), "--weights", trained,
                          "--out", str(tmp_path / "out")], capture_output=True, text=True, cwd=tmp_path)
    assert ran.returncode == 2
    assert "text.jpg" in ran.stderr and "Traceback" not in ran.stderr
