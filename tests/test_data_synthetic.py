"""The drawn set: exact boxes, the same pictures for the same seed, and new ones without end."""

import numpy as np
import pytest

from cam_data import open_set, synthetic


@pytest.fixture(scope="module")
def sets():
    return {split: open_set("synthetic", split) for split in ("train", "val")}


@pytest.mark.parametrize("label", range(len(synthetic.CLASSES)))
def test_a_box_is_exactly_that_of_the_shapes_pixels(label, monkeypatch):
    """Drawn once all white and once all black, a picture differs in the shape's pixels and no others."""
    for number in range(20):
        drawn = []
        for value in (1e6, -1e6):
            monkeypatch.setattr(synthetic, "_shades", lambda *_, value=value: (np.full(3, value), np.full(3, value)))
            drawn.append(synthetic.draw(5, number, label))
        (white, box), (black, again) = drawn
        y, x = np.nonzero((white != black).any(2))
        np.testing.assert_array_equal(box, [x.min(), y.min(), x.max() + 1, y.max() + 1])
        np.testing.assert_array_equal(box, again)
        assert box.dtype == np.int32


def test_a_shape_is_seen_in_its_box(sets):
    """Not a flat patch: two shades, so that its texture can be told."""
    val = sets["val"]
    for row in range(20):
        picture, (x0, y0, x1, y1) = val.draw(row, 0), val.boxes[row][0]
        height, width, _ = picture.shape
        assert 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height
        assert picture[y0:y1, x0:x1].std() > 20


def test_a_pictures_box_is_the_one_of_its_row(sets):
    val = sets["val"]
    for row in (0, 1, 37):
        picture, box = synthetic.draw(synthetic.SPLIT_SEEDS["val"], row, val.labels[row])
        np.testing.assert_array_equal(val.draw(row, 0), picture)
        np.testing.assert_array_equal(val.boxes[row], box[None])


@pytest.mark.parametrize("split", ["train", "val"])
def test_the_same_row_is_the_same_picture(sets, split):
    again = open_set("synthetic", split)
    for row in (0, 11, len(again) - 1):
        picture = sets[split].draw(row, 2)
        assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3
        np.testing.assert_array_equal(picture, again.draw(row, 2))


def test_training_draws_new_pictures_in_every_epoch_and_validation_does_not(sets):
    count = len(sets["train"])
    seen = {sets["train"].draw(row, epoch).tobytes() for row in (0, 1, count - 1) for epoch in range(4)}
    assert len(seen) == 12
    np.testing.assert_array_equal(sets["val"].draw(0, 0), sets["val"].draw(0, 3))


def test_splits_share_no_picture(sets):
    train = {sets["train"].draw(row, 0).tobytes() for row in range(60)}
    assert not train & {sets["val"].draw(row, 0).tobytes() for row in range(60)}


@pytest.mark.parametrize("split", ["train", "val"])
def test_labels_are_balanced_and_boxes_are_for_judging(sets, split):
    pictures = sets[split]
    counts = np.bincount(pictures.labels, minlength=len(pictures.categories))
    assert counts.max() - counts.min() <= 1 and counts.min() > 0
    assert (pictures.boxes is None) == (split == "train")
    assert len(set(pictures.files)) == len(pictures)


def test_a_part_of_the_set_draws_the_same_pictures(sets):
    part = sets["train"].first_classes(3).first_rows(30)
    assert np.bincount(part.labels).tolist() == [10, 10, 10]
    row = sets["train"].files.index(part.files[17])
    np.testing.assert_array_equal(part.draw(17, 1), sets["train"].draw(row, 1))
