"""MaxBoxAcc and V2 against the protocol done step by step, and its details by hand."""

import numpy as np
import pytest
from scipy import ndimage

from metrics import THRESHOLDS, PxAP
from metrics.max_box_acc import MaxBoxAcc, MaxBoxAccV2, best_threshold
from metrics.score_maps import scale_boxes, score_map
from metrics.threshold_boxes import level_boxes
from ops.resize import resize_bicubic, resize_nearest


def inclusive_iou(a, b):
    """IoU of boxes whose last pixel belongs to them, in plain Python."""
    width = max(0, min(a[2], b[2]) - max(a[0], b[0]) + 1)
    height = max(0, min(a[3], b[3]) - max(a[1], b[1]) + 1)
    areas = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (a, b)]
    return width * height / (sum(areas) - width * height)


def clipped(box, scores):
    x0, y0, x1, y1 = map(int, box)
    return x0, y0, min(x1, scores.shape[1] - 1), min(y1, scores.shape[0] - 1)


def pictures(rng, count=40):
    """Score maps of many kinds with one to three true boxes each."""
    for number in range(count):
        shape = rng.integers(2, 20, 2)
        scores = [rng.integers(0, 2, shape) / 1, rng.integers(0, 4, shape) / 3, rng.random(shape),
                  np.zeros(shape), ndimage.gaussian_filter(rng.random(shape), 2)][number % 5]
        x = np.sort(rng.integers(0, shape[1], (rng.integers(1, 4), 2)))
        y = np.sort(rng.integers(0, shape[0], (len(x), 2)))
        yield scores, np.stack([x[:, 0], y[:, 0], x[:, 1] + 1, y[:, 1] + 1], axis=1)


def test_equal_the_protocol_done_threshold_by_threshold():
    thresholds = np.arange(0, 1, 0.01)
    first, second = MaxBoxAcc(thresholds), MaxBoxAccV2(thresholds)
    right, right_v2 = np.zeros(len(thresholds)), np.zeros((3, len(thresholds)))
    data = list(pictures(np.random.default_rng(0)))
    for scores, true in data:
        boxes = level_boxes(scores)
        first.add(boxes, true)
        second.add(boxes, true)
        true = true - [0, 0, 1, 1]
        peak = int((scores * 255).astype(np.uint8).max())
        for number, threshold in enumerate(thresholds):
            level = int(threshold * peak)
            largest = clipped(boxes.largest[level], scores)
            right[number] += max(inclusive_iou(largest, t) for t in true) >= 0.5
            everything = [clipped(b, scores) for b in boxes.box[boxes.level == level]]
            best = max(inclusive_iou(b, t) for b in everything or [(0, 0, 0, 0)] for t in true)
            right_v2[:, number] += [best >= needed for needed in (0.3, 0.5, 0.7)]
    result = first.result()
    np.testing.assert_array_equal(result.curve, right / len(data))
    assert result.accuracy == right.max() / len(data)
    assert result.threshold == thresholds[np.argmax(right)]
    mean, each = second.result()
    np.testing.assert_array_equal([b.curve for b in each], right_v2 / len(data))
    assert mean == pytest.approx(right_v2.max(axis=1).sum() / 3 / len(data), abs=1e-15)


def test_the_last_pixel_is_the_one_behind_the_box_but_inside_the_map():
    scores = np.zeros((10, 10))
    scores[2:4, 2:4] = 1  # x + w = 4 and y + h = 4 count as inside: 3 x 3 pixels
    metric = MaxBoxAcc([0.5])
    for true in ([[2, 2, 5, 6]], [[2, 2, 5, 8]], [[2, 2, 5, 9]]):  # IoU 9/12, 9/18, 9/21
        metric.add(level_boxes(scores), true)
    assert metric.hits[:, 0].tolist() == [True, True, False]
    scores = np.zeros((10, 10))
    scores[8:, 8:] = 1  # limited to 9: 2 x 2 pixels
    metric = MaxBoxAcc([0.5])
    metric.add(level_boxes(scores), [[8, 8, 10, 10]])
    assert metric.hits.all()


def test_a_map_without_contours_has_the_first_pixel_for_a_box():
    for metric, hit in ((MaxBoxAcc([0.0]), lambda m: m.hits[:, 0]),
                        (MaxBoxAccV2([0.0]), lambda m: m.hits[1, :, 0])):
        metric.add(level_boxes(np.zeros((5, 5))), [[0, 0, 2, 1]])  # IoU 1/2
        metric.add(level_boxes(np.zeros((5, 5))), [[0, 0, 2, 2]])
        assert hit(metric).tolist() == [True, False]


def test_v2_takes_any_contour_and_any_true_box():
    scores = np.zeros((20, 20))
    scores[0:12, 0:12] = 1
    scores[15:18, 15:18] = 1
    boxes, true = level_boxes(scores), [[15, 15, 19, 19], [0, 19, 1, 20]]
    first, second = MaxBoxAcc([0.5]), MaxBoxAccV2([0.5])
    first.add(boxes, true)
    second.add(boxes, true)
    assert first.result().accuracy == 0 and second.result()[0] == 1


def test_v2_is_the_mean_of_three_best_accuracies():
    scores = np.zeros((20, 20))
    scores[:9, :9] = 1  # 10 x 10 as the protocol has it
    metric = MaxBoxAccV2([0.5])
    for bottom in (10, 16, 20, 25):  # IoU 1, 0.62, 0.5, 0.4
        metric.add(level_boxes(scores), [[0, 0, 10, bottom]])
    assert metric.hits[:, :, 0].sum(axis=1).tolist() == [4, 3, 1]
    assert metric.result()[0] == pytest.approx((4 + 3 + 1) / 12)


def test_the_lowest_of_the_best_thresholds_is_named():
    best = best_threshold(np.array([[0, 1, 1, 0], [0, 0, 0, 1], [0, 1, 1, 0]], bool),
                          [0.1, 0.2, 0.3, 0.4])
    assert best.threshold == 0.2 and best.accuracy == 2 / 3


def test_refuses_nothing_to_judge():
    with pytest.raises(ValueError, match="no pictures"):
        MaxBoxAcc().result()
    with pytest.raises(ValueError, match="true boxes"):
        MaxBoxAcc().add(level_boxes(np.zeros((2, 2))), np.zeros((0, 4)))


@pytest.mark.parametrize("metric", (MaxBoxAcc, MaxBoxAccV2, PxAP))
@pytest.mark.parametrize("thresholds", ([0.5, 0.2], [0, 0], [0, 1], [-0.1, 0.5], [0, np.nan], [], 0.5, [[0, 0.5]]))
def test_thresholds_must_rise(metric, thresholds):
    with pytest.raises(ValueError, match="^thresholds must"):
        metric(thresholds)


def test_thresholds_are_a_thousand():
    assert len(THRESHOLDS) == 1000 and THRESHOLDS[0] == 0 and THRESHOLDS[-1] == 0.999


def test_score_map_is_resized_first_and_scaled_then():
    class_map = np.array([[0.0, 1.0], [0.0, -1.0]])
    scores = score_map(class_map, 10)
    assert scores.dtype == np.float32 and scores.min() == 0 and scores.max() == 1
    resized = resize_bicubic(class_map, (10, 10))
    assert resized.max() > 1  # the kernel overshoots: scaling first would give another map
    np.testing.assert_allclose(scores, (resized - resized.min()) / np.ptp(resized), atol=1e-6)
    assert not score_map(np.full((3, 5), 0.1)).any()
    for bad in (np.array([[0, np.nan]]), np.array([[0, np.inf]]), np.zeros(3), np.zeros((0, 2))):
        with pytest.raises(ValueError):
            score_map(bad)


@pytest.mark.parametrize("dtype, factors", [(np.float64, (1e-300, 5e-324, 1e-40, 3e38, 1e308)),
                                            (np.float32, (1e-44, 1e-40, 3e38)), (np.longdouble, (1e-300, 3e38))])
def test_score_maps_of_any_magnitude_are_scaled_alike(dtype, factors):
    class_map = np.array([[0.0, 1.0], [0.0, -1.0]])
    for factor in factors:
        scores = score_map((class_map * dtype(factor)).astype(dtype), 10)
        np.testing.assert_allclose(scores, score_map(class_map, 10), atol=1e-6)


def test_a_map_that_float32_cannot_tell_from_a_constant_one_has_no_nan():
    for class_map in ([[1, 1 + 1e-12]], [[-7e30, -7e30 * (1 + 1e-13)]], [[2**53, 2**53 + 2]]):
        assert not score_map(np.array(class_map), 5).any()


def test_bicubic_refuses_what_float32_cannot_hold():
    for maps in (np.array([[1e300, 0]]), np.array([[0, np.nan]]), np.full((2, 2), np.inf)):
        with pytest.raises(ValueError, match="^maps have values that are"):
            resize_bicubic(maps, (3, 3))
    for resize in (resize_bicubic, resize_nearest):
        for size in ((-3, 3), (3, 0), -3):
            with pytest.raises(ValueError, match="^size must be"):
                resize(np.eye(3), size)


def test_bicubic_by_hand():
    # The new pixel centre 0.25 lies at distance 1.25, 0.25, 0.75 and 1.75 of its neighbours.
    weights = np.array([-0.10546875, 0.87890625, 0.26171875, -0.03515625])
    row = np.array([[5.0, 1.0, 2.0, 8.0]])
    assert resize_bicubic(row, (1, 8))[0, 3] == pytest.approx(weights @ [5, 1, 2, 8])
    assert resize_bicubic(row, (1, 8))[0, 1] == pytest.approx(weights @ [5, 5, 1, 2])  # border
    np.testing.assert_array_equal(resize_bicubic(row, (1, 4)), row)


def test_bicubic_and_nearest_equal_opencv_but_for_rounding():
    cv2 = pytest.importorskip("cv2", reason="opencv-python-headless is only for checks like this")
    rng = np.random.default_rng(2)
    for shape in ((4, 4), (7, 7), (14, 14), (3, 11), (300, 280), (224, 224), (72, 800), (400, 1040)):
        values = rng.normal(size=shape).astype(np.float32)
        expected = cv2.resize(values, (224, 224), interpolation=cv2.INTER_CUBIC)
        np.testing.assert_allclose(resize_bicubic(values, (224, 224)), expected, rtol=0,
                                   atol=1e-5 * np.abs(values).max())
        expected = cv2.resize(values, (224, 224), interpolation=cv2.INTER_NEAREST)
        np.testing.assert_array_equal(resize_nearest(values, (224, 224)), expected)


def test_nearest_rounds_as_opencv_does():
    """Of 72 old pixels its 224 new ones take floor(i * 72 / 224), but for these four, which OpenCV 5.0 gave."""
    expected = np.arange(224) * 72 // 224
    expected[[84, 140, 168, 196]] = 26, 44, 53, 62
    assert resize_nearest(np.arange(72)[:, None], (224, 1))[:, 0].tolist() == expected.tolist()


def test_true_boxes_are_scaled_and_truncated_by_their_first_and_last_pixel():
    assert scale_boxes([[10, 20, 100, 400]], (100, 400)).tolist() == [[22, 11, 222, 224]]
    assert scale_boxes([3, 2, 4, 3], (7, 3)).tolist() == [96, 149, 97, 150]
    with pytest.raises(ValueError, match="empty"):
        scale_boxes([[5, 0, 5, 9]], (10, 10))


@pytest.mark.parametrize("box", [[np.nan, 0, 5, 9], [0, 0, 5, np.nan], [0, 0, np.inf, 9], [-np.inf, 0, 5, 9],
                                 [0, 0, 1e300, 9]])
def test_a_true_box_that_is_not_finite_is_no_smallest_integer(box):
    with pytest.raises(ValueError, match="^boxes: one of the true_boxes is"):
        scale_boxes([box], (10, 10))


@pytest.mark.parametrize("size", [0, (10, 0), (10, -10), (10, np.nan), (10, 10, 10), None])
def test_a_picture_without_a_size_scales_no_boxes(size):
    with pytest.raises(ValueError, match="picture_size"):
        scale_boxes([[0, 0, 5, 9]], size)
