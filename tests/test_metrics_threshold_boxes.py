"""Boxes of every level: against a slow search level by level, and against OpenCV."""

import numpy as np
import pytest
from scipy import ndimage

from metrics.score_maps import score_map
from metrics.threshold_boxes import level_boxes

EIGHT, FOUR = np.ones((3, 3)), ndimage.generate_binary_structure(2, 1)
# Neighbours in clockwise order: rows grow downwards.
AROUND = [(0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1)]


def random_maps(rng):
    """Small maps of few values: ties, single pixels, lines, holes in holes."""
    for trial in range(120):
        shape, values = rng.integers(1, 13, 2), (2, 3, 5, 256)[trial % 4]
        yield rng.integers(0, values, shape) / (values - 1)
    for _ in range(10):
        yield score_map(rng.random((4, 4)), 24)
    rings = np.zeros((9, 11))
    rings[0:9, 0:9] = rings[2:7, 2:7] = rings[4, 4] = 1
    rings[1:8, 1:8] -= rings[2, 2]
    rings[2:7, 2:7] = 0.5
    rings[3:6, 3:6] = 0
    rings[4, 4] = 0.25
    yield rings
    yield np.kron(np.indices((6, 6)).sum(0) % 2, np.ones((2, 2)))  # equals, corner to corner


def polygon_area(mask):
    """Area of the polygon through the pixels met walking around an 8-connected mask."""
    mask = np.pad(mask, 1)
    start = tuple(np.argwhere(mask)[0])
    path, at, facing = [start], start, 6  # entered from the left, so look up first
    while True:
        for turn in range(8):
            direction = (facing + turn) % 8
            to = at[0] + AROUND[direction][0], at[1] + AROUND[direction][1]
            if mask[to]:
                break
        else:
            return 0.0  # a single pixel
        if at == start and len(path) > 1 and to == path[1]:
            break
        path.append(to)
        at, facing = to, (direction + 6) % 8 if direction % 2 == 0 else (direction + 5) % 8
    y, x = np.array(path).T
    return abs(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])) / 2


def contours_by_search(mask):
    """[(area, outer, first pixel, box)] of all contours, labelled one by one."""
    found = []
    regions, count = ndimage.label(mask, EIGHT)
    for label in range(1, count + 1):
        region = regions == label
        found.append((polygon_area(ndimage.binary_fill_holes(region, FOUR)), True,
                      int(np.flatnonzero(region)[0]), box_of(region)))
    background, count = ndimage.label(~np.pad(mask, 1), FOUR)
    for label in range(1, count + 1):
        if label != background[0, 0]:
            around = ndimage.binary_dilation(background == label, FOUR)[1:-1, 1:-1]
            found.append((polygon_area(ndimage.binary_fill_holes(around, FOUR)), False,
                          int(np.flatnonzero(around)[0]), box_of(around)))
    return found


def box_of(mask):
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def boxes_at(boxes, level):
    return sorted(map(tuple, boxes.box[boxes.level == level].tolist()))


def test_equal_a_search_of_every_level():
    for scores in random_maps(np.random.default_rng(0)):
        boxes = level_boxes(scores)
        grey = (scores * 255).astype(np.uint8)
        assert boxes.peak == grey.max() and boxes.shape == scores.shape
        for level in np.union1d(np.unique(grey), [0, 255]):
            contours = contours_by_search(grey > level)
            largest = max(contours, default=(0, 0, 0, (0, 0, 0, 0)))[3]
            assert tuple(boxes.largest[level]) == largest
            assert boxes_at(boxes, level) == sorted(c[3] for c in contours)


def test_equal_opencv_at_every_level():
    cv2 = pytest.importorskip("cv2", reason="opencv-python-headless is only for checks like this")
    rng = np.random.default_rng(1)
    maps = list(random_maps(rng))
    maps += [score_map(rng.random((n, n)) ** 2) for n in (4, 4, 8, 8, 14, 14)]
    maps += [score_map(ndimage.gaussian_filter(rng.random((90, 120)), s), 120) for s in (0.5, 1, 2)]
    for scores in maps:
        boxes = level_boxes(scores)
        grey = (scores * 255).astype(np.uint8)
        for level in range(256):
            found = cv2.findContours((grey > level).astype(np.uint8), cv2.RETR_TREE,
                                     cv2.CHAIN_APPROX_SIMPLE)[0]
            expected = [(x, y, x + w, y + h) for x, y, w, h in map(cv2.boundingRect, found)]
            areas = [cv2.contourArea(contour) for contour in found]
            largest = expected[int(np.argmax(areas))] if expected else (0, 0, 0, 0)
            assert tuple(boxes.largest[level]) == largest
            assert boxes_at(boxes, level) == sorted(expected)


def test_by_hand():
    # A bar of area 0, a triangle of area 1/2 (a corner is missing), a ring with a tail.
    scores = np.array([[0, 0, 0, 0, 0, 0, 0, 0, 0],
                       [9, 9, 9, 0, 0, 0, 5, 0, 0],
                       [0, 0, 0, 0, 0, 5, 0, 5, 5],
                       [7, 7, 0, 0, 0, 0, 5, 0, 0],
                       [7, 0, 0, 0, 0, 0, 0, 0, 0]]) / 9
    boxes = level_boxes(scores)
    assert boxes.largest[0].tolist() == [5, 1, 9, 4]  # outer contour and hole: area 2, outer first
    assert boxes_at(boxes, 0) == [(0, 1, 3, 2), (0, 3, 2, 5), (5, 1, 8, 4), (5, 1, 9, 4)]
    assert boxes.largest[150].tolist() == [0, 3, 2, 5]
    assert boxes.largest[220].tolist() == [0, 1, 3, 2]
    assert boxes.largest[255].tolist() == [0, 0, 0, 0]


def test_of_equal_areas_the_last_in_reading_order_wins():
    scores = np.zeros((5, 5))
    scores[0, 4] = scores[2, 0] = scores[2, 3] = 1
    assert level_boxes(scores).largest[0].tolist() == [3, 2, 4, 3]


def test_thresholds_are_fractions_of_the_peak_truncated_to_levels():
    boxes = level_boxes(np.array([[0.0, 0.5]]))
    assert boxes.peak == 127
    assert boxes.levels_of([0, 0.5, 0.999]).tolist() == [0, 63, 126]
    with pytest.raises(ValueError, match="less than 1"):
        boxes.levels_of([1.0])


def test_a_map_of_more_pixels_than_sixteen_bits_count():
    scores = np.zeros((300, 310))
    scores[280:299, 200:309] = 1
    scores[285, 250] = 0.5
    boxes = level_boxes(scores)
    assert boxes.largest[200].tolist() == [200, 280, 309, 299]
    assert boxes_at(boxes, 200) == [(200, 280, 309, 299), (249, 284, 252, 287)]


@pytest.mark.parametrize("scores", [np.full((3, 3), np.nan), np.array([[0, 1.5]]),
                                    np.array([[-0.1]]), np.zeros(4), np.zeros((0, 3))])
def test_refuses_what_is_no_score_map(scores):
    with pytest.raises(ValueError):
        level_boxes(scores)


def test_constant_maps():
    assert len(level_boxes(np.zeros((6, 7))).box) == 0
    boxes = level_boxes(np.ones((6, 7)))
    assert (boxes.largest[:255] == [0, 0, 7, 6]).all() and (boxes.largest[255] == 0).all()
