"""The authors' box generator, by hand and against OpenCV."""

import numpy as np
import pytest
from scipy import ndimage

from ops.contour_boxes import _merged, author_boxes


def test_one_blob():
    heat = np.zeros((40, 50))
    heat[10:21, 20:31] = 3.0
    # Within 11 x 11 the distance is at most 6: 10.5/255 of it is less than 1, all stay.
    assert author_boxes(heat, [20]).tolist() == [[20, 10, 31, 21]]
    assert author_boxes(7 * heat, [20]).tolist() == [[20, 10, 31, 21]]
    # Three times the same: the first removes the second and passes over the third.
    assert author_boxes(heat).tolist() == 2 * [[20, 10, 31, 21]]


def test_thin_bridges_fall_away():
    heat = np.zeros((200, 200))
    heat[10:90, 10:90] = 1  # distances up to 40: one pixel is 6/255, a bridge of two also
    heat[40:42, 90:150] = 1
    assert author_boxes(heat, [20]).tolist() == [[11, 11, 89, 89]]


def test_distances_above_ten_of_255_stay():
    heat = np.zeros((80, 80))
    heat[10:57, 10:57] = 1  # distances up to 24: one pixel is 10.6, rounded to 11
    assert author_boxes(heat, [20]).tolist() == [[10, 10, 57, 57]]
    heat[10:59, 10:59] = 1  # up to 25: one pixel is 10.2, rounded to 10
    assert author_boxes(heat, [20]).tolist() == [[11, 11, 58, 58]]


def test_a_map_above_the_threshold_everywhere_is_left_as_it_is():
    assert author_boxes(np.ones((30, 40)), [20]).tolist() == [[0, 0, 35, 25]]


def test_sizes_are_limited_by_the_position_before_limiting():
    heat = np.zeros((40, 50))
    heat[30:40, 47:50] = 1
    # x = 47 becomes 45, the width min(3, 50 - 47 - 5) = -2: the ends are swapped.
    assert author_boxes(heat, [20]).tolist() == [[43, 30, 45, 35]]


def test_holes_give_boxes_of_their_own():
    heat = np.zeros((60, 60))
    heat[5:45, 5:45] = 1
    heat[10:14, 10:14] = 0
    assert author_boxes(heat, [20]).tolist() == [[5, 5, 45, 45], [9, 9, 15, 15]]


def test_boxes_at_three_thresholds_are_merged_when_they_overlap_by_more_than_half():
    heat = np.zeros((60, 60))
    heat[2:42, 2:42] = 0.2
    heat[10:20, 10:20] = 1.0
    assert author_boxes(heat).tolist() == [[2, 2, 42, 42], [10, 10, 20, 20]]
    heat[2:32, 2:42] = 1.0  # 30 rows of 40: more than half
    assert author_boxes(heat, [20, 100]).tolist() == [[2, 2, 42, 42]]
    heat[2:22, 2:42] = 1.0
    heat[22:42, 2:42] = 0.2  # half is not more than half
    assert author_boxes(heat, [20, 100]).tolist() == [[2, 2, 42, 42], [2, 2, 42, 22]]


def merged(*rectangles):
    return list(map(tuple, _merged(rectangles).tolist()))


def test_the_rectangle_behind_a_removed_one_is_passed_over():
    large, same = (0, 0, 10, 10), (0, 0, 10, 9)
    assert merged(large, same, same, same, same) == [large, same]
    # The one passed over by the first is then compared with those behind it.
    assert merged(large, same, (0, 0, 9, 9), (0, 0, 8, 9)) == [large, (0, 0, 9, 9)]
    assert merged(large, (20, 0, 10, 9), same) == [large, (20, 0, 10, 9)]


def test_half_is_truncated():
    # Half of 3 x 3 is 4 (of 4.5): an overlap of 5 is more, one of 4 is not.
    assert merged((0, 0, 3, 3), (0, 0, 5, 1)) == [(0, 0, 3, 3), (0, 0, 5, 1)]
    assert merged((0, 0, 9, 1), (0, 0, 5, 1)) == [(0, 0, 9, 1)]
    assert merged((0, 0, 9, 1), (0, 0, 4, 1)) == [(0, 0, 9, 1), (0, 0, 4, 1)]


def one_by_one(rectangles):
    """The program's loop over pairs."""
    kept, first = list(rectangles), 0
    while first < len(kept):
        behind = first + 1
        while behind < len(kept):
            a, b = np.array(kept[first]), np.array(kept[behind])
            sides = np.minimum(a[:2] + a[2:], b[:2] + b[2:]) - np.maximum(a[:2], b[:2])
            if sides.clip(0).prod() > int(max(a[2] * a[3], b[2] * b[3]) * 0.5):
                del kept[behind]
            behind += 1
        first += 1
    return kept


def test_rectangles_are_merged_as_by_a_loop_over_pairs():
    rng = np.random.default_rng(3)
    for _ in range(60):
        corners, sides = rng.integers(0, 6, (rng.integers(0, 40), 2)), rng.integers(-1, 12, 2)
        rectangles = [(*corner, *(sides + rng.integers(0, 4, 2))) for corner in corners.tolist()]
        rectangles = sorted((tuple(map(int, r)) for r in rectangles), key=lambda r: -r[2] * r[3])
        assert merged(*rectangles) == one_by_one(rectangles)


def test_opencv_2_clears_the_border_before_it_looks_for_contours():
    heat = np.zeros((50, 60))
    heat[:, :30] = 1
    assert author_boxes(heat, [20]).tolist() == [[0, 0, 29, 45]]
    assert author_boxes(heat, [20], cleared_border=True).tolist() == [[1, 1, 29, 45]]
    heat[20:30, 3:13] = 0  # a hole that is open to the left, but for the border, is none any more
    heat[20:30, 1:3] = 0
    assert [0, 19, 14, 31] in author_boxes(heat, [20]).tolist()
    assert len(author_boxes(heat, [20], cleared_border=True)) == 1
    for shape in ((1, 1), (2, 60), (60, 2)):
        assert author_boxes(np.ones(shape), cleared_border=True).shape == (0, 4)


def test_nothing_to_find_and_nothing_to_accept():
    assert author_boxes(np.zeros((9, 9))).shape == (0, 4)
    assert author_boxes(-np.ones((9, 9))).shape == (0, 4)
    for heat in (np.full((4, 4), np.nan), np.zeros(4), np.zeros((0, 4))):
        with pytest.raises(ValueError):
            author_boxes(heat)
    with pytest.raises(ValueError, match="8-bit"):
        author_boxes(np.ones((4, 4)), [20, 300])


def program(cv2, grey, thresholds, cleared_border):
    """The program's description, step by step on OpenCV's contours."""
    height, width = grey.shape
    rectangles = []
    for threshold in thresholds:
        mask = np.where(grey > threshold, 255, 0).astype(np.uint8)
        if mask.any() and not mask.all():
            inside, outside = np.argwhere(mask), np.argwhere(mask == 0)
            squares = ((inside[:, None] - outside[None]) ** 2).sum(2).min(1)
            distance = np.zeros(grey.shape)
            distance[tuple(inside.T)] = np.sqrt(squares)
            mask = np.floor(distance * (255.0 / distance.max()) + 0.5).astype(np.uint8)
        mask = cv2.threshold(mask, 10, 255, cv2.THRESH_BINARY)[1]
        if cleared_border:
            mask[[0, -1]] = mask[:, [0, -1]] = 0
        for contour in cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)[0]:
            x, y, w, h = cv2.boundingRect(contour)
            w = width - x - 5 if w > width - x - 5 else w
            h = height - y - 5 if h > height - y - 5 else h
            rectangles.append((min(x, width - 5), min(y, height - 5), w, h))
    rectangles = sorted(rectangles, key=lambda r: r[2] * r[3], reverse=True)
    for first in range(len(rectangles)):
        behind = first + 1
        while behind < len(rectangles):
            a, b = rectangles[first], rectangles[behind]
            ends = [(min(a[k] + a[k + 2], b[k] + b[k + 2]), max(a[k], b[k])) for k in (0, 1)]
            overlap = np.prod([max(0, end - start) for end, start in ends])
            if overlap > int(0.5 * max(a[2] * a[3], b[2] * b[3])):
                rectangles.pop(behind)
            behind += 1
    return [[min(x, x + w), min(y, y + h), max(x, x + w), max(y, y + h)]
            for x, y, w, h in rectangles]


def test_equal_the_program_on_opencvs_contours():
    cv2 = pytest.importorskip("cv2", reason="opencv-python-headless is only for checks like this")
    rng = np.random.default_rng(0)
    for trial in range(90):
        heat = rng.random(rng.integers(5, 36, 2))
        if trial % 3:
            heat = ndimage.gaussian_filter(heat, trial % 3 * 1.5) ** 3
        thresholds = [(20, 100, 110), (30, 90, 150)][trial % 2]
        grey = np.rint(heat / heat.max() * 255 + 1e-9)
        for cleared_border in (False, True):
            boxes = author_boxes(heat, thresholds, cleared_border).tolist()
            assert boxes == program(cv2, grey, thresholds, cleared_border)
