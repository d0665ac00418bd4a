"""The slider's boxes are those of `ops`, at each of its steps."""

import numpy as np
import pytest

import ops
from cam_report.slider import MOST, STEPS, step_boxes

RNG = np.random.default_rng(0)


def smooth(side, size):
    return ops.normalise(ops.upsample(RNG.normal(size=(side, side)).astype(np.float32), (size, size)), "max")


MAPS = [smooth(side, 96) for side in (2, 4, 7, 14)] + [RNG.random((9, 13)).astype(np.float32),
        RNG.integers(0, 4, (20, 30)).astype(np.float32) / 3, np.zeros((5, 6), np.float32), np.ones((5, 6), np.float32),
        np.eye(8, dtype=np.float32), np.pad(np.ones((3, 3), np.float32), 4), RNG.random((12, 12))]


@pytest.mark.parametrize("heat_map", MAPS, ids=lambda array: f"{array.shape}")
def test_at_every_step_all_segments_are_those_of_ops(heat_map):
    found = step_boxes(heat_map)
    assert len(found.count) == STEPS and found.count.sum() == len(found.box)
    for step in range(STEPS):
        threshold = step / STEPS
        boxes = found.at(step)
        np.testing.assert_array_equal(boxes[0], ops.boxes_from_heat_maps(heat_map, threshold))
        np.testing.assert_array_equal(boxes, [segment.box for segment in ops.segments(heat_map, threshold)])
        np.testing.assert_array_equal(boxes[found.peak[step]], ops.boxes_from_heat_maps(heat_map, threshold, "peak"))


def test_of_more_segments_than_are_kept_the_peaks_own_is():
    heat_map = np.zeros((64, 64), np.float32)
    heat_map[::2, ::2] = 0.5 + 0.4 * RNG.random((32, 32))  # 1,024 segments of a pixel
    heat_map[40, 40] = 1
    found = step_boxes(heat_map)
    for step in (0, 20, 49, 70, 95):
        boxes, segments = found.at(step), ops.segments(heat_map, step / STEPS)
        assert len(boxes) == min(MOST, len(segments))
        np.testing.assert_array_equal(boxes[:MOST - 1], [segment.box for segment in segments[:MOST - 1]])
        np.testing.assert_array_equal(boxes[found.peak[step]], [40, 40, 41, 41])
