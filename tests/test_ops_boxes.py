import numpy as np
import pytest
from scipy import ndimage

from ops import boxes_from_heat_maps, iou


def drawn(*rows):
    """A heat map from digits, tenths."""
    return np.array([[int(digit) for digit in row] for row in rows], np.float32) / 10


def test_the_box_is_half_open_and_holds_what_is_above_the_threshold():
    heat = drawn("000000",
                 "003900",
                 "000510")
    np.testing.assert_array_equal(boxes_from_heat_maps(heat), [2, 1, 4, 3])
    np.testing.assert_array_equal(boxes_from_heat_maps(heat, 0.5), [3, 1, 4, 3])
    np.testing.assert_array_equal(boxes_from_heat_maps(heat, 0), [2, 1, 5, 3])


def test_a_pixel_at_the_threshold_is_not_above_it():
    np.testing.assert_array_equal(boxes_from_heat_maps(np.array([[1.0, 2.0, 4.0]]), 0.5), [2, 0, 3, 1])


def test_the_threshold_is_a_fraction_of_the_maximum():
    heat = drawn("0139310")
    for factor in (0.01, 1, 100):
        np.testing.assert_array_equal(boxes_from_heat_maps(factor * heat), [2, 0, 5, 1])


def test_the_largest_segment_wins_even_without_the_maximum():
    heat = drawn("90000",
                 "00055",
                 "00050")
    np.testing.assert_array_equal(boxes_from_heat_maps(heat), [3, 1, 5, 3])


def test_the_segment_that_holds_the_peak():
    heat = drawn("000550",
                 "000500",
                 "080000",
                 "008900",
                 "000000")
    for columns in (slice(None), slice(None, None, -1)):
        larger = np.concatenate([heat, np.pad(np.full((5, 4), 0.4, np.float32), [(0, 0), (1, 0)])], axis=1)[:, columns]
        x0, x1 = (1, 4) if columns.step is None else (7, 10)
        np.testing.assert_array_equal(boxes_from_heat_maps(larger, segment="peak"), [x0, 2, x1, 4])
    # Of equal maxima the first in reading order; without any, the whole picture.
    np.testing.assert_array_equal(boxes_from_heat_maps(drawn("00900", "00000", "99900"), segment="peak"), [2, 0, 3, 1])
    np.testing.assert_array_equal(boxes_from_heat_maps(np.ones((3, 5)), segment="peak"), [0, 0, 5, 3])
    with pytest.raises(ValueError, match="segment must be largest or peak; it is 'hottest'"):
        boxes_from_heat_maps(heat, segment="hottest")


@pytest.mark.parametrize("threshold", [0, 0.3, 0.7])
def test_the_peak_lies_in_its_box_and_in_a_segment_of_that_box(threshold):
    for heat in np.random.default_rng(5).random((30, 12, 15)) ** 3:
        box = boxes_from_heat_maps(heat, threshold, "peak")
        y, x = np.unravel_index(heat.argmax(), heat.shape)
        assert box[0] <= x < box[2] and box[1] <= y < box[3]
        labels, _ = ndimage.label(heat > threshold * heat.max(), np.ones((3, 3)))
        rows, columns = np.nonzero(labels == labels[y, x])
        np.testing.assert_array_equal(box, [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])


def test_a_segment_that_is_large_but_thin_counts_by_its_pixels():
    heat = drawn("9000055",
                 "0900055",
                 "0090055")
    np.testing.assert_array_equal(boxes_from_heat_maps(heat), [5, 0, 7, 3])


def test_pixels_that_touch_at_a_corner_belong_together():
    heat = drawn("900000",
                 "090000",
                 "009000",
                 "000055")
    np.testing.assert_array_equal(boxes_from_heat_maps(heat), [0, 0, 3, 3])


def test_of_equally_large_segments_the_first_in_reading_order_counts():
    np.testing.assert_array_equal(boxes_from_heat_maps(drawn("000099",
                                                             "000000",
                                                             "990000")), [4, 0, 6, 1])


@pytest.mark.parametrize("value", (0, 0.5, 1))
def test_a_constant_map_gets_the_whole_picture(value):
    np.testing.assert_array_equal(boxes_from_heat_maps(np.full((3, 5), value)), [0, 0, 5, 3])


def test_one_box_per_map_for_any_leading_axes():
    heat = np.random.default_rng(0).random((2, 3, 9, 7))
    boxes = boxes_from_heat_maps(heat, 0.6)
    assert boxes.dtype == np.int32 and boxes.shape == (2, 3, 4)
    for index in np.ndindex(2, 3):
        np.testing.assert_array_equal(boxes[index], boxes_from_heat_maps(heat[index], 0.6))
    assert boxes_from_heat_maps(np.zeros((0, 3, 9, 7))).shape == (0, 3, 4)


def test_agrees_with_labelling_the_whole_map():
    maps = ndimage.gaussian_filter(np.random.default_rng(1).random((200, 40, 30)), (0, 2, 2))
    maps -= maps.min((1, 2), keepdims=True)
    for heat, box in zip(maps, boxes_from_heat_maps(maps, 0.5)):
        labels, count = ndimage.label(heat > 0.5 * heat.max(), np.ones((3, 3)))
        sizes = [np.sum(labels == number) for number in range(1, count + 1)]
        rows, columns = ndimage.find_objects(labels)[int(np.argmax(sizes))]
        assert box.tolist() == [columns.start, rows.start, columns.stop, rows.stop]


@pytest.mark.parametrize("segment", ["largest", "peak"])
def test_agrees_with_labelling_rough_maps_of_all_shapes_beside_each_other(segment):
    """Of few levels: segments reach the borders, touch at corners, have holes, and are equally large; some maps are constant."""
    random = np.random.default_rng(2)
    for height, width, levels in [(1, 1, 2), (1, 9, 2), (9, 1, 3), (2, 2, 2), (5, 7, 2), (8, 8, 3), (13, 6, 4), (30, 31, 2)]:
        maps = random.integers(0, levels, (150, height, width)).astype(np.float32)
        for heat, box in zip(maps, boxes_from_heat_maps(maps, 0.4, segment)):
            labels, count = ndimage.label(heat > 0.4 * heat.max(), np.ones((3, 3)))
            if not count:
                assert box.tolist() == [0, 0, width, height]
                continue
            largest = 1 + np.argmax(np.bincount(labels.ravel())[1:])
            chosen = largest if segment == "largest" else labels.ravel()[heat.argmax()]
            rows, columns = ndimage.find_objects(labels)[chosen - 1]
            assert box.tolist() == [columns.start, rows.start, columns.stop, rows.stop]


def test_no_maps_have_no_boxes():
    assert boxes_from_heat_maps(np.zeros((0, 4, 5))).shape == (0, 4)


@pytest.mark.parametrize("threshold", (-0.1, 1, 20, np.nan))
def test_refuses_a_threshold_that_is_no_fraction(threshold):
    with pytest.raises(ValueError, match="threshold"):
        boxes_from_heat_maps(np.ones((2, 2)), threshold)


@pytest.mark.parametrize("heat, message", [
    ([[0, np.nan]], "finite"), ([[0, np.inf]], "finite"), ([[0, -1.0]], "negative"),
    (np.ones(3), r"\[\.\.\., H, W\]"), (np.ones((2, 0, 3)), r"\[\.\.\., H, W\]")])
def test_refuses_what_is_no_heat_map(heat, message):
    with pytest.raises(ValueError, match=message):
        boxes_from_heat_maps(heat)


@pytest.mark.parametrize("a, b, expected", [
    ([0, 0, 4, 4], [0, 0, 4, 4], 1),
    ([0, 0, 4, 4], [2, 2, 6, 6], 4 / 28),
    ([0, 0, 4, 4], [1, 1, 3, 3], 4 / 16),
    ([0, 0, 4, 4], [4, 0, 8, 4], 0),
    ([0, 0, 4, 4], [9, 9, 12, 12], 0),
    ([0, 0, 4, 4], [2, 2, 2, 3], 0),
    ([2, 2, 2, 2], [2, 2, 2, 2], 0),
    ([3, 3, 1, 1], [0, 0, 4, 4], 0),
    ([0.0, 0.0, 0.5, 1.0], [0.25, 0.0, 1.0, 1.0], 0.25)])
def test_iou_by_hand(a, b, expected):
    assert iou(a, b) == pytest.approx(expected, abs=1e-15)
    assert iou(b, a) == iou(a, b)


def test_iou_of_ilsvrc_boxes_made_half_open_is_that_of_the_kit():
    # Pixels 0 to 3 and 2 to 5, both axes: 2 x 2 of 16 + 16 - 4.
    one_more = np.array([0, 0, 1, 1])
    assert iou([0, 0, 3, 3] + one_more, [2, 2, 5, 5] + one_more) == pytest.approx(4 / 28)


def test_iou_broadcasts_and_counts_pixels():
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 12, (2, 30, 2, 2))
    boxes = np.concatenate([corners.min(2), corners.max(2)], -1).astype(np.int32)
    masks = np.zeros((2, 30, 12, 12), bool)
    for index in np.ndindex(2, 30):
        x0, y0, x1, y1 = boxes[index]
        masks[index][y0:y1, x0:x1] = True
    one, other = masks[0][:, None], masks[1][None]
    expected = (one & other).sum((2, 3)) / np.maximum((one | other).sum((2, 3)), 1)
    answer = iou(boxes[0][:, None], boxes[1])
    assert answer.dtype == np.float64
    np.testing.assert_allclose(answer, expected, atol=1e-15)


def test_iou_of_large_integers_does_not_overflow():
    assert iou(np.array([0, 0, 70000, 70000], np.int32), np.array([0, 0, 70000, 70000], np.int32)) == 1


def test_iou_refuses_what_is_no_box():
    with pytest.raises(ValueError, match=r"^a must be boxes \[\.\.\., 4\]"):
        iou([0, 0, 1], [0, 0, 1, 1])
    with pytest.raises(ValueError, match="a and b do not go together"):
        iou(np.zeros((2, 4)), np.zeros((3, 4)))


@pytest.mark.parametrize("value", (np.nan, np.inf, -np.inf))
@pytest.mark.parametrize("place", range(4))
def test_iou_refuses_a_box_that_is_not_finite(value, place):
    box = [0.0, 0.0, 4.0, 4.0]
    box[place] = value
    for zero in range(4):  # without a width or a height, too
        box[zero] = box[zero] if zero == place else 0.0
        for a, b in ((box, [0, 0, 1, 1]), ([0, 0, 1, 1], box), ([[0, 0, 1, 1]], [[5, 5, 9, 9], box])):
            with pytest.raises(ValueError, match="finite"):
                iou(a, b)
