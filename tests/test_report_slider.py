"""The slider's boxes are those of `ops`, at each of its steps."""

import numpy as np
import pytest

import ops
from cam_report.slider import STEPS, step_boxes

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
