"""What evaluate.py evaluates a set by: views of a picture, rules for boxes, the threshold, a part of the data."""

import numpy as np
import pytest
from PIL import Image

import localization
import metrics
import ops
import weights
from cam_base import InputError
from cam_evaluation.settings import parse_evaluate
from cam_localization import parse_localize

from coloured import CLASSES, COLOURS, SIDE, colour_weights, evaluate, metadata_folder, paint

# Off the middle, so that a map that is not mirrored back, or lies elsewhere, misses.
RED = [6, 20, 26, 44]


@pytest.fixture
def colours(monkeypatch, tmp_path):
    return colour_weights(monkeypatch, tmp_path)


@pytest.mark.parametrize("views, tolerance", [
    ({}, 1), ({"crops": 2}, 1), ({"crops": 10}, 3), ({"scales": [64, 96]}, 1), ({"scales": [96, 32], "crops": 2}, 2),
    ({"align": True}, 1), ({"align": True, "crops": 10}, 3), ({"align": True, "scales": [96, 32], "crops": 2}, 2)])
def test_a_red_rectangle_is_found_at_its_place_in_every_view(colours, views, tolerance):
    localizer = localization.from_weights(weights.load(colours), **views)
    side = localizer.viewing.size
    assert side == {10: 73}.get(views.get("crops"), max(views.get("scales", [SIDE])))
    pixels = np.full((1, side, side, 3), 0.4, np.float32)
    x0, y0, x1, y1 = (np.array(RED) * side / SIDE).round().astype(int)
    pixels[0, y0:y1, x0:x1] = 1, 0, 0
    seen = localizer.class_maps(pixels, lambda chances: localization.top_classes(chances, 3))
    assert seen.classes[0, 0] == 0 and localizer.heat_maps(seen.maps).shape == (1, 3, side, side)
    heat_maps = localizer.heat_maps(seen.maps[0, :1])
    assert seen.probabilities.sum() == pytest.approx(1) and heat_maps.max() == pytest.approx(1, abs=1e-3)
    (box,) = localization.paper_boxes(heat_maps, (SIDE, SIDE), 0.5)
    assert abs(box - RED).max() <= tolerance, box
    levels = metrics.level_boxes(metrics.score_map(seen.maps[0, 0]))
    middle = levels.largest[levels.levels_of(np.array([0.5]))][0] * SIDE / 224
    assert abs(middle - RED).max() <= tolerance + 1


def test_the_scores_of_views_are_averaged(colours):
    """A network that sees red on the left only: the mirror image says otherwise."""
    localizer = localization.from_weights(weights.load(colours), crops=2)
    whole = localizer.network

    class LeftHalf:
        head = whole.head

        def __call__(self, pictures):
            return whole(pictures[:, :, :SIDE // 2])

    pixels = np.zeros((1, SIDE, SIDE, 3), np.float32)
    pixels[0, :, :10, 0], pixels[0, :, -10:, 2] = 1, 1
    both = localizer.class_maps(pixels, lambda chances: localization.top_classes(chances, 1))
    seeing_left = localization.Localizer(LeftHalf(), CLASSES, localizer.viewing, crops=2)
    half = seeing_left.class_maps(pixels, lambda chances: localization.top_classes(chances, 3))
    assert both.probabilities[0, 0] == pytest.approx(both.probabilities[0, 2])
    # Red is seen in one view, blue in the other: equal chances.
    assert half.probabilities[0, 0] == pytest.approx(half.probabilities[0, 2]) and half.probabilities[0, 0] > 0.49


def coloured_set(folder, shift=0):
    """Metadata and pictures: three of each colour, whose true boxes lie `shift` pixels beside them."""
    boxes = {}
    for number in range(9):
        colour, box = list(COLOURS)[number // 3], np.array([4 + number, 10, 30 + number, 46])
        name = f"{CLASSES[number // 3].wnid}/{number}.png"
        paint(str(folder / "pictures" / name), **{colour: box})
        boxes[name] = [(box + [0, shift, 0, shift]).tolist()]
    metadata_folder(folder / "metadata", boxes, [number // 3 for number in range(9)])
    return ["--metadata", folder / "metadata", "--data", folder / "pictures"]


def test_an_aligned_map_lies_where_the_network_saw_it(colours):
    """Cells of 2 pixels, said to lie 3 pixels further to the right and below than they do."""
    localizer = localization.from_weights(weights.load(colours), align=True)
    localizer.views.grid = lambda side: (4.0, 2)
    pixels = np.full((1, SIDE, SIDE, 3), 0.4, np.float32)
    x0, y0, x1, y1 = RED
    pixels[0, y0:y1, x0:x1] = 1, 0, 0
    seen = localizer.class_maps(pixels, lambda chances: localization.top_classes(chances, 1))
    (box,) = localization.paper_boxes(localizer.heat_maps(seen.maps[0]), (SIDE, SIDE), 0.5)
    assert abs(box - np.array(RED) - 3).max() <= 1, box
    assert seen.maps.shape == (1, 1, SIDE, SIDE)


def test_each_scale_is_laid_by_the_grid_of_its_own_size(colours):
    """Cells that are said to lie 2 pixels further right and below at 96 pixels, and nowhere else."""
    localizer = localization.from_weights(weights.load(colours), align=True, scales=[96, 48])
    asked = []
    localizer.views.grid = lambda side: asked.append(side) or (3.0 if side == 96 else 1.0, 2)
    maps = [np.zeros((1, 1, side // 2, side // 2), np.float32) for side in (96, 48)]
    maps[0][..., 10, 10], maps[1][..., 10, 10] = 1, 1
    merged = localizer.views.merge(maps, [96, 48])[0, 0]
    assert asked == [96, 48]
    # Cell 10 has its middle at 3 + 20 of 96 pixels, and at 1 + 20 of 48, which is 42 of 96.
    assert merged[22:24, 22:24].min() > 0.2 and merged[41:43, 41:43].min() > 0.2
    assert merged[20, 20] == 0


@pytest.mark.slow
@pytest.mark.parametrize("more, said", [
    ([], {"boxes": "paper", "threshold": 0.2, "crops": 1, "scales": [], "map_scale": "min-max"}),
    (["--crops", "2"], {"crops": 2}), (["--crops", "10"], {"crops": 10}), (["--scales", "64", "96"], {"scales": [64, 96]}),
    (["--boxes", "peak"], {"boxes": "peak", "threshold": 0.2, "map_scale": "min-max"}),
    (["--boxes", "authors"], {"boxes": "authors", "threshold": None, "map_scale": "max"}),
    (["--precision", "bfloat16"], {"precision": "bfloat16"}), (["--align"], {"align": True, "crops": 1})])
def test_every_option_finds_the_boxes_and_is_recorded(colours, tmp_path, more, said):
    found = evaluate(tmp_path / "out", *coloured_set(tmp_path), "--weights", colours, *more)
    assert found["top1_localization_error"] == 0 and found["gt_known_localization"] == 1 and found["max_box_acc"] == 1
    assert found["max_box_acc_v2"] == 1 and said.items() <= found.items()
    assert found["weights"] == colours and found["left_out"] == 0
    assert {"output_stride", "precision", "data", "max_box_acc_threshold", "max_box_acc_v2_thresholds"} <= set(found)


def test_boxes_that_lie_beside_the_colours_are_missed(colours, tmp_path):
    found = evaluate(tmp_path / "out", *coloured_set(tmp_path, shift=16), "--weights", colours, "--boxes", "authors")
    assert found["top1_classification_error"] == 0 and found["top1_localization_error"] == 1
    assert found["max_box_acc"] == found["gt_known_localization"] == 0 and found["max_box_acc_v2"] == pytest.approx(1 / 3)


def test_the_authors_rule_divides_by_the_maximum_alone():
    """A map that is nowhere 0: scaled by its minimum, too, it would give a box that is smaller than the picture."""
    class_maps = np.full((1, 8, 8), 0.5)
    class_maps[0, 2:5, 2:5] = 1
    whole, inner = (localization.authors_boxes(maps, (80, 80))[0].tolist()
                    for maps in (class_maps, ops.normalise(class_maps)))
    assert whole == [0, 0, 75, 75] and inner[0] > 8


@pytest.mark.parametrize("arguments, message", [
    (["--scores", "s", "--data", "d", "--crops", "10"], "--crops does not go with --scores"),
    (["--scores", "s", "--data", "d", "--output-stride", "8"], "--output-stride does not go with --scores"),
    (["--guesses", "g", "--kit", "k", "--annotations", "a", "--boxes", "authors"], "--boxes does not go with --guesses"),
    (["--data", "d", "--boxes", "peak", "--threshold", "crossfit"], "and --boxes paper"),
    (["--data", "d", "--boxes", "authors", "--threshold", "0.7"], "--threshold does not go with --boxes authors"),
    (["--compare", "a", "b", "--per-class"], "--per-class does not go with --compare"),
    (["--data", "d", "--class", "tabby"], "unrecognized arguments: --class tabby"),
    (["--data", "d", "--rows", "0"], "--rows is 0"), (["--data", "d", "--classes", "1"], "--classes is 1"),
    (["--data", "d", "--classes", "0"], "--classes is 0"),
    (["--data", "d", "--data", "e"], "--data is given twice"),
    (["--data", "d", "--align", "--align"], "--align is given twice"),
    ([], "--data FOLDER")])
def test_options_that_would_change_nothing_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        parse_evaluate(arguments)


@pytest.mark.parametrize("arguments, message", [
    (["cat.jpg", "--per-class"], "--per-class"),
    (["cat.jpg", "--boxes", "authors", "--threshold", "0.7"], "--threshold does not go with --boxes authors"),
    (["cat.jpg", "--boxes", "authors", "--refine", "80"], "--refine does not go with --boxes authors"),
    (["cat.jpg", "--class", "cat", "--top", "2"], "--top does not go with --class"),
    (["cat.jpg", "--crops", "10", "--scales", "64"], "--scales does not go with --crops 10"),
    (["cat.jpg", "--scales", "64", "8"], "--scales is 8; it must be at least 16"),
    (["cat.jpg", "--merge", "smooth"], "--merge does not go with fewer than ten --crops"),
    (["cat.jpg", "--resume", "--json", "-"], "--resume does not go with --json -"),
    (["cat.jpg", "--out", "a", "--out", "b"], "--out is given twice"),
    (["cat.jpg", "--overlay", "none", "--overlay-format", "jpg"], "--overlay-format does not go with --overlay none")])
def test_options_for_pictures_that_would_change_nothing_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        parse_localize(arguments)


def test_a_part_of_the_data(colours, tmp_path):
    arguments = [*coloured_set(tmp_path), "--weights", colours]
    assert evaluate(tmp_path / "out", *arguments, "--classes", "2")["pictures"] == 6
    assert evaluate(tmp_path / "out", *arguments, "--rows", "4")["pictures"] == 4


def tiny_imagenet(root, grow):
    """Red pictures in Tiny ImageNet's layout; the training boxes are larger than the colour by `grow` pixels."""
    lines, wnid = [], CLASSES[0].wnid
    for split, count in (("train", 6), ("val", 2)):
        for number in range(count):
            # Red fades to grey at its border, so that the threshold decides how large the box is.
            y, x = np.mgrid[:SIDE, :SIDE]
            distance = np.maximum(abs(x + 0.5 - 32), abs(y + 0.5 - 32 + number))
            red = np.clip(1 - distance / 28, 0, 1)[..., None]
            pixels = (red * (255, 0, 0) + (1 - red) * 100).astype(np.uint8)
            folder = root / "train" / wnid / "images" if split == "train" else root / "val" / "images"
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / f"{split}_{number}.png")
            low, high = 32 - grow, 31 + grow
            lines.append((split, f"{split}_{number}.png", [low, max(low - number, 0), high, high - number]))
    (root / "wnids.txt").write_text(wnid + "\n")
    (root / "train" / wnid / f"{wnid}_boxes.txt").write_text(
        "".join("\t".join(map(str, [name, *box])) + "\n" for split, name, box in lines if split == "train"))
    (root / "val" / "val_annotations.txt").write_text(
        "".join("\t".join(map(str, [name, wnid, *box])) + "\n" for split, name, box in lines if split == "val"))
    return str(root)


def test_the_threshold_is_that_of_the_training_boxes(colours, tmp_path):
    chosen = {}
    for grow in (8, 24):
        found = evaluate(tmp_path / "out", "--data", tiny_imagenet(tmp_path / str(grow), grow), "--weights", colours,
                         "--threshold", "auto")
        assert found["threshold_chosen_on"] == f"{grow}/train, 6 pictures"
        chosen[grow] = found["threshold"]
        assert found["gt_known_localization"] == 1
        # The lowest threshold at which the box around what is above it is at most twice the true one.
        above = 28 * (1 - chosen[grow])
        assert grow <= above + 1.5 and above - 1.5 <= grow * 2 ** 0.5
    assert chosen[8] > chosen[24] + 0.1
    with pytest.raises(InputError, match="never chooses by the pictures that it judges"):
        evaluate(tmp_path / "out", "--data", tmp_path / "8", "--split", "train", "--threshold", "auto")


def test_each_half_is_judged_at_the_threshold_of_the_other(colours, tmp_path):
    """The halves' true boxes are of different sizes: what is best for one is not for the other."""
    boxes = {}
    for number in range(8):
        y, x = np.mgrid[:SIDE, :SIDE]
        red = np.clip(1 - np.maximum(abs(x + 0.5 - 32), abs(y + 0.5 - 32)) / 28, 0, 1)[..., None]
        name, grow = f"{CLASSES[0].wnid}/{number}.png", (8, 24)[number % 2]
        (tmp_path / "pictures" / CLASSES[0].wnid).mkdir(parents=True, exist_ok=True)
        Image.fromarray((red * (255, 0, 0) + (1 - red) * 100).astype(np.uint8)).save(tmp_path / "pictures" / name)
        boxes[name] = [[32 - grow, 32 - grow, 32 + grow, 32 + grow]]
    metadata_folder(tmp_path / "metadata", boxes, [0] * 8)
    arguments = ["--metadata", tmp_path / "metadata", "--data", tmp_path / "pictures", "--weights", colours]
    found = evaluate(tmp_path / "out", *arguments, "--threshold", "crossfit")
    assert found["pictures"] == 8 and found["gt_known_localization"] == 0 and found["max_box_acc"] == 0.5
    first, second = found["threshold"]
    assert first < second  # the first half has the small boxes, and the threshold of the large ones
    assert evaluate(tmp_path / "plain", *arguments, "--threshold", str(second))["gt_known_localization"] == 0.5


def test_a_threshold_needs_boxes(colours, tmp_path):
    for split in ("train", "val"):
        for number, colour in enumerate(COLOURS):
            paint(str(tmp_path / "set" / split / CLASSES[number].wnid / "1.png"), **{colour: RED})
    arguments = ["--data", tmp_path / "set", "--weights", colours]
    with pytest.raises(InputError, match="set/train has no boxes to choose a threshold by"):
        evaluate(tmp_path / "out", *arguments, "--threshold", "auto")
    found = evaluate(tmp_path / "out", *arguments, "--per-class")
    assert found["top1_classification_error"] == 0 and "top1_localization_error" not in found
