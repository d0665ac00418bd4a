"""The strip that localize.py draws."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

import ops


def strip(height, width, boxes, captions=None):
    picture = np.full((height, width, 3), 120, np.uint8)
    return ops.panels(picture, np.zeros((len(boxes), 8, 8), np.float32), boxes,
                      captions or ["a caption"] * len(boxes))


def test_a_strip_has_the_picture_and_a_panel_for_each_class():
    one, three = strip(200, 300, [[0, 0, 300, 200]]), strip(200, 300, [[0, 0, 300, 200]] * 3)
    assert one.dtype == np.uint8 and one.shape[0] == three.shape[0]
    panel = three.shape[1] - strip(200, 300, [[0, 0, 300, 200]] * 2).shape[1]
    assert panel == pytest.approx(1.5 * 240, abs=10)


def test_many_panels_go_on_below():
    seven, eight, thousand = (strip(64, 64, [[0, 0, 9, 9]] * count) for count in (7, 8, 1000))
    assert eight.shape == (2 * seven.shape[0], *seven.shape[1:])
    assert thousand.shape == (126 * seven.shape[0], *seven.shape[1:]) and max(thousand.shape) < 65_500  # as JPEG can be
    np.testing.assert_array_equal(eight[:seven.shape[0]], seven)
    assert (eight[seven.shape[0]:, 240:] == 255).all() and (eight[seven.shape[0]:, :240] != 255).any()


@pytest.mark.parametrize("height, width", [(20, 4000), (4000, 20), (1, 1), (64, 64)])
def test_extreme_pictures_are_drawn_at_a_size_that_can_be_looked_at(height, width):
    drawn = strip(height, width, [[0, 0, width, height]])
    assert 100 < drawn.shape[1] < 2500 and drawn.shape[0] < 500


def test_the_box_is_drawn_where_it_is():
    drawn = strip(240, 240, [[60, 120, 180, 180]])
    panel = drawn[:240, -240:].astype(int)
    white = (panel > 250).all(-1)
    rows, columns = np.flatnonzero(white.any(1)), np.flatnonzero(white.any(0))
    assert [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1] == [60, 120, 180, 180]


def test_without_boxes_and_captions_there_is_the_picture_alone():
    picture = np.random.default_rng(0).integers(0, 255, (240, 300, 3), np.uint8)
    for count in (2, 9):
        maps = np.zeros((count, 8, 8), np.float32)
        plain = ops.panels(picture, maps, None, None, opacity=0)
        rows, columns = -(-(count + 1) // 8), min(count + 1, 8)
        assert plain.shape == (246 * rows - 6, 306 * columns - 6, 3)
        for number in range(count + 1):
            row, column = divmod(number, 8)
            np.testing.assert_array_equal(plain[246 * row:246 * row + 240, 306 * column:306 * column + 300], picture)
        boxed = ops.panels(picture, maps, [[0, 0, 9, 9]] * count, None, opacity=0)
        captioned = ops.panels(picture, maps, None, ["x"] * count, opacity=0)
        assert boxed.shape == plain.shape and (boxed != plain).any() and captioned.shape[0] == 272 * rows
        np.testing.assert_array_equal(captioned[:240], plain[:240])
    with pytest.raises(ValueError, match="2 heat maps, 1 boxes"):
        ops.panels(picture, maps[:2], [[0, 0, 9, 9]], None)


def test_a_long_caption_is_cut():
    np.testing.assert_array_equal(strip(64, 64, [[0, 0, 9, 9]], ["word " * 400]).shape,
                                  strip(64, 64, [[0, 0, 9, 9]], ["w"]).shape)


@pytest.mark.parametrize("caption", ["tabby 83%", "jay, quail & Ävyqgj() 7%", "A  To AVA. 100%", "犬", ""])
@pytest.mark.parametrize("width", [240, 480])
def test_a_caption_is_as_pillow_writes_it(caption, width):
    below = ops.captioned(np.zeros((width, width, 3), np.uint8), caption)[width:] if width == 480 else \
        strip(240, 240, [[0, 0, 240, 240]], [caption])[240:, 246:]
    expected, times = Image.new("RGB", below.shape[1::-1], (255, 255, 255)), width // 240
    ImageDraw.Draw(expected).text((2 * times, 2 * times), caption, (20, 20, 20), ImageFont.load_default(20 * times))
    np.testing.assert_allclose(below.astype(int), np.asarray(expected), atol=1)


def test_a_caption_is_cut_where_pillow_measures_it():
    font, panel = ImageFont.load_default(20), 240
    drawn = strip(240, 240, [[0, 0, 240, 240]], ["word " * 400])[240:, 246:]
    kept = next(text for end in range(400, 0, -1) for text in [("word " * 400)[:end].rstrip() + "…"] if font.getlength(text) <= panel)
    np.testing.assert_array_equal(drawn, strip(240, 240, [[0, 0, 240, 240]], [kept])[240:, 246:])


@pytest.mark.parametrize("box", [[0, 0, 1, 1], [3998, 100, 3999, 3000], [100, 3999, 200, 4000], [7, 7, 7, 9]])
def test_a_box_thinner_than_a_pixel_of_the_panel_is_drawn(box):
    plain, drawn = strip(4000, 4000, [[0, 0, 4000, 4000]]), strip(4000, 4000, [box])
    assert drawn.shape == plain.shape and (drawn != plain).any()


def test_numbers_that_do_not_belong_together_are_refused():
    with pytest.raises(ValueError, match="2 boxes"):
        ops.panels(np.zeros((9, 9, 3), np.uint8), np.zeros((1, 2, 2)), [[0, 0, 1, 1]] * 2, ["a"])


@pytest.mark.parametrize("size", [(240, 240), (7, 9), (480, 640)])
def test_a_panel_shows_what_the_overlay_of_its_picture_shows(size):
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (240, 320, 3), np.uint8)
    heat = ops.upsample(rng.random((5, 6)), size)  # smooth: of a larger one, Pillow takes means
    drawn = ops.panels(picture, heat[None], [[0, 0, 320, 240]], [""])
    np.testing.assert_array_equal(drawn[:240, :320], picture)
    inside = np.s_[6:-6, 6:-6]
    difference = np.abs(drawn[:240, 326:].astype(int) - ops.overlay(picture, heat))[inside]
    assert difference.max() <= 8 and difference.mean() < 1  # at most two of jet's levels beside


def test_a_fine_heat_map_is_drawn_as_an_interpolated_one():
    """Half a pixel off at most: of a ramp over the panel, half a step."""
    ramp = np.tile(np.linspace(0, 1, 240, dtype=np.float32), (240, 1))
    picture = np.zeros((240, 360, 3), np.uint8)
    drawn = ops.panels(picture, [ramp], [[0, 0, 1, 1]], [""], 1, "gray")[10:240, 366:, 0].astype(int)
    expected = np.linspace(0, 255, 360)
    assert abs(drawn - expected).max() <= 2.5 and (np.diff(drawn) >= 0).all()


@pytest.mark.parametrize("height, width", [(375, 500), (480, 640), (250, 240), (2000, 1500), (100, 150), (240, 320), (300, 4000)])
def test_a_panel_is_its_picture_smaller(height, width):
    """Against an average by OpenCV: a smooth picture is the same by any filter."""
    y, x = np.mgrid[:height, :width]
    picture = np.stack([255 * x / width, 255 * y / height, 128 + 100 * np.sin(6 * x / width + 4 * y / height)], -1).astype(np.uint8)
    panel = ops.panel(picture)
    assert panel.dtype == np.uint8 and panel.shape[0] == 240
    smaller = cv2.resize(picture, panel.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(panel.astype(int) - smaller).max() <= 3
