"""Views of a picture, and their maps laid back where they came from."""

import numpy as np
import pytest
import tensorflow as tf

from ops.crops import merge_flips, merge_scales, merge_ten_crops, take_ten_crops, ten_crops
from ops.resize import resize_bicubic


def test_corners_centre_and_their_mirror_images():
    corners, mirrored = ten_crops(224)
    assert corners[:5].tolist() == [[0, 0], [32, 0], [0, 32], [32, 32], [16, 16]]
    np.testing.assert_array_equal(corners[:5], corners[5:])
    assert mirrored.tolist() == 5 * [False] + 5 * [True]
    assert ten_crops(227)[0][4].tolist() == [15, 15]
    assert ten_crops(256)[0].max() == 0
    with pytest.raises(ValueError, match="fit"):
        ten_crops(257)


@pytest.mark.parametrize("kind", [np.asarray, tf.constant])
def test_crops_are_cut_where_they_lie(kind):
    pictures = np.arange(2 * 6 * 6 * 3, dtype=np.float32).reshape(2, 6, 6, 3)
    crops = take_ten_crops(kind(pictures), 4)
    assert tf.is_tensor(crops) == (kind is tf.constant)
    assert crops.shape == (2, 10, 4, 4, 3)
    np.testing.assert_array_equal(crops[:, 1], pictures[:, :4, 2:])
    np.testing.assert_array_equal(crops[:, 2], pictures[:, 2:, :4])
    np.testing.assert_array_equal(crops[:, 9], pictures[:, 1:5, 4:0:-1])
    with pytest.raises(ValueError, match="F, F"):
        take_ten_crops(pictures[:, :5], 4)


def test_maps_come_back_to_where_their_crops_were():
    """A "network" whose map is the picture: each pixel counts once for every crop it is in."""
    picture = np.random.default_rng(0).normal(size=(1, 32, 32, 1)).astype(np.float32)
    crops = take_ten_crops(picture, 24)[..., 0]
    covered = merge_ten_crops(np.ones_like(crops), 24, 32)[0]
    assert covered[0, 0] == 2 and covered[0, 12] == 4 and covered[16, 16] == 10
    merged = merge_ten_crops(crops, 24, 32)[0]
    np.testing.assert_allclose(merged, covered * np.abs(picture[0, :, :, 0]), rtol=1e-5)


def test_maps_are_upsampled_before_their_absolute_value():
    maps = np.zeros((3, 10, 2, 2))
    maps[:, 0] = [[1, -1], [-1, 1]]
    merged = merge_ten_crops(maps, 8, 10)
    assert merged.shape == (3, 10, 10) and merged.dtype == np.float32
    np.testing.assert_allclose(merged[1, :8, :8], np.abs(resize_bicubic(maps[0, 0], (8, 8), -0.5)))
    assert not merged[:, 8:].any()
    with pytest.raises(ValueError, match="10, h, w"):
        merge_ten_crops(maps[:, :9], 8)


@pytest.mark.parametrize("order, places", [("rows", [(0, 0), (8, 0), (0, 8), (8, 8)]),
                                           ("columns", [(0, 0), (0, 8), (8, 0), (8, 8)])])
def test_corners_in_either_order_are_laid_where_they_lay(order, places):
    corners, _ = ten_crops(24, 32, order)
    assert list(map(tuple, corners.tolist())) == 2 * (places + [(4, 4)])
    picture = np.random.default_rng(2).random((32, 32))
    crops = np.stack([picture[y:y + 24, x:x + 24] for x, y in places + [(4, 4)]])
    crops = np.concatenate([crops, crops[..., ::-1]])
    covered = merge_ten_crops(np.ones_like(crops), 24, 32)
    np.testing.assert_allclose(merge_ten_crops(crops, 24, 32, order=order), covered * picture, rtol=1e-5)
    with pytest.raises(ValueError, match="^order must be rows or columns"):
        merge_ten_crops(crops, 24, 32, order="diagonal")


@pytest.mark.parametrize("kind", [np.asarray, tf.constant])
@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.float16, np.float32])
def test_the_mean_of_two_maps_does_not_overflow_their_dtype(kind, dtype):
    largest = np.finfo(dtype).max if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max
    merged = merge_flips(kind(np.array([[largest, 0]], dtype)), kind(np.array([[largest, largest]], dtype)))
    assert merged.dtype == np.float32 and tf.is_tensor(merged) == (kind is tf.constant)
    np.testing.assert_array_equal(merged, [[np.float32(largest), np.float32(largest) / 2]])


def test_maps_of_different_shapes_are_not_spread():
    with pytest.raises(ValueError, match="maps and mirrored_maps"):
        merge_flips(np.ones((2, 3, 3)), np.ones((3, 3)))
    with pytest.raises(ValueError, match="maps"):
        merge_scales([np.ones((2, 3, 3)), np.ones((1, 4, 4))], 5)


def test_sums_beyond_float32_are_refused():
    huge = np.full((10, 2, 2), 3e38)
    for merge in (lambda: merge_ten_crops(huge, 6, 8), lambda: merge_scales([huge, huge], 2)):
        with pytest.raises(ValueError, match="maps have values that are too large"):
            merge()


def test_flips_are_mirrored_back():
    maps = np.random.default_rng(1).random((2, 3, 4, 5))
    np.testing.assert_allclose(merge_flips(maps, maps[..., ::-1]), maps)
    assert merge_flips(np.array([[0.0, 2.0]]), np.array([[4.0, 0.0]])).tolist() == [[0, 3]]


def test_scales_are_averaged_at_one_size():
    small, large = np.array([[1.0, 3.0]]), np.full((2, 4), 5.0)
    np.testing.assert_allclose(merge_scales([small, large], (1, 4)), [[3, 3.25, 3.75, 4]])
    np.testing.assert_allclose(merge_scales([tf.constant(small)], (1, 4)), [[1, 1.5, 2.5, 3]])
    with pytest.raises(ValueError, match="no maps"):
        merge_scales([], (4, 4))


def smooth(crops, size, frame):
    return merge_ten_crops(crops, size, frame, blend="smooth")


def test_without_seams_a_map_comes_back_as_it_was():
    """Crops of one map, negative values and all; and where they disagree, the step is spread over their overlap."""
    picture = np.random.default_rng(0).normal(size=(1, 32, 32, 1)).astype(np.float32)
    crops = take_ten_crops(picture, 24)[..., 0]
    np.testing.assert_allclose(smooth(crops, 24, 32)[0], picture[0, :, :, 0], atol=1e-5)
    levels = np.repeat(np.array([1, 2, 3, 4, 2.5] * 2, np.float32), 24 * 24).reshape(10, 24, 24)
    merged = smooth(levels, 24, 32)
    assert 1 <= merged.min() and merged.max() <= 4 and merged[0, 0] == 1 and merged[-1, -1] == 4
    steps = [abs(np.diff(merged, axis=axis)).max() / np.ptp(merged) for axis in (0, 1)]
    authors = merge_ten_crops(levels, 24, 32)
    seams = [abs(np.diff(authors, axis=axis)).max() / np.ptp(authors) for axis in (0, 1)]
    assert max(steps) < 0.1 < 0.3 < min(seams)
    np.testing.assert_array_equal(smooth(np.ones((10, 3, 3)), 8, 8), np.ones((8, 8)))  # every crop is the frame
    with pytest.raises(ValueError, match="^blend must be authors or smooth"):
        merge_ten_crops(crops, 24, 32, blend="sum")
